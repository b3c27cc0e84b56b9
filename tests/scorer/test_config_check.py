"""`cardwatch config check` reads everything an operator writes, and names whatever is wrong with it, all at once."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from scorer_world import CONFIG

from pipeline.cli import main

KEYS = ("SNAPSHOT_KEY", "CALLBACK_SECRET", "VOICE_KEY", "WEBHOOK_SECRET")
SECRETS = {f"CARDWATCH_{name}": "sixteen bytes or more" for name in KEYS}
TEXTS = {"CARDWATCH_SMS_VIA": "webhook", "CARDWATCH_WEBHOOK_URL": "http://127.0.0.1:8090/v1/messages"}
"""Who carries what the profile in use wants first."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def check(config: Path, **environment: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(
        main, ["config", "check"], env=SECRETS | TEXTS | {"CARDWATCH_CONFIG_DIR": str(config)} | environment
    )
    return result.exit_code, result.output.splitlines()


def test_what_is_delivered_is_right(config: Path) -> None:
    code, lines = check(config)
    assert code == 0
    assert all(line.startswith("ok ") for line in lines)
    assert {"ok settings of the contact", "ok policies/default.toml", "ok rates.toml", "ok models/prior.toml"} <= {
        *lines
    }


def test_everything_wrong_is_named_in_one_go(config: Path) -> None:
    (config / "rates.toml").write_text('billing = "CNY"\n[rates]\nABC = 1\n')
    (config / "contact" / "demo.toml").write_text("ring_s = 0\n")
    (config / "messages" / "en" / "reasons.toml").write_text("score_hold = 7\n")
    code, lines = check(config, CARDWATCH_SCORER_CHECKPOINT_MS="abc", CARDWATCH_CONTACT_PROFILE="none")
    assert code == 2
    told = "\n".join(lines)
    for named in (
        "CARDWATCH_SCORER_CHECKPOINT_MS: ",
        "rates.toml:3: ",
        "demo.toml:1: ",
        "en/reasons.toml:1: ",
        "none.toml",
    ):
        assert named in told
    assert "ok models/prior.toml" in lines, "one mistake hides no other"
    assert len(lines) == len(set(lines))


def test_a_secret_that_is_wrong_is_not_repeated(config: Path) -> None:
    code, lines = check(config, CARDWATCH_VOICE_KEY="hush hush")
    assert code == 2
    assert any("CARDWATCH_VOICE_KEY" in line for line in lines)
    assert "hush" not in "\n".join(lines)

"""`cardwatch config check` reads everything an operator writes, and names whatever is wrong with it, all at once."""

import asyncio
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError
from scorer_world import CONFIG

from pipeline.app.config_check import refusal
from pipeline.app.contact import run_contact
from pipeline.cli import main
from pipeline.roles.contact.profile import ProfileError

KEYS = ("SNAPSHOT_KEY", "CALLBACK_SECRET", "CONTACT_KEY", "VOICE_KEY", "WEBHOOK_SECRET")
SECRETS = {f"CARDWATCH_{name}": "sixteen bytes or more" for name in KEYS}
PROFILE = {"CARDWATCH_CONTACT_PROFILE": "demo"}
TEXTS = {"CARDWATCH_SMS_VIA": "webhook", "CARDWATCH_WEBHOOK_URL": "http://127.0.0.1:8090/v1/messages"}
"""Who carries what the profile in use wants first."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def check(config: Path, **environment: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(
        main, ["config", "check"], env=SECRETS | TEXTS | PROFILE | {"CARDWATCH_CONFIG_DIR": str(config)} | environment
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


NEWCOMER = [
    "CARDWATCH_CONTACT_PROFILE is missing",
    "CARDWATCH_CONTACT_KEY (or CARDWATCH_CONTACT_KEY_FILE) is missing",
    "CARDWATCH_CALLBACK_SECRET (or CARDWATCH_CALLBACK_SECRET_FILE) is missing",
]
"""What the contact role is told to be given, each with a word on what it is."""


def test_without_any_setting_all_that_the_contact_role_needs_is_named_once() -> None:
    result = CliRunner().invoke(main, ["config", "check"], env={"CARDWATCH_CONFIG_DIR": str(CONFIG)})
    assert result.exit_code == 2
    assert [sum(one in line for line in result.output.splitlines()) for one in NEWCOMER] == [1, 1, 1]


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What `cardwatch run contact` says, with neither a broker nor a store there."""
    away = {"CARDWATCH_KAFKA_BOOTSTRAP": "127.0.0.1:1", "CARDWATCH_REDIS_URL": "redis://127.0.0.1:1/0"}
    for name, value in (away | {"CARDWATCH_CONFIG_DIR": str(CONFIG)} | environment).items():
        monkeypatch.setenv(name, value)

    async def go() -> None:
        async with asyncio.timeout(20):
            await run_contact(asyncio.Event())

    with pytest.raises((ValidationError, ProfileError)) as why:
        asyncio.run(go())
    return refusal(why.value) or ""


def test_a_newcomer_is_told_all_that_the_contact_role_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = refused(monkeypatch).splitlines()
    assert len(lines) == len(NEWCOMER)
    assert all(line.startswith(f"{one}: ") for line, one in zip(lines, NEWCOMER, strict=True))


def test_a_ladder_nobody_can_climb_is_told_before_the_broker_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {name: key for name, key in SECRETS.items() if name != "CARDWATCH_WEBHOOK_SECRET"}
    said = refused(monkeypatch, **keys, CARDWATCH_CONTACT_PROFILE="uk")
    assert "set CARDWATCH_SMS_VIA" in said


def test_the_plan_of_reminders_is_looked_at_and_what_nobody_carries_is_named(config: Path) -> None:
    plan = config / "policies" / "reminders.toml"
    text = plan.read_text().replace('name = "m2"\n', 'name = "m2"\nchannels = ["push"]\n')
    plan.write_text(text)
    code, lines = check(config)
    assert code == 2
    assert "ok policies/reminders.toml" in lines
    uncarried = "stage m2: the contact profile's ladder of class collection has none of push"
    assert f"policies/reminders.toml: {uncarried}" in lines
    plan.write_text(text + "[[skip]]\nreason = 'vip'\nwhen = \"has_tag('vip')\"\n")
    code, lines = check(config)
    number = len(text.split("\n")) + 2
    assert f"{plan}:{number}: when: there is no tag vip: correct it, or define it in tags.toml" in lines


def test_the_plan_of_reminders_in_use_is_the_one_that_the_settings_name(config: Path) -> None:
    _, lines = check(config, CARDWATCH_REMINDER_PLAN="policies/reminders-demo.toml", **PROFILE)
    assert "ok plan of reminders in use" in lines
    assert "ok policies/reminders-demo.toml" in lines, "a plan, not a policy of transactions"
    code, lines = check(config, CARDWATCH_REMINDER_PLAN="policies/reminders-none.toml", **PROFILE)
    assert code != 0
    assert any("reminders-none.toml" in line for line in lines)


def test_a_secret_that_is_wrong_is_not_repeated(config: Path) -> None:
    code, lines = check(config, CARDWATCH_VOICE_KEY="hush hush")
    assert code == 2
    assert any("CARDWATCH_VOICE_KEY" in line for line in lines)
    assert "hush" not in "\n".join(lines)


def test_a_rule_that_asks_a_tag_there_is_not_is_named(config: Path) -> None:
    policy = config / "policies" / "default.toml"
    text = policy.read_text().replace(
        'when = "declines_1h > 4.5"', "when = \"declines_1h > 4.5 and not has_tag('frequnt')\""
    )
    policy.write_text(text)
    (line,) = [number for number, each in enumerate(text.split("\n"), 1) if "has_tag" in each]
    code, lines = check(config)
    assert code == 2
    (told,) = {each for each in lines if "has_tag" in each}
    assert told.startswith(f"{policy}:{line}: has_tag('frequnt'): there is no such tag (there are: ")
    policy.write_text(text.replace("frequnt", "frequent"))
    assert check(config)[0] == 0


def test_counters_and_lists_are_explained(config: Path) -> None:
    policy = config / "policies" / "default.toml"
    text = policy.read_text().replace(
        "# --- travel",
        "[counters]\nonline_10m = \"count per card over 10m where entry_mode = 'ecommerce'\"\n"
        'spent_24h = "sum(amount) per card over 24h"\n'
        'here_10m = "count per merchant over 10m"\n'
        "[[rule]]\nname = 'hot'\nwhen = \"in_list(merchant, 'hot') and online_10m > 2\"\n"
        'actions = { queue = "review" }\nreason = "many_declines"\nfigures = ["declines_1h"]\n',
    )
    policy.write_text(text)
    (line,) = [number for number, each in enumerate(text.split("\n"), 1) if "in_list" in each]
    code, lines = check(config)
    assert code == 2
    missing = "in_list(merchant, 'hot'): there is no such list (there are: none): put lists/hot.toml in place first"
    assert f"{policy}:{line}: {missing}" in lines
    (config / "lists").mkdir()
    (config / "lists" / "hot.toml").write_text('column = "merchant"\n[entries]\nm1 = "always"\nm2 = "never"\n')
    code, lines = check(config)
    assert code == 2
    assert any(each.startswith(f"{config / 'lists' / 'hot.toml'}:4: ") for each in lines)
    (config / "lists" / "hot.toml").write_text('column = "merchant"\n[entries]\nm1 = "always"\n')
    code, lines = check(config)
    assert code == 0
    at = lines.index("ok policies/default.toml")
    assert lines[at + 1].startswith("  online_10m: the last 10 min, and up to 2 min more; exact")
    assert lines[at + 2].startswith("  spent_24h: the last 1 d, and up to 6 h more; ")
    assert "takes 2 of 7 slots" in lines[at + 2]
    assert lines[at + 3].startswith(
        "  here_10m: per merchant, the last 10 min, and up to 1 min more; exact; without the "
    )
    assert "  in_list(merchant, 'hot'): 1 entries" in lines

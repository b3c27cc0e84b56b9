"""History filled in before scorers begin, refused while they run; and a decision of theirs explained from the archive."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from outside import payment
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

CARDS = 20
PAST = 400
LIVE = 60
WAIT_S = 60.0


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    made.environment |= {"CARDWATCH_ARCHIVE_FILE_ROWS": "10", "CARDWATCH_ARCHIVE_FILE_SECONDS": "0.3"}
    yield made
    made.close()


def cardwatch(installation: Installation, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *words],
        env=installation.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def explained(installation: Installation, identifier: str) -> dict[str, object]:
    """What `explain` says, once the archive has it and the policy that decided."""
    deadline = time.monotonic() + WAIT_S
    while True:
        done = cardwatch(installation, "explain", identifier, "--json")
        if done.returncode == 0 and json.loads(done.stdout)["decision_again"]["why"] != "policy_gone":
            found: dict[str, object] = json.loads(done.stdout)
            return found
        assert time.monotonic() < deadline, done.stdout + done.stderr


def test_history_first_then_scorers_then_why(installation: Installation, tmp_path: Path) -> None:
    now = time.time()
    past = [payment(f"h{number}", "tok_b", CARDS, number, now - 86_400 + number) for number in range(PAST)]
    history = tmp_path / "history.jsonl"
    history.write_text("\n".join(map(json.dumps, past)))
    filled = cardwatch(installation, "backfill", str(history))
    assert filled.returncode == 0, filled.stderr
    assert f"{PAST} transactions read" in filled.stdout
    rows = installation.stored_rows()
    installation.start("scorer")
    refused = cardwatch(installation, "backfill", str(history))
    assert refused.returncode == 1
    assert "scorers are at work" in refused.stderr
    installation.launch("archive")
    for number in range(LIVE):
        sent = payment(f"n{number}", "tok_b", CARDS, number, time.time())
        installation.outside.produce_json("transactions", str(sent["card"]), sent)
    installation.outside.flush()
    installation.wait_for_decisions(LIVE)
    found = explained(installation, f"n{LIVE - 1}")
    assert {found[name]["verdict"] for name in ("score_again", "decision_again")} == {"same"}  # type: ignore[index]
    features = {one["name"]: one["value"] for one in found["features"]}  # type: ignore[index,attr-defined]
    assert features["transactions_seen"] >= PAST / CARDS, "the card's history was there"
    installation.stop("scorer")
    newer = cardwatch(installation, "backfill", str(history))
    assert newer.returncode == 1
    assert "newer than this history" in newer.stderr
    assert installation.stored_rows().keys() == rows.keys()

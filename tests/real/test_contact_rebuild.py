"""The contact store is lost in the middle of a cascade on real servers: the role does not go on without it, one command
makes it again, and the cascade ends with nobody called twice for one question. What another system wants told tomorrow
is still to be told then."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installation import Installation
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

SILENT, YES = "silent", "yes"
STORED_STATE_DOES_NOT_FIT = 78


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url, partitions=2)
    profile = made.config / "contact" / "short.toml"
    reminders = '[[ladder]]\nclasses = ["reminder"]\nchannel = "voice"\n[profile]'
    profile.write_text(profile.read_text().replace("retry_s = 0.5", "retry_s = 4.0").replace("[profile]", reminders))
    yield made
    made.close()


def card_of(name: str) -> str:
    return f"tok_t_{name:_>12}"


def introduce(installation: Installation, name: str, number: str) -> None:
    record = {
        "customer": name,
        "language": "en",
        "country": "CN",
        "phones": [{"number": number}],
        "cards": [{"card": card_of(name), "last4": "1234"}],
    }
    installation.outside.produce_json("customers", name, record)


def hold(installation: Installation, name: str, number: int) -> None:
    """A decision as the scorer writes it, that holds the card and wants the cardholder asked."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    value = {
        "id": f"{name}-{number}", "card": card_of(name), "customer": name, "time": moment, "outcome": "hold",
        "actions": {"transaction": "approve", "card": "hold", "contact": "verify", "queue": "none", "scope": "all"},
        "score": 0.9, "percentile": 99.9, "reasons": [], "policy_version": "p1", "model_version": "m1",
        "decided_at": moment, "amount": 12300, "currency": "CNY", "merchant_name": "Test Shop",
    }  # fmt: skip
    installation.outside.producer.produce(
        installation.prefix + "decisions",
        json.dumps(value).encode(),
        key=card_of(name).encode(),
        headers=[
            ("source_offset", b"%d" % number),
            ("source_timestamp", b"%d" % round(time.time() * 1000)),
            ("outcome", b"hold"),
        ],
    )


def remind_tomorrow(installation: Installation, name: str) -> None:
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    record = {
        "id": "r1", "customer": name, "class": "reminder", "template": "due", "not_before": tomorrow,
        "variables": {"card": card_of(name), "due": "2030-03-05", "minimum": 20_000, "currency": "CNY"},
    }  # fmt: skip
    installation.outside.produce_json("contact-requests", name, record)


def to_be_told(installation: Installation) -> dict[str, object]:
    """The schedule of reminders, and what each customer is still to be told."""
    start = f"{installation.prefix}contact:"
    found: dict[str, object] = {
        key.decode(): installation.redis.get(key) for key in installation.redis.scan_iter(f"{start}note:o:*")
    }
    return {**found, "due": installation.redis.zrange(f"{start}due:reminder", 0, -1, withscores=True)}


def steps(installation: Installation, name: str) -> list[str]:
    once: dict[bytes, dict[str, Any]] = {}
    for record in installation.outside.read("contacts"):
        once.setdefault(record.headers["record_id"], record.json())
    return [step["step"] for step in once.values() if step.get("customer") == name]


def wait_for_step(installation: Installation, name: str, step: str, times: int = 1) -> None:
    installation.outside.wait_for("contacts", lambda _: steps(installation, name).count(step) >= times, 20.0)


def command(installation: Installation, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "contact", *words],
        env=installation.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_lost_store_is_made_again_and_the_cascade_goes_on(installation: Installation) -> None:
    installation.start_telephony(
        "--behaviour", "silence", "--pick-up-s", "0.1", "--answer-s", "0.1", "--suffix", "01=yes"
    )
    outside = installation.outside
    introduce(installation, SILENT, "+12025550100")
    introduce(installation, YES, "+12025550101")
    outside.flush()
    installation.start("contact")
    installation.wait_for_directory(2)
    remind_tomorrow(installation, YES)
    outside.flush()
    wait_for_step(installation, YES, "planned")
    hold(installation, YES, 0)
    hold(installation, SILENT, 1)
    outside.flush()
    wait_for_step(installation, YES, "completed")
    wait_for_step(installation, SILENT, "failed")  # four seconds before the next call
    installation.kill("contact")
    still = to_be_told(installation)
    assert still["due"]
    for key in installation.redis.scan_iter(f"{installation.prefix}contact:*"):
        installation.redis.delete(key)

    refused = installation.launch("contact")
    deadline = time.monotonic() + 20.0
    while refused.exit_code is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert refused.exit_code == STORED_STATE_DOES_NOT_FIT
    assert "cardwatch contact rebuild" in refused.tail()

    done = command(installation, "rebuild", "--json").communicate()
    found = json.loads(done[0] or done[1])
    assert (found["customers"], found["planned"], found["ended"], found["decisions_to_take_in"]) == (2, 2, 1, 0)
    assert (found["requests_to_take_in"], found["requests_in_doubt"], found["requests_lost"]) == (0, 0, 0)
    assert to_be_told(installation) == still
    assert (found["unclear"], found["nameless"], found["unreadable"]) == (0, 0, 0)
    again, compared = command(installation, "rebuild"), command(installation, "reconcile")

    installation.start("contact")
    assert "--into-nonempty" in again.communicate()[1]
    assert (again.returncode, compared.wait(), compared.communicate()[0]) == (1, 0, "0 differences\n")
    wait_for_step(installation, SILENT, "escalated")
    rings = Counter(line["key"] for line in installation.rung() if line["event"] == "ring")
    assert sorted(rings.values()) == [1, 1, 1], rings
    assert [record.json()["command"] for record in outside.read("card-commands")].count("hold") == 2
    assert steps(installation, YES).count("planned") == 2

"""The whole loop on Apache Kafka and Redis: transactions in, a call out, the answer back as command and label.

Every assertion is on topics, read by a client that is not ours, and on the telephony provider's own record.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installation import Installation
from outside import first_of_each
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

BEHAVIOURS = ("yes", "no", "silence", "busy", "hang_up", "wrong_key", "voicemail")
"""How the people of these tests answer; the last two digits of a number say who they are."""
UNKNOWN, PHONELESS = "unknown", "phoneless"


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    yield made
    made.close()


def card_of(name: str) -> str:
    return f"tok_t_{name:0>12}".replace("-", "_")


def customer(name: str, number: str | None) -> dict[str, Any]:
    phones = [{"number": number, "kind": "mobile"}] if number else []
    return {
        "customer": name,
        "language": "en",
        "country": "CN",
        "phones": phones,
        "cards": [{"card": card_of(name), "last4": "1234"}],
    }


def card_checks(name: str, start: float) -> list[dict[str, Any]]:
    """Three checks of a card in a web shop within seconds: the delivered policy holds the card at the third."""
    return [
        {
            "id": f"{name}-{number}",
            "card": card_of(name),
            "customer": name,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + number)),
            "amount": 0,
            "currency": "CNY",
            "kind": "verification",
            "entry_mode": "ecommerce",
            "merchant": "m1",
            "merchant_name": "Test Shop",
            "country": "CN",
        }
        for number in range(3)
    ]


def by_card(records: list[Any], field: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        message = record.json()
        found[message["card"]].append(message[field])
    return found


def steps_of(installation: Installation) -> dict[str, list[dict[str, Any]]]:
    """Customer → the steps of the conversation, each once (the relay may publish one again)."""
    found: dict[str, dict[bytes, dict[str, Any]]] = defaultdict(dict)
    for record in installation.outside.read("contacts"):
        step = record.json()
        found[step.get("customer") or "?"].setdefault(record.headers["record_id"], step)
    return {name: list(steps.values()) for name, steps in found.items()}


def ended(steps: list[dict[str, Any]]) -> bool:
    return any(step["step"] in ("completed", "escalated", "expired") for step in steps)


def test_every_answer_becomes_what_it_should(installation: Installation) -> None:
    suffixes = [word for number, how in enumerate(BEHAVIOURS) for word in ("--suffix", f"{number:02}={how}")]
    installation.start_telephony("--behaviour", "silence", "--pick-up-s", "0.2", "--answer-s", "0.2", *suffixes)
    for role in ("scorer", "contact"):
        installation.start(role)
    outside = installation.outside
    for number, name in enumerate(BEHAVIOURS):
        outside.produce_json("customers", name, customer(name, f"+120255501{number:02}"))
    outside.produce_json("customers", PHONELESS, customer(PHONELESS, None))
    outside.flush()
    installation.wait_for_directory(len(BEHAVIOURS) + 1)
    time_of_first = time.time() - 10
    people = [*BEHAVIOURS, PHONELESS, UNKNOWN]
    for name in people:
        for sent in card_checks(name, time_of_first):
            outside.produce_json("transactions", card_of(name), sent)
    outside.flush()
    outside.wait_for(
        "contacts", lambda _: sum(ended(steps) for steps in steps_of(installation).values()) == len(people)
    )

    decisions, _ = first_of_each(outside.read("decisions"))
    held = {message["card"] for message in (record.json() for record in decisions) if message["outcome"] == "hold"}
    assert held == {card_of(name) for name in people}
    commands = by_card(outside.wait_for("card-commands", lambda found: len(found) >= len(people) + 2), "command")
    assert commands[card_of("yes")] == ["hold", "release"]
    assert commands[card_of("no")] == ["hold", "block"]
    for name in people:
        if name not in ("yes", "no"):
            assert commands[card_of(name)] == ["hold"], f"{name}: the hold stays until somebody answers"
    labels = by_card(outside.wait_for("labels", lambda found: len(found) >= 2), "fraud")
    assert labels == {card_of("yes"): [False], card_of("no"): [True]}
    steps = steps_of(installation)
    for name in people:
        words = [step["step"] for step in steps[name]]
        assert ("escalated" in words) == (name not in ("yes", "no")), f"{name}: {words}"
    assert [step["step"] for step in steps["yes"]] == ["planned", "sending", "accepted", "answered", "completed"]

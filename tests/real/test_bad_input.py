"""What cannot be used is put aside with its coordinates and reason, masked; what is wrong in a file or a setting is
refused by name. Everything else goes on."""

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from installation import Installation
from outside import Read
from servers import ApacheKafka, RedisServer

from pipeline.adapters.kafka.log import partition_of

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

CARD_NUMBER = "4111111111111111"
MEGABYTE = 999_000
"""Just below what librdkafka sends and the broker takes by default (1,000,000 and 1,048,588 with the envelope)."""
WAIT_S = 60.0
Found = TypeVar("Found")


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    yield made
    made.close()


def good(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"g{number}",
        "card": f"tok_t_{number % 7:012}",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "amount": 12_300,
        "currency": "CNY",
        "merchant_name": "Noodle House",
    } | changes


def encoded(**changes: Any) -> bytes:
    message = good(0, id="bad") | changes
    return json.dumps({name: value for name, value in message.items() if value is not ...}).encode()


def in_years(years: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + years * 365.25 * 86_400))


def bad_messages() -> list[tuple[str, bytes | None]]:
    """Reason → a message that must be put aside with it."""
    return [
        ("not_json", b"this is no JSON, card " + CARD_NUMBER.encode()),
        ("not_json", encoded()[:-1]),
        ("not_utf8", b'{"id":"x","card":"tok_t_000000000000","merchant_name":"' + b"\xff\xfe" * 9 + b'"}'),
        ("empty", None),
        ("empty", b""),
        ("too_large", encoded(merchant_name="4111 1111-1111 1111 " * (MEGABYTE // 20 - 20))),
        ("too_large", b" " * MEGABYTE),
        ("wrong_type", encoded(amount="123")),
        ("wrong_type", encoded(merchant=4111111111111111)),
        ("wrong_type", encoded(recurring="yes")),
        ("missing_field", encoded(amount=...)),
        ("missing_field", encoded(card=..., pan="4111-1111-1111-1111")),
        ("missing_field", b"{}"),
        ("negative_amount", encoded(amount=-1)),
        ("amount_out_of_range", encoded(amount=10**17)),
        ("unknown_currency", encoded(currency="XQQ")),
        ("unknown_type", encoded(type="authorization")),
        ("time_out_of_range", encoded(time=in_years(10))),
        ("time_out_of_range", encoded(time=in_years(-10))),
        ("bad_time", encoded(time="yesterday at noon")),
        ("bad_time", encoded(time="2026-01-31T08:30:00")),
        ("clear_card_number", encoded(card=CARD_NUMBER)),
        ("clear_card_number", encoded(card="4111 1111 1111 1111")),
        ("clear_card_number", encoded(id=CARD_NUMBER)),
        ("bad_card_token", encoded(card="tok_short")),
        ("not_object", b"[" + encoded() + b"]"),
        ("not_object", b'"a string"'),
        ("not_object", b"[" * 30_000 + b"]" * 30_000),
        ("not_json", b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    ]


def holds_card_digits(text: str) -> bool:
    """Whether the planted number, or its beginning, stands somewhere, whatever separates its digits."""
    return re.search(r"4\W*1\W*1\W*1\W*1\W*1\W*1\W*1", text) is not None


def coordinates(letter: Read) -> tuple[str, int, int]:
    message = letter.json()
    return message["topic"], message["partition"], message["offset"]


def counted(installation: Installation, series: str) -> Counter[str]:
    """The non-zero values of a scorer's series, by the value of its one label."""
    pattern = re.compile(rf'^cardwatch_{series}{{\w+="([^"]*)"}} (\S+)$', re.MULTILINE)
    values = {label: int(float(value)) for label, value in pattern.findall(installation.metrics("scorer"))}
    return Counter({label: value for label, value in values.items() if value})


def until(ask: Callable[[], Found | None], what: str) -> Found:
    deadline = time.monotonic() + WAIT_S
    while (found := ask()) is None:
        assert time.monotonic() < deadline, f"not in {WAIT_S} s: {what}"
        time.sleep(0.05)
    return found


def test_each_bad_message_is_put_aside_once_and_each_good_one_decided(installation: Installation) -> None:
    installation.start("scorer")
    outside = installation.outside
    sent: list[int] = []
    expected: Counter[str] = Counter()

    def send_good() -> None:
        transaction = good(len(sent))
        sent.append(len(sent))
        outside.produce_json("transactions", transaction["card"], transaction)

    for number, (reason, value) in enumerate(bad_messages()):
        send_good()
        outside.produce("transactions", b"tok_t_000000000000", value, partition=number % installation.partitions)
        expected[reason] += 1
        send_good()
    stray = good(0, id="stray", card="tok_t_never_seen_before")
    elsewhere = (partition_of(stray["card"].encode(), installation.partitions) + 1) % installation.partitions
    outside.produce("transactions", stray["card"].encode(), json.dumps(stray).encode(), partition=elsewhere)
    expected["wrong_partition"] += 1
    send_good()
    outside.flush()

    decided = installation.wait_for_decisions(len(sent), WAIT_S)
    letters = outside.wait_for("dead-letters", lambda found: len(found) >= expected.total())
    assert sorted(record.json()["id"] for record in decided) == sorted(f"g{number}" for number in sent)
    taken = {("transactions", record.partition, int(record.headers["source_offset"])) for record in decided}
    everywhere = {("transactions", record.partition, record.offset) for record in outside.read("transactions")}
    places = Counter(map(coordinates, letters))
    assert set(places) == everywhere - taken
    assert set(places.values()) == {1}
    assert Counter(letter.json()["reason"] for letter in letters) == expected
    for letter in letters:
        assert not holds_card_digits((letter.value or b"").decode()), letter.json()
        assert len(letter.value or b"") < 4_000, "only the beginning of a message is kept"
    until(lambda: counted(installation, "dead_letters_total") == expected or None, "the metric counts each reason")
    assert not holds_card_digits((installation.directory / "scorer.log").read_text())


def versions_in_force(installation: Installation) -> list[str]:
    return list(counted(installation, "policy_info"))


def test_a_wrong_policy_is_refused_with_its_line_and_a_right_one_taken_while_running(
    installation: Installation,
) -> None:
    installation.start("scorer")
    outside = installation.outside
    file = installation.config / "policies" / "default.toml"
    delivered = file.read_text()
    log = installation.directory / "scorer.log"

    def refusals() -> int:
        return log.read_text().count("policy refused, the running one stays")

    (first,) = versions_in_force(installation)
    wrong = delivered.replace("speed_kmh > 1000", "no_such_column > 1000", 1)
    line = next(number for number, text in enumerate(wrong.splitlines(), 1) if "no_such_column" in text)
    file.write_text(wrong)
    until(lambda: f"{file}:{line}: " in log.read_text() or None, "the refusal names file and line")
    file.write_bytes(b"name = \xff\xfe\n")
    until(lambda: refusals() == 2 or None, "what is no text is refused too")
    assert versions_in_force(installation) == [first]
    outside.produce_json("transactions", "tok_t_000000000001", good(1))
    outside.flush()
    (decision,) = installation.wait_for_decisions(1)
    assert decision.json()["policy_version"] == first

    file.write_text(delivered.replace("score = 0.15", "score = 0.16", 1))
    second = until(
        lambda: next((name for name in versions_in_force(installation) if name != first), None),
        "the right one is taken",
    )
    assert versions_in_force(installation) == [second]
    outside.produce_json("transactions", "tok_t_000000000002", good(2))
    outside.flush()
    last = {record.json()["id"]: record.json() for record in installation.wait_for_decisions(2)}["g2"]
    assert last["policy_version"] == second


WRONG_FILES = {
    "policies/default.toml": ('name = "x"\n[[rule]]\nname = "y"\n', "default.toml:2: "),
    "messages/en/reasons.toml": ('score_review = "A sentence"\nscore_hold = 7\n', "reasons.toml:2: "),
    "models/prior.toml": ("base_rate = 2\n", "prior.toml:1: "),
    "rates.toml": ('billing = "CNY"\n[rates]\nABC = 1\n', "rates.toml:3: "),
}


def test_a_wrong_setting_or_file_at_the_start_ends_the_process_and_is_named(installation: Installation) -> None:
    setting = {"CARDWATCH_SCORER_CHECKPOINT_MS": "abc"}
    started = [(installation.launch("scorer", "setting", setting), "CARDWATCH_SCORER_CHECKPOINT_MS: ")]
    for number, (file, (text, named)) in enumerate(WRONG_FILES.items()):
        config = installation.directory / f"config-{number}"
        shutil.copytree(installation.config, config)
        (config / file).write_text(text)
        child = installation.launch("scorer", f"file-{number}", {"CARDWATCH_CONFIG_DIR": str(config)})
        started.append((child, named))
    for child, named in started:
        until(lambda child=child: child.exit_code, f"{child.name} ends")  # type: ignore[misc]
        said = child.tail()
        assert child.exit_code == 2, said
        assert said.startswith("Error: "), said
        assert said.count("\n") == 1, said
        assert named in said

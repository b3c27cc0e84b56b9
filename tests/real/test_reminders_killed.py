"""Nothing lost, nothing twice, while the reminder role is killed with -9 at random moments.

A bill → a reminder → "I'll pay by then" → the promise broken → a reminder → a part paid → all paid → thanks, for many accounts
on real Kafka and Redis; between any two of them the worker is killed, and another takes over. The oracle is outside: what
stands on ``contact-requests``, read by librdkafka. `make proof-reminders` runs it with more kills and accounts.
"""

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from installation import Installation
from outside import Read
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

ACCOUNTS = int(os.environ.get("CARDWATCH_PROOF_ACCOUNTS", "200"))
KILLS = int(os.environ.get("CARDWATCH_PROOF_KILLS", "1"))
SEED = int(os.environ.get("CARDWATCH_PROOF_SEED", "20261123"))
WAIT_S = 60.0
PLAN = """
name = "killed"
zone = "Asia/Shanghai"

[[product]]
name = "card"
tolerance = 1000
grace_days = 3
posting_grace_days = 1

[[product]]
name = "loan"
tolerance = 1000
grace_days = 3
posting_grace_days = 1

[[stage]]
name = "due"
day = 0
until_day = 40
at = "00:00"
class = "reminder"
template = "due"

[spread]
start = "00:00"
end = "24:00"
"""
DUE_DAYS_AGO, PROMISED_DAYS_AGO, BY_DAYS_AGO = 12, 6, 4
"""A promise given six days ago, to be kept four days ago: broken, whatever the hour."""


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    (made.config / "policies" / "reminders.toml").write_text(PLAN)
    yield made
    made.close()


def ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def rfc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def day(days_ago: int) -> str:
    """By the bank's clock."""
    return (ago(days_ago) + timedelta(hours=8)).date().isoformat()


class Bank:
    """Billing, and the contact role as far as this story needs it: what they put on the topics."""

    def __init__(self, installation: Installation) -> None:
        self._outside = installation.outside

    def _account(self, number: int, kind: str, **more: Any) -> None:
        self._outside.produce_json("accounts", f"ac{number}", {"type": kind, "account": f"ac{number}", **more})

    def _contact(self, number: int, stage: str, step: str, moment: datetime, **more: Any) -> None:
        value = {
            "contact": f"ct{number}",
            "subject": {"statement": f"st{number}"},
            "customer": f"cu{number}",
            "class": "reminder",
            "step": step,
            "time": rfc(moment),
            "account": f"ac{number}",
            "stage": stage,
            **more,
        }
        self._outside.produce_json("contacts", f"cu{number}", value)

    def bill(self, number: int) -> None:
        self._account(
            number,
            "statement",
            id=f"st{number}",
            customer=f"cu{number}",
            card=f"tok_card_{number:05}",
            statement_date=day(DUE_DAYS_AGO + 20),
            due_date=day(DUE_DAYS_AGO),
            currency="CNY",
            balance=100_000,
            minimum_due=20_000,
        )

    def promise(self, number: int) -> None:
        self._contact(number, "due", "answered", ago(PROMISED_DAYS_AGO), answer="promise", by=day(BY_DAYS_AGO))

    def told(self, number: int) -> None:
        self._contact(number, f"broken_{day(BY_DAYS_AGO).replace('-', '')}", "completed", ago(0))

    def pay_part(self, number: int) -> None:
        self._account(number, "repayment", id=f"pa{number}", time=rfc(ago(0)), amount=5_000)

    def pay(self, number: int) -> None:
        self._account(number, "repayment", id=f"pb{number}", time=rfc(ago(0)), amount=95_000)

    def flush(self) -> None:
        self._outside.flush()


def script(records: list[Read]) -> dict[str, list[str]]:
    """Account → what was said about it, each record once by its id, in order: ``due``, ``-due:paid``."""
    said: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for record in records:
        name = dict(record.headers)["record_id"]
        value = record.json()
        if name not in seen:
            seen.add(name)
            stage = value["bill"]["stage"].split("_")[0]
            said[value["bill"]["account"]].append(f"-{stage}:{value['withdrawn']}" if value.get("withdrawn") else stage)
    return said


def has(word: str) -> Callable[[list[Read]], bool]:
    """Whether it was said of every account."""
    return lambda records: sum(word in words for words in script(records).values()) == ACCOUNTS


def test_a_role_killed_between_any_two_steps_says_each_thing_once(installation: Installation) -> None:
    bank, drawn = Bank(installation), random.Random(SEED)
    for name in ("reminder", "reminder-2"):
        installation.start("reminder", name)
    killed: Counter[str] = Counter()
    steps: list[tuple[Callable[[int], None], str | None]] = [
        (bank.bill, "due"),
        (bank.promise, "broken"),
        (bank.told, None),
        (bank.pay_part, None),
        (bank.pay, "thanks"),
    ]
    for step, word in steps:
        for number in range(ACCOUNTS):
            step(number)
        bank.flush()
        for _ in range(KILLS):
            time.sleep(drawn.uniform(0.0, 0.3))  # somewhere in the middle of it
            name = drawn.choice(("reminder", "reminder-2"))
            installation.kill(name)
            installation.launch("reminder", name)
            killed[name] += 1
        if word is not None:
            installation.outside.wait_for("contact-requests", has(word), WAIT_S)
    said = script(installation.outside.read("contact-requests"))
    kinds = Counter(" ".join(words) for words in said.values())
    for words in said.values():
        assert Counter(words).most_common(1)[0][1] == 1, words
        assert [word for word in words if not word.startswith("-")] == ["due", "broken", "thanks"]
        assert "-broken:paid" in words
    assert not installation.outside.read("dead-letters")
    left = installation.redis.zcard(f"{installation.prefix}contact:reminder:due:0")
    assert left == 0, "who has paid is in no schedule"
    print(f"{ACCOUNTS} accounts, killed {dict(killed)}: {dict(kinds)}")

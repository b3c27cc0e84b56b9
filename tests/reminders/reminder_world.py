"""A reminder role and everything around it, in memory and by hand: a log, a clock that is set, events as the topic has them."""

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.memory_accounts import MemoryAccountStore
from pipeline.core.account import Account, decode
from pipeline.core.reminder_policy import ReminderPolicy, read_reminders
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing, Record
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.reminder.role import ReminderRole

ALMANAC = world_almanac()
CONFIG = Path(__file__).parents[2] / "config"
PLAN = """
name = "tests"
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
name = "soon"
day = -3
until_day = -1
class = "reminder"
template = "due_soon"

[[stage]]
name = "due"
day = 0
until_day = 2
class = "reminder"
template = "due"

[[stage]]
name = "late"
day = 4
until_day = 20
class = "collection"
template = "overdue"

[[skip]]
reason = "spared"
when = "has_tag('vip')"
"""
ACCOUNT, CUSTOMER, BILL = "ac1", "cu1", "st1"
BILLED = "2026-03-01T00:00:00Z"
DUE = "2026-03-20"
SOON = "2026-03-17T02:00:00Z"
"""When the stage of that name comes, by the plan above: 10:00 in Shanghai."""
DUE_DAY = "2026-03-20T02:00:00Z"
LATE = "2026-03-24T02:00:00Z"


def ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def rfc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


@functools.cache
def plan(text: str = PLAN) -> ReminderPolicy:
    return read_reminders(text, "reminders.toml", ALMANAC)


@dataclass
class Read:
    """A record as read from a log."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


def event(kind: str, at: str = BILLED, account: str = ACCOUNT, **more: Any) -> Read:
    return Read(msgspec.json.encode({"type": kind, **more}), account.encode(), timestamp=ms(at))


def statement(at: str = BILLED, account: str = ACCOUNT, **more: Any) -> Read:
    usual = {
        "id": BILL,
        "customer": CUSTOMER,
        "card": "tok_card_0001",
        "statement_date": "2026-02-28",
        "due_date": DUE,
        "currency": "CNY",
        "balance": 100_000,
        "minimum_due": 20_000,
    }
    return event("statement", at, account, **{**usual, **more})


def repayment(at: str, amount: int = 100_000, name: str = "pay1", account: str = ACCOUNT) -> Read:
    return event("repayment", at, account, id=name, time=at, amount=amount)


def step(step: str, at: str, stage: str = "soon", **more: Any) -> Read:
    """A record of ``contacts`` about the bill."""
    value = {
        "contact": f"ct_{stage}",
        "subject": {"statement": BILL},
        "customer": CUSTOMER,
        "class": "reminder",
        "step": step,
        "time": at,
        "account": ACCOUNT,
        "stage": stage,
        **more,
    }
    return Read(msgspec.json.encode(value), CUSTOMER.encode(), timestamp=ms(at))


def tagged(customer: str, *tags: str) -> Read:
    return Read(msgspec.json.encode({"customer": customer, "as_of": BILLED, "tags": tags}), customer.encode())


def numbered(records: Iterable[Read], start: int = 0, partition: int = 0) -> list[Read]:
    """As a partition's log would hold them."""
    found = []
    for offset, record in enumerate(records, start):
        record.offset, record.partition = offset, partition
        found.append(record)
    return found


class MemoryLog:
    """The Log port: topic name → records. With ``down`` set, sends fail."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Outgoing]] = {}
        self.down = False

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        raise AssertionError("the reminder role sends by key")

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        raise AssertionError("the reminder role sends by key")

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionError("the log is away")
        self.sent.setdefault(topic.name, []).extend(records)

    def requests(self) -> list[dict[str, Any]]:
        """Each record of contact-requests once, by its id, in the order of their first coming."""
        once = {
            dict(record.headers)["record_id"]: record.value
            for record in reversed(self.sent.get("contact-requests", []))
        }
        return [msgspec.json.decode(value) for value in reversed(once.values())]

    def told(self) -> list[str]:
        """What was asked for, as a script: ``st1/soon``, taken back ``-st1/soon:paid``."""
        return [
            f"-{one['id']}:{one['withdrawn']}" if one.get("withdrawn") else str(one["id"]) for one in self.requests()
        ]


class SetClock:
    """The Clock port, moved by hand."""

    def __init__(self, now: str = BILLED) -> None:
        self.at = ms(now) / 1000

    def now(self) -> float:
        return self.at

    def set(self, moment: str) -> None:
        self.at = ms(moment) / 1000

    def pass_s(self, seconds: float) -> None:
        self.at += seconds


class Group:
    """The Membership port of a worker that is alone."""

    async def proven(self, partition: int) -> bool:
        return True


@dataclass
class World:
    """Several workers on one store and log."""

    store: Any = field(default_factory=MemoryAccountStore)
    log: Any = field(default_factory=MemoryLog)
    clock: SetClock = field(default_factory=SetClock)
    plan: ReminderPolicy = field(default_factory=plan)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    dead: list[tuple[str, int, str, str | None]] = field(default_factory=list)

    def worker(self) -> ReminderRole:
        async def dead_letter(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
            self.dead.append((topic.name, record.offset, reason, field))

        role = ReminderRole(
            self.log,
            self.store,
            self.clock,
            ALMANAC,
            lambda: self.plan,
            "Asia/Shanghai",
            ReminderMetrics(self.registry if not self.registry._names_to_collectors else CollectorRegistry()),
            dead_letter,
        )
        role.tags.whole = True
        role.partitions = 1
        return role

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"cardwatch_{name}", labels) or 0.0

    def account(self, name: str = ACCOUNT) -> Account:
        return decode(self.store.notes[f"a:{name}"])


async def own(role: ReminderRole, partition: int = 0) -> int | None:
    return await role.load(partition, Group(), "member", 1)


async def until_done(role: ReminderRole) -> None:
    """Do what is due until nothing is left to do now."""
    while await role.tick():
        pass

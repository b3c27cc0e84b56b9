"""Doubles for the contact role: a log in memory, a clock that is set, records as the topics carry them."""

import asyncio
import atexit
import functools
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from pipeline.adapters.almanac import world_almanac
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing, Record
from pipeline.ports_channels import CallAbsent, CallAccepted, CallOrder, CallRefused, CallReport, CallUnknown
from pipeline.roles.contact.digests import Digests
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels
from pipeline.roles.contact.role import ContactRole
from pipeline.roles.contact.settings import ContactSettings

SECRET = "a-call-back-secret-of-tests"
API_KEY = "an-api-key-of-the-tests"
DIGEST_KEY = "a-digest-key-of-the-tests"
DIGESTS = Digests(DIGEST_KEY.encode())
CONFIG = Path(__file__).parents[2] / "config"
PHONE = "+8613800138042"
CALLS = """
[[ladder]]
channel = "voice"
tries = 2
"""
"""A ladder of calls alone."""


def with_ladder(profile: str, ladder: str) -> str:
    """The text of a contact profile with another ladder."""
    ladder = ladder.strip() + "\n"
    changed, found = re.subn(r"(?s)\[\[ladder\]\].*?(?=\n\[profile\])", lambda _: ladder, profile)
    assert found == 1, "the profile has a ladder, and [profile] after it"
    return changed


@functools.cache
def calls_only() -> Path:
    """The product's configuration, less the text message before the calls of its ``demo`` profile. Read it only: it is
    the same for every test of this process."""
    directory = Path(tempfile.mkdtemp(prefix="cardwatch-tests-"))
    atexit.register(shutil.rmtree, directory)
    config = Path(shutil.copytree(CONFIG, directory / "config"))
    profile = config / "contact" / "demo.toml"
    text = with_ladder(profile.read_text(encoding="utf-8"), CALLS)
    profile.write_text(re.sub(r"(?m)^acknowledge_s = [\d.]+", "acknowledge_s = 0.0", text), encoding="utf-8")
    return config


@dataclass
class Read:
    """A record as read from a log."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_000_000
    headers: Sequence[tuple[str, bytes]] = ()


def customer(name: str = "cu1", card: str = "tok_card_0001", **more: Any) -> Read:
    record = {
        "customer": name,
        "language": "en",
        "phones": [{"number": PHONE}],
        "cards": [{"card": card, "last4": "4242"}],
        **more,
    }
    return Read(msgspec.json.encode(record), name.encode())


def decision(
    transaction: str = "tx1",
    outcome: str = "hold",
    offset: int = 0,
    source: int | None = None,
    card: str = "tok_card_0001",
    customer: str | None = "cu1",
    contact: str | None = None,
    hold: str | None = None,
) -> Read:
    """One record of decisions, with actions as the outcome suggests."""
    value = {
        "id": transaction,
        "card": card,
        "customer": customer,
        "time": "2026-01-01T00:00:00Z",
        "outcome": outcome,
        "actions": {
            "transaction": "approve",
            "card": hold or ("hold" if outcome == "hold" else "none"),
            "contact": contact or {"hold": "verify", "verify": "verify", "notify": "notify"}.get(outcome, "none"),
            "queue": "none",
        },
        "score": 0.9,
        "percentile": 99.9,
        "reasons": [],
        "policy_version": "p1",
        "model_version": "m1",
        "decided_at": "2026-01-01T00:00:00Z",
        "amount": 123450,
        "currency": "CNY",
        "merchant_name": "Corner Shop",
    }
    source_offset = offset if source is None else source
    headers = (
        ("source_offset", b"%d" % source_offset),
        ("source_timestamp", b"999000"),
        ("outcome", outcome.encode()),
    )
    return Read(msgspec.json.encode(value), card.encode(), 0, offset, headers=headers)


class MemoryLog:
    """The Log port: topic name → records. With ``down`` set, sends fail."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Outgoing]] = {}
        self.down = False

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        raise AssertionError("the contact role sends by key")

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionError("the log is away")
        self.sent.setdefault(topic.name, []).extend(records)

    def values(self, topic: str) -> list[dict[str, Any]]:
        """Each record once, by its id."""
        once = {dict(record.headers)["record_id"]: record.value for record in self.sent.get(topic, [])}
        return [msgspec.json.decode(value) for value in once.values()]

    def commands(self) -> list[str]:
        return [str(value["command"]) for value in self.values("card-commands")]

    def steps(self) -> list[str]:
        return [str(value["step"]) for value in self.values("contacts")]


class SetClock:
    """The Clock port, moved by hand."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += seconds


class RecordingProvider:
    """The Provider port: remembers orders, rings once per key, answers as told."""

    def __init__(self) -> None:
        self.orders: list[CallOrder] = []
        self.rings: dict[str, int] = {}
        self.reports: dict[str, CallReport] = {}
        self.answer: CallAccepted | CallRefused | CallUnknown | None = None
        self.away = False
        self.cancelled: list[tuple[str, str | None]] = []

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown:
        await asyncio.sleep(0)
        self.orders.append(call)
        if self.answer is not None and not isinstance(self.answer, CallAccepted):
            return self.answer
        if call.key not in self.rings:
            self.rings[call.key] = 1
            self.reports[call.key] = CallReport(call.key, f"call_{len(self.rings)}", "ringing")
        return CallAccepted(self.reports[call.key].call)

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        await asyncio.sleep(0)
        if self.away:
            return CallUnknown("away")
        return self.reports.get(key, CallAbsent())

    async def cancel(self, key: str, call: str | None) -> None:
        self.cancelled.append((key, call))

    def ended(self, key: str, status: str, digits: str | None = None) -> CallReport:
        """What the provider reports about the call of ``key`` when it is over."""
        self.reports[key] = self.reports[key]._replace(status=status, digits=digits)
        return self.reports[key]


@dataclass
class World:
    """A role and everything around it."""

    store: Any
    log: MemoryLog = field(default_factory=MemoryLog)
    provider: Any = field(default_factory=RecordingProvider)
    clock: Any = field(default_factory=SetClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    dead: list[tuple[str, str]] = field(default_factory=list)
    config: Path = field(default_factory=calls_only)
    messages: dict[str, Any] = field(default_factory=dict)
    reach: Any = None

    def worker(self) -> ContactRole:
        """A worker on this store and log; make several to have them share the work."""

        async def dead_letter(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
            self.dead.append((topic.name, reason))

        return ContactRole(
            self.log,
            self.store,
            Channels(self.provider, self.messages),
            self.clock,
            world_almanac(),
            settings(self.config),
            ContactMetrics(self.registry if not self.registry._names_to_collectors else CollectorRegistry()),
            dead_letter,
            self.reach,
        )

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"cardwatch_{name}", labels) or 0.0


def settings(config: Path | None = None, **more: Any) -> ContactSettings:
    usual = {"callback_secret": SECRET, "contact_key": DIGEST_KEY, "contact_profile": "demo", "callback_port": 0}
    return ContactSettings(**{**usual, "config_dir": config or calls_only(), **more})


class Group:
    """The Membership port of a worker that is alone."""

    async def proven(self, partition: int) -> bool:
        return True


async def own(role: ContactRole, partition: int = 0) -> int | None:
    return await role.load(partition, Group(), "member", 1)


async def until_done(role: ContactRole) -> None:
    """Do what is due, and what follows, until nothing is left to do now."""
    await role.work.idle()
    while await role.tick():
        await role.work.idle()

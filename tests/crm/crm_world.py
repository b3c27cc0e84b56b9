"""Doubles for the crm role: records of its topics, a clock that is set, a system that answers as it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from pipeline.core.crm_event import CrmEvent, read_state, read_step
from pipeline.core.crm_mapping import CrmMapping, parse_mapping
from pipeline.core.crm_outcome import TAKEN, Told
from pipeline.core.topics import CONTACTS, Record, Topic
from pipeline.roles.crm.courier import Courier
from pipeline.roles.crm.metrics import CrmMetrics

CONFIG = Path(__file__).parents[2] / "config"
NOW = 1_764_000_000.0
CONTACT = "ct_0a1b2c3d4e5f60718293a4b5"


@dataclass
class Read:
    """A record as read from a log."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_000_000
    headers: Sequence[tuple[str, bytes]] = ()


def step(what: str = "answered", offset: int = 0, partition: int = 0, **more: Any) -> Read:
    """One record of contacts."""
    value = {
        "contact": CONTACT,
        "subject": {"alert": "tx-77"},
        "customer": "cu1",
        "class": "fraud",
        "step": what,
        "time": "2026-11-23T15:40:19.500Z",
        "channel": "voice",
        "attempt": 2,
        **more,
    }
    timestamp = 1_000_000 + offset * 1_000
    return Read(msgspec.json.encode(value), str(value["customer"]).encode(), partition, offset, timestamp)


def state(customer: str = "cu1", tags: Sequence[str] = ("dormant",), **more: Any) -> Read:
    """One record of customer-state."""
    value = {
        "customer": customer,
        "tags": list(tags),
        "as_of": "2026-11-23T00:00:00Z",
        "risk": {"band": "high", "score": 0.7},
        **more,
    }
    return Read(msgspec.json.encode(value), customer.encode())


def told_of(*records: Read) -> list[CrmEvent]:
    """The events of records, each of contacts or of customer-state."""
    events = []
    for record in records:
        assert record.value is not None
        read = read_step if b'"contact":' in record.value else read_state
        event = read(record)
        assert event is not None
        events.append(event)
    return events


def shipped() -> CrmMapping:
    """The mapping that the product brings along."""
    path = CONFIG / "crm.toml"
    return parse_mapping(path.read_text(encoding="utf-8"), str(path))


class SetClock:
    """The Clock port, moved by hand."""

    def __init__(self, now: float = NOW) -> None:
        self.at = now

    def now(self) -> float:
        return self.at


@dataclass
class ScriptedSystem:
    """The OtherSystem port: takes everything but what ``refuses`` names by event, remembers what it was told."""

    refuses: dict[str, Told] = field(default_factory=dict)
    away: bool = False
    heard: list[str] = field(default_factory=list)

    async def tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        await asyncio.sleep(0)
        told = [Told("later", "away") if self.away else self.refuses.get(event.id, TAKEN) for event in events]
        self.heard += [event.id for event, one in zip(events, told, strict=True) if one == TAKEN]
        return told


@dataclass
class Desk:
    """A courier of ``contacts`` and what came of it."""

    system: Any
    letters: list[tuple[int, str, str | None, str]] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.courier = Courier("webhook", CONTACTS, read_step, self.system, CrmMetrics(self.registry), self._letter)

    async def _letter(self, topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        assert topic == CONTACTS
        self.letters.append((record.offset, reason, field, detail))

    def carry(self, *records: Read) -> int:
        return run(self.courier.carry(records))

    def sent(self, result: str) -> float:
        return self.registry.get_sample_value("cardwatch_crm_sent_total", {"sink": "webhook", "result": result}) or 0.0


def run(work: Awaitable[Any]) -> Any:
    """``work`` to its end, within ten seconds."""

    async def go() -> Any:
        async with asyncio.timeout(10):
            return await work

    return asyncio.run(go())


async def using(system: Any, story: Callable[[], Awaitable[Any]]) -> Any:
    """``story`` while ``system`` keeps its connections."""
    await system.start()
    try:
        return await story()
    finally:
        await system.stop()

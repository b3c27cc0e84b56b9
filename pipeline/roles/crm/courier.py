"""One topic's records to one other system: how far it got is the answer, and the offset goes no further than that.

A record that cannot be told, and one that the system refuses for good, become dead letters and the rest goes on. What
the system does not take now is asked again, it and what is behind it: nothing is left out, and each customer's events
arrive in their order. Should the system, time and again, take what others say but not this one event, then it is this
event that is wrong: it becomes a dead letter too.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from pipeline.core.crm_event import CrmEvent, NotForOthers
from pipeline.core.crm_outcome import Told
from pipeline.core.masking import mask
from pipeline.core.topics import Topic
from pipeline.ports import Record
from pipeline.ports_crm import OtherSystem
from pipeline.roles.crm.metrics import REJECTED, CrmMetrics

GIVEN_UP_AFTER = 10
"""So often an event may be put off while the same system takes others."""
MAX_REASON_CHARACTERS = 200

DeadLetters = Callable[[Topic, Record, str, str | None, str], Awaitable[None]]
"""Topic, record, reason, field, and a sentence without values."""
Read = Callable[[Record], CrmEvent]


class Held(NamedTuple):
    """The record at which a partition stands, and how often it was put off while others were taken."""

    offset: int
    timestamp_ms: int
    passed_over: int


class Courier:
    """Carries ``topic`` to ``system``, which metrics call ``name``."""

    def __init__(
        self,
        name: str,
        topic: Topic,
        read: Read,
        system: OtherSystem,
        metrics: CrmMetrics,
        dead_letters: DeadLetters,
    ) -> None:
        self._name = name
        self._topic = topic
        self._read = read
        self._system = system
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._held: dict[int, Held] = {}

    def oldest_ms(self) -> int | None:
        """Log timestamp of the oldest record that is held up; None while none is."""
        return min((held.timestamp_ms for held in self._held.values()), default=None)

    def forget(self, partitions: Sequence[int]) -> None:
        """All but ``partitions`` are others' now."""
        self._held = {number: held for number, held in self._held.items() if number in partitions}

    async def carry(self, records: Sequence[Record]) -> int:
        """How many of ``records``, consecutive ones of one partition, are done with, from the first."""
        read = [self._event(record) for record in records]
        events = {position: event for position, event in enumerate(read) if isinstance(event, CrmEvent)}
        told = dict(zip(events, await self._tell([*events.values()]), strict=True))
        others_taken = any(one.result == "taken" for one in told.values())
        for position, record in enumerate(records):
            unusable = read[position]
            if isinstance(unusable, NotForOthers):
                await self._refuse(record, unusable.reason, unusable.field, unusable.detail)
            if position not in told:
                continue
            outcome = told[position]
            if outcome.result == "later" and not self._given_up(record, others_taken and not outcome.set_up):
                self._metrics.sent.labels(self._name, "later").inc()
                return position
            if outcome.result in ("later", "rejected"):
                outcome = outcome._replace(result="rejected")
                await self._refuse(record, REJECTED, None, f"{self._name} does not take it: {outcome.reason}")
            self._metrics.sent.labels(self._name, outcome.result).inc()
        if records:
            self._held.pop(records[0].partition, None)
        return len(records)

    def _event(self, record: Record) -> CrmEvent | NotForOthers:
        try:
            return self._read(record)
        except NotForOthers as why:
            return why

    async def _tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        return await self._system.tell(events) if events else ()

    def _given_up(self, record: Record, others_taken: bool) -> bool:
        before = self._held.get(record.partition)
        passed_over = before.passed_over if before and before.offset == record.offset else 0
        held = Held(record.offset, record.timestamp, passed_over + others_taken)
        self._held[record.partition] = held
        return held.passed_over >= GIVEN_UP_AFTER

    async def _refuse(self, record: Record, reason: str, field: str | None, detail: str) -> None:
        await self._dead_letters(self._topic, record, reason, field, mask(detail)[:MAX_REASON_CHARACTERS])
        self._metrics.dead_letters.labels(reason).inc()

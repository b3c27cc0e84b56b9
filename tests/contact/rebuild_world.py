"""A cascade whose store is lost and made again from what is on the topics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from cascade_world import Cascade
from contact_world import DIGESTS, Read, own, until_done
from request_world import Requests

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import Conversation
from pipeline.core.topics import (
    ANSWERS,
    CARD_COMMAND_RESULTS,
    CONTACT_REQUESTS,
    CUSTOMER_EVENTS,
    CUSTOMERS,
    DECISIONS,
    Topic,
)
from pipeline.ports import Poll, Record
from pipeline.roles.contact.ledger import Ledger, read_everything
from pipeline.roles.contact.profile import read_profile
from pipeline.roles.contact.rebuild import Restored, restored
from pipeline.roles.contact.rebuild_writer import Writer, Written
from pipeline.roles.contact.role import ContactRole

DAYS_10 = 10 * 86_400


class ListReader:
    """The WholeReader port on one list: partition 0 of its topic."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._next = 0

    async def start(self, positions: object = None) -> Sequence[int]:
        return [0]

    async def ends(self) -> dict[int, int]:
        return {0: len(self._records)}

    async def places(self) -> dict[int, int]:
        return {0: self._next}

    async def poll(self, timeout_s: float) -> Poll:
        found = self._records[self._next : self._next + 3]
        self._next += len(found)
        return {0: found} if found else {}

    async def stop(self) -> None: ...


class Losing(Cascade):
    """``given``: what other systems wrote, by topic, beside what the role published."""

    def __init__(self, config: Path, **more: Any) -> None:
        super().__init__(config, **more)
        self.config = config
        self.given: dict[str, list[Read]] = {}
        self.role = self._noting(self.role)

    def _noting(self, role: ContactRole) -> ContactRole:
        """The role, with what it is given put down."""
        customers, polled, results, answers = role.customers, role.polled, role.results, role.answers
        events, requests = role.customer_events, role.requests

        async def take_requests(records: Sequence[Record]) -> None:
            self._given(CONTACT_REQUESTS, records)
            await requests(records)

        async def take_events(records: Sequence[Record]) -> None:
            self._given(CUSTOMER_EVENTS, records)
            await events(records)

        async def take_customers(records: Sequence[Record]) -> None:
            self._given(CUSTOMERS, records)
            await customers(records)

        async def take_poll(poll: Poll) -> None:
            for records in poll.values():
                self._given(DECISIONS, records)
            await polled(poll)

        async def take_results(records: Sequence[Record]) -> None:
            self._given(CARD_COMMAND_RESULTS, records)
            await results(records)

        async def take_answers(records: Sequence[Record]) -> None:
            self._given(ANSWERS, records)
            await answers(records)

        role.polled = take_poll  # type: ignore[method-assign]
        role.customers, role.customer_events, role.requests = take_customers, take_events, take_requests
        role.results, role.answers = take_results, take_answers
        return role

    def _given(self, topic: Topic, records: Sequence[Record]) -> None:
        self.given.setdefault(topic.name, []).extend(records)  # type: ignore[arg-type]

    def on_topic(self, topic: Topic) -> list[Read]:
        """The topic's records, as a reader finds them."""
        now_ms = round(self.world.clock.now() * 1000)
        found = [
            Read(record.value, record.key, 0, 0, now_ms, record.headers)
            for record in self.world.log.sent.get(topic.name, [])
        ]
        found += self.given.get(topic.name, [])
        if topic is not DECISIONS:
            for offset, record in enumerate(found):
                record.offset = offset
        return found

    async def ledger(self) -> Ledger:
        ledger = Ledger(round((self.world.clock.now() - DAYS_10) * 1000), DIGESTS)
        await read_everything(ledger, lambda topic: ListReader(self.on_topic(topic)), lambda *_: None)
        return ledger

    async def lose(self) -> tuple[Restored, Written]:
        """The store is gone and the worker dead; it is made again, and another worker begins."""
        await self.role.stop()
        self.world.store = MemoryContactStore()
        ledger = await self.ledger()
        now_ms = round(self.world.clock.now() * 1000)
        plans = read_profile(self.config, "demo", world_almanac()).plans
        found = restored(ledger, plans, now_ms)
        written = await Writer(self.world.store, now_ms).write(ledger, found)
        self.role = self._noting(self.world.worker())
        position = await own(self.role)
        await until_done(self.role)
        left = [record for record in self.given.get(DECISIONS.name, []) if record.offset >= (position or 0)]
        if left:
            self.given[DECISIONS.name] = [record for record in self.given[DECISIONS.name] if record not in left]
            await self.role.polled({0: left})
            await until_done(self.role)
        return found, written


class LosingCascade(Losing):
    """A cascade about a card."""


class LosingRequests(Losing, Requests):
    """Requests of other systems, and notices."""


def but_for_what_is_lost(conversation: Conversation | None) -> Conversation | None:
    if conversation is None:
        return None
    return msgspec.structs.replace(conversation, asks=0, proof="", due_ms=None, cohort="")

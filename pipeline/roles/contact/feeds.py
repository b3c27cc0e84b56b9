"""What comes by topic beside decisions and requests: customers, what became of their numbers, answers, the switch's results.

Each record is in the store when its method returns; while the store is down they wait. What cannot be used goes to the
dead letters, the rest goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec

import msgspec
import structlog

from pipeline.core.conversation import Acknowledged, Event, contact_of_release, heard_elsewhere
from pipeline.core.records import Answer, CardCommandResult
from pipeline.core.topics import ANSWERS, CARD_COMMAND_RESULTS, CUSTOMER_EVENTS, CUSTOMERS, Topic
from pipeline.ports import Record, StoreDown
from pipeline.ports_contact import Asked, ContactStore, DirectoryEntry
from pipeline.roles.contact.conversations import Conversations
from pipeline.roles.contact.customer_events import CustomerEvents, NoEvent
from pipeline.roles.contact.directory import NoCustomer, read_entry
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.outbox import HEADER_WRITER, WRITER
from pipeline.roles.contact.request_reader import STORE_RETRY_S, DeadLetters
from pipeline.roles.contact.work import Work

DIRECTORY_ENTRIES = 200
"""Customers written by one step."""
P = ParamSpec("P")

_answer = msgspec.json.Decoder(Answer)
_result = msgspec.json.Decoder(CardCommandResult)
log = structlog.get_logger()


class Feeds:
    """Takes polls of these topics."""

    def __init__(
        self,
        store: ContactStore,
        conversations: Conversations,
        work: Work,
        metrics: ContactMetrics,
        dead_letter: DeadLetters,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._work = work
        self._metrics = metrics
        self._dead_letter = dead_letter
        self._customer_events = CustomerEvents(store, conversations)

    async def customers(self, records: Sequence[Record]) -> None:
        """Write the directory. Waits while the store is down."""
        entries = []
        for record in records:
            try:
                entries.append(read_entry(record, self._conversations.permission.digests))
            except NoCustomer as error:
                await self._refuse(CUSTOMERS, record, "not_a_customer", error.field, error.detail)
        for start in range(0, len(entries), DIRECTORY_ENTRIES):
            await self._patiently(self._put_customers, entries[start : start + DIRECTORY_ENTRIES])

    async def _put_customers(self, entries: Sequence[DirectoryEntry]) -> None:
        """What an earlier version noted on these customers is first brought to where this one will look."""
        asked = [Asked("", entry.customer, "") for entry in entries]
        while await self._conversations.renew([(one.record, one.notes) for one in await self._store.look(asked)]):
            pass
        await self._store.put_customers(entries)

    async def customer_events(self, records: Sequence[Record]) -> None:
        """Remember when customers' numbers became doubtful. Waits while the store is down."""
        for record in records:
            try:
                await self._patiently(self._customer_events.take, record)
            except NoEvent as error:
                await self._refuse(CUSTOMER_EVENTS, record, "not_an_event", error.field, error.detail)

    async def answers(self, records: Sequence[Record]) -> None:
        """Take answers from other systems; our own stand in the store already. Waits while the store is down."""
        for record in records:
            if dict(record.headers).get(HEADER_WRITER) == WRITER:
                continue
            try:
                answer = _answer.decode(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                await self._refuse(ANSWERS, record, "not_an_answer", None, str(error))
                continue
            await self._patiently(self._apply, answer.contact, heard_elsewhere(answer))

    async def results(self, records: Sequence[Record]) -> None:
        """Take what the switch did about our releases. Waits while the store is down."""
        for record in records:
            try:
                result = _result.decode(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                await self._refuse(CARD_COMMAND_RESULTS, record, "not_a_result", None, str(error))
                continue
            contact = contact_of_release(result.id)
            if contact is not None:
                await self._patiently(self._apply, contact, Acknowledged(result.done))

    async def _apply(self, contact: str, event: Event) -> None:
        applied = await self._conversations.apply(contact, event)
        if applied is not None and applied.refused is None:
            self._work.begin(self._work.follow(applied))

    async def _refuse(self, topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        self._metrics.dead_letters.labels(reason).inc()
        await self._dead_letter(topic, record, reason, field, detail)

    async def _patiently(self, step: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
        while True:
            try:
                return await step(*args, **kwargs)
            except StoreDown as error:
                log.warning("waiting for the contact store", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)

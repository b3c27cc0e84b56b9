"""From records of ``contact-requests`` to conversations; what cannot be met goes to the dead letters, the rest goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pipeline.core.records import ContactRequest
from pipeline.core.requests import BadRequest, expired, read_request, taken_back, wanted
from pipeline.core.topics import CONTACT_REQUESTS, Topic
from pipeline.ports import Record, StoreDown
from pipeline.roles.contact.conversations import Applied, Conversations
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.requests import Requests
from pipeline.roles.contact.work import Work

AT_ONCE = 32
"""Customers whose requests are taken at the same time."""
STORE_RETRY_S = 0.25
REASON = "not_a_request"
DeadLetters = Callable[[Topic, Record, str, str | None, str], Awaitable[None]]
"""Topic, record, reason, field to blame, detail for people (no values)."""
log = structlog.get_logger()


class RequestReader:
    """Takes polls of the topic. One customer's requests are taken in their order."""

    def __init__(
        self,
        requests: Requests,
        conversations: Conversations,
        work: Work,
        metrics: ContactMetrics,
        dead_letter: DeadLetters,
    ) -> None:
        self._requests = requests
        self._conversations = conversations
        self._work = work
        self._metrics = metrics
        self._dead_letter = dead_letter
        self._room = asyncio.Semaphore(AT_ONCE)

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when all are stored. Waits while the store is down."""
        read: dict[str, list[tuple[Record, ContactRequest]]] = {}
        for record in records:
            try:
                request = read_request(record.value)
            except BadRequest as bad:
                await self._refuse(record, bad)
                continue
            read.setdefault(request.customer, []).append((record, request))
        await asyncio.gather(*(self._of_customer(one) for one in read.values()))

    async def _of_customer(self, requests: Sequence[tuple[Record, ContactRequest]]) -> None:
        async with self._room:
            for record, request in requests:
                await self._patiently(record, request)

    async def _patiently(self, record: Record, request: ContactRequest) -> None:
        while True:
            try:
                return await self._take(record, request)
            except BadRequest as bad:
                return await self._refuse(record, bad)
            except StoreDown as error:
                log.warning("a contact request waits for the contact store", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)

    async def _take(self, record: Record, request: ContactRequest) -> None:
        now_ms = self._conversations.now_ms()
        applied: Applied | None = None
        if request.withdrawn:
            gone = taken_back(request, record.timestamp, self._conversations.plans)
            applied = None if gone is None else await self._requests.forestall(gone, request.withdrawn)
        elif expired(request, now_ms) and await self._requests.knows(request.customer, request.id):
            applied = await self._requests.withdraw(request.customer, request.id, "withdrawn")
        else:
            wish = wanted(request, now_ms, record.timestamp, self._conversations.plans)
            applied = await self._requests.take(wish, record.timestamp)
        if applied is not None:
            await self._work.guarded(self._work.follow(applied))

    async def _refuse(self, record: Record, bad: BadRequest) -> None:
        self._metrics.dead_letters.labels(REASON).inc()
        await self._dead_letter(CONTACT_REQUESTS, record, REASON, bad.field, bad.detail)

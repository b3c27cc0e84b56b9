"""What contacts about bills brought: answers change the account, and what reached the customer is remembered for the thanks.

Read from ``contacts`` in a group of its own, so a record may come twice; an account's record is compared and set, and the
account's partition may be any worker's.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
import structlog

from pipeline.core.account import Account, decode, encode
from pipeline.core.account_answers import answered
from pipeline.core.records import AnswerWord
from pipeline.core.topics import CONTACTS
from pipeline.ports import Clock, Record, StoreDown
from pipeline.ports_reminder import AccountChange, AccountStore
from pipeline.roles.reminder.following import Following, heard, ordinal
from pipeline.roles.reminder.letters import DeadLetters
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.reminder.outbox import OUTBOX_LEASE_MS, Outbox, entry_of

STORE_RETRY_S = 0.25
REASON = "not_a_contact_step"
REACHED = frozenset({"delivered", "completed", "answered"})
"""Steps after which the customer knows of the bill."""
log = structlog.get_logger()


class _Step(msgspec.Struct):
    """What is read of a ContactStep."""

    contact: str
    step: str
    time: datetime
    subject: dict[str, str]
    account: str | None = None
    answer: AnswerWord | None = None
    by: str | None = None
    amount: int | None = None


_decoder = msgspec.json.Decoder(_Step)


class Answers:
    """Takes polls of ``contacts``."""

    def __init__(
        self,
        store: AccountStore,
        following: Following,
        outbox: Outbox,
        clock: Clock,
        metrics: ReminderMetrics,
        dead_letter: DeadLetters,
    ) -> None:
        self._store = store
        self._following = following
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._dead_letter = dead_letter

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when all are stored. Waits while the store is down. Raises what the log raises."""
        for record in records:
            if b'"account"' not in (record.value or b""):
                continue  # of no bill
            try:
                step = _decoder.decode(record.value or b"")
                by = None if step.by is None else ordinal(step.by)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                self._metrics.dead_letters.labels(REASON).inc()
                await self._dead_letter(CONTACTS, record, REASON, None, str(error))
                continue
            if step.account and "statement" in step.subject:
                await self._patiently(step, step.account, by)

    async def _patiently(self, step: _Step, account: str, by: int | None) -> None:
        while True:
            try:
                self._metrics.followed.labels(await self._take(step, account, by)).inc()
                return
            except StoreDown as error:
                log.warning("an answer waits for the contact store", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)

    async def _take(self, step: _Step, name: str, by: int | None) -> str:
        while True:
            (value,) = await self._store.read([name])
            if not value:
                return "nothing"
            before = decode(value)
            after = self._after(before, step, by)
            if after is before:
                return "nothing"
            now_ms = round(self._clock.now() * 1000)
            (followed,) = self._following.of([(before, self._following.termed(after))], now_ms)
            entries = [entry_of(request) for request in followed.requests]
            change = AccountChange(
                name, value, encode(followed.account), followed.due_ms, before.partition, entries, followed.stays
            )
            if await self._store.commit([change], now_ms, OUTBOX_LEASE_MS) == "stored":
                break
        await self._outbox.publish(entries)
        for request in followed.withdrawn:
            self._metrics.withdraw(request.withdrawn)
        if after.promise != before.promise:
            self._metrics.promises.labels("open").inc()
        return "answered" if step.answer else "told"

    def _after(self, before: Account, step: _Step, by: int | None) -> Account:
        bill, at_ms = step.subject["statement"], round(step.time.timestamp() * 1000)
        after = heard(before, bill, at_ms) if step.step in REACHED else before
        if step.step == "answered" and step.answer is not None:
            days = self._following.policy.promises.days
            after = answered(
                after, step.answer, at_ms, amount=step.amount, by=by, contact=step.contact, promise_days=days
            )
        return after

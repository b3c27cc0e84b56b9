"""Notices: payments, card events and accounts in, contact requests out, for customers who want to be told.

Read at least once; each notice has a name made from what it tells, so the contact role takes it once. Nothing is kept
here, so nothing is lost with a worker: what it had not published is read again. Those of accounts leave with the step
that takes the event in.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from pipeline.core.card_event import decode_card_event
from pipeline.core.currencies import Money
from pipeline.core.notices import Choice, NoticeRules, Teller, Told
from pipeline.core.records import ContactRequest
from pipeline.core.topics import CONTACT_REQUESTS
from pipeline.core.transaction import Refused, decode
from pipeline.ports import Clock, Log, Outgoing, Record

KNOWN_S = 30.0
"""How long events of accounts wait for what customers chose, when a worker begins."""
log = structlog.get_logger()
_encoder = msgspec.json.Encoder()


class Chosen(Protocol):
    """What customers chose (`choices.Choices`)."""

    known: asyncio.Event

    def of(self, card: str, customer: str | None = None) -> Choice | None: ...


class Notices:
    """Handlers of whole polls. What cannot be read is passed over: scorer and intake write its dead letter. ``counted``
    hears the template of each notice."""

    def __init__(
        self,
        choices: Chosen,
        teller: Callable[[], Teller],
        money: Money,
        log: Log,
        clock: Clock,
        counted: Callable[[str], None],
    ) -> None:
        self._choices = choices
        self._teller = teller
        self._money = money
        self._log = log
        self._clock = clock
        self._counted = counted

    @property
    def rules(self) -> NoticeRules:
        return self._teller().rules

    async def payments(self, records: Sequence[Record]) -> None:
        """Of ``transactions``; not before it is known what customers chose."""
        teller, now_ms = self._teller(), self._now_ms()
        made = []
        for record in records:
            try:
                event = decode(record.value, record.timestamp, self._money)
            except Refused:
                continue
            choice = self._choices.of(event.transaction.card, event.transaction.customer)
            if choice is not None and choice.of_payments:
                made.append(teller.payment(event, choice, now_ms))
        await self._send(made)

    async def card_events(self, records: Sequence[Record]) -> None:
        """Of ``card-events``: limits, and cards that end. As `payments`."""
        teller, now_ms = self._teller(), self._now_ms()
        made = []
        for record in records:
            try:
                event, at = decode_card_event(record.value)
            except Refused:
                continue
            name = f"{record.partition}-{record.offset}"
            choice = self._choices.of(event.card)
            if choice is None:
                continue
            if event.type == "limit_changed" and event.limit is not None and event.currency is not None:
                facts = {"limit": event.limit, "currency": event.currency}
                made.append(teller.about_card("limit_changed", name, event.card, choice, at * 1000, now_ms, **facts))
            elif event.type == "expiring":
                made.append(teller.about_card("card_ending", name, event.card, choice, at * 1000, now_ms))
        await self._send(made)

    async def known(self) -> None:
        """Returns when it is known what customers chose; after `KNOWN_S` without: nobody is told then, for they may have
        chosen not to be."""
        try:
            await asyncio.wait_for(self._choices.known.wait(), KNOWN_S)
        except TimeoutError:
            log.warning("what customers chose is not known: what happens to accounts now is not told to them")

    def of_account(self, told: Told, now_ms: int) -> ContactRequest | None:
        """What the intake of accounts found worth telling; None: its holder does not want it, or is not known."""
        choice = self._choices.of(told.card, told.customer)
        if choice is None:
            return None
        made = self._teller().about_card(told.template, told.name, told.card, choice, told.at_ms, now_ms, **told.facts)
        if made is not None:
            self._counted(made.template)
        return made

    async def _send(self, made: Sequence[ContactRequest | None]) -> None:
        requests = [each for each in made if each is not None]
        if not requests:
            return
        await self._log.send(CONTACT_REQUESTS, [_outgoing(each) for each in requests])
        for each in requests:
            self._counted(each.template)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _outgoing(request: ContactRequest) -> Outgoing:
    return Outgoing(request.customer.encode(), _encoder.encode(request))

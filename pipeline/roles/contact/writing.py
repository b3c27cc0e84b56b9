"""The words of an attempt, put down in the step that decides to make it.

So a text that must not be sent is known before anything is promised, and the dossier holds what was said even if the
worker dies while saying it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from pipeline.core.contacting import Call, Close, Effect
from pipeline.core.conversation import Conversation
from pipeline.core.dossier import masked_address
from pipeline.core.dossier_entry import Told
from pipeline.core.ladders import Plans
from pipeline.core.matters import until_ms
from pipeline.core.telling import WANTS_ANSWER
from pipeline.core.texts_facts import TextRefused
from pipeline.ports_channels import CallOrder, MessageOrder
from pipeline.ports_contact import Notes
from pipeline.roles.contact.orders import NoAddress, Orders
from pipeline.roles.contact.permission import Permission

log = structlog.get_logger()


class Unwritten(NamedTuple):
    """There are no words for this attempt, or no address: people take over."""

    reason: str


class Written(NamedTuple):
    """What follows from a transition in words. ``order``: the attempt's, None if it orders none; ``thanks``: for an
    answer by message."""

    order: CallOrder | MessageOrder | Unwritten | None = None
    thanks: MessageOrder | None = None

    @property
    def told(self) -> Sequence[Told]:
        """The same for the dossier."""
        orders = (self.order, self.thanks)
        return [_told(order) for order in orders if isinstance(order, CallOrder | MessageOrder)]


NOTHING = Written()


class Writing:
    """Writes what transitions order, from what was read with the conversation."""

    def __init__(self, orders: Orders, permission: Permission, plans: Plans) -> None:
        self._orders = orders
        self._permission = permission
        self._plans = plans

    def written(
        self, conversation: Conversation, effects: Sequence[Effect], record: bytes | None, notes: Notes
    ) -> Written:
        """The words of what ``effects`` order. ``record``: the customer's, with the ``notes`` on them."""
        order: CallOrder | MessageOrder | Unwritten | None = None
        thanks = None
        for effect in effects:
            if isinstance(effect, Call):
                order = self._order(conversation, record, notes)
            elif isinstance(effect, Close):
                thanks = self._thanks(conversation, effect, record, notes)
        return Written(order, thanks) if order or thanks else NOTHING

    def call(self, conversation: Conversation, attempt: int, record: bytes | None, notes: Notes) -> CallOrder | None:
        """The words of a call that goes on; None if it is none, or there are none."""
        if record is None or attempt > conversation.attempt or conversation.attempts[attempt - 1].channel != "voice":
            return None
        try:
            return self._orders.call(conversation, attempt, self._permission.customer(record, notes))
        except (NoAddress, TextRefused):
            return None

    def _order(
        self, conversation: Conversation, record: bytes | None, notes: Notes
    ) -> CallOrder | MessageOrder | Unwritten:
        try:
            if record is None:
                raise NoAddress
            customer = self._permission.customer(record, notes)
            if conversation.by_message:
                wait_s = self._worth_s(conversation)
                return self._orders.message(conversation, customer, wait_s)
            return self._orders.call(conversation, conversation.attempt, customer)
        except (NoAddress, TextRefused) as refused:
            reason = "no_address" if isinstance(refused, NoAddress) else "text_refused"
            log.warning("an attempt cannot be made", contact=conversation.id, reason=reason)
            return Unwritten(reason)

    def _worth_s(self, conversation: Conversation) -> float:
        """How long the message is worth delivering: while its answer is waited for; of one that wants none, while it is
        worth telling."""
        wait_s = self._plans.of(conversation).rung(conversation.rung, conversation.order).wait_s
        if not conversation.tells or conversation.class_ in WANTS_ANSWER or conversation.due_ms is None:
            return wait_s
        return max(wait_s, (until_ms(conversation.matters) - conversation.due_ms) / 1000)

    def _thanks(
        self, conversation: Conversation, close: Close, record: bytes | None, notes: Notes
    ) -> MessageOrder | None:
        """A word of thanks: nothing depends on it."""
        if record is None:
            return None
        try:
            customer = self._permission.customer(record, notes)
            promised_ms = conversation.call_back_ms if close.part == "complaint" else None
            call_back = None if promised_ms is None else self._permission.by_clock_of(customer, promised_ms)
            return self._orders.closing(conversation, close.attempt, close.part, customer, call_back)
        except (NoAddress, TextRefused):
            return None


def _told(order: CallOrder | MessageOrder) -> Told:
    parts: Mapping[str, str | None]
    if isinstance(order, CallOrder):
        channel = "voice"
        parts = {"say": order.say, "voicemail": order.voicemail, "yes": order.thanks_yes, "no": order.thanks_no}
    else:
        channel = order.channel
        parts = {"subject": order.subject, "text": order.text}
    kept = {name: text for name, text in parts.items() if text}
    return Told(channel, masked_address(order.to), order.language, kept)

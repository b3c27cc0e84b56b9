"""What a provider is asked to do: the words of an attempt, in the customer's language, and where they go."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pipeline.core.contact_facts import ways_to
from pipeline.core.conversation import Attempt, Conversation, attempt_key, closing_key
from pipeline.core.records import Customer
from pipeline.core.requests import words_of
from pipeline.core.texts import Rendered, Texts, question
from pipeline.core.texts_rules import RULES
from pipeline.ports_channels import CallOrder, MessageChannel, MessageOrder, Provider
from pipeline.roles.contact.digests import Digests


class Channels(NamedTuple):
    """Who carries what: calls, and messages by channel."""

    calls: Provider
    messages: Mapping[str, MessageChannel]


class NoAddress(Exception):
    """The customer's record no longer has the address this attempt was allowed for."""


class Orders:
    """Writes orders for attempts of a conversation. Every method may raise TextRefused and NoAddress."""

    def __init__(self, texts: Texts, bank: str, ring_s: float, digests: Digests) -> None:
        self._digests = digests
        self._texts = texts
        self._bank = bank
        self._ring_s = ring_s

    def call(self, conversation: Conversation, number: int, customer: Customer) -> CallOrder:
        """The call of attempt ``number``."""
        attempt = conversation.attempts[number - 1]
        say = self._said(conversation, attempt, customer)

        def plain(part: str) -> str:
            if (conversation.class_, "voice", part) not in RULES:
                return ""  # a call of this class ends without it
            return self._texts.render(conversation.class_, "voice", part, customer.language, {"bank": self._bank}).text

        return CallOrder(
            key=attempt_key(conversation.id, number),
            to=address_of(customer, attempt, self._digests),
            language=say.language,
            say=say.text,
            voicemail=plain("voicemail"),
            thanks_yes=plain("thanks_known" if conversation.held_ms is None else "thanks_yes"),
            thanks_no=plain("thanks_no"),
            reference=attempt.covers,
            ring_s=self._ring_s,
            sender=attempt.sender,
        )

    def message(self, conversation: Conversation, customer: Customer, expires_s: float) -> MessageOrder:
        """The message of the present attempt, not worth delivering after ``expires_s``."""
        attempt = conversation.attempts[-1]
        asked = self._said(conversation, attempt, customer)
        return self._order(conversation.key, attempt, customer, asked, expires_s)

    def closing(
        self, conversation: Conversation, number: int, part: str, customer: Customer, call_back: datetime | None = None
    ) -> MessageOrder | None:
        """The last word to an answer by message; None where the channel has none. ``call_back``: until when people have
        promised to call, by the customer's clock."""
        attempt = conversation.attempts[number - 1]
        if (conversation.class_, attempt.channel, part) not in RULES:
            return None
        facts: dict[str, object] = {"bank": self._bank, "last4": last4_of(customer, conversation.card)}
        if call_back is not None:
            facts["time"] = call_back
        rendered = self._texts.render(conversation.class_, attempt.channel, part, customer.language, facts)
        return self._order(closing_key(conversation.id, number), attempt, customer, rendered, CLOSING_S)

    def _said(self, conversation: Conversation, attempt: Attempt, customer: Customer) -> Rendered:
        if conversation.tells:
            part, facts = self._told(conversation, attempt, customer)
        else:
            alerts = [alert for alert in conversation.alerts if alert.id in attempt.covers]
            part, facts = question(self._bank, last4_of(customer, conversation.card), alerts)
        return self._texts.render(conversation.class_, attempt.channel, part, customer.language, facts)

    def _told(self, conversation: Conversation, attempt: Attempt, customer: Customer) -> tuple[str, dict[str, object]]:
        matters = [matter for matter in conversation.matters if matter.id in attempt.covers]
        facts: dict[str, object] = {"bank": self._bank}
        if len(matters) == 1 and (digits := last4_of(customer, matters[0].card)):
            facts["last4"] = digits
        return words_of(matters, facts)

    def _order(
        self, key: str, attempt: Attempt, customer: Customer, rendered: Rendered, expires_s: float
    ) -> MessageOrder:
        to = address_of(customer, attempt, self._digests)
        return MessageOrder(
            key,
            attempt.channel,
            to,
            rendered.language,
            rendered.text,
            rendered.subject,
            attempt.covers,
            expires_s,
            attempt.sender,
        )


CLOSING_S = 3600.0
"""Thanks that arrive later than this are not worth delivering."""


def address_of(customer: Customer, attempt: Attempt, digests: Digests) -> str:
    """Where ``attempt`` goes: the customer's address of its digest. Raises NoAddress."""
    for address in ways_to(customer, f"{attempt.channel}:" if attempt.channel == "voice" else attempt.channel):
        if attempt.address is None or digests.is_of(address, attempt.address):  # an earlier version noted none
            return address
    raise NoAddress


def last4_of(customer: Customer, card: str) -> str | None:
    """The last digits of a card, as far as the bank's record has them."""
    return next((held.last4 for held in customer.cards if held.card == card), None)

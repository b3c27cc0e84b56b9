"""Before each attempt: may it be made now, and to which address? After it: what it and its answer leave behind.

The gates are asked with what the store remembers of the customer and their numbers; what they allow is noted there in
the step that makes the attempt, so that of two workers who both saw room for one more contact only one makes it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pipeline.core import contact_history, wishes
from pipeline.core.contact_facts import fresh_number, place_of, ways_to
from pipeline.core.contact_history import KEEP_MS, Entry, Kind, noted, without_last
from pipeline.core.contact_policy import ContactPolicy
from pipeline.core.conversation import (
    CALL_CLASS,
    Answered,
    Attempt,
    Barred,
    Claimed,
    Conversation,
    Deferred,
    Ended,
    Event,
    Plan,
    attempt_key,
)
from pipeline.core.dossier_entry import Grounds
from pipeline.core.gates import evaluate
from pipeline.core.questions import after_question
from pipeline.core.records import Customer
from pipeline.core.verdict import Asked, Go, Verdict, Wait
from pipeline.core.verification import PROVEN
from pipeline.ports import Note, Notes
from pipeline.roles.contact.directory import address_digest, customer_note, number_note, question_note, wishes_note

SPOKEN = frozenset({"hung_up", "wrong_key"})
"""Ends of a call at which somebody had picked up."""
_customer = msgspec.json.Decoder(Customer)


class Permit(NamedTuple):
    """``event``: what happens to the conversation now; ``notes``: what it leaves behind; ``grounds``: why, None
    where no gate was asked."""

    event: Event
    notes: Sequence[Note] = ()
    grounds: Grounds | None = None


class Permission:
    """The gates of one policy along one plan's ladder."""

    def __init__(self, policy: ContactPolicy, plan: Plan) -> None:
        self._policy = policy
        self._plan = plan

    def ask(self, conversation: Conversation, record: bytes | None, notes: Notes, now_ms: int) -> Permit:
        """For a planned conversation: the next attempt, a later time, or people."""
        if conversation.attempt >= self._plan.attempts:
            return Permit(Claimed())  # too many, the machine says: nothing is made that could be noted
        if record is None:
            return Permit(Barred("unknown_customer"))
        customer = self.customer(record, notes)
        first = min(conversation.rung, len(self._plan.ladder) - 1)
        ladder = self._plan.ladder[first:]
        asked = Asked(
            CALL_CLASS,
            conversation.id,
            [rung.way for rung in ladder],
            max(conversation.source_ms + round(self._plan.patience_s * 1000), now_ms + 1),
        )
        verdict = self.verdict(asked, customer, notes, now_ms)
        zones = [str(zone) for zone in place_of(self._policy, customer).zones]
        grounds = Grounds(self._policy.version, zones, verdict.said)
        match verdict:
            case Go(channel=channel, to=to, sender=sender):
                number = next(
                    number
                    for number, rung in enumerate(ladder, first)
                    if rung.channel == channel and to in ways_to(customer, rung.way)
                )
                claimed = Claimed(number, address_digest(to), sender)
                kind: Kind = "dial" if channel == "voice" else "message"
                entry = Entry(now_ms, CALL_CLASS, channel, conversation.id, kind)
                left = list(self._noted(customer.customer, claimed.address, entry, notes))
                key = question_note(address_digest(to))
                if channel == "sms" and key in notes:
                    asked_by = attempt_key(conversation.id, conversation.attempt + 1)
                    left.append(Note(key, notes[key], after_question(notes[key], customer.customer, asked_by), KEEP_MS))
                return Permit(claimed, left, grounds)
            case Wait(until_ms=until_ms, reason=reason):
                return Permit(Deferred(until_ms, reason), grounds=grounds)
        return Permit(Barred(verdict.reason), grounds=grounds)

    def still(self, conversation: Conversation, record: bytes | None, notes: Notes, now_ms: int) -> bool:
        """Whether the present attempt, which its provider never had, may be sent now as it was allowed before. Itself it
        does not count against any cap."""
        attempt = conversation.attempts[-1]
        if record is None:
            return False
        customer = self.customer(record, notes)
        uncounted = {
            key: contact_history.encode(without_last(contact_history.decode(note), conversation.id))
            if key in (customer_note(customer.customer), number_note(attempt.address or ""))
            else note
            for key, note in notes.items()
        }
        way = self._plan.rung(conversation.rung).way
        asked = Asked(CALL_CLASS, conversation.id, [way], now_ms + 1)
        verdict = self.verdict(asked, customer, uncounted, now_ms)
        return isinstance(verdict, Go) and attempt.address in (None, address_digest(verdict.to))

    def verdict(self, asked: Asked, customer: Customer, notes: Notes, now_ms: int) -> Verdict:
        """What the gates say, with what is remembered of the customer and their numbers."""
        history = contact_history.decode(notes.get(customer_note(customer.customer)))
        numbers = {
            phone.number: contact_history.decode(notes.get(number_note(address_digest(phone.number))))
            for phone in customer.phones
        }
        return evaluate(self._policy, asked, customer, history, numbers, now_ms)

    def customer(self, record: bytes, notes: Notes) -> Customer:
        """The customer of a directory record, as their own wishes leave it."""
        customer = _customer.decode(record)
        digests = {phone.number: address_digest(phone.number) for phone in customer.phones}
        return wishes.wished(customer, wishes.read_wishes(notes.get(wishes_note(customer.customer), b"")), digests)

    def weighed(self, event: Event, conversation: Conversation, record: bytes | None, now_ms: int) -> Event:
        """An answer from a number that is not the customer's, or no longer, or has been for too short a time, is not
        trusted."""
        if not isinstance(event, Answered):
            return event
        attempt = attempt_of(conversation, event.attempt)
        if event.attempt is None and event.assurance not in PROVEN:
            return msgspec.structs.replace(event, trusted=False)  # nobody knows which number it came from
        if attempt is None or attempt.channel not in ("voice", "sms") or attempt.address is None:
            return event
        customer = _customer.decode(record) if record is not None else None
        phones = customer.phones if customer else []
        number = next((each.number for each in phones if address_digest(each.number) == attempt.address), "")
        if customer and not fresh_number(customer, number, now_ms, self._policy.fresh_number.days):
            return event
        return msgspec.structs.replace(event, trusted=False)

    def left_behind(
        self, event: Event, conversation: Conversation, customer: str | None, notes: Notes, now_ms: int
    ) -> Sequence[Note]:
        """What the end of an attempt or an answer adds to what is remembered."""
        if customer is None or not isinstance(event, Answered | Ended):
            return ()
        attempt = attempt_of(conversation, event.attempt)
        left: list[Note] = []
        if attempt is not None:
            spoken = isinstance(event, Answered) or event.reason in SPOKEN
            if spoken or attempt.channel == "voice":
                kind: Kind = "effective" if spoken else "missed"
                entry = Entry(now_ms, CALL_CLASS, attempt.channel, conversation.id, kind)
                left += self._noted(customer, attempt.address, entry, notes)
        key = wishes_note(customer)
        if isinstance(event, Answered) and key in notes:
            before = notes[key]
            address = attempt.address if attempt else None
            after = wishes.encode(wishes.after_answer(wishes.read_wishes(before), event.word, CALL_CLASS, address))
            if after != before:
                left.append(Note(key, before, after, None))
        return left

    def _noted(self, customer: str, address: str | None, entry: Entry, notes: Notes) -> Sequence[Note]:
        """Of a customer or number that has left the directory meanwhile nothing is remembered."""
        keys = [customer_note(customer), *([number_note(address)] if address is not None else [])]
        made = []
        for key in keys:
            if key not in notes:
                continue
            before = notes[key]
            after = contact_history.encode(noted(contact_history.decode(before), entry))
            if after != before:
                made.append(Note(key, before, after, KEEP_MS))
        return made


def attempt_of(conversation: Conversation, number: int | None) -> Attempt | None:
    """The attempt of this number, if there is one."""
    known = number is not None and 1 <= number <= conversation.attempt
    return conversation.attempts[number - 1] if known and number else None

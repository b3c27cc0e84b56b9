"""Before each attempt: may it be made now, and to which address? After it: what it and its answer leave behind.

The gates are asked with what the store remembers of the customer and their numbers; what they allow is noted there in
the step that makes the attempt, so that of two workers who both saw room for one more contact only one makes it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from pipeline.core import agenda, contact_history, wishes
from pipeline.core.contact_facts import fresh_number, place_of, ways_to
from pipeline.core.contact_history import KEEP_MS, Entry, Kind, noted, without_last
from pipeline.core.contact_hours import DAY_MS, local, next_open
from pipeline.core.contact_order import Climb, Person
from pipeline.core.contact_policy import ContactPolicy
from pipeline.core.conversation import (
    CHANNELS,
    Absent,
    Answered,
    Attempt,
    Barred,
    Claimed,
    Conversation,
    Deferred,
    Ended,
    Event,
    attempt_key,
)
from pipeline.core.dossier_entry import Grounds
from pipeline.core.gates import evaluate
from pipeline.core.ladders import Plans
from pipeline.core.matters import until_ms
from pipeline.core.plan import Plan
from pipeline.core.questions import after_question
from pipeline.core.reach import came_to
from pipeline.core.records import Customer
from pipeline.core.telling import WANTS_ANSWER
from pipeline.core.verdict import Asked, Go, Verdict, Wait
from pipeline.core.verification import PROVEN
from pipeline.ports_contact import Note, Notes
from pipeline.roles.contact.digests import Digests, is_unkeyed, unkeyed
from pipeline.roles.contact.directory import agenda_note, customer_note, number_note, question_note, wishes_note
from pipeline.roles.contact.ways import Ways

_customer = msgspec.json.Decoder(Customer)


class Permit(NamedTuple):
    """``event``: what happens to the conversation now; ``notes``: what it leaves behind; ``grounds``: why, None
    where no gate was asked."""

    event: Event
    notes: Sequence[Note] = ()
    grounds: Grounds | None = None


class Permission:
    """The gates of one policy along each class's ladder, climbed as ``ways`` says."""

    def __init__(self, policy: ContactPolicy, plans: Plans, digests: Digests, ways: Ways | None = None) -> None:
        self.digests = digests
        self.ways = ways or Ways()
        self._policy = policy
        self._plans = plans

    def ask(self, conversation: Conversation, record: bytes | None, notes: Notes, now_ms: int) -> Permit:
        """For a planned conversation: the next attempt, a later time, or people."""
        plan = self._plans.of(conversation)
        if conversation.attempt >= plan.attempts:
            return Permit(Claimed())  # too many, the machine says: nothing is made that could be noted
        if record is None:
            return _unknown(conversation, now_ms)
        customer = self.customer(record, notes)
        person = self.person(customer, notes)
        climb = None
        if not conversation.attempts:
            climb = self.ways.climb(conversation.id, conversation.class_, plan.ladder, person, now_ms)
        rungs = plan.climbed(climb.order if climb else conversation.order)
        first = min(conversation.rung, len(rungs) - 1)
        ladder = rungs[first:]
        asked = Asked(
            conversation.class_,
            conversation.id,
            [rung.way for rung in ladder],
            _expires_ms(conversation, plan, now_ms),
        )
        verdict = self._evaluated(asked, person, now_ms)
        zones = [str(zone) for zone in person.place.zones]
        grounds = Grounds(self._policy.version, zones, verdict.said, climb.told() if climb else ())
        if climb and isinstance(verdict, Go) and (later_ms := self._later(asked, plan, person, now_ms)):
            return Permit(Deferred(later_ms, "better_hour"), grounds=grounds)
        match verdict:
            case Go() if (later_ms := self._another_ms(conversation, notes, now_ms)) > now_ms:
                return Permit(Deferred(later_ms, "another_first"), grounds=grounds)
            case Go(channel=channel, to=to, sender=sender):
                number = next(
                    number
                    for number, rung in enumerate(ladder, first)
                    if rung.channel == channel and to in ways_to(customer, rung.way)
                )
                cohort = self._cohort(climb, conversation, plan, number) if climb else ""
                claimed = Claimed(number, self.digests.of(to), sender, climb.order if climb else (), cohort)
                kind: Kind = "dial" if channel == "voice" else "message"
                entry = Entry(now_ms, conversation.class_, channel, conversation.id, kind)
                left = list(self._noted(customer.customer, claimed.address, entry, notes))
                key = question_note(self.digests.of(to))
                if channel == "sms" and key in notes:
                    asked_by = attempt_key(conversation.id, conversation.attempt + 1)
                    after = after_question(notes[key], customer.customer, asked_by, now_ms, conversation.class_)
                    left.append(Note(key, notes[key], after, KEEP_MS))
                return Permit(claimed, left, grounds)
            case Wait(until_ms=until_ms, reason=reason):
                return Permit(Deferred(until_ms, reason), grounds=grounds)
        return Permit(Barred(verdict.reason, no_way=verdict.gate == "channel"), grounds=grounds)

    def _another_ms(self, conversation: Conversation, notes: Notes, now_ms: int) -> int:
        """Until when another contact of the customer goes first, or has just gone."""
        if conversation.customer is None or not agenda.kept_for(conversation):
            return 0
        ahead = agenda.ahead(notes.get(agenda_note(conversation.customer), b""), conversation, now_ms)
        if ahead:
            return now_ms + ahead * agenda.NEXT_MS
        return agenda.gone_ms(contact_history.decode(notes.get(customer_note(conversation.customer))), conversation)

    def _cohort(self, climb: Climb, conversation: Conversation, plan: Plan, number: int) -> str:
        """Under whom the attempt counts. The silence after a message that wants no answer says nothing."""
        asks = not conversation.tells or conversation.class_ in WANTS_ANSWER
        called = plan.rung(number, climb.order).channel == "voice"
        return self.ways.counted(climb, plan.ladder, number) if asks or called else ""

    def _later(self, asked: Asked, plan: Plan, person: Person, now_ms: int) -> int | None:
        """A better hour for what may go out now and can wait, if there is one today at which it still may."""

        def opening(moment_ms: int) -> int | None:
            match self._evaluated(asked, person, moment_ms):
                case Go():
                    return moment_ms
                case Wait(until_ms=until_ms):
                    return until_ms
            return None

        return self.ways.later(asked.class_, plan.ladder, person, now_ms, asked.expires_ms, opening)

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
        way = self._plans.of(conversation).rung(conversation.rung, conversation.order).way
        asked = Asked(conversation.class_, conversation.id, [way], now_ms + 1)
        verdict = self.verdict(asked, customer, uncounted, now_ms)
        return isinstance(verdict, Go) and attempt.address in (None, self.digests.of(verdict.to))

    def verdict(self, asked: Asked, customer: Customer, notes: Notes, now_ms: int) -> Verdict:
        """What the gates say, with what is remembered of the customer and their numbers."""
        return self._evaluated(asked, self.person(customer, notes), now_ms)

    def _evaluated(self, asked: Asked, person: Person, now_ms: int) -> Verdict:
        return evaluate(self._policy, asked, person.customer, person.history, person.numbers, now_ms)

    def person(self, customer: Customer, notes: Notes) -> Person:
        """The customer with what is remembered of them and their numbers."""
        history = contact_history.decode(notes.get(customer_note(customer.customer)))
        numbers = {
            phone.number: contact_history.decode(notes.get(number_note(self.digests.of(phone.number))))
            for phone in customer.phones
        }
        return Person(customer, place_of(self._policy, customer), history, numbers)

    def customer(self, record: bytes, notes: Notes) -> Customer:
        """The customer of a directory record, as their own wishes leave it."""
        customer = _customer.decode(record)
        known = wishes.read_wishes(notes.get(wishes_note(customer.customer), b""))
        return wishes.wished(customer, known, self.digests.is_of)

    def renewed(self, conversation: Conversation, record: bytes | None) -> Conversation:
        """The conversation with keyed digests in place of an earlier version's, as far as the record has the addresses."""
        if record is None or not any(each.address and is_unkeyed(each.address) for each in conversation.attempts):
            return conversation
        customer = _customer.decode(record)
        addresses = {to for channel in CHANNELS for to in ways_to(customer, channel)}
        keyed = {unkeyed(to): self.digests.of(to) for to in addresses}
        attempts = [msgspec.structs.replace(each, address=keyed.get(each.address or "", each.address))
                    for each in conversation.attempts]  # fmt: skip
        return msgspec.structs.replace(conversation, attempts=tuple(attempts))

    def by_clock_of(self, customer: Customer, moment_ms: int) -> datetime | None:
        """``moment_ms`` as the customer's clock shows it; where that may be one of several, the latest of them, so that
        what is promised by it is kept by all."""
        clocks = [local(moment_ms, zone) for zone in place_of(self._policy, customer).zones]
        return max(clocks, key=lambda clock: clock.replace(tzinfo=None), default=None)

    def _call_back_ms(self, class_: str, record: bytes | None, now_ms: int) -> int:
        """Until when people call back who complains now: after the plan's time, counted from the next opening of the
        calling hours where it would end outside them."""
        soon_ms = now_ms + round(self._plans.asking.call_back_s * 1000)
        rules = self._policy.classes.get(class_)
        hours = [rule.hours for rule in rules.windows_of("voice")] if rules else []
        if record is None or not hours:
            return soon_ms
        opens_ms = next_open(hours, place_of(self._policy, _customer.decode(record)), soon_ms)
        return soon_ms if opens_ms is None or opens_ms == soon_ms else opens_ms + soon_ms - now_ms

    def weighed(
        self, event: Event, conversation: Conversation, record: bytes | None, notes: Notes, now_ms: int
    ) -> Event:
        """An answer from a number that is not the customer's, or no longer, or has been for too short a time, or may be
        in other hands, is not trusted; a complaint gets the time of its call-back."""
        if not isinstance(event, Answered):
            return event
        if event.word == "complaint":
            event = msgspec.structs.replace(event, call_back_ms=self._call_back_ms(conversation.class_, record, now_ms))
        attempt = attempt_of(conversation, event.attempt)
        if event.attempt is None and event.assurance not in PROVEN:
            return msgspec.structs.replace(event, trusted=False)  # nobody knows which number it came from
        if attempt is None or attempt.channel not in ("voice", "sms") or attempt.address is None:
            return event
        customer = _customer.decode(record) if record is not None else None
        phones = customer.phones if customer else []
        number = next((each.number for each in phones if self.digests.of(each.number) == attempt.address), "")
        days = self._policy.fresh_number.days
        known = wishes.read_wishes(notes.get(wishes_note(conversation.customer or ""), b""))
        doubtful = known.doubtful_ms is not None and now_ms - known.doubtful_ms < days * DAY_MS
        if customer and not doubtful and not fresh_number(customer, number, now_ms, days):
            return event
        return msgspec.structs.replace(event, trusted=False)

    def left_behind(
        self, event: Event, conversation: Conversation, customer: str | None, notes: Notes, now_ms: int
    ) -> Sequence[Note]:
        """What the end of an attempt, an answer, or an attempt sent again adds to what is remembered."""
        if isinstance(event, Absent):
            return self._asked_again(conversation, notes, now_ms)
        if customer is None or not isinstance(event, Answered | Ended):
            return ()
        attempt = attempt_of(conversation, event.attempt)
        left: list[Note] = []
        if attempt is not None and (kind := came_to(event, attempt.channel)) is not None:
            entry = Entry(now_ms, conversation.class_, attempt.channel, conversation.id, kind)
            left += self._noted(customer, attempt.address, entry, notes)
        key = wishes_note(customer)
        if isinstance(event, Answered) and key in notes:
            before = notes[key]
            address = attempt.address if attempt else None
            said = wishes.after_answer(wishes.read_wishes(before), event.word, conversation.class_, address)
            after = wishes.encode(said)
            if after != before:
                left.append(Note(key, before, after, None))
        return left

    def _asked_again(self, conversation: Conversation, notes: Notes, now_ms: int) -> Sequence[Note]:
        """A text that goes out now after all stands below those that were sent meanwhile."""
        attempt = conversation.attempts[-1]
        key = question_note(attempt.address or "")
        if attempt.channel != "sms" or key not in notes:
            return ()
        after = after_question(notes[key], conversation.customer or "", conversation.key, now_ms, conversation.class_)
        return [Note(key, notes[key], after, KEEP_MS)]

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


def _expires_ms(conversation: Conversation, plan: Plan, now_ms: int) -> int:
    """From when on there is no use in it. A question is asked once even if it comes late; what is only told is not."""
    if conversation.tells:
        return until_ms(conversation.matters)
    return max(conversation.source_ms + round(plan.patience_s * 1000), now_ms + 1)


UNKNOWN_MS = 60_000
"""How soon a customer whose record has not come is looked for again, at first; then after as long as it took so far."""


def _unknown(conversation: Conversation, now_ms: int) -> Permit:
    """Of a payment people ask at once. What is only told waits for the customer's record: topics keep no order among
    each other."""
    if not conversation.tells:
        return Permit(Barred("unknown_customer"))
    until = now_ms + max(UNKNOWN_MS, now_ms - conversation.source_ms)
    if until >= until_ms(conversation.matters):
        return Permit(Barred("expired by unknown_customer"))
    return Permit(Deferred(until, "unknown_customer"))

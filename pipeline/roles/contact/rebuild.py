"""The contact store made again from what the topics tell, after it was lost.

What the records leave open is decided for the customer's peace: an attempt of which nobody knows what became is asked
about at its provider before anything else is done; an alert that a record speaks of counts as taken in. Records that a
transition should have left and that are on no topic are put into the outbox again, under their old ids. The positions in
`decisions` are written last: up to the first decision of which no record speaks, which will be taken in. Of what is only
told see `rebuild_requests`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.core.conversation import (
    OPEN,
    Acknowledged,
    Answered,
    Conversation,
    Event,
    encode,
    heard_elsewhere,
)
from pipeline.core.course import advance
from pipeline.core.ladders import Plans
from pipeline.core.matters import Requested
from pipeline.core.rebuild import Retold, Transition, retold
from pipeline.core.rebuild_events import LOST, Known
from pipeline.core.records import CardCommand
from pipeline.core.requests import begun, contact_of
from pipeline.core.verification import PROVEN, begin
from pipeline.ports_contact import Change, Note, OutboxEntry, ReadUpTo
from pipeline.roles.contact.ledger import RECENT_MS, WISHES, Asks, Ledger, Wish
from pipeline.roles.contact.outbox import entries
from pipeline.roles.contact.rebuild_notes import Directory, agendas, notes
from pipeline.roles.contact.rebuild_requests import (
    NotBegun,
    is_notice,
    joined_to,
    not_begun,
    notice_told,
    request_told,
    steps_of,
    still_to_hear,
)

UNRECORDED = 1000
"""Versions a conversation may have had beyond those on record: their ids are not used a second time."""
HOUR_MS = 3_600_000


class Again(NamedTuple):
    """One conversation to be put back, and for how long it is kept if it has ended."""

    change: Change
    conversation: Conversation
    keep_ms: int


class Restored(NamedTuple):
    """All that has to be written. ``again``: decisions that no record speaks of, to be taken in; ``doubtful``: those of
    which the records may have been deleted, left alone; ``requests`` and ``requests_doubtful``: the same of requests, the
    former begun here; ``lost``: contacts with something to tell that no topic tells any more, cancelled; ``forgotten``:
    ended so long ago that nobody needs to know; ``unclear``: of a transition of these only the outcome is known;
    ``nameless``: nobody knows any more whose card or which alert it was about."""

    conversations: Sequence[Again]
    notes: Sequence[Note]
    positions: dict[int, ReadUpTo]
    again: int
    doubtful: int
    requests: int
    requests_doubtful: int
    lost: int
    forgotten: int
    unclear: int
    nameless: int


def restored(ledger: Ledger, plans: Plans, now_ms: int) -> Restored:
    """What the records make of an empty store at ``now_ms``."""
    every = told(ledger, plans)
    positions, waiting, doubtful, behind = _positions(ledger, every)
    unheard = not_begun(ledger, every, plans, now_ms)
    directory = Directory(ledger)
    found = [_again(ledger, one, plans, directory, now_ms, behind) for one in every]
    kept = [one for one in found if one is not None]
    kept += [again for one in kept for again in _joined(one, plans)]
    kept += [_begun(one, plans, directory, now_ms) for one in unheard.sure]
    kept.sort(key=lambda one: (not one.change.open, one.keep_ms))
    wished = [*ledger.wishes, *_wishes_still_to_take(ledger, every, plans)]
    remade = (each for one in every for each in one.remade)
    planned = (one.conversation for one in kept)
    return Restored(
        conversations=kept,
        notes=[
            *notes(remade, wished, ledger.events, directory, plans.asking.exempt_s, now_ms),
            *agendas(planned, directory, now_ms),
        ],
        positions=positions,
        again=waiting,
        doubtful=doubtful,
        requests=len(unheard.sure),
        requests_doubtful=unheard.doubtful,
        lost=sum(
            any(matter.over == LOST for matter in one.conversation.matters) and bool(one.change.outbox) for one in kept
        ),
        forgotten=sum(one is None for one in found),
        unclear=sum(one.unclear > 0 for one in every),
        nameless=ledger.conversations - len(every),
    )


def told(ledger: Ledger, plans: Plans) -> list[Retold]:
    """Every conversation of which is known whom it is with and what it is about, as its records tell it."""
    every = [_told(ledger, contact, transitions, plans) for contact, transitions in ledger.contacts_told()]
    return [one for one in every if one is not None and (one.conversation.alerts or one.conversation.matters)]


def _told(ledger: Ledger, contact: str, transitions: Sequence[Transition], plans: Plans) -> Retold | None:
    """The conversation as its records tell it; None where nobody knows the card, or the customer."""
    asks, steps = ledger.by_contact.get(contact), steps_of(transitions)
    if asks is not None and is_notice(asks, steps):
        return notice_told(contact, asks, ledger, transitions, plans)
    if contact in ledger.requests or (steps and "alert" not in steps[0].subject):
        return request_told(contact, ledger, transitions, plans)
    card = asks.card if asks is not None else ledger.card_of.get(contact)
    if card is None:
        return None
    source_ms = asks.source_ms if asks is not None else next(iter(transitions[0].told.values())).at_ms
    beginning = begin(contact, card, ledger.customer_of.get(contact), source_ms)
    return retold(beginning, transitions, Known(ledger.alerts.get(card, {})), plans.asking)


def _positions(ledger: Ledger, told: Sequence[Retold]) -> "_Positions":
    """Decisions are taken in in their order: behind the last that was, none is; before it, only those may be missing
    whose records had no time to leave. Of older ones, and of all from before the oldest step, nobody can tell."""
    taken = {(one.conversation.card, name) for one in told for name in _taken_in(one.conversation)}
    from_ms = max(ledger.since_ms, ledger.whole_from_ms)
    positions = dict(ledger.positions)
    waiting, doubtful, behind = 0, 0, set[tuple[str, str]]()
    for partition, every in ledger.asks.items():
        last = max((place for place, asks in enumerate(every) if _name(asks) in taken), default=-1)
        new = [(place, asks) for place, asks in enumerate(every) if _name(asks) not in taken]
        sure = [
            asks
            for place, asks in new
            if asks.source_ms >= from_ms and (place > last or asks.source_ms >= ledger.newest_ms - RECENT_MS)
        ]
        doubtful += sum(asks.source_ms >= ledger.since_ms for _, asks in new) - len(sure)
        if sure:
            positions[partition] = sure[0].at
            waiting += len({_name(asks) for asks in sure})
            behind.update(_name(asks) for asks in every if asks.at > sure[0].at)
    return _Positions(positions, waiting, doubtful, behind)


class _Positions(NamedTuple):
    """Where each partition of `decisions` goes on: at the first that was not taken in. ``waiting``: how many were not;
    ``doubtful``: how many of which nobody can tell; ``behind``: card and alert of all that will be read again."""

    positions: dict[int, ReadUpTo]
    waiting: int
    doubtful: int
    behind: set[tuple[str, str]]


def _taken_in(conversation: Conversation) -> list[str]:
    """The alerts that it takes in: those it asks about, and one of which it tells."""
    told = (matter.id for matter in conversation.matters if matter.about == "alert")
    return [*(alert.id for alert in conversation.alerts), *told]


def _name(asks: Asks) -> tuple[str, str]:
    return asks.card, asks.alert.id


def _again(
    ledger: Ledger, one: Retold, plans: Plans, directory: Directory, now_ms: int, behind: set[tuple[str, str]]
) -> Again | None:
    """The conversation as it is put back; None if nobody needs to know of it."""
    conversation, plan = one.conversation, plans.of(one.conversation)
    version = one.version + UNRECORDED
    outbox = list(_missing(ledger, one))
    for event in _still_to_take(ledger, one, plans):
        advanced = advance(conversation, event, now_ms, plan)
        if advanced.refused is None:
            version += 1
            outbox += entries(conversation.id, version, advanced.effects)
            conversation = advanced.conversation
    keep_ms = round(plan.keep_s * 1000)
    if conversation.state not in OPEN:
        left_ms = keep_ms - (now_ms - one.at_ms)
        read_again = any((conversation.card, name) in behind for name in _taken_in(conversation))
        if left_ms <= 0 and not outbox and not read_again and conversation.due_ms is None:
            return None
        keep_ms = (
            max(1, -(-left_ms // HOUR_MS)) * HOUR_MS
        )  # whole hours: what is kept for equally long goes in one step
    conversation = directory.addressed(_looked_at(conversation, now_ms))
    number = ledger.numbers.get(conversation.card, 0)
    return Again(_change(conversation, outbox, version, number), conversation, keep_ms)


def _change(conversation: Conversation, outbox: Sequence[OutboxEntry], version: int, number: int = 0) -> Change:
    return Change(
        conversation.id,
        conversation.card,
        conversation.customer,
        0,
        encode(conversation),
        conversation.due_ms,
        conversation.state in OPEN,
        _taken_in(conversation),
        outbox,
        class_=conversation.class_,
        apart=conversation.tells,
        becomes=version,
        number=number,
    )


def _joined(one: Again, plans: Plans) -> Iterator[Again]:
    """What remembers the requests that joined it, for as long as it may be asked for them."""
    keep_ms = round(plans.asking.keep_s * 1000) if one.change.open else one.keep_ms
    for each in joined_to(one.conversation):
        yield Again(_change(each, (), 1), each, keep_ms)


def _begun(one: NotBegun, plans: Plans, directory: Directory, now_ms: int) -> Again:
    """A request that nobody took, planned now. What it may have left before is long deleted: its ids are not used."""
    wish, version = one.wish, UNRECORDED + 1
    contact = contact_of(wish.customer, wish.matter.id)
    begins = begun(contact, wish, directory.prefers(wish.customer), one.at_ms)
    advanced = advance(begins, Requested(wish.matter), now_ms, plans.of(begins))
    outbox = entries(contact, version, advanced.effects)
    keep_ms = round(plans.asking.keep_s * 1000)
    return Again(_change(advanced.conversation, outbox, version), advanced.conversation, keep_ms)


def _looked_at(conversation: Conversation, now_ms: int) -> Conversation:
    """With a time for everything open. Of an attempt on its way nobody knows whether the provider has it: it is asked
    now."""
    if conversation.state not in OPEN:
        return conversation
    due_ms = now_ms if conversation.due_ms is None else conversation.due_ms
    return replace(conversation, due_ms=min(due_ms, now_ms) if conversation.state == "sending" else due_ms)


def _missing(ledger: Ledger, one: Retold) -> Iterator[OutboxEntry]:
    """The records that transitions should have left and that are on no topic. A command that a later one of the card
    overtook stays away."""
    card = one.conversation.card
    for made in one.remade:
        if made.at_ms < ledger.newest_ms - RECENT_MS:
            continue
        contact = made.after.id
        published = ledger.published(contact, made.version)
        overtaken = any(
            given.version > made.version if given.contact == contact else given.at_ms > made.at_ms
            for given in ledger.commands.get(card, ())
        )
        effects = [
            None if number in published or (overtaken and isinstance(effect, CardCommand)) else effect
            for number, effect in enumerate(made.effects, made.first)
        ]
        for number, effect in enumerate(effects, made.first):
            if effect is not None:
                yield from entries(contact, made.version, [effect], number)


def _still_to_take(ledger: Ledger, one: Retold, plans: Plans) -> list[Event]:
    """Answers and acknowledgements of others that are on their topics and in no transition. What was refused once is
    refused again. Nobody can tell by now whose number an answer came from: a YES counts if app or agent prove it."""
    taken = Counter(
        (made.event.word, made.event.attempt)
        for made in one.remade
        if isinstance(made.event, Answered) and not made.event.ours
    )
    known = {alert.id for alert in one.conversation.alerts if not alert.reversed}
    events: list[Event] = [
        taken_back for taken_back in ledger.reversals.get(one.conversation.card, ()) if taken_back.alert in known
    ]
    for answer in ledger.answers.get(one.conversation.id, ()):
        said = (answer.answer, answer.attempt)
        if taken[said]:
            taken[said] -= 1
            continue
        trusted = answer.assurance in PROVEN
        events.append(heard_elsewhere(answer, trusted))
    if one.conversation.state == "releasing":
        commands = [effect for made in one.remade for effect in made.effects if isinstance(effect, CardCommand)]
        releases = [command.id for command in commands if command.command == "release"][-1:]
        results = ledger.results.get(one.conversation.id, ())
        events += [Acknowledged(result.done) for result in results if result.id in releases]
    events += still_to_hear(ledger, one, plans)
    return events


def _wishes_still_to_take(ledger: Ledger, told: Iterable[Retold], plans: Plans) -> Iterator[Wish]:
    for one in told:
        conversation = one.conversation
        for event in _still_to_take(ledger, one, plans):
            if isinstance(event, Answered) and event.word in WISHES and conversation.customer is not None:
                number = event.attempt or 0
                attempt = conversation.attempts[number - 1] if 1 <= number <= conversation.attempt else None
                to = attempt.address if attempt is not None else None
                channel = attempt.channel if attempt is not None else ""
                yield Wish(conversation.customer, event.word, channel, to, conversation.class_)

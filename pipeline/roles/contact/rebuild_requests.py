"""Contacts that tell something, made again: a request or a notice, what was made of it, and requests nobody took.

The words stand on `contact-requests` and `decisions`; that they were planned, sent and told, on `contacts`. What other
systems said of a request after the last thing on record is taken now. A request of which no record speaks begins a
contact, unless the records that told of it may have been deleted. Where a record speaks of one whose words no topic
tells any more, nothing can be told: it is cancelled, with the reason `LOST`, for its sender to ask again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.core.conversation import CHANNELS, OPEN, Channel, Conversation, Event
from pipeline.core.ladders import Plans
from pipeline.core.matters import Matter, Requested, Withdrawn, named_in, waiting
from pipeline.core.rebuild import Retold, Transition, retold
from pipeline.core.rebuild_events import LOST, Known
from pipeline.core.rebuild_telling import WITHDRAWN, later_words
from pipeline.core.records import ContactStep
from pipeline.core.requests import PATIENCE_S, BadRequest, Wanted, begun, contact_of, expired, notice_of, wanted
from pipeline.core.verification import begin
from pipeline.roles.contact.ledger import RECENT_MS, Asks, Ledger, Said

NO_NOTICE = frozenset({"exempt", "no_channel_for_notices"})
"""Why nobody was told of a payment that was only to be known."""
NO_CHANNEL: tuple[Channel, ...] = ("sms",)
"""Stands for the channels of a contact where neither a ladder nor a record names one."""


class NotBegun(NamedTuple):
    """A request of which no record speaks, in its newest words: logged when, to be planned ``now``."""

    wish: Wanted
    at_ms: int


class Unheard(NamedTuple):
    """``sure``: requests nobody took; ``doubtful``: how many of which nobody can tell."""

    sure: Sequence[NotBegun]
    doubtful: int


def steps_of(transitions: Sequence[Transition]) -> list[ContactStep]:
    """The steps on record, in their order."""
    return [told.record for each in transitions for told in each.told.values() if isinstance(told.record, ContactStep)]


def is_notice(asks: Asks | None, steps: Sequence[ContactStep]) -> bool:
    """Whether it tells of a payment, and was not just put on record."""
    return asks is not None and asks.tells and not any(step.reason in NO_NOTICE for step in steps)


def notice_told(contact: str, asks: Asks, ledger: Ledger, transitions: Sequence[Transition], plans: Plans) -> Retold:
    """A notice about a payment, as its records tell it."""
    steps, at_ms = steps_of(transitions), next(iter(transitions[0].told.values())).at_ms
    matter = notice_of(asks.alert, asks.card, at_ms, plans.asking.patience_s)
    customer = ledger.customer_of.get(contact) or asks.customer
    beginning = replace(
        begin(contact, asks.card, customer, asks.source_ms),
        channels=plans.channels("fraud") or _channels_seen(steps),
        prefers=_preferred(steps),
    )
    return retold(beginning, transitions, Known(matters={matter.id: (matter,)}), plans.of(beginning))


def request_told(contact: str, ledger: Ledger, transitions: Sequence[Transition], plans: Plans) -> Retold | None:
    """A request and what joined it, as their records tell it; None where nobody knows whose."""
    steps, customer = steps_of(transitions), ledger.customer_of.get(contact)
    class_ = next((known for known in PATIENCE_S if steps and known == steps[0].class_), None)
    if customer is None or class_ is None:
        return None
    own = wishes_of(ledger.requests.get(contact, ()), plans)
    names = [own[0].matter.id] if own else []
    names += [name for step in steps for name in (*step.covers, *named_in(step))]
    matters: Mapping[str, Sequence[Matter]] = {
        name: tuple(wish.matter for wish in wishes_of(ledger.requests.get(contact_of(customer, name), ()), plans))
        for name in dict.fromkeys(names)
    }
    prefers = _preferred(steps)
    if own:
        beginning = begun(contact, own[0], prefers, own[0].matter.said_ms)
    else:
        beginning = replace(
            begin(contact, "", customer, next(iter(transitions[0].told.values())).at_ms),
            class_=class_,
            channels=plans.channels(class_) or _channels_seen(steps),
            prefers=prefers,
        )
    return retold(beginning, transitions, Known(matters=matters), plans.of(beginning))


def wishes_of(said: Iterable[Said], plans: Plans) -> list[Wanted]:
    """What was asked for, one after the other; what could not be met is left out."""
    found = []
    for each in said:
        if each.request.withdrawn:
            continue
        try:
            found.append(wanted(each.request, each.at_ms, each.at_ms, plans))
        except BadRequest:
            continue  # taken back, or in the dead letters
    return found


def still_to_hear(ledger: Ledger, one: Retold, plans: Plans) -> Iterator[Event]:
    """What became of the requests after the last thing on record; what was heard before is refused once more."""
    conversation = one.conversation
    for matter in conversation.matters:
        if matter.about == "alert":
            continue
        every = ledger.requests.get(contact_of(conversation.customer or "", matter.id), ())
        newer = later_words([wish.matter for wish in wishes_of(every, plans)], matter)
        yield from (Requested(words) for words in newer if words.said_ms >= one.at_ms)
        if (reason := taken_back(every)) is not None:
            yield Withdrawn(reason, matter.id)
    if conversation.state in OPEN and conversation.state != "escalated":
        yield from (Withdrawn(LOST, matter.id) for matter in waiting(conversation.matters) if not matter.template)


def taken_back(said: Iterable[Said]) -> str | None:
    """Why the request of these records need not be told any more; None while it has to be."""
    for each in said:
        if each.request.withdrawn or expired(each.request, each.at_ms):
            return each.request.withdrawn or WITHDRAWN
    return None


def joined_to(conversation: Conversation) -> Iterator[Conversation]:
    """What remembers where the requests that joined are told."""
    for matter in conversation.matters:
        contact = contact_of(conversation.customer or "", matter.id)
        if matter.about != "alert" and contact != conversation.id:
            wish = Wanted(conversation.customer or "", conversation.class_, matter, conversation.channels)
            yield replace(begun(contact, wish, "", 0), state="cancelled", into=conversation.id)


def not_begun(ledger: Ledger, told: Sequence[Retold], plans: Plans, now_ms: int) -> Unheard:
    """Requests that no record speaks of and that are still worth telling. As with decisions: behind the last that was
    taken, none was; before it, only those may be missing whose records had no time to leave: others were refused. Of one
    whose records may have been deleted it is sure only if it could not be told before."""
    taken = {one.conversation.id for one in told} | ledger.all_contacts()
    for one in told:
        customer = one.conversation.customer or ""
        taken |= {contact_of(customer, matter.id) for matter in one.conversation.matters if matter.about != "alert"}
    last: dict[int, int] = {}
    for contact in taken.intersection(ledger.requests):
        for said in ledger.requests[contact]:
            last[said.partition] = max(last.get(said.partition, -1), said.offset)
    sure, doubtful = list[NotBegun](), 0
    for contact, every in ledger.requests.items():
        if contact in taken or taken_back(every) is not None:
            continue
        wishes = wishes_of(every, plans)
        if not wishes or (wish := wishes[-1]).matter.until_ms <= now_ms:
            continue
        said = every[0]
        if said.at_ms < ledger.whole_from_ms:  # that it was planned may be deleted, that it was told may not
            sure_of_it = wish.matter.from_ms >= ledger.whole_from_ms
        else:
            sure_of_it = said.offset > last.get(said.partition, -1) or said.at_ms >= ledger.newest_ms - RECENT_MS
        if sure_of_it:
            sure.append(NotBegun(wish, said.at_ms))
        else:
            doubtful += 1
    return Unheard(sure, doubtful)


def _preferred(steps: Sequence[ContactStep]) -> str:
    return next((step.prefers for step in steps if step.prefers), "")


def _channels_seen(steps: Sequence[ContactStep]) -> tuple[Channel, ...]:
    seen = {step.channel for step in steps if step.step == "sending"}
    return tuple(name for name in CHANNELS if name in seen) or NO_CHANNEL

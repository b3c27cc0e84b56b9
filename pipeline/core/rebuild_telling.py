"""Which events may have left a record of a conversation that tells: what `telling_effects` does, read backwards.

As in `rebuild_events`, in the order of likelihood. What was to be told stands on the topic it was asked for on, not on
`contacts`: of a matter that is found nowhere any more only the name is known. Its template is empty.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from pipeline.core.conversation import (
    Absent,
    Barred,
    CallBackMissed,
    Claimed,
    Conversation,
    Delivered,
    Ended,
    Event,
    HandOverEnded,
    Silent,
    Unasked,
)
from pipeline.core.matters import About, Matter, Requested, Withdrawn, named_in, waiting
from pipeline.core.rebuild_events import EVENTS, Found, Guess, Published, of_attempt
from pipeline.core.records import Answer, Bill, ContactStep

WITHDRAWN = "withdrawn"
"""Why a request is not told that was taken back by who made it."""
NEW_WORDS = (None, "joined", "replaced")
"""Reasons with which a matter is planned, not the next attempt."""


def events(found: Found) -> Iterator[Event]:
    """What may have happened."""
    match found.told[0]:
        case ContactStep() as step:
            yield from _EVENTS[step.step](found, step)
        case Answer() as answer:
            yield from found.answered(answer.answer)


def lost_matter(step: ContactStep, name: str) -> Matter:
    """All that is known of a matter whose words no topic tells."""
    abouts: Mapping[str, About] = {"statement": "statement", "alert": "alert"}
    about: About = next((abouts[kind] for kind in step.subject if kind in abouts), "request")
    bill = None
    if about == "statement":
        bill = Bill(step.account or "", step.subject["statement"], step.stage or "")
    return Matter(id=name, about=about, template="", until_ms=0, bill=bill)


def with_matters(
    conversation: Conversation, record: Published, matters: Mapping[str, Sequence[Matter]]
) -> Conversation:
    """The conversation with the matters that ``record`` speaks of; ``matters``: their words by name, in the order in which
    they came, those that it began with first."""
    if not isinstance(record, ContactStep):
        return conversation
    names = list(record.covers) if record.step == "sending" else list(named_in(record))
    if record.step == "planned" and record.reason in NEW_WORDS:
        names = names if record.reason == "replaced" else []
        if record.reason == "joined":
            names = list(matters)[:1]
    known = {each.id for each in conversation.matters}
    missing = [
        next(iter(matters.get(name, ())), None) or lost_matter(record, name)
        for name in dict.fromkeys(names)
        if name not in known
    ]
    return replace(conversation, matters=(*conversation.matters, *missing))


def later_words(words: Sequence[Matter], known: Matter) -> Sequence[Matter]:
    """Those of ``words`` that came after the ``known`` ones, which may be none of them."""
    same = [place for place, matter in enumerate(words) if matter == replace(known, over="")]
    return words[same[-1] + 1 :] if same else [matter for matter in words if matter.said_ms > known.said_ms]


def _planned(found: Found, step: ContactStep) -> Iterator[Event]:
    known = {each.id: each for each in found.before.matters}
    for name in named_in(step):
        words = found.matters.get(name) or (lost_matter(step, name),)
        yield from map(Requested, later_words(words, known[name]) if name in known else words)


def _cancelled(found: Found, step: ContactStep) -> Iterator[Event]:
    reason = step.reason or ""
    names = [name for name in named_in(step) if any(each.id == name for each in found.before.matters)]
    gone = [Withdrawn(reason, name) for name in names]
    if reason != WITHDRAWN:
        yield Barred(reason)
    yield from gone
    yield from (Withdrawn(reason), Barred(reason))


def _expired(found: Found, step: ContactStep) -> Iterator[Event]:
    if (sent := found.step("sending")) is not None:
        yield from EVENTS["sending"](found, sent)  # what had become useless is not told with the others
        return
    number, reason = of_attempt(found, step), step.reason or ""
    match reason:
        case "nobody_took_over":
            yield HandOverEnded()
        case "calls_used_up":
            yield Claimed()
        case "provider_silent":
            yield from (Unasked(number), Absent(number))
    yield from (Barred(reason), Ended(number, reason), Silent(number))


def _completed(found: Found, step: ContactStep) -> Iterator[Event]:
    number, reason = of_attempt(found, step), step.reason or ""
    if reason == "delivered":
        yield Delivered(number, step.call or "")
    elif reason == "accepted":
        yield Silent(number)
    yield Ended(number, reason)


def _escalated(found: Found, step: ContactStep) -> Iterator[Event]:
    yield CallBackMissed()


_EVENTS: Mapping[str, Guess] = {
    **EVENTS,
    "planned": _planned,
    "cancelled": _cancelled,
    "expired": _expired,
    "completed": _completed,
    "escalated": _escalated,
}


def covering(conversation: Conversation) -> tuple[str, ...]:
    """What an attempt that no record tells of was about."""
    return tuple(each.id for each in waiting(conversation.matters)) if conversation.tells else conversation.unsettled

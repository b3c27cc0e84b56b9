"""A conversation told again from the records it left on the topics, for a store that was lost.

The theory. A record's id names the conversation, its version and the record's place among the effects of one
transition. The machine of `verification` is the only one who makes such records, so the records of a transition are put
together again, the events that may have left them are tried in turn (`rebuild_events`, `rebuild_telling`), and the first
whose effects are those found is what happened: the conversation is advanced by it. Where today's plan would have led
elsewhere (a ladder that became shorter), the records are right, not the plan (`rebuild_machines`). Where a transition is missing altogether, what it must have
led to is presumed; where nothing fits, the last record says in which state the conversation is.

So any records make some conversation, and the records of a whole one make the very conversation it was, but for: how
often its provider was asked about the present attempt (``asks``) and the next time that followed from it, because a
question to a provider that changes nothing leaves no record; its dossier's hash; the digests of its addresses, of which
records tell two digits; under whom the present attempt counts for what is learned.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple, get_args

from msgspec.structs import replace

from pipeline.core import rebuild_telling
from pipeline.core.contact_facts import moment_ms
from pipeline.core.contacting import Effect
from pipeline.core.conversation import (
    CHANNELS,
    OPEN,
    Alert,
    Attempt,
    Claimed,
    Conversation,
    Event,
    Raised,
    State,
)
from pipeline.core.matters import Requested, named_in
from pipeline.core.plan import Plan
from pipeline.core.rebuild_events import LOST, Found, Known, Published
from pipeline.core.rebuild_machines import WAYS
from pipeline.core.records import Answer, CardCommand, ContactStep, Label
from pipeline.core.verification import Advanced

PRESUMED: Mapping[str, State] = {
    "deferred": "planned",
    "sending": "planned",
    "accepted": "sending",
    "delivered": "ringing",
    "unknown": "sending",
    "failed": "ringing",
    "completed": "releasing",
    "expired": "escalated",
}
"""The state in which a step is made, where the records before it do not say so."""
PRESUMED_TELLING: Mapping[str, State] = {**PRESUMED, "completed": "ringing", "expired": "planned"}
LEADS_TO: Mapping[str, State] = {
    "planned": "planned",
    "deferred": "planned",
    "sending": "sending",
    "accepted": "ringing",
    "delivered": "ringing",
    "unknown": "unknown",
    "failed": "planned",
    "escalated": "escalated",
    "cancelled": "cancelled",
    "expired": "expired",
}
"""The state a step leads to, whatever was before it. (After "completed" its reason says it, "answered" says nothing.)"""
Strictness = Literal["whole", "exact", "loose"]
STRICTNESS: Sequence[Strictness] = ("whole", "exact", "loose")
"""How closely an event has to account for the records, tried in this order: no step of its own is missing; the steps agree
whether that was the end (records of earlier versions do not say); neither."""
MOST_ATTEMPTS = 100
"""A record that speaks of more than so many attempts is not believed."""


class Told(NamedTuple):
    """A record of a transition. ``at_ms``: when that was, as far as the record says."""

    record: Published
    at_ms: int


class Transition(NamedTuple):
    """The records found of the transition to ``version``, by their place among its effects."""

    version: int
    told: Mapping[int, Told]


class Remade(NamedTuple):
    """A transition as it must have been. ``first``: the place of its first effect, above 0 where several transitions
    were stored in one step."""

    version: int
    first: int
    at_ms: int
    event: Event
    before: Conversation
    after: Conversation
    effects: Sequence[Effect]


class Retold(NamedTuple):
    """``version``: the highest a record names; ``at_ms``: when the last transition was; ``unclear``: transitions of which
    only the outcome is known."""

    conversation: Conversation
    version: int
    at_ms: int
    remade: Sequence[Remade]
    unclear: int


def retold(beginning: Conversation, transitions: Sequence[Transition], known: Known, plan: Plan) -> Retold:
    """The conversation that ``beginning`` (no alert, no matter yet) became."""
    conversation, remade, unclear, version, at_ms = beginning, list[Remade](), 0, 0, 0
    for version, told in sorted(transitions, key=lambda transition: transition.version):
        left, first = dict(sorted(told.items())), 0
        at_ms = max([at_ms, *(each.at_ms for each in told.values())])
        while left:
            one = _remade(conversation, version, left, first, known, plan)
            if one is None:
                conversation = _as_told(conversation, left, known)
                unclear += 1
                break
            remade.append(one)
            conversation, first = one.after, first + len(one.effects)
            left = {number: each for number, each in left.items() if number >= first}
    return Retold(conversation, version, at_ms, remade, unclear)


def _remade(
    conversation: Conversation,
    version: int,
    left: Mapping[int, Told],
    first: int,
    known: Known,
    plan: Plan,
) -> Remade | None:
    """The first of the events that may have been whose effects, from the place ``first`` on, are the records left."""
    earliest = next(iter(left.values()))
    records = [told.record for told in left.values()]
    beginnings = [conversation]
    if (presumed := _presumed(conversation, earliest.record, known)) != conversation:
        beginnings.append(presumed)
    found = [Found(records, before, known, plan, earliest.at_ms) for before in beginnings]
    for strictness, way in product(STRICTNESS, WAYS):
        for each in found:
            for event in rebuild_telling.events(each) if each.before.tells else each.events():
                for advanced in way(each.before, event, earliest.at_ms, plan):
                    if _fits(event, advanced, left, first, strictness):
                        after = _corrected(advanced.conversation, event, left, first + len(advanced.effects))
                        return Remade(version, first, earliest.at_ms, event, each.before, after, advanced.effects)
    return None


def _fits(event: Event, advanced: Advanced, left: Mapping[int, Told], first: int, strictness: Strictness) -> bool:
    """Whether every record left is one of the effects. Alerts are taken in several at a time, the first attempt with
    them or with a notice: behind one of theirs there may be more."""
    effects = advanced.effects
    end = first + len(effects)
    here = [number for number in left if number < end]
    if advanced.refused or not here or (len(here) < len(left) and not isinstance(event, Raised | Requested)):
        return False
    lacking = any(
        isinstance(effect, ContactStep) and number not in left for number, effect in enumerate(effects, first)
    )
    if lacking and strictness == "whole":
        return False
    return all(_alike(effects[number - first], left[number].record, strictness != "loose") for number in here)


def _alike(effect: Effect, record: Published, to_the_end: bool) -> bool:
    match effect, record:
        case ContactStep(), ContactStep():
            if effect.step in ("planned", "cancelled") and named_in(effect) != named_in(record):
                return False
            if to_the_end and (effect.due is None) != (record.due is None):
                return False
            same = (effect.step, effect.reason, effect.attempt, effect.answer)
            return same == (record.step, record.reason, record.attempt, record.answer)
        case CardCommand(), CardCommand():
            return (effect.command, effect.alert) == (record.command, record.alert)
        case Label(), Label():
            return (effect.transaction, effect.fraud) == (record.transaction, record.fraud)
        case Answer(), Answer():
            return (effect.answer, effect.attempt) == (record.answer, record.attempt)
    return False


def _corrected(after: Conversation, event: Event, left: Mapping[int, Told], end: int) -> Conversation:
    """``after`` with what the records say and the plan might by now say otherwise."""
    steps = [told.record for number, told in left.items() if number < end and isinstance(told.record, ContactStep)]
    if isinstance(event, Claimed) and after.state == "sending" and steps:
        attempt = after.attempts[-1]
        channel = next((name for name in CHANNELS if name == steps[-1].channel), attempt.channel)
        attempt = replace(attempt, channel=channel, covers=tuple(steps[-1].covers) or attempt.covers)
        after = replace(after, attempts=(*after.attempts[:-1], attempt))
    return replace(after, due_ms=_due(steps, after.due_ms)) if after.state in OPEN else after


def _due(steps: Sequence[ContactStep], otherwise: int | None) -> int | None:
    """The time that the last of ``steps`` names."""
    named = moment_ms(steps[-1].due) if steps and steps[-1].due else None
    return otherwise if named is None else named


def _presumed(conversation: Conversation, record: Published, known: Known) -> Conversation:
    """The conversation as it must have been for ``record`` to be made: with the alerts or matters and the attempts it
    speaks of."""
    if conversation.tells:
        assumed, states = rebuild_telling.with_matters(conversation, record, known.matters), PRESUMED_TELLING
    else:
        there = {alert.id for alert in conversation.alerts}
        missing = [known.alerts.get(name, Alert(id=name)) for name in _speaks_of(record) if name not in there]
        assumed, states = replace(conversation, alerts=(*conversation.alerts, *missing)), PRESUMED
    if not isinstance(record, ContactStep) or not (assumed.alerts or assumed.matters):
        return assumed
    wanted = min(record.attempt or assumed.attempt, MOST_ATTEMPTS)
    again = record.step == "sending" and wanted == assumed.attempt
    if record.step == "sending" and not again:
        wanted -= 1
    channel = next((name for name in CHANNELS if name == record.channel), CHANNELS[0])
    lost = Attempt(covers=rebuild_telling.covering(assumed), channel=channel, address=LOST)
    attempts = (*assumed.attempts, *[lost] * (wanted - assumed.attempt))
    state = "sending" if again else states.get(record.step, assumed.state)
    return replace(assumed, attempts=attempts, state=state)


def _speaks_of(record: Published) -> Sequence[str]:
    """The alerts that must have been raised before ``record``."""
    match record:
        case ContactStep(step="planned" | "cancelled", reason=None | "joined" | "exempt"):
            return ()
        case ContactStep(covers=covers, subject={"alert": alert}):
            return covers or (alert,)
        case CardCommand(command="release" | "block", alert=str(alert)):
            return (alert,)
        case Label(transaction=alert):
            return (alert,)
    return ()


def _as_told(conversation: Conversation, left: Mapping[int, Told], known: Known) -> Conversation:
    """The state that the last step says. Where there is none, only a command or a label, people are to look."""
    steps = [told.record for told in left.values() if isinstance(told.record, ContactStep)]
    at_ms = max(told.at_ms for told in left.values())
    for told in left.values():
        conversation = _presumed(conversation, told.record, known)
    state: State = "escalated"
    if steps and steps[-1].step == "completed" and conversation.tells:
        state = "completed"
    elif steps and steps[-1].step == "completed":
        state = next((name for name in get_args(State) if name == steps[-1].reason), "released")
    elif steps:
        state = LEADS_TO.get(steps[-1].step, conversation.state)
    if state in ("sending", "unknown", "ringing") and not conversation.attempts:
        state = "escalated"
    return replace(conversation, state=state, due_ms=_due(steps, at_ms) if state in OPEN else conversation.call_back_ms)

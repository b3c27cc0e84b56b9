"""A conversation that tells, told again from its records, is the one it was; from some of them it is still one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_telling_machine import PEOPLE, PLAN, begun, events_for, matter

from pipeline.core.conversation import Claimed, Conversation, Event, Refused
from pipeline.core.course import advance
from pipeline.core.matters import Requested, Withdrawn, waiting
from pipeline.core.plan import Plan, Rung
from pipeline.core.rebuild import Retold, Told, Transition, retold
from pipeline.core.rebuild_events import Known
from pipeline.core.records import Answer, ContactStep

RECORDS = (ContactStep, Answer)
REWORDED = {"variables": {"due": "2026-01-01"}, "said_ms": 1}
KNOWN = Known(matters={name: (matter(name), matter(name, **REWORDED)) for name in ("a", "b")})
MARKED = msgspec.structs.replace(
    PLAN, ladder=(Rung(channel="sms", wait_s=300, learn=True), Rung(channel="voice", tries=2, learn=True))
)


class Play(NamedTuple):
    """A conversation, and the records that each transition left."""

    conversation: Conversation
    transitions: list[Transition]
    told_last: bool
    class_: str
    plan: Plan

    def retold(self, plan: Plan | None = None) -> Retold:
        return retold(begun(self.class_), self.transitions, KNOWN, plan or self.plan)


def possible(conversation: Conversation, plan: Plan) -> Iterator[Event]:
    """What is taken back is so under one name: nobody can tell a gate's refusal from a withdrawal of the same name. Of a
    matter the first words come first."""
    known = {each.id for each in conversation.matters}
    for event in events_for(conversation, plan):
        if isinstance(event, Requested) and event.matter.said_ms and event.matter.id not in known:
            continue
        if isinstance(event, Claimed) and plan is MARKED and not conversation.attempts:
            event = msgspec.structs.replace(event, order=(1, 0), cohort="reminder/CN/zh/1/")
        yield Withdrawn("withdrawn", event.matter) if isinstance(event, Withdrawn) else event


def played(class_: str, plan: Plan, choices: Sequence[int]) -> Play:
    """Of the events that could come, the chosen ones come."""
    conversation, transitions, told_last = begun(class_), list[Transition](), True
    for number, choice in enumerate(choices):
        events = list(possible(conversation, plan)) if number else [Requested(matter())]
        advanced = advance(conversation, events[choice % len(events)], 1000 * number, plan)
        if advanced.refused is None:
            conversation = advanced.conversation
            told = {
                place: Told(effect, 1000 * number)
                for place, effect in enumerate(advanced.effects)
                if isinstance(effect, RECORDS)
            }
            told_last = bool(told)
            transitions.append(Transition(len(transitions) + 1, told))
    return Play(conversation, [one for one in transitions if one.told], told_last, class_, plan)


PLAYS = st.builds(
    played,
    st.sampled_from(("reminder", "collection", "fraud")),
    st.sampled_from((PLAN, PEOPLE, MARKED)),
    st.lists(st.integers(0, 10_000), min_size=1, max_size=30),
)


def but_for_what_is_lost(conversation: Conversation) -> Conversation:
    return msgspec.structs.replace(conversation, asks=0, due_ms=None, proof="", cohort="")


@settings(max_examples=300, deadline=None)
@given(PLAYS)
def test_records_tell_the_conversation_they_came_from(play: Play) -> None:
    again = play.retold()
    assert again.unclear == 0
    assert but_for_what_is_lost(again.conversation) == but_for_what_is_lost(play.conversation)
    if play.told_last:
        assert again.conversation.due_ms == play.conversation.due_ms
    told = {one.version: dict(one.told) for one in play.transitions}
    for one in again.remade:
        for place, effect in enumerate(one.effects, one.first):
            if isinstance(effect, RECORDS):
                assert type(told[one.version][place].record) is type(effect), "a record nobody made would be made anew"


@settings(max_examples=150, deadline=None)
@given(PLAYS)
def test_another_plan_changes_nothing_in_what_has_happened(play: Play) -> None:
    shorter = msgspec.structs.replace(play.plan, ladder=(Rung(channel="voice"),), attempts=1, asks=1)
    again = play.retold(shorter).conversation
    assert again.state == play.conversation.state
    assert [attempt.covers for attempt in again.attempts] == [attempt.covers for attempt in play.conversation.attempts]
    assert again.matters == play.conversation.matters


@settings(max_examples=300, deadline=None)
@given(PLAYS, st.data())
def test_whatever_records_are_missing_no_attempt_is_forgotten(play: Play, data: st.DataObject) -> None:
    transitions = []
    for one in play.transitions:
        kept = data.draw(st.sets(st.sampled_from(sorted(one.told))))
        transitions.append(one._replace(told={place: one.told[place] for place in kept}))
    left = [one for one in transitions if one.told]
    again = retold(begun(play.class_), left, KNOWN, play.plan).conversation
    steps = [told.record for one in left for told in one.told.values() if isinstance(told.record, ContactStep)]
    assert again.attempt >= max((step.attempt or 0 for step in steps if step.step == "sending"), default=0)
    assert again.state not in ("sending", "unknown", "ringing") or again.attempts
    if any(step.step == "planned" for step in steps):
        assert again.matters


def test_the_order_of_a_ladder_that_was_learned_is_climbed_on() -> None:
    """The plan's order has the text first. The call was first here, and failed: the text is next, not a second call."""
    conversation, transitions = begun(), []
    events: tuple[Event, ...] = (
        Requested(matter()),
        Claimed(0, "d", order=(1, 0), cohort="x"),
        Refused(1, True, "rejected"),
    )
    for number, event in enumerate(events):
        conversation, effects, _ = advance(conversation, event, 1000 * number, MARKED)
        told = {
            place: Told(effect, 1000 * number) for place, effect in enumerate(effects) if isinstance(effect, RECORDS)
        }
        transitions.append(Transition(number + 1, told))
    again = retold(begun(), transitions, KNOWN, MARKED).conversation
    assert (again.order, again.rung, again.attempts[0].channel) == ((1, 0), 1, "voice")
    assert advance(again, Claimed(again.rung), 9000, MARKED).conversation.attempts[-1].channel == "sms"
    assert waiting(again.matters)

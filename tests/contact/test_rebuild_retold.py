"""A conversation told again from its records is the one it was; from some of them, or from nonsense, it is still one."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_verification_machine import ACKNOWLEDGES, HOLD, KEEPS, LADDER, PLAN, RELEASES, events_for

from pipeline.core.conversation import (
    OPEN,
    Alert,
    Answered,
    Conversation,
    Event,
    decode,
    encode,
)
from pipeline.core.plan import Plan, Rung
from pipeline.core.rebuild import Retold, Told, Transition, retold
from pipeline.core.rebuild_events import Known
from pipeline.core.records import Answer, CardCommand, ContactStep, Label
from pipeline.core.verification import advance, begin

PLANS = (PLAN, LADDER, RELEASES, KEEPS, ACKNOWLEDGES)
BEGINNING = begin("ct_1", "tok_1", "cu1", 0)
RECORDS = (ContactStep, CardCommand, Label, Answer)


class Play(NamedTuple):
    """A conversation, and the records that each transition left."""

    conversation: Conversation
    transitions: list[Transition]
    told_last: bool
    plan: Plan

    @property
    def alerts(self) -> dict[str, Alert]:
        return {
            alert.id: msgspec.structs.replace(alert, verdict=None, labels=0, reversed=False)
            for alert in self.conversation.alerts
        }

    def retold(self, plan: Plan | None = None) -> Retold:
        return retold(BEGINNING, self.transitions, Known(self.alerts), plan or self.plan)


def played(plan: Plan, choices: Sequence[int]) -> Play:
    """Of the events that could come, the chosen ones come."""
    conversation, transitions, told_last = BEGINNING, list[Transition](), True
    for number, choice in enumerate(choices):
        possible: list[Event] = list(events_for(conversation, plan.ladder)) if number else [HOLD]
        advanced = advance(conversation, possible[choice % len(possible)], 1000 * number, plan)
        if advanced.refused is None:
            conversation = advanced.conversation
            told = {
                place: Told(effect, 1000 * number)
                for place, effect in enumerate(advanced.effects)
                if isinstance(effect, RECORDS)
            }
            told_last = bool(told)
            transitions.append(Transition(len(transitions) + 1, told))
    return Play(conversation, [one for one in transitions if one.told], told_last, plan)


PLAYS = st.builds(played, st.sampled_from(PLANS), st.lists(st.integers(0, 10_000), min_size=1, max_size=30))


def but_for_what_is_lost(conversation: Conversation) -> Conversation:
    """A reversal leaves no record of ours: the decisions tell of it."""
    alerts = tuple(msgspec.structs.replace(alert, reversed=False) for alert in conversation.alerts)
    return msgspec.structs.replace(conversation, alerts=alerts, asks=0, due_ms=None, proof="")


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
    """One rung, one try, one question: what the records tell went further."""
    shorter = msgspec.structs.replace(play.plan, ladder=(Rung(channel="voice"),), attempts=1, asks=1, acknowledge_s=0)
    again = play.retold(shorter).conversation
    assert again.state == play.conversation.state
    assert [attempt.covers for attempt in again.attempts] == [attempt.covers for attempt in play.conversation.attempts]
    assert but_for_what_is_lost(again).alerts == but_for_what_is_lost(play.conversation).alerts
    if play.told_last:
        assert again.due_ms == play.conversation.due_ms


@settings(max_examples=300, deadline=None)
@given(PLAYS, st.data())
def test_whatever_records_are_missing_no_attempt_is_forgotten(play: Play, data: st.DataObject) -> None:
    transitions = []
    for one in play.transitions:
        kept = data.draw(st.sets(st.sampled_from(sorted(one.told))))
        transitions.append(one._replace(told={place: one.told[place] for place in kept}))
    left = [one for one in transitions if one.told]
    again = retold(BEGINNING, left, Known(play.alerts), play.plan).conversation
    check(again)
    steps = [told.record for one in left for told in one.told.values() if isinstance(told.record, ContactStep)]
    assert again.attempt >= max((step.attempt or 0 for step in steps if step.step == "sending"), default=0)


STEPS = st.builds(
    ContactStep,
    contact=st.just("ct_1"),
    subject=st.sampled_from([{"alert": "a"}, {"alert": "z"}, {}]),
    customer=st.just("cu1"),
    class_=st.just("fraud"),
    step=st.sampled_from(msgspec.inspect.type_info(ContactStep).fields[4].type.values),  # type: ignore[attr-defined]
    time=st.just("2026-03-02T02:00:00Z"),
    channel=st.sampled_from([None, "voice", "sms", "pigeon"]),
    attempt=st.sampled_from([None, 0, 1, 2, 7, -3, 10**9]),
    reason=st.sampled_from([None, "joined", "lost", "busy", "refused", "no_answer", "later", "retry", "released", "?"]),
    answer=st.sampled_from([None, "yes", "no", "later", "stop"]),
    due=st.sampled_from([None, "2026-03-02T02:00:00Z", "tomorrow"]),
    covers=st.sampled_from([[], ["a"], ["a", "z"]]),
    rung=st.sampled_from([None, 0, 2, -9, 10**6]),
    call=st.sampled_from([None, "c"]),
    assurance=st.sampled_from([None, "voice", "app"]),
)
OTHERS = st.sampled_from(
    [
        CardCommand(id="x", card="tok_1", sequence=7, command="hold", alert="a"),
        CardCommand(id="x", card="tok_1", sequence=7, command="hold", alert="a", reason="no_after_yes"),
        CardCommand(id="x", card="tok_1", sequence=7, command="release", alert="z", reason="silence"),
        CardCommand(id="x", card="tok_1", sequence=7, command="release"),
        CardCommand(id="x", card="tok_1", sequence=7, command="block", alert="a"),
        Label(transaction="a", card="tok_1", fraud=None, source="cardholder", time=""),
        Label(transaction="z", card="tok_1", fraud=True, source="cardholder", time=""),
        Answer(contact="ct_1", answer="yes", channel="sms", assurance="sms", time="", attempt=3),
        Answer(contact="ct_1", answer="none", channel="app", assurance="app", time=""),
    ]
)
NONSENSE = st.lists(st.dictionaries(st.integers(0, 9), st.one_of(STEPS, OTHERS), min_size=1, max_size=4), max_size=8)


@settings(max_examples=300, deadline=None)
@given(NONSENSE, st.sampled_from(PLANS))
def test_nonsense_is_told_as_some_conversation(groups: list[dict[int, object]], plan: Plan) -> None:
    transitions = [
        Transition(number, {place: Told(record, 1000 * number) for place, record in group.items()})  # type: ignore[arg-type]
        for number, group in enumerate(groups, 1)
    ]
    check(retold(BEGINNING, transitions, Known(), plan).conversation)


def check(conversation: Conversation) -> None:
    """What every program that finds it in the store relies on."""
    assert decode(encode(conversation)) == conversation
    assert conversation.state not in ("sending", "unknown", "ringing") or conversation.attempts
    assert conversation.state in OPEN or conversation.due_ms == conversation.call_back_ms


@pytest.mark.parametrize(("word", "state"), [("release", "released"), ("block", "blocked")])
def test_a_command_alone_says_what_the_cardholder_answered(word: str, state: str) -> None:
    play = played(PLAN, [0])
    command = CardCommand(id="x", card="tok_1", sequence=7, command=word, alert="a")  # type: ignore[arg-type]
    transitions = [*play.transitions, Transition(5, {2: Told(command, 9000)})]
    again = retold(BEGINNING, transitions, Known(play.alerts), PLAN)
    assert again.conversation.state == state
    assert isinstance(again.remade[-1].event, Answered)


def test_what_is_due_stays_due_when_the_plan_has_other_times_by_now() -> None:
    play = played(LADDER, [0])
    conversation, step = play.conversation, play.transitions[0].told[1].record
    assert isinstance(step, ContactStep)
    later = msgspec.structs.replace(step, step="deferred", reason="window", due="1970-01-01T08:00:00.000Z")
    sent = msgspec.structs.replace(
        step, step="sending", attempt=1, channel="sms", rung=0, covers=["a"], due="1970-01-01T08:00:15.000Z"
    )
    accepted = msgspec.structs.replace(sent, step="accepted", call="c", due="1970-01-01T08:05:00.000Z")
    transitions = list(play.transitions)
    dues = []
    for version, told in enumerate((later, sent, accepted), 2):
        transitions.append(Transition(version, {0: Told(told, 1000 * version)}))
        other = msgspec.structs.replace(LADDER, lease_s=1, ring_s=1, ladder=(Rung(channel="sms", wait_s=7),))
        dues.append(retold(BEGINNING, transitions, Known(play.alerts), other).conversation.due_ms)
    assert conversation.due_ms == 0
    assert dues == [28_800_000, 28_815_000, 29_100_000]


def test_attempts_of_which_nothing_is_left_are_counted_and_the_last_covers_what_its_record_says() -> None:
    play = played(LADDER, [0])
    step = play.transitions[0].told[1].record
    assert isinstance(step, ContactStep)
    third = msgspec.structs.replace(
        step, step="sending", attempt=3, channel="voice", rung=1, covers=["a", "b"], to="ab"
    )
    transitions = [*play.transitions, Transition(9, {0: Told(third, 9000)})]
    again = retold(BEGINNING, transitions, Known(play.alerts), LADDER).conversation
    assert (again.state, again.attempt, again.rung) == ("sending", 3, 1)
    assert [attempt.address for attempt in again.attempts] == ["lost", "lost", "ab"]
    assert again.attempts[-1].covers == ("a", "b")
    assert [alert.id for alert in again.alerts] == ["a", "b"]

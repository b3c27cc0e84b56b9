"""The verification machine: sequences of events, the states they lead to, and what must hold whatever happens."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contacting import EFFECTS, Call
from pipeline.core.conversation import (
    OPEN,
    Absent,
    Alert,
    Answered,
    Claimed,
    Conversation,
    Ended,
    Event,
    HandOverEnded,
    NoPhone,
    Placed,
    Plan,
    Raised,
    Refused,
    StillRinging,
    TimedOut,
    Unasked,
    attempt_key,
    contact_id,
    decode,
    encode,
    parse_key,
)
from pipeline.core.records import CardCommand, ContactStep, Label
from pipeline.core.verification import ON_DUE, TRANSITIONS, Advanced, advance, begin, meaning

PLAN = Plan(
    ring_s=30, answer_grace_s=5, attempts=2, retry_s=60, calls=3, lease_s=15, asks=3, ask_again_s=2, hand_over_s=100,
    keep_s=1000,
)  # fmt: skip
HOLD = Raised(Alert(id="a", command="hold"))
JOIN = Raised(Alert(id="b"))


def yes(attempt: int | None = 1, assurance: str = "voice") -> Answered:
    return Answered("yes", "voice", assurance, attempt)  # type: ignore[arg-type]


def no(attempt: int | None = 1, assurance: str = "voice") -> Answered:
    return Answered("no", "voice", assurance, attempt)  # type: ignore[arg-type]


def played(events: Sequence[Event]) -> list[Advanced]:
    conversation = begin("ct_1", "tok_1", "cu1", 0)
    history = []
    for number, event in enumerate(events):
        history.append(advance(conversation, event, 1000 * number, PLAN))
        conversation = history[-1].conversation
    return history


def names(advanced: Advanced) -> list[str]:
    """The effects of one transition in words."""
    found = []
    for effect in advanced.effects:
        match effect:
            case CardCommand():
                found.append(f"{effect.command} {effect.alert}")
            case ContactStep():
                found.append(effect.step)
            case Label():
                found.append(f"label {effect.transaction} {effect.fraud}")
            case Call():
                found.append("call")
            case _:
                found.append("answer")
    return found


RINGING: Sequence[Event] = (HOLD, Claimed(), Placed(1, "c1"))


@pytest.mark.parametrize(
    ("events", "state", "effects"),
    [
        ([HOLD], "planned", ["hold a", "planned"]),
        ([Raised(Alert(id="a"), "no_phone")], "escalated", ["planned", "escalated"]),
        ([Raised(Alert(id="a"), notice=True)], "cancelled", ["cancelled"]),
        ([HOLD, Claimed()], "sending", ["sending", "call"]),
        ([HOLD, NoPhone("no_phone")], "escalated", ["escalated"]),
        ([HOLD, Claimed(), Placed(1, "c1")], "ringing", ["accepted"]),
        ([HOLD, Claimed(), TimedOut(1)], "unknown", ["unknown"]),
        ([HOLD, Claimed(), Refused(1, False, "refused")], "planned", ["failed", "planned"]),
        ([HOLD, Claimed(), Refused(1, True, "rejected")], "escalated", ["failed", "escalated"]),
        ([HOLD, Claimed(), TimedOut(1), Absent(1)], "sending", ["sending", "call"]),
        ([HOLD, Claimed(), TimedOut(1), Unasked(1), Unasked(1), Unasked(1)], "escalated", ["escalated"]),
        ([HOLD, Claimed(), TimedOut(1), StillRinging(1, "c1")], "ringing", ["accepted"]),
        ([*RINGING, Ended(1, "busy")], "planned", ["failed", "planned"]),
        ([*RINGING, Ended(1, "busy"), Claimed(), Ended(2, "no_answer")], "escalated", ["failed", "escalated"]),
        ([*RINGING, Ended(1, "voicemail")], "escalated", ["failed", "escalated"]),
        ([*RINGING, yes()], "released", ["answer", "answered", "release a", "label a False", "completed"]),
        ([*RINGING, no()], "blocked", ["answer", "answered", "block a", "label a True", "completed"]),
        ([*RINGING, Answered("later", "voice", "voice", 1)], "escalated", ["answer", "answered", "escalated"]),
        ([*RINGING, JOIN], "ringing", ["planned"]),
        ([*RINGING, JOIN, yes()], "planned", ["answer", "answered", "label a False", "planned"]),
        ([*RINGING, JOIN, no()], "blocked", ["answer", "answered", "block a", "label a True", "completed"]),
        ([*RINGING, Ended(1, "busy"), Claimed(), yes()], "released",
         ["answer", "answered", "release a", "label a False", "completed"]),
        ([*RINGING, Ended(1, "busy"), JOIN, Claimed(), yes()], "sending", ["answer", "answered", "label a False"]),
        ([*RINGING, yes(), no()], "escalated", ["hold a", "answer", "answered", "escalated"]),
        ([*RINGING, Ended(1, "hung_up"), yes()], "escalated", ["answer", "answered"]),
        ([*RINGING, Ended(1, "hung_up"), yes(None, "agent")], "released",
         ["answer", "answered", "release a", "label a False", "completed"]),
        ([*RINGING, Ended(1, "hung_up"), no()], "blocked",
         ["answer", "answered", "block a", "label a True", "completed"]),
        ([*RINGING, Ended(1, "hung_up"), HandOverEnded()], "expired", ["expired"]),
    ],
)  # fmt: skip
def test_events_lead_to_states_and_effects(events: Sequence[Event], state: str, effects: list[str]) -> None:
    last = played(events)[-1]
    assert last.refused is None
    assert (last.conversation.state, names(last)) == (state, effects)


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        ([HOLD, HOLD], "repeated_alert"),
        ([*RINGING, Claimed()], "claim"),
        ([*RINGING, yes(), yes()], "yes"),
        ([*RINGING, no(), yes()], "yes"),
        ([*RINGING, no(), no()], "no"),
        ([*RINGING, Ended(1, "busy"), Ended(1, "busy")], "retry"),
        ([*RINGING, Ended(1, "busy"), Claimed(), Ended(1, "busy")], "stale_attempt"),
        ([*RINGING, yes(7)], "unknown_attempt"),
        ([HOLD, HandOverEnded()], "hand_over_ended"),
    ],
)
def test_late_double_and_impossible_events_are_refused_by_name(events: Sequence[Event], refused: str) -> None:
    *_, before, last = played(events)
    assert last == Advanced(before.conversation, (), refused)  # type: ignore[arg-type]


def test_times_follow_the_plan() -> None:
    history = played([*RINGING, Ended(1, "busy"), Claimed(), TimedOut(2), Unasked(2)])
    waits = [(after.conversation.due_ms or 0) - 1000 * number for number, after in enumerate(history)]
    assert waits == [0, 15_000, 35_000, 60_000, 15_000, 2_000, 2_000]


def events_for(conversation: Conversation) -> Iterator[Event]:
    """Every event that could come now, old attempts' included."""
    for name in ("a", "b"):
        yield Raised(Alert(id=name, command="hold"))
        yield Raised(Alert(id=name), "no_phone")
    yield from (Raised(Alert(id="n"), notice=True), Claimed(), NoPhone("no_phone"), HandOverEnded())
    for assurance in ("agent", "voice"):
        yield yes(None, assurance)
        yield no(None, assurance)
    for attempt in range(1, conversation.attempt + 2):
        yield from (Placed(attempt, "c"), TimedOut(attempt), StillRinging(attempt, "c"), Absent(attempt))
        yield from (Unasked(attempt), Refused(attempt, True, "rejected"), Refused(attempt, False, "refused"))
        yield from (Ended(attempt, "busy"), Ended(attempt, "hung_up"))
        yield from (yes(attempt), yes(attempt, "app"), no(attempt), Answered("later", "voice", "voice", attempt))


def shape_of(conversation: Conversation) -> tuple[object, ...]:
    """What decides about the future, times and names apart."""
    alerts = tuple((alert.id, alert.verdict) for alert in conversation.alerts)
    covers = tuple(attempt.covers for attempt in conversation.attempts)
    return conversation.state, alerts, covers, conversation.tries, conversation.asks


def test_every_row_of_the_table_is_reached_and_every_state_has_one() -> None:
    start = begin("ct_1", "tok_1", "cu1", 0)
    beginnings = [event for event in events_for(start) if isinstance(event, Raised)]
    reached = {(start.state, meaning(start, event, PLAN)) for event in beginnings}
    edge = [advance(start, event, 0, PLAN).conversation for event in beginnings]
    few = msgspec.structs.replace(PLAN, calls=2, asks=2)
    known = set()
    while edge:
        conversation = edge.pop()
        for event in events_for(conversation):
            after, _, refused = advance(conversation, event, 0, few)
            if refused is None:
                reached.add((conversation.state, meaning(conversation, event, few)))
            if (shape := shape_of(after)) not in known:
                known.add(shape)
                edge.append(after)
    assert reached == {(state, symbol) for state, rows in TRANSITIONS.items() for symbol in rows}
    assert {name for rows in TRANSITIONS.values() for _, row in rows.values() for name in row} == set(EFFECTS)
    assert set(ON_DUE) == OPEN


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_whatever_happens_the_promises_hold(choices: Sequence[int]) -> None:
    conversation = begin("ct_1", "tok_1", "cu1", 0)
    history = [Advanced(conversation, ())]
    events: list[Event] = []
    for number, choice in enumerate(choices):
        possible = list(events_for(conversation)) if number else [HOLD]
        events.append(possible[choice % len(possible)])
        history.append(advance(conversation, events[-1], number, PLAN))
        conversation = history[-1].conversation
        assert decode(encode(conversation)) == conversation

    for event, (before, after) in zip(events, pairwise(history), strict=True):
        said = names(after)
        assert (after.conversation.due_ms is None) == (after.conversation.state not in OPEN)
        assert after.conversation.attempt <= PLAN.calls
        if "call" in said:  # a new attempt comes from a planned one; the same is sent again only if certainly not made
            assert isinstance(event, Claimed | Absent)
            assert before.conversation.state in ("planned", "sending", "unknown")
        if any(word.startswith("release") for word in said):
            assert after.conversation.unsettled == ()
            assert not any(alert.verdict == "fraud" for alert in after.conversation.alerts)
        if isinstance(event, Answered) and event.word == "no" and event.attempt in (None, 1):
            assert after.refused or after.conversation.state in ("blocked", "escalated")
        if "blocked" in (before.conversation.state, after.conversation.state):
            assert after.conversation.state == "blocked"
    every = [word for advanced in history for word in names(advanced)]
    assert sum(word.startswith("block") for word in every) <= 1
    for name in ("a", "b"):
        assert every.count(f"label {name} False") <= 1
        assert every.count(f"label {name} True") <= 1
        assert every.count(f"hold {name}") <= 1 + every.count("release a") + every.count("release b")


def test_names_are_the_same_for_the_same_first_alert_and_read_back() -> None:
    contact = contact_id("tok_1", "tx1")
    assert contact == contact_id("tok_1", "tx1") != contact_id("tok_1", "tx2")
    assert parse_key(attempt_key(contact, 3)) == (contact, 3)
    for wrong in ("", "ct_1", "ct_1:2:1", "ct_1:1:0", "x:1:1", "ct_1:1:a"):
        with pytest.raises(ValueError, match=r"key|int|unpack"):
            parse_key(wrong)

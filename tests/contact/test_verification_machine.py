"""The verification machine: sequences of events, the states they lead to, and what must hold whatever happens."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contacting import EFFECTS, Call, Close, HangUp
from pipeline.core.conversation import (
    OPEN,
    Absent,
    Acknowledged,
    Alert,
    Answered,
    Barred,
    CallBackMissed,
    Claimed,
    Conversation,
    Deferred,
    Delivered,
    Ended,
    Event,
    HandOverEnded,
    Placed,
    Raised,
    Refused,
    Reversed,
    Silent,
    StillRinging,
    SwitchSilent,
    TimedOut,
    Unasked,
    attempt_key,
    contact_id,
    decode,
    encode,
    parse_key,
)
from pipeline.core.exemption import Exemption
from pipeline.core.plan import OnSilence, Plan, Rung
from pipeline.core.records import CardCommand, ContactStep, Label
from pipeline.core.verification import Advanced, advance, begin, meaning
from pipeline.core.verification_table import ON_DUE, TRANSITIONS

PLAN = Plan(
    ring_s=30, answer_grace_s=5, ladder=(Rung(channel="voice", tries=2),), retry_s=60, attempts=3, later_s=600, exempt_s=3600, patience_s=7200, acknowledge_s=0,
    lease_s=15, asks=3, ask_again_s=2, hand_over_s=100, keep_s=1000,
)  # fmt: skip
HOLD = Raised(Alert(id="a", command="hold"))
JOIN = Raised(Alert(id="b"))


LADDER = msgspec.structs.replace(
    PLAN, ladder=(Rung(channel="sms", wait_s=300), Rung(channel="voice", tries=2), Rung(channel="push", wait_s=60))
)
SMALL = 100.0
RELEASES = msgspec.structs.replace(LADDER, on_silence=(OnSilence(do="release", below_score=0.2, below_exposure=SMALL),))
KEEPS = msgspec.structs.replace(LADDER, on_silence=(OnSilence(do="keep", below_score=0.2, below_exposure=SMALL),))


ACKNOWLEDGES = msgspec.structs.replace(LADDER, acknowledge_s=10)


def yes(attempt: int | None = 1, assurance: str = "voice") -> Answered:
    return Answered("yes", "voice", assurance, attempt)  # type: ignore[arg-type]


def no(attempt: int | None = 1, assurance: str = "voice") -> Answered:
    return Answered("no", "voice", assurance, attempt)  # type: ignore[arg-type]


def played(events: Sequence[Event], plan: Plan = PLAN) -> list[Advanced]:
    conversation = begin("ct_1", "tok_1", "cu1", 0)
    history = []
    for number, event in enumerate(events):
        history.append(advance(conversation, event, 1000 * number, plan))
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
            case HangUp():
                found.append("hang up")
            case Exemption():
                found.append("exemption")
            case Close():
                found.append(f"close {effect.part}")
            case _:
                found.append("answer")
    return found


def seen(*alerts: str) -> Answered:
    """A yes of the app, which has shown these."""
    return Answered("yes", "app", "app", alerts=alerts)


RINGING: Sequence[Event] = (HOLD, Claimed(), Placed(1, "c1"))
DOUBTED: Sequence[Event] = (Raised(Alert(id="a")), Claimed(), Placed(1, "c1"))
PAID = Raised(Alert(id="a", amount=1000, currency="EUR"))
COMPLAINT = Answered("complaint", "app", "app")


@pytest.mark.parametrize(
    ("events", "state", "effects"),
    [
        ([HOLD], "planned", ["hold a", "planned"]),
        ([Raised(Alert(id="a"), "no_phone")], "escalated", ["planned", "escalated"]),
        ([Raised(Alert(id="a"), notice=True)], "cancelled", ["cancelled"]),
        ([HOLD, Claimed()], "sending", ["sending", "call"]),
        ([HOLD, Barred("no_phone")], "escalated", ["escalated"]),
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
        ([*RINGING, Answered("later", "voice", "voice", 1)], "planned", ["answer", "answered", "planned"]),
        ([*RINGING, Answered("stop", "voice", "voice", 1)], "escalated", ["answer", "answered", "escalated"]),
        ([*RINGING, JOIN], "ringing", ["planned"]),
        ([*RINGING, JOIN, yes()], "planned", ["answer", "answered", "label a False", "planned"]),
        ([*RINGING, JOIN, no()], "blocked", ["answer", "answered", "block a", "label a True", "completed"]),
        ([*RINGING, Ended(1, "busy"), Claimed(), yes()], "released",
         ["answer", "answered", "release a", "label a False", "completed", "hang up"]),
        ([*RINGING, Ended(1, "busy"), JOIN, Claimed(), yes()], "sending", ["answer", "answered", "label a False"]),
        ([*RINGING, yes(), no()], "escalated", ["hold a", "answer", "answered", "label a None", "escalated"]),
        ([*RINGING, yes(), no(None, "agent")], "blocked",
         ["answer", "answered", "block a", "label a True", "completed"]),
        ([*RINGING, yes(), no(), yes(None, "agent")], "released",
         ["answer", "answered", "release a", "label a False", "completed"]),
        ([*RINGING, no(), yes(None, "agent")], "blocked", ["answer", "answered", "label a False"]),
        ([*RINGING, JOIN, yes(), no(None, "agent")], "blocked",
         ["answer", "answered", "block a", "label a True", "label b True", "completed", "completed"]),
        ([*RINGING, JOIN, yes(), no()], "blocked", ["answer", "answered", "block a", "label a None", "completed"]),
        ([*DOUBTED, yes()], "released", ["answer", "answered", "label a False", "completed"]),
        ([*DOUBTED, yes(), no()], "escalated", ["hold a", "answer", "answered", "label a None", "escalated"]),
        ([*RINGING, yes(None, "app")], "released",
         ["answer", "answered", "release a", "label a False", "completed", "hang up"]),
        ([*RINGING, JOIN, yes(None, "app")], "ringing", ["answer", "answered", "label a False"]),
        ([*RINGING, JOIN, yes(None, "agent")], "released",
         ["answer", "answered", "release b", "label a False", "label b False", "completed", "completed", "hang up"]),
        ([*RINGING, JOIN, seen("a")], "ringing", ["answer", "answered", "label a False"]),
        ([*RINGING, JOIN, seen("a", "b")], "released",
         ["answer", "answered", "release b", "label a False", "label b False", "completed", "completed", "hang up"]),
        ([HOLD, JOIN, yes(None, "app")], "planned", ["answer", "answered", "label a False"]),
        ([*RINGING, COMPLAINT], "escalated", ["answer", "answered", "escalated", "hang up"]),
        ([*RINGING, COMPLAINT, CallBackMissed()], "escalated", ["escalated"]),
        ([*RINGING, yes(), COMPLAINT], "released", ["answer", "answered", "escalated"]),
        ([*RINGING, yes(), COMPLAINT, CallBackMissed()], "released", ["escalated"]),
        ([*RINGING, no(), COMPLAINT], "blocked", ["answer", "answered", "escalated"]),
        ([Raised(Alert(id="a"), exempt=True), COMPLAINT], "cancelled", ["answer", "answered", "escalated"]),
        ([*RINGING, Ended(1, "busy"), Barred("no_address", no_way=True)], "escalated", ["escalated"]),
        ([JOIN, Reversed("b", 0, "")], "cancelled", ["cancelled"]),
        ([HOLD, Reversed("a", 0, "")], "planned", []),
        ([JOIN, Claimed(), Reversed("b", 0, "")], "sending", []),
        ([JOIN, Raised(Alert(id="c")), Reversed("b", 0, "")], "planned", []),
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
        ([*RINGING, yes(), yes()], "repeated_answer"),
        ([*RINGING, yes(), yes(None, "app")], "yes"),
        ([*RINGING, yes(), no(), no()], "repeated_answer"),
        ([*RINGING, no(), yes()], "yes"),
        ([*RINGING, no(), no()], "repeated_answer"),
        ([*RINGING, no(), no(None, "app")], "no"),
        ([*RINGING, Ended(1, "busy"), Ended(1, "busy")], "retry"),
        ([*RINGING, Ended(1, "busy"), Claimed(), Ended(1, "busy")], "stale_attempt"),
        ([*RINGING, yes(7)], "unknown_attempt"),
        ([HOLD, HandOverEnded()], "hand_over_ended"),
        ([*RINGING, seen("z")], "unknown_alert"),
        ([*RINGING, Reversed("z", 0, "")], "unknown_alert"),
        ([*RINGING, Reversed("a", 0, ""), Reversed("a", 0, "")], "unknown_alert"),
        ([PAID, Reversed("a", 999, "EUR")], "reversed_in_part"),
        ([PAID, Reversed("a", 1000, "USD")], "reversed_in_part"),
        ([*RINGING, CallBackMissed()], "no_call_back"),
        ([*RINGING, COMPLAINT, Answered("none", "agent", "agent"), CallBackMissed()], "no_call_back"),
        ([*RINGING, COMPLAINT, CallBackMissed(), CallBackMissed()], "no_call_back"),
        ([*RINGING, no(), yes(None, "agent"), yes(None, "agent")], "yes"),
    ],
)
def test_late_double_and_impossible_events_are_refused_by_name(events: Sequence[Event], refused: str) -> None:
    *_, before, last = played(events)
    assert last == Advanced(before.conversation, (), refused)  # type: ignore[arg-type]


def test_times_follow_the_plan() -> None:
    history = played([*RINGING, Ended(1, "busy"), Claimed(), TimedOut(2), Unasked(2)])
    waits = [(after.conversation.due_ms or 0) - 1000 * number for number, after in enumerate(history)]
    assert waits == [0, 15_000, 35_000, 60_000, 15_000, 2_000, 2_000]


WRITTEN: Sequence[Event] = (HOLD, Claimed(0), Placed(1, "m1"))
CALLED: Sequence[Event] = (*WRITTEN, Silent(1), Claimed(1), Placed(2, "c1"))
MINOR = Raised(Alert(id="a", command="hold", score=0.1, exposure=50))
ASKED: Sequence[Event] = (Claimed(0), Placed(1, "m1"), Silent(1))
SOME_SILENCE: Sequence[Event] = (
    MINOR, Claimed(0), Placed(1, "m1"), Raised(Alert(id="b", score=0.1, exposure=9)), yes(), Claimed(2), Placed(2, "p"),
    Silent(2),
)  # fmt: skip
DOUBTS: Sequence[Event] = (Raised(Alert(id="a")), Claimed(0), Placed(1, "m1"))


@pytest.mark.parametrize(
    ("plan", "events", "state", "effects", "reason"),
    [
        (LADDER, [HOLD, Deferred(90_000, "quiet_hours")], "planned", ["deferred"], "quiet_hours"),
        (LADDER, [*WRITTEN, Delivered(1, "m1")], "ringing", ["delivered"], None),
        (LADDER, [HOLD, Claimed(0), TimedOut(1), Delivered(1, "m1")], "ringing", ["accepted", "delivered"], None),
        (LADDER, [HOLD, Claimed(0), TimedOut(1), Unasked(1)], "planned", ["failed", "planned"], "next_channel"),
        (LADDER, [*WRITTEN, Silent(1)], "planned", ["failed", "planned"], "next_channel"),
        (LADDER, [*WRITTEN, Ended(1, "undelivered")], "planned", ["failed", "planned"], "next_channel"),
        (LADDER, [HOLD, Claimed(0), Refused(1, True, "rejected")], "planned", ["failed", "planned"], "next_channel"),
        (LADDER, [HOLD, Claimed(0), Refused(1, False, "refused", away=True)], "planned", ["failed", "planned"],
         "next_channel"),
        (LADDER, [*CALLED, Ended(2, "busy")], "planned", ["failed", "planned"], "retry"),
        (LADDER, [*CALLED, Ended(2, "voicemail")], "planned", ["failed", "planned"], "next_channel"),
        (LADDER, [*CALLED, Ended(2, "hung_up")], "escalated", ["failed", "escalated"], "hung_up"),
        (LADDER, [*WRITTEN, Silent(1), Claimed(2), Placed(2, "p"), Silent(2)], "escalated", ["failed", "escalated"],
         "no_answer"),
        (RELEASES, [MINOR, Claimed(2), Placed(1, "p"), Silent(1)], "released",
         ["failed", "release a", "completed"], "released"),
        (KEEPS, [MINOR, Claimed(2), Placed(1, "p"), Silent(1)], "expired", ["failed", "expired"], "silence"),
        (RELEASES, [HOLD, Claimed(2), Placed(1, "p"), Silent(1)], "escalated", ["failed", "escalated"], "no_answer"),
        (RELEASES, [MINOR, Claimed(2), Refused(1, False, "refused")], "escalated", ["failed", "escalated"], "refused"),
        (RELEASES, [MINOR, *ASKED, Barred("no_address", no_way=True)], "released", ["release a", "completed"],
         "released"),
        (KEEPS, [MINOR, *ASKED, Barred("no_address", no_way=True)], "expired", ["expired"], "silence"),
        (LADDER, [HOLD, *ASKED, Barred("no_address", no_way=True)], "escalated", ["escalated"], "no_answer"),
        (RELEASES, [MINOR, *ASKED, Barred("stopped")], "escalated", ["escalated"], "stopped"),
        (RELEASES, [MINOR, Barred("no_address", no_way=True)], "escalated", ["escalated"], "no_address"),
        (LADDER, [*WRITTEN, Silent(1), Claimed(1), Placed(2, "c"), Answered("complaint", "sms", "sms", 1)], "escalated",
         ["answer", "answered", "escalated", "close complaint", "hang up"], "answer_complaint"),
        (LADDER, [*DOUBTS, yes()], "released",
         ["answer", "answered", "label a False", "completed", "close thanks_known"], "released"),
        (ACKNOWLEDGES, [*DOUBTS, yes()], "released",
         ["answer", "answered", "label a False", "completed", "close thanks_known"], "released"),
        (RELEASES, [*SOME_SILENCE, Answered("no", "app", "app", alerts=("a", "b"))], "escalated",
         ["hold a", "answer", "answered", "label a None", "escalated"], "no_after_yes"),
        (ACKNOWLEDGES, [*WRITTEN, yes(), COMPLAINT, JOIN], "escalated", ["planned", "escalated"], "with_people"),
        (RELEASES, [*WRITTEN, yes(), Answered("stop", "sms", "sms", 1)], "released",
         ["answer", "answered", "close stopped"], None),
        (LADDER, [*WRITTEN, Answered("yes", "sms", "sms", 1, trusted=False)], "escalated",
         ["answer", "answered", "escalated"], "yes_unproven"),
        (LADDER, [*WRITTEN, Answered("no", "sms", "sms", 1, trusted=False)], "blocked",
         ["answer", "answered", "block a", "label a True", "completed", "close thanks_no"], "blocked"),
        (LADDER, [*WRITTEN, Silent(1), yes()], "released",
         ["answer", "answered", "release a", "label a False", "completed", "close thanks_yes"], "released"),
        (LADDER, [*WRITTEN, Answered("later", "sms", "sms", 1)], "planned", ["answer", "answered", "planned"], "later"),
    ],
)  # fmt: skip
def test_a_ladder_of_channels(
    plan: Plan, events: Sequence[Event], state: str, effects: list[str], reason: str | None
) -> None:
    last = played(events, plan)[-1]
    assert last.refused is None
    assert (last.conversation.state, names(last)) == (state, effects)
    steps = [effect for effect in last.effects if isinstance(effect, ContactStep)]
    assert steps[-1].reason == reason


def test_steps_name_the_channel_of_their_attempt() -> None:
    history = played([*CALLED, yes(1), yes(2)], LADDER)
    told = [effect for advanced in history for effect in advanced.effects if isinstance(effect, ContactStep)]
    assert [(step.step, step.channel) for step in told if step.channel] == [
        ("sending", "sms"), ("accepted", "sms"), ("failed", "sms"), ("sending", "voice"), ("accepted", "voice"),
        ("answered", "sms"), ("completed", "sms"),
    ]  # fmt: skip


def test_times_follow_the_ladder() -> None:
    events = [*CALLED, Answered("later", "voice", "voice", 2), Deferred(10**7, "quiet_hours")]
    history = played(events, LADDER)
    waits = [(after.conversation.due_ms or 0) - 1000 * number for number, after in enumerate(history)]
    assert waits == [0, 15_000, 300_000, 0, 15_000, 35_000, 600_000, 10**7 - 7000]


def events_for(conversation: Conversation, ladder: Sequence[Rung]) -> Iterator[Event]:
    """Every event that could come now, old attempts' included."""
    for name in ("a", "b"):
        yield Raised(Alert(id=name, command="hold", score=0.1, exposure=1))
        yield Raised(Alert(id=name), "no_phone")
    yield Raised(Alert(id="b"))
    yield from (
        Reversed("a", 0, ""),
        Reversed("b", 0, ""),
        CallBackMissed(),
        Barred("no_address", no_way=True),
        Answered("complaint", "app", "app"),
        Answered("none", "agent", "agent"),
        seen("a"),
        Raised(Alert(id="n"), notice=True),
        Raised(Alert(id="x"), exempt=True),
        Barred("no_phone"),
        HandOverEnded(),
        Deferred(1, "caps"),
        Acknowledged(True),
        Acknowledged(False),
        SwitchSilent(),
    )
    yield from (Claimed(rung) for rung in range(conversation.rung, len(ladder)))
    for assurance in ("agent", "voice"):
        yield yes(None, assurance)
        yield no(None, assurance)
    for attempt in range(1, conversation.attempt + 2):
        yield from (Placed(attempt, "c"), TimedOut(attempt), StillRinging(attempt, "c"), Absent(attempt))
        yield from (Unasked(attempt), Refused(attempt, True, "rejected"), Refused(attempt, False, "refused"))
        yield from (Ended(attempt, "busy"), Ended(attempt, "hung_up"), Ended(attempt, "voicemail"))
        yield from (Delivered(attempt, "c"), Silent(attempt), Answered("yes", "sms", "sms", attempt, trusted=False))
        yield from (Refused(attempt, False, "refused", away=True), Answered("stop", "voice", "voice", attempt))
        yield from (yes(attempt), yes(attempt, "app"), no(attempt), Answered("later", "voice", "voice", attempt))


def shape_of(conversation: Conversation) -> tuple[object, ...]:
    """What decides about the future, times and names apart."""
    alerts = tuple((alert.id, alert.verdict, alert.reversed) for alert in conversation.alerts)
    covers = tuple(attempt.covers for attempt in conversation.attempts)
    channels = tuple(attempt.channel for attempt in conversation.attempts[-1:])
    marks = conversation.held_ms is None, conversation.call_back_ms is None
    return conversation.state, alerts, covers, channels, conversation.rung, conversation.tries, conversation.asks, marks


Reached = set[tuple[str, str]]


def explore(plan: Plan, reached: Reached, wanted: Reached) -> None:
    """Add to ``reached`` what can be reached with ``plan``, nearest first, until it is all that is ``wanted``."""
    start = begin("ct_1", "tok_1", "cu1", 0)
    beginnings = [event for event in events_for(start, plan.ladder) if isinstance(event, Raised)]
    reached.update((start.state, meaning(start, event, plan)) for event in beginnings)
    taken = [MINOR, Claimed(0), Placed(1, "c"), Ended(1, "busy")]  # looked at first: no shape says that it was taken
    edge = deque([played(taken, plan)[-1].conversation])
    edge.extend(advance(start, event, 0, plan).conversation for event in beginnings)
    known = set()
    while edge and not reached >= wanted:
        conversation = edge.popleft()
        for event in events_for(conversation, plan.ladder):
            after, _, refused = advance(conversation, event, 0, plan)
            if refused is None:
                reached.add((conversation.state, meaning(conversation, event, plan)))
            if (shape := shape_of(after)) not in known:
                known.add(shape)
                edge.append(after)


def test_every_row_of_the_table_is_reached_and_every_state_has_one() -> None:
    reached: Reached = set()
    wanted: Reached = {(state, symbol) for state, rows in TRANSITIONS.items() for symbol in rows}
    only = {"silence_releases": RELEASES, "silence_keeps": KEEPS}
    for plan in (LADDER, RELEASES, KEEPS, ACKNOWLEDGES):
        few = msgspec.structs.replace(plan, attempts=2, asks=2)
        of = {row for row in wanted if row in reached or only.get(row[1], plan) is plan}
        told = {(state, symbol) for state, symbol in of if state == "releasing" or symbol == "yes_told"}
        explore(few, reached, of if plan is ACKNOWLEDGES else of - told)
    assert reached == wanted
    assert {name for rows in TRANSITIONS.values() for _, row in rows.values() for name in row} == set(EFFECTS)
    assert set(ON_DUE) == OPEN


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([PLAN, LADDER, RELEASES, KEEPS, ACKNOWLEDGES]),
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
)
def test_whatever_happens_the_promises_hold(plan: Plan, choices: Sequence[int]) -> None:
    conversation = begin("ct_1", "tok_1", "cu1", 0)
    history = [Advanced(conversation, ())]
    events: list[Event] = []
    for number, choice in enumerate(choices):
        possible = list(events_for(conversation, plan.ladder)) if number else [HOLD]
        events.append(possible[choice % len(possible)])
        history.append(advance(conversation, events[-1], number, plan))
        conversation = history[-1].conversation
        assert decode(encode(conversation)) == conversation

    for event, (before, after) in zip(events, pairwise(history), strict=True):
        said = names(after)
        due = after.conversation.state in OPEN or after.conversation.call_back_ms is not None
        assert (after.conversation.due_ms is not None) == due
        assert after.conversation.attempt <= plan.attempts
        if "call" in said:  # a new attempt comes from a planned one; the same is sent again only if certainly not made
            assert isinstance(event, Claimed | Absent)
            assert before.conversation.state in ("planned", "sending", "unknown")
        if any(word.startswith("release") for word in said):
            silence = not isinstance(event, Answered) and bool(plan.on_silence)
            assert after.conversation.unsettled == () or silence
            assert not any(alert.verdict == "fraud" for alert in after.conversation.alerts)
        if isinstance(event, Answered) and event.word == "no" and event.attempt in (None, 1):
            assert after.refused or after.conversation.state in ("blocked", "escalated")
        if "blocked" in (before.conversation.state, after.conversation.state):
            assert after.conversation.state == "blocked"
    every = [word for advanced in history for word in names(advanced)]
    assert sum(word.startswith("block") for word in every) <= 1
    for name in ("a", "b"):
        labels = [word for word in every if word.startswith(f"label {name}")]
        assert all(one != other for one, other in pairwise(labels)), "a label says something new"
        assert labels[:1] != [f"label {name} None"], "what was not said is not withdrawn"
        assert every.count(f"hold {name}") <= 1 + sum(word.startswith("release") for word in every)


def test_names_are_the_same_for_the_same_first_alert_and_read_back() -> None:
    contact = contact_id("tok_1", "tx1")
    assert contact == contact_id("tok_1", "tx1") != contact_id("tok_1", "tx2")
    assert parse_key(attempt_key(contact, 3)) == (contact, 3)
    for wrong in ("", "ct_1", "ct_1:2:1", "ct_1:1:0", "x:1:1", "ct_1:1:a"):
        with pytest.raises(ValueError, match=r"key|int|unpack"):
            parse_key(wrong)

"""The machine that tells: every row of its table is reached, and what must hold whatever happens."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contacting import Call, HangUp
from pipeline.core.conversation import (
    OPEN,
    Absent,
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
    Refused,
    Silent,
    StillRinging,
    TimedOut,
    Unasked,
    decode,
    encode,
)
from pipeline.core.course import advance
from pipeline.core.keys import KEYS, Pressed, heard
from pipeline.core.matters import Matter, Requested, Withdrawn, waiting
from pipeline.core.plan import OnSilence, Plan, Rung
from pipeline.core.records import AnswerWord, CardCommand, ContactStep, Label
from pipeline.core.telling import meaning
from pipeline.core.telling_effects import EFFECTS
from pipeline.core.telling_table import TELLING
from pipeline.core.verification import Advanced
from pipeline.core.verification_table import ON_DUE

PLAN = Plan(
    ring_s=30, answer_grace_s=5, ladder=(Rung(channel="sms", wait_s=300), Rung(channel="voice", tries=2)), retry_s=60,
    attempts=3, later_s=600, exempt_s=3600, patience_s=7200, acknowledge_s=0, lease_s=15, asks=2, ask_again_s=2,
    hand_over_s=100, keep_s=1000, on_silence=(OnSilence(do="keep"),),
)  # fmt: skip
PEOPLE = msgspec.structs.replace(PLAN, on_silence=(OnSilence(do="agent"),))
WORDS: Sequence[AnswerWord] = (
    "yes",
    "no",
    "stop",
    "later",
    "agent",
    "wrong_person",
    "already_paid",
    "complaint",
    "none",
)
DAY_MS = 86_400_000


def matter(name: str = "a", **more: object) -> Matter:
    return msgspec.structs.replace(Matter(id=name, template="due", until_ms=DAY_MS), **more)


def begun(class_: str = "reminder") -> Conversation:
    return Conversation(id="ct_1", card="", customer="cu1", class_=class_, channels=("sms", "voice"))  # type: ignore[arg-type]


def played(events: Sequence[Event], class_: str = "reminder", plan: Plan = PLAN) -> list[Advanced]:
    conversation = begun(class_)
    history = []
    for number, event in enumerate(events):
        history.append(advance(conversation, event, 1000 * number, plan))
        conversation = history[-1].conversation
    return history


def steps(advanced: Advanced) -> list[tuple[str, str, str | None]]:
    return [
        (next(iter(effect.subject.values())), effect.step, effect.reason)
        for effect in advanced.effects
        if isinstance(effect, ContactStep)
    ]


def events_for(conversation: Conversation, plan: Plan) -> Iterator[Event]:
    """Every event that could come now, old attempts' included."""
    for name in ("a", "b"):
        yield Requested(matter(name))
        yield Requested(matter(name, variables={"due": "2026-01-01"}, said_ms=1))
        yield Withdrawn("paid", name)
    yield from (Withdrawn("paid"), Barred("stopped"), Barred("expired by window"), Deferred(5, "caps"), HandOverEnded())
    yield CallBackMissed()
    yield from (Claimed(rung) for rung in range(conversation.rung, len(plan.ladder)))
    for word in WORDS:
        yield Answered(word, "agent", "agent")
        yield Answered(word, "app", "app")
        yield from (Answered(word, "sms", "sms", attempt) for attempt in range(1, conversation.attempt + 2))
    for attempt in range(1, conversation.attempt + 2):
        yield from (Placed(attempt, "c"), TimedOut(attempt), StillRinging(attempt, "c"), Absent(attempt))
        yield from (Unasked(attempt), Refused(attempt, True, "rejected"), Refused(attempt, False, "refused"))
        yield from (Ended(attempt, "busy"), Ended(attempt, "hung_up"), Ended(attempt, "voicemail"))
        yield from (Ended(attempt, "undelivered"), Delivered(attempt, "c"), Silent(attempt))


def shape_of(conversation: Conversation) -> tuple[object, ...]:
    matters = tuple((each.id, each.over) for each in conversation.matters)
    channels = tuple(attempt.channel for attempt in conversation.attempts[-1:])
    counts = conversation.attempt, conversation.rung, conversation.tries, conversation.asks
    return conversation.state, matters, channels, counts, conversation.call_back_ms is not None


def reach(class_: str, plan: Plan, found: set[tuple[str, str]], wanted: set[tuple[str, str]]) -> None:
    """Add to ``found`` what can be reached, nearest first, until it is all that is ``wanted``."""
    known: set[tuple[object, ...]] = set()
    edge = deque([begun(class_)])
    while edge and not found >= wanted:
        conversation = edge.popleft()
        for event in events_for(conversation, plan) if conversation.matters else [Requested(matter())]:
            after, _, refused = advance(conversation, event, 0, plan)
            if refused is None:
                found.add((conversation.state, meaning(conversation, event, plan)))
            if (shape := shape_of(after)) not in known:
                known.add(shape)
                edge.append(after)


def test_every_row_of_the_table_is_reached_and_every_state_ends_or_is_looked_at() -> None:
    wanted = {(state, symbol) for state, rows in TELLING.items() for symbol in rows}
    answer_wanted = {row for row in wanted if row[1] == "delivered"}
    people = {row for row in wanted if row[1] == "gave_up"}
    found: set[tuple[str, str]] = set()
    few = msgspec.structs.replace(PLAN, attempts=2)
    reach("reminder", few, found, wanted - answer_wanted - people)
    reach("collection", few, found, wanted - people)
    reach("reminder", msgspec.structs.replace(PEOPLE, attempts=2), found, wanted)
    assert found == wanted
    assert {name for rows in TELLING.values() for _, row in rows.values() for name in row} <= set(EFFECTS)
    assert set(TELLING) & OPEN <= set(ON_DUE)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["fraud", "service", "reminder", "collection"]),
    st.sampled_from([PLAN, PEOPLE]),
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
)
def test_whatever_happens_the_promises_hold(class_: str, plan: Plan, choices: Sequence[int]) -> None:
    history = [Advanced(begun(class_), ())]
    events: list[Event] = []
    for number, choice in enumerate(choices):
        conversation = history[-1].conversation
        possible = list(events_for(conversation, plan)) if number else [Requested(matter())]
        events.append(possible[choice % len(possible)])
        history.append(advance(conversation, events[-1], number, plan))
        assert decode(encode(history[-1].conversation)) == history[-1].conversation
    for event, (before, after) in zip(events, pairwise(history), strict=True):
        now = after.conversation
        assert (now.due_ms is None) == (now.state not in OPEN and now.call_back_ms is None)
        assert now.attempt <= plan.attempts
        assert not any(isinstance(effect, CardCommand | Label) for effect in after.effects), "no card is touched"
        if any(isinstance(effect, Call) for effect in after.effects):
            assert isinstance(event, Claimed | Absent)
            assert before.conversation.state in ("planned", "sending", "unknown")
            assert now.attempts[-1].covers
        if isinstance(event, Withdrawn) and not after.refused:
            assert event.matter not in [each.id for each in waiting(now.matters)]
            assert now.state == "cancelled" or waiting(now.matters)
        if before.conversation.state not in OPEN and now.state in OPEN:
            assert now.state == "escalated", "nothing that ended leaves again"
    ends = [
        step for advanced in history for step in steps(advanced) if step[1] in ("completed", "cancelled", "expired")
    ]
    if not any(step[1] == "escalated" for advanced in history for step in steps(advanced)):
        assert len({(name, step) for name, step, _ in ends}) == len(ends), "an end is told once"


def test_what_was_said_first_is_replaced_by_what_was_said_later_and_never_the_other_way_round() -> None:
    first, later = matter(said_ms=5), matter(variables={"due": "2026-02-02"}, said_ms=6)
    history = played(
        [Requested(first), Requested(later), Requested(first), Requested(later), Claimed(), Requested(later)]
    )
    assert [advanced.refused for advanced in history] == [
        None, None, "repeated_request", "repeated_request", None, "repeated_request",
    ]  # fmt: skip
    assert history[-1].conversation.matters == (later,)
    newest = Requested(matter(variables={"due": "2026-03-03"}, said_ms=7))
    assert advance(history[-1].conversation, newest, 0, PLAN).refused == "no_longer_planned"


def test_of_two_matters_one_is_withdrawn_and_the_other_told() -> None:
    events = [
        Requested(matter("a")),
        Requested(matter("b")),
        Withdrawn("paid", "a"),
        Claimed(),
        Placed(1, "c"),
        Delivered(1, "c"),
    ]
    history = played(events)
    assert steps(history[2]) == [("a", "cancelled", "paid")]
    assert history[3].conversation.attempts[0].covers == ("b",)
    assert steps(history[-1]) == [("b", "delivered", None), ("b", "completed", "delivered")]


def test_a_matter_that_has_become_useless_is_not_told_with_the_others() -> None:
    events = [
        Requested(matter("a", until_ms=1500)),
        Requested(matter("b")),
        Claimed(),
        Placed(1, "c"),
        Delivered(1, "c"),
    ]
    history = played(events)
    assert history[2].conversation.attempts[0].covers == ("b",)
    assert steps(history[2]) == [("a", "expired", "expired"), ("b", "sending", None)]
    assert steps(history[-1]) == [("b", "delivered", None), ("b", "completed", "delivered")]


def test_a_withdrawn_call_that_rings_on_is_heard_but_leads_nowhere() -> None:
    events: list[Event] = [
        Requested(matter()),
        Claimed(1),
        Placed(1, "c"),
        Withdrawn("paid"),
        Answered("promise", "voice", "voice", 1),
    ]
    history = played(events)
    assert [advanced.conversation.state for advanced in history[-2:]] == ["cancelled", "cancelled"]
    assert steps(history[-1]) == [("a", "answered", None)]
    assert [effect for effect in history[3].effects if isinstance(effect, HangUp)] == [HangUp("ct_1:1:1", "c")]


def test_an_answer_elsewhere_ends_the_call_and_one_in_it_lets_it_end_by_itself() -> None:
    ringing: list[Event] = [Requested(matter()), Claimed(1), Placed(1, "c")]
    elsewhere = played([*ringing, Answered("promise", "app", "app")])[-1]
    there = played([*ringing, Answered("promise", "voice", "voice", 1)])[-1]
    assert [any(isinstance(effect, HangUp) for effect in each.effects) for each in (elsewhere, there)] == [True, False]


def test_keys_mean_what_the_call_was_about() -> None:
    assert heard(Pressed(1, "1"), "fraud") == Answered("yes", "voice", "voice", 1)
    assert heard(Pressed(1, "1"), "reminder") == Answered("promise", "voice", "voice", 1)
    assert heard(Pressed(1, "2"), "collection") == Answered("already_paid", "voice", "voice", 1)
    assert heard(Pressed(1, "1"), "marketing") == heard(Pressed(1, ""), "fraud") == Ended(1, "wrong_key")
    assert all(keys["0"] == "agent" and keys["9"] == "stop" for keys in KEYS.values())


def test_an_end_is_on_record_even_when_nothing_is_left_to_tell() -> None:
    """A customer complains of a reminder that was withdrawn, and nobody looks after it: the desk must hear of the end."""
    complaint = Answered("complaint", "app", "app")
    history = played([Requested(matter()), Withdrawn("paid"), complaint, HandOverEnded()])
    assert [each.conversation.state for each in history] == ["planned", "cancelled", "escalated", "expired"]
    assert steps(history[-1]) == [("a", "expired", "nobody_took_over")]

"""What an event makes of a conversation that is told again: under today's plan, and under any other.

Where today's plan would have led elsewhere (a ladder that became shorter), the records are right, not the plan.
"""

from collections.abc import Callable, Iterator, Mapping

from pipeline.core import telling, verification
from pipeline.core.conversation import (
    Absent,
    Answered,
    Barred,
    Claimed,
    Conversation,
    Ended,
    Event,
    Raised,
    Refused,
    Reversed,
    Silent,
    StillRinging,
    Unasked,
)
from pipeline.core.course import advance
from pipeline.core.matters import Requested
from pipeline.core.plan import Plan
from pipeline.core.telling_table import TellingSymbol
from pipeline.core.verification import Advanced
from pipeline.core.verification_table import Symbol

_NO_ANSWER: tuple[Symbol, ...] = ("retry", "next_rung", "gave_up", "silence_releases", "silence_keeps", "unclear")
BY_PLAN: Mapping[type, tuple[Symbol, ...]] = {
    Claimed: ("claim", "capped"),
    Barred: _NO_ANSWER,
    Reversed: ("all_reversed",),
    Ended: _NO_ANSWER,
    Silent: _NO_ANSWER,
    Refused: _NO_ANSWER,
    Absent: ("absent", "asks_over", *_NO_ANSWER),
    Unasked: ("unasked", "asks_over", *_NO_ANSWER),
    StillRinging: ("still_ringing", "asks_over"),
}
"""What an event may have meant under another plan, or when its provider had been asked more or less often."""
_NOT_TOLD: tuple[TellingSymbol, ...] = ("retry", "next_rung", "not_told", "gave_up")
TELLING_BY_PLAN: Mapping[type, tuple[TellingSymbol, ...]] = {
    Claimed: ("claim", "capped"),
    Ended: ("left_message", *_NOT_TOLD),
    Silent: ("taken", *_NOT_TOLD),
    Refused: _NOT_TOLD,
    Absent: ("absent", "asks_over", *_NOT_TOLD),
    Unasked: ("unasked", "asks_over", *_NOT_TOLD),
    StillRinging: ("still_ringing", "asks_over"),
}
"""The same for a conversation that tells."""
Way = Callable[[Conversation, Event, int, Plan], Iterator[Advanced]]


def by_plan(before: Conversation, event: Event, at_ms: int, plan: Plan) -> Iterator[Advanced]:
    """What today's plan makes of it."""
    if _possible(before, event):
        yield advance(before, event, at_ms, plan)


def otherwise(before: Conversation, event: Event, at_ms: int, plan: Plan) -> Iterator[Advanced]:
    """What others may have made of it."""
    if not _possible(before, event):
        return
    later = isinstance(event, Answered) and event.word == "later"
    if before.tells:
        for told in ("later", "heard_of") if later else TELLING_BY_PLAN.get(type(event), ()):
            yield telling.made(before, event, told, at_ms, plan)
        return
    symbols = BY_PLAN.get(type(event), ())
    if later:
        symbols = ("later", "other")
    elif isinstance(event, Answered) and event.word == "yes":
        symbols = ("yes", "yes_told")
    yield from (verification.made(before, event, symbol, at_ms, plan) for symbol in symbols)


WAYS: tuple[Way, ...] = (by_plan, otherwise)
"""In the order of likelihood."""


def _possible(before: Conversation, event: Event) -> bool:
    """Whether there is what ``event`` speaks of: an alert or a matter, its attempt."""
    attempt = getattr(event, "attempt", None)
    begins = isinstance(event, Raised | Requested)
    return (begins or bool(before.alerts or before.matters)) and (attempt is None or 1 <= attempt <= before.attempt)

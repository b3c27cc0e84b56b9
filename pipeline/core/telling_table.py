"""The table of conversations that tell: in every state, what each event leads to and what leaves with it. `telling` says
what an event means there, `telling_effects` what the effects are. The rows about attempts are the verification table's."""

from collections.abc import Mapping
from typing import Literal

from pipeline.core.contacting import EffectName
from pipeline.core.conversation import State
from pipeline.core.verification_table import ATTEMPTED, TRIED_AGAIN, Symbol

TellingSymbol = (
    Symbol
    | Literal[
        "request", "joined", "replaced", "withdrawn", "withdrawn_some", "too_late", "told", "taken", "heard",
        "left_message", "not_told", "people", "settled", "stopped", "wrong_person", "heard_of",
        "repeated_request", "no_longer_planned", "unknown_matter", "with_people",
    ]
)  # fmt: skip
"""What an event means to a conversation that tells. The last line's are in no row of the table: always refused."""

TellingRow = tuple[State, tuple[EffectName, ...]]
Rows = Mapping[TellingSymbol, TellingRow]

_SHARED_REPORTS: Rows = dict(ATTEMPTED.items())
_SHARED_AGAIN: Rows = dict(TRIED_AGAIN.items())
_ANSWERS: Rows = {
    "settled": ("completed", ("answer", "answered", "completed", "hang_up")),
    "stopped": ("cancelled", ("answer", "answered", "cancelled", "hang_up")),
    "later": ("planned", ("answer", "answered", "planned_again", "hang_up")),
    "wrong_person": ("planned", ("answer", "answered", "planned_again", "hang_up")),
    "people": ("escalated", ("answer", "answered", "escalated", "hang_up")),
    "complaint": ("escalated", ("answer", "answered", "escalated", "hang_up")),
}
_ENDS: Rows = {
    **_SHARED_AGAIN,
    "taken": ("completed", ("completed",)),
    "heard": ("completed", ("completed",)),
    "left_message": ("completed", ("completed",)),
    "not_told": ("expired", ("failed", "expired")),
    "gave_up": ("escalated", ("failed", "escalated")),
    "asks_over": ("expired", ("expired",)),
}


def _open(state: State) -> Rows:
    """What may happen in every open state without leaving it, and a withdrawal."""
    return {
        "heard_of": (state, ("answer", "answered")),
        "withdrawn_some": (state, ("cancelled",)),
        "withdrawn": ("cancelled", ("cancelled", "hang_up")),
    }


def _over(state: State) -> Rows:
    """An ended conversation hears what is said to it; some words are for people whenever they come."""
    return {
        "heard_of": (state, ("answer", "answered")),
        "people": _ANSWERS["people"],
        "complaint": _ANSWERS["complaint"],
    }


def _promised(state: State) -> Rows:
    """The same, of one that may have ended before the call that a complaint was promised. (What is withdrawn, or stopped,
    was promised none.)"""
    return {**_over(state), "call_back_missed": (state, ("escalated",))}


_REQUESTED: Rows = {
    **_SHARED_REPORTS,
    **_ENDS,
    "told": ("completed", ("accepted", "delivered", "completed")),
    **_ANSWERS,
}

TELLING: Mapping[State, Rows] = {
    "planned": {
        "request": ("planned", ("planned",)),
        "joined": ("planned", ("planned",)),
        "replaced": ("planned", ("planned",)),
        "claim": ("sending", ("sending", "call")),
        "deferred": ("planned", ("deferred",)),
        "capped": ("expired", ("expired",)),
        "too_late": ("expired", ("expired",)),
        "barred": ("cancelled", ("cancelled",)),
        **_ANSWERS,
        **_open("planned"),
    },
    "sending": {"timed_out": ("unknown", ("unknown",)), **_REQUESTED, **_open("sending")},
    "unknown": {**_REQUESTED, **_open("unknown")},
    "ringing": {
        "delivered": ("ringing", ("delivered",)),
        "told": ("completed", ("delivered", "completed")),
        "still_ringing": ("ringing", ()),
        "unasked": ("ringing", ()),
        **_ENDS,
        **_ANSWERS,
        **_open("ringing"),
    },
    "escalated": {
        "settled": _ANSWERS["settled"],
        "people": ("escalated", ("answer", "answered")),
        "complaint": _ANSWERS["complaint"],
        "call_back_missed": ("escalated", ("escalated",)),
        "hand_over_ended": ("expired", ("expired",)),
        **_open("escalated"),
    },
    "completed": _promised("completed"),
    "cancelled": _over("cancelled"),
    "expired": _promised("expired"),
}

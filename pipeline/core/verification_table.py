"""The verification table: in every state, what each event leads to and what leaves with it. `verification` says what an
event means and how it is counted, `contacting` what the effects are; the manuals' diagram is drawn from here."""

from collections.abc import Mapping
from typing import Literal

from pipeline.core.contacting import EffectName
from pipeline.core.conversation import State

Symbol = Literal[
    "alert", "alert_no_call", "notice", "exempt", "claim", "deferred", "capped", "barred", "accepted", "delivered", "timed_out",
    "still_ringing", "absent", "unasked", "asks_over", "retry", "next_rung", "gave_up", "silence_releases",
    "silence_keeps", "unclear", "yes", "yes_some", "yes_earlier", "yes_unproven", "no", "no_after_yes", "later", "other",
    "hand_over_ended", "yes_told", "acknowledged", "superseded", "switch_silent",
    "repeated_alert", "repeated_answer", "stale_attempt", "unknown_attempt",
]  # fmt: skip
"""What an event means to a conversation. The last line's are in no row of the table: always refused."""

Row = tuple[State, tuple[EffectName, ...]]

_ANSWERS: dict[Symbol, Row] = {
    "yes": ("released", ("answer", "answered", "release", "labels", "completed", "close")),
    "yes_told": ("releasing", ("answer", "answered", "release", "labels")),
    "yes_unproven": ("escalated", ("answer", "answered", "escalated")),
    "no": ("blocked", ("answer", "answered", "block", "labels", "completed", "close")),
    "later": ("planned", ("answer", "answered", "planned_again")),
    "other": ("escalated", ("answer", "answered", "escalated", "close")),
}
_NO_ANSWER: dict[Symbol, Row] = {
    "retry": ("planned", ("failed", "planned_again")),
    "next_rung": ("planned", ("failed", "planned_again")),
    "gave_up": ("escalated", ("failed", "escalated")),
    "silence_releases": ("released", ("failed", "release", "completed")),
    "silence_keeps": ("expired", ("failed", "expired")),
    "unclear": ("escalated", ("failed", "escalated")),
    "asks_over": ("escalated", ("escalated",)),
}
_IN_DOUBT: dict[Symbol, Row] = {
    "accepted": ("ringing", ("accepted",)),
    "delivered": ("ringing", ("accepted", "delivered")),
    "still_ringing": ("ringing", ("accepted",)),
    "absent": ("sending", ("sending", "call")),
    "unasked": ("unknown", ("unknown",)),
    **_NO_ANSWER,
}

TRANSITIONS: Mapping[State, Mapping[Symbol, Row]] = {
    "planned": {
        "alert": ("planned", ("command", "planned")),
        "alert_no_call": ("escalated", ("command", "planned", "escalated")),
        "notice": ("cancelled", ("cancelled",)),
        "exempt": ("cancelled", ("cancelled",)),
        "claim": ("sending", ("sending", "call")),
        "deferred": ("planned", ("deferred",)),
        "capped": ("escalated", ("escalated",)),
        "barred": ("escalated", ("escalated",)),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("planned", ("answer", "answered", "labels")),
        **_ANSWERS,
    },
    "sending": {
        "alert": ("sending", ("command", "planned")),
        "alert_no_call": ("sending", ("command", "planned")),
        "timed_out": ("unknown", ("unknown",)),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("sending", ("answer", "answered", "labels")),
        **_IN_DOUBT,
        **_ANSWERS,
    },
    "unknown": {
        "alert": ("unknown", ("command", "planned")),
        "alert_no_call": ("unknown", ("command", "planned")),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("unknown", ("answer", "answered", "labels")),
        **_IN_DOUBT,
        **_ANSWERS,
    },
    "ringing": {
        "alert": ("ringing", ("command", "planned")),
        "alert_no_call": ("ringing", ("command", "planned")),
        "delivered": ("ringing", ("delivered",)),
        "still_ringing": ("ringing", ()),
        "unasked": ("ringing", ()),
        **_NO_ANSWER,
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("ringing", ("answer", "answered", "labels")),
        **_ANSWERS,
    },
    "escalated": {
        "alert": ("escalated", ("command", "planned", "escalated")),
        "alert_no_call": ("escalated", ("command", "planned", "escalated")),
        "yes": _ANSWERS["yes"],
        "yes_told": _ANSWERS["yes_told"],
        "yes_some": ("escalated", ("answer", "answered", "labels")),
        "yes_earlier": ("escalated", ("answer", "answered", "labels")),
        "yes_unproven": ("escalated", ("answer", "answered")),
        "no": _ANSWERS["no"],
        "later": ("escalated", ("answer", "answered")),
        "other": ("escalated", ("answer", "answered")),
        "hand_over_ended": ("expired", ("expired",)),
    },
    "releasing": {
        "alert": ("planned", ("command", "planned")),
        "alert_no_call": ("escalated", ("command", "planned", "escalated")),
        "acknowledged": ("released", ("completed", "close")),
        "superseded": ("released", ("completed",)),
        "switch_silent": ("escalated", ("escalated",)),
        "no_after_yes": ("escalated", ("hold_again", "answer", "answered", "escalated")),
        "other": ("releasing", ("answer", "answered", "close")),
    },
    "released": {
        "no_after_yes": ("escalated", ("hold_again", "answer", "answered", "escalated")),
        "other": ("released", ("answer", "answered", "close")),
    },
    "blocked": {"other": ("blocked", ("answer", "answered", "close"))},
    "expired": {"no": _ANSWERS["no"], "other": ("expired", ("answer", "answered", "close"))},
    "cancelled": {},
}

ON_DUE: Mapping[State, Literal["claim", "ask", "end_hand_over", "miss_switch"]] = {
    "planned": "claim",
    "sending": "ask",
    "unknown": "ask",
    "ringing": "ask",
    "escalated": "end_hand_over",
    "releasing": "miss_switch",
}
"""What a worker does with a conversation whose time has come."""

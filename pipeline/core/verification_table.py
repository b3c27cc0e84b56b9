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
    "hand_over_ended", "yes_told", "acknowledged", "superseded", "switch_silent", "complaint", "call_back_missed",
    "corrected", "reversed", "all_reversed",
    "repeated_alert", "repeated_answer", "stale_attempt", "unknown_attempt", "unknown_alert", "reversed_in_part",
    "no_call_back", "not_asked",
]  # fmt: skip
"""What an event means to a conversation. The last two lines' are in no row of the table: always refused."""

Row = tuple[State, tuple[EffectName, ...]]

_ANSWERS: dict[Symbol, Row] = {
    "yes": ("released", ("answer", "answered", "release", "labels", "completed", "close", "hang_up")),
    "yes_told": ("releasing", ("answer", "answered", "release", "labels", "hang_up")),
    "yes_unproven": ("escalated", ("answer", "answered", "escalated", "hang_up")),
    "no": ("blocked", ("answer", "answered", "block", "labels", "completed", "close", "hang_up")),
    "later": ("planned", ("answer", "answered", "planned_again", "hang_up")),
    "other": ("escalated", ("answer", "answered", "escalated", "close", "hang_up")),
    "complaint": ("escalated", ("answer", "answered", "escalated", "close", "hang_up")),
}
_PROMISE: tuple[EffectName, ...] = ("answer", "answered", "escalated", "close")
_NO_AFTER_YES: Row = ("escalated", ("hold_again", "answer", "answered", "labels", "escalated"))
TRIED_AGAIN: Mapping[Symbol, Row] = {
    "retry": ("planned", ("failed", "planned_again")),
    "next_rung": ("planned", ("failed", "planned_again")),
}
"""An attempt that came to nothing, while the ladder goes on: the same whatever the conversation is about."""
_NO_ANSWER: Mapping[Symbol, Row] = {
    **TRIED_AGAIN,
    "gave_up": ("escalated", ("failed", "escalated")),
    "silence_releases": ("released", ("failed", "release", "completed")),
    "silence_keeps": ("expired", ("failed", "expired")),
    "unclear": ("escalated", ("failed", "escalated")),
    "asks_over": ("escalated", ("escalated",)),
}
ATTEMPTED: Mapping[Symbol, Row] = {
    "accepted": ("ringing", ("accepted",)),
    "delivered": ("ringing", ("accepted", "delivered")),
    "still_ringing": ("ringing", ("accepted",)),
    "absent": ("sending", ("sending", "call")),
    "unasked": ("unknown", ("unknown",)),
}
"""What a provider says of an attempt it was asked to make; the same whatever the conversation is about."""
_IN_DOUBT: Mapping[Symbol, Row] = {
    **ATTEMPTED,
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
        "gave_up": ("escalated", ("escalated",)),
        "silence_releases": ("released", ("release", "completed")),
        "silence_keeps": ("expired", ("expired",)),
        "reversed": ("planned", ()),
        "all_reversed": ("cancelled", ("cancelled",)),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("planned", ("answer", "answered", "labels")),
        **_ANSWERS,
    },
    "sending": {
        "alert": ("sending", ("command", "planned")),
        "alert_no_call": ("sending", ("command", "planned")),
        "reversed": ("sending", ()),
        "timed_out": ("unknown", ("unknown",)),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("sending", ("answer", "answered", "labels")),
        **_IN_DOUBT,
        **_ANSWERS,
    },
    "unknown": {
        "alert": ("unknown", ("command", "planned")),
        "alert_no_call": ("unknown", ("command", "planned")),
        "reversed": ("unknown", ()),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("unknown", ("answer", "answered", "labels")),
        **_IN_DOUBT,
        **_ANSWERS,
    },
    "ringing": {
        "alert": ("ringing", ("command", "planned")),
        "alert_no_call": ("ringing", ("command", "planned")),
        "reversed": ("ringing", ()),
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
        "reversed": ("escalated", ()),
        "yes": _ANSWERS["yes"],
        "yes_told": _ANSWERS["yes_told"],
        "yes_some": ("escalated", ("answer", "answered", "labels")),
        "yes_earlier": ("escalated", ("answer", "answered", "labels")),
        "yes_unproven": ("escalated", ("answer", "answered")),
        "no": _ANSWERS["no"],
        "later": ("escalated", ("answer", "answered")),
        "other": ("escalated", ("answer", "answered")),
        "complaint": _ANSWERS["complaint"],
        "call_back_missed": ("escalated", ("escalated",)),
        "hand_over_ended": ("expired", ("expired",)),
    },
    "releasing": {
        "alert": ("planned", ("command", "planned")),
        "alert_no_call": ("escalated", ("command", "planned", "escalated")),
        "reversed": ("releasing", ()),
        "acknowledged": ("released", ("completed", "close")),
        "superseded": ("released", ("completed",)),
        "switch_silent": ("escalated", ("escalated",)),
        "no_after_yes": _NO_AFTER_YES,
        "no": _ANSWERS["no"],
        "other": ("releasing", ("answer", "answered", "close")),
        "complaint": ("releasing", _PROMISE),
    },
    "released": {
        "no_after_yes": _NO_AFTER_YES,
        "no": _ANSWERS["no"],
        "other": ("released", ("answer", "answered", "close")),
        "complaint": ("released", _PROMISE),
        "call_back_missed": ("released", ("escalated",)),
    },
    "blocked": {
        "corrected": ("blocked", ("answer", "answered", "labels")),
        "other": ("blocked", ("answer", "answered", "close")),
        "complaint": ("blocked", _PROMISE),
        "call_back_missed": ("blocked", ("escalated",)),
    },
    "expired": {
        "no": _ANSWERS["no"],
        "other": ("expired", ("answer", "answered", "close")),
        "complaint": ("expired", _PROMISE),
        "call_back_missed": ("expired", ("escalated",)),
    },
    "cancelled": {
        "other": ("cancelled", ("answer", "answered", "close")),
        "complaint": ("cancelled", _PROMISE),
        "call_back_missed": ("cancelled", ("escalated",)),
    },
}

ON_DUE: Mapping[State, Literal["claim", "ask", "end_hand_over", "miss_switch"]] = {
    "planned": "claim",
    "sending": "ask",
    "unknown": "ask",
    "ringing": "ask",
    "escalated": "end_hand_over",
    "releasing": "miss_switch",
}
"""What a worker does with a conversation whose time has come. Where a call-back is promised, it is that which is missed,
but for a release that still waits for the switch."""

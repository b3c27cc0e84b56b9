"""One verification conversation: a card's alerts, the calls that ask about them, and what the answer does.

The theory. A conversation is *planned* until a worker, holding its lease in the schedule, takes it and makes an
attempt: only such a planned attempt may be made again after a crash. Before the provider hears of it the attempt is
*sending*: recorded in the store and on the contacts topic. From here on nobody redials blindly. The provider's word
makes it *ringing*; its silence makes it *unknown*. A sending or unknown attempt whose lease ran out is asked about by
its idempotency key: the provider has the call → ringing (or already over, then the end counts as if it had been
reported); it certainly has not → the same attempt is sent again under the same key; it cannot be asked → asked again,
later, and in the end people take over. A ringing call whose report is overdue is asked about in the same way.

YES releases the card once every alert is covered by a yes; alerts that joined after the attempt was sent cause a new
question first. (A yes to an earlier attempt settles its alerts and leaves the present attempt alone.) NO blocks at
once, while it is open. Everything else ends with people: *escalated*, where the hold stays.

Late, double and contradictory reports. A report about an earlier attempt than the present one is ignored, unless it is
an answer: an answer counts for the alerts its attempt covered. A yes from the telephone while people have the case is
recorded but releases nothing; a yes from an agent or the app does. A no after a yes is never lost: the card is held
again and people take over. A second yes, anything after a no, and anything about an expired conversation but a no are
ignored. A notice (tell, do not ask) has no channel in this cascade: it is recorded and *cancelled*. What a transition
does is named in the table; what the names mean is in `contacting`. A missing key is the written refusal: the event
changes nothing, and the name of the symbol says why.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec.structs import replace

from pipeline.core.contacting import Effect, EffectName, Scene, carried_out
from pipeline.core.conversation import (
    OPEN,
    Absent,
    Alert,
    Answered,
    Attempt,
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
    State,
    StillRinging,
    TimedOut,
    Unasked,
)

Symbol = Literal[
    "alert", "alert_no_call", "notice", "claim", "capped", "no_phone", "accepted", "rejected", "timed_out",
    "still_ringing", "absent", "unasked", "asks_over", "retry", "gave_up", "unclear", "yes", "yes_some", "yes_earlier",
    "yes_unproven", "no", "no_after_yes", "other", "hand_over_ended",
    "repeated_alert", "stale_attempt", "unknown_attempt",
]  # fmt: skip
"""What an event means to a conversation. The last line's are in no row of the table: always refused."""

Row = tuple[State, tuple[EffectName, ...]]

_ANSWERS: dict[Symbol, Row] = {
    "yes": ("released", ("answer", "answered", "release", "labels", "completed")),
    "no": ("blocked", ("answer", "answered", "block", "labels", "completed")),
    "other": ("escalated", ("answer", "answered", "escalated")),
}
_IN_DOUBT: dict[Symbol, Row] = {
    "accepted": ("ringing", ("accepted",)),
    "still_ringing": ("ringing", ("accepted",)),
    "absent": ("sending", ("sending", "call")),
    "unasked": ("unknown", ("unknown",)),
    "asks_over": ("escalated", ("escalated",)),
    "retry": ("planned", ("failed", "planned_again")),
    "gave_up": ("escalated", ("failed", "escalated")),
    "rejected": ("escalated", ("failed", "escalated")),
    "unclear": ("escalated", ("failed", "escalated")),
}

TRANSITIONS: Mapping[State, Mapping[Symbol, Row]] = {
    "planned": {
        "alert": ("planned", ("command", "planned")),
        "alert_no_call": ("escalated", ("command", "planned", "escalated")),
        "notice": ("cancelled", ("cancelled",)),
        "claim": ("sending", ("sending", "call")),
        "capped": ("escalated", ("escalated",)),
        "no_phone": ("escalated", ("escalated",)),
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
        "still_ringing": ("ringing", ()),
        "unasked": ("ringing", ()),
        "asks_over": ("escalated", ("escalated",)),
        "retry": ("planned", ("failed", "planned_again")),
        "gave_up": ("escalated", ("failed", "escalated")),
        "unclear": ("escalated", ("failed", "escalated")),
        "yes_some": ("planned", ("answer", "answered", "labels", "planned_again")),
        "yes_earlier": ("ringing", ("answer", "answered", "labels")),
        **_ANSWERS,
    },
    "escalated": {
        "alert": ("escalated", ("command", "planned", "escalated")),
        "alert_no_call": ("escalated", ("command", "planned", "escalated")),
        "yes": _ANSWERS["yes"],
        "yes_some": ("escalated", ("answer", "answered", "labels")),
        "yes_earlier": ("escalated", ("answer", "answered", "labels")),
        "yes_unproven": ("escalated", ("answer", "answered")),
        "no": _ANSWERS["no"],
        "other": ("escalated", ("answer", "answered")),
        "hand_over_ended": ("expired", ("expired",)),
    },
    "released": {"no_after_yes": ("escalated", ("hold_again", "answer", "answered", "escalated"))},
    "blocked": {},
    "expired": {"no": _ANSWERS["no"]},
    "cancelled": {},
}

ON_DUE: Mapping[State, Literal["claim", "ask", "end_hand_over"]] = {
    "planned": "claim",
    "sending": "ask",
    "unknown": "ask",
    "ringing": "ask",
    "escalated": "end_hand_over",
}
"""What a worker does with a conversation whose time has come."""

RETRIED = frozenset({"busy", "no_answer", "failed", "lost", "refused"})
"""Ends after which calling again may help. Any other (hung up, voicemail, a wrong key) goes to people."""
PROVEN = frozenset({"app", "agent"})


class Advanced(NamedTuple):
    """``refused``: the event changed nothing; the symbol, or why it has no meaning here."""

    conversation: Conversation
    effects: tuple[Effect, ...]
    refused: Symbol | None = None


def begin(contact: str, card: str, customer: str | None, source_ms: int) -> Conversation:
    """A conversation about to receive its first alert."""
    return Conversation(id=contact, card=card, customer=customer, source_ms=source_ms)


def advance(conversation: Conversation, event: Event, now_ms: int, plan: Plan) -> Advanced:
    """What ``event`` makes of ``conversation``. A refused event gives back the conversation itself."""
    symbol = meaning(conversation, event, plan)
    row = TRANSITIONS[conversation.state].get(symbol)
    if row is None:
        return Advanced(conversation, (), symbol)
    state, names = row
    after = replace(_noted(conversation, symbol, event, now_ms), state=state)
    after = replace(after, due_ms=_due(conversation, after, symbol, now_ms, plan))
    scene = Scene(conversation, after, event, now_ms)
    return Advanced(after, carried_out(names, scene))


def meaning(conversation: Conversation, event: Event, plan: Plan) -> Symbol:
    """The symbol under which the table lists ``event``: all counting and comparing happens here."""
    match event:
        case Raised(alert=alert):
            if any(known.id == alert.id for known in conversation.alerts):
                return "repeated_alert"
            if event.notice and not conversation.alerts:
                return "notice"
            return "alert" if event.cannot_call is None else "alert_no_call"
        case Claimed():
            return "claim" if conversation.attempt < plan.calls else "capped"
        case NoPhone():
            return "no_phone"
        case HandOverEnded():
            return "hand_over_ended"
        case Answered():
            return _meaning_of_answer(conversation, event)
    if event.attempt != conversation.attempt:
        return "stale_attempt" if event.attempt < conversation.attempt else "unknown_attempt"
    match event:
        case Placed():
            return "accepted"
        case TimedOut():
            return "timed_out"
        case Refused(permanent=permanent):
            return "rejected" if permanent else _again(conversation, plan)
        case Ended(reason=reason):
            return _again(conversation, plan) if reason in RETRIED else "unclear"
        case Absent() if conversation.state == "ringing":
            return _again(conversation, plan)
    if conversation.asks + 1 >= plan.asks:
        return "asks_over"
    symbols: dict[type, Symbol] = {StillRinging: "still_ringing", Absent: "absent", Unasked: "unasked"}
    return symbols[type(event)]


def _again(conversation: Conversation, plan: Plan) -> Symbol:
    return "retry" if conversation.tries < plan.attempts else "gave_up"


def _meaning_of_answer(conversation: Conversation, answer: Answered) -> Symbol:
    if answer.attempt is not None and not 1 <= answer.attempt <= conversation.attempt:
        return "unknown_attempt"
    if answer.word == "no":
        return "no_after_yes" if conversation.state == "released" else "no"
    if answer.word != "yes":
        return "other"
    if conversation.state == "escalated" and answer.assurance not in PROVEN:
        return "yes_unproven"
    covered = answered_for(conversation, answer)
    if covered.issuperset(conversation.unsettled):
        return "yes"
    return "yes_some" if answer.attempt == conversation.attempt else "yes_earlier"


def answered_for(conversation: Conversation, answer: Answered) -> set[str]:
    """The alerts an answer speaks about: those its attempt asked about; all, if no attempt of ours carried it."""
    if answer.attempt is None:
        return {alert.id for alert in conversation.alerts}
    return set(conversation.attempts[answer.attempt - 1].covers)


def _noted(conversation: Conversation, symbol: Symbol, event: Event, now_ms: int) -> Conversation:
    """The conversation with the event's facts and counts in it."""
    match event:
        case Raised(alert=alert):
            held = conversation.held_ms
            if held is None and alert.command != "none":
                held = now_ms
            return replace(conversation, alerts=(*conversation.alerts, alert), held_ms=held)
        case Claimed() if symbol == "claim":
            attempt = Attempt(covers=conversation.unsettled)
            attempts = (*conversation.attempts, attempt)
            return replace(conversation, attempts=attempts, tries=conversation.tries + 1, asks=0)
        case Placed(call=call) | StillRinging(call=call):
            attempts = (*conversation.attempts[:-1], replace(conversation.attempts[-1], call=call))
            return replace(conversation, attempts=attempts, asks=_asks(conversation, event))
        case Absent() | Unasked():
            return replace(conversation, asks=conversation.asks + 1)
        case Answered() if symbol in ("yes", "yes_some", "yes_earlier", "no"):
            tries = 0 if symbol == "yes_some" else conversation.tries
            return replace(conversation, alerts=_settled(conversation, event), tries=tries)
    return conversation


def _asks(conversation: Conversation, event: Placed | StillRinging) -> int:
    """A call that is first heard of gets its full number of questions."""
    return conversation.asks + 1 if conversation.state == "ringing" and isinstance(event, StillRinging) else 0


def _settled(conversation: Conversation, answer: Answered) -> tuple[Alert, ...]:
    """The alerts with the verdict on those that ``answer`` speaks about. The first verdict stands, but an agent's no
    overrules a yes."""
    spoken = answered_for(conversation, answer)
    verdict: Literal["genuine", "fraud"] = "genuine" if answer.word == "yes" else "fraud"
    overrules = verdict == "fraud" and answer.assurance == "agent"
    return tuple(
        replace(alert, verdict=verdict) if alert.id in spoken and (alert.verdict is None or overrules) else alert
        for alert in conversation.alerts
    )


def _due(before: Conversation, after: Conversation, symbol: Symbol, now_ms: int, plan: Plan) -> int | None:
    """When somebody must look at ``after`` next."""
    if after.state not in OPEN:
        return None
    wait_s: float | None = {
        "claim": plan.lease_s,
        "absent": plan.lease_s if after.state == "sending" else 0.0,
        "retry": plan.retry_s,
        "yes_some": 0.0,
        "accepted": plan.ring_s + plan.answer_grace_s,
        "timed_out": plan.ask_again_s,
        "unasked": _back_off(after, plan),
        "still_ringing": _back_off(after, plan) if before.state == "ringing" else plan.ring_s + plan.answer_grace_s,
    }.get(symbol)
    if after.state == "escalated":
        wait_s = None if before.state == "escalated" else plan.hand_over_s
    if wait_s is None:
        return now_ms if before.due_ms is None else before.due_ms
    return now_ms + round(wait_s * 1000)


def _back_off(conversation: Conversation, plan: Plan) -> float:
    return plan.ask_again_s * float(2 ** max(0, conversation.asks - 1))

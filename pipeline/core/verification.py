"""One verification conversation: a card's alerts, the attempts that ask about them, and what the answer does.

The theory. A conversation climbs its plan's ladder of channels, rung by rung: calls and messages are attempts alike. It is
*planned* until a worker, holding its lease in the schedule, takes it and makes an attempt, or learns from the gates that
this must wait for a later hour: only such a planned attempt may be made again after a crash. Before the provider hears of
it the attempt is *sending*: recorded in the store and on the contacts topic. From here on nobody asks blindly again. The
provider's word makes it *ringing* (of a message: sent, its answer awaited); its silence makes it *unknown*. A sending or
unknown attempt whose lease ran out is asked about by its idempotency key: the provider has it → ringing (or already over,
then the end counts as if it had been reported); it certainly has not → the same attempt is sent again under the same key;
it cannot be asked → of a call asked again, later, and in the end people take over; of a message the next rung. A ringing
call whose report is overdue is asked about in the same way; a message's time for an answer just ends.

An attempt that came to nothing is made again while its rung has tries left, then the next rung is taken, at once where
trying again cannot help: voicemail, not delivered, refused for good, the provider known to be away. A person who hung up
or pressed a wrong key goes to people. Past the last rung the plan's rule for silence releases, keeps or asks people; an
alert that no provider ever took a question about was not met with silence and goes to people.

YES releases the card once every alert is covered by a yes; alerts that joined after the attempt was sent cause a new
question first. Where the switch acknowledges commands the conversation is *releasing* until it has, and only then is the
customer thanked and told to try again; a switch that says nothing in time is people's to look after. (A yes to an earlier attempt settles its alerts and leaves the present attempt alone.) NO blocks at
once, while it is open. LATER asks again after a while. Everything else ends with people: *escalated*, where the hold stays.

Late, double and contradictory reports. A report about an earlier attempt than the present one is ignored, unless it is
an answer: an answer counts for the alerts its attempt covered. The same answer to the same attempt counts once. A yes by
telephone or text while people have the case, or from a number that is not trusted, is recorded but releases nothing; a yes
from an agent or the app does. A no after a yes is never lost: the card is held again and people take over. A second yes,
yes and no after a no, and a yes after expiry are ignored. Any other answer to an ended conversation is recorded and
changes nothing in it, because a STOP counts whenever it comes. A notice (tell, do not ask) has no channel in this cascade
and an exempt payment needs no question: both are recorded and *cancelled*. What a transition does is named in the table;
what the names mean is in `contacting`. A missing key is the written refusal: the event changes nothing, and the name of the
symbol says why.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec.structs import replace

from pipeline.core.contacting import Effect, Scene, carried_out
from pipeline.core.conversation import (
    OPEN,
    Absent,
    Acknowledged,
    Alert,
    Answered,
    Attempt,
    Barred,
    Claimed,
    Conversation,
    Deferred,
    Delivered,
    Ended,
    Event,
    HandOverEnded,
    Placed,
    Plan,
    Raised,
    Refused,
    Silent,
    StillRinging,
    SwitchSilent,
    TimedOut,
    Unasked,
)
from pipeline.core.verification_table import TRANSITIONS, Symbol

RETRIED = frozenset({"busy", "no_answer", "failed", "lost", "refused"})
"""Ends after which another attempt on the same channel may help."""
NEXT_CHANNEL = frozenset({"voicemail", "undelivered"})
"""Ends after which only another channel helps. Any other (hung up, a wrong key) goes to people."""
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
    after = replace(_noted(conversation, symbol, event, now_ms, plan), state=state)
    after = replace(after, due_ms=_due(conversation, after, symbol, event, now_ms, plan))
    scene = Scene(conversation, after, event, now_ms, plan)
    return Advanced(after, carried_out(names, scene))


def meaning(conversation: Conversation, event: Event, plan: Plan) -> Symbol:
    """The symbol under which the table lists ``event``: all counting and comparing happens here."""
    match event:
        case Raised(alert=alert):
            if any(known.id == alert.id for known in conversation.alerts):
                return "repeated_alert"
            if event.exempt and not conversation.alerts:
                return "exempt"
            if event.notice and not conversation.alerts:
                return "notice"
            return "alert" if event.cannot_call is None else "alert_no_call"
        case Claimed():
            return "claim" if conversation.attempt < plan.attempts else "capped"
        case Deferred():
            return "deferred"
        case Barred():
            return "barred"
        case HandOverEnded():
            return "hand_over_ended"
        case Acknowledged(done=done):
            return "acknowledged" if done else "superseded"
        case SwitchSilent():
            return "switch_silent"
        case Answered():
            return _meaning_of_answer(conversation, event, plan)
    if event.attempt != conversation.attempt:
        return "stale_attempt" if event.attempt < conversation.attempt else "unknown_attempt"
    match event:
        case Placed():
            return "accepted"
        case TimedOut():
            return "timed_out"
        case Delivered():
            return "delivered"
        case Silent():
            return _again(conversation, plan)
        case Refused(permanent=permanent, away=away):
            if permanent or away:
                return _onward(conversation, plan, "unclear" if permanent else _again(conversation, plan))
            return _again(conversation, plan)
        case Ended(reason=reason):
            if reason in NEXT_CHANNEL:
                return _onward(conversation, plan, "unclear")
            return _again(conversation, plan) if reason in RETRIED else "unclear"
        case Absent() if conversation.state == "ringing":
            return _again(conversation, plan)
        case Unasked() if conversation.by_message:
            return _onward(conversation, plan, _silence(conversation, plan))
    if conversation.asks + 1 >= plan.asks:
        return "asks_over"
    symbols: dict[type, Symbol] = {StillRinging: "still_ringing", Absent: "absent", Unasked: "unasked"}
    return symbols[type(event)]


def _again(conversation: Conversation, plan: Plan) -> Symbol:
    if conversation.tries < plan.rung(conversation.rung).tries:
        return "retry"
    return _onward(conversation, plan, _silence(conversation, plan))


def _onward(conversation: Conversation, plan: Plan, at_the_end: Symbol) -> Symbol:
    return "next_rung" if conversation.rung + 1 < len(plan.ladder) else at_the_end


def _silence(conversation: Conversation, plan: Plan) -> Symbol:
    """What it comes to when everything was tried and nobody answered. Where a provider never took the question, the
    customer was not silent: people decide."""
    alerts = [alert for alert in conversation.alerts if alert.verdict is None]
    asked = {name for attempt in conversation.attempts if attempt.call for name in attempt.covers}
    if not asked.issuperset(alert.id for alert in alerts):
        return "gave_up"
    score = max((alert.score for alert in alerts), default=1.0)
    known = [alert.exposure for alert in alerts if alert.exposure is not None]
    exposure = sum(known) if len(known) == len(alerts) else math.inf
    outcomes: Mapping[str, Symbol] = {"release": "silence_releases", "keep": "silence_keeps", "agent": "gave_up"}
    for each in plan.on_silence:
        scored = each.below_score is None or score < each.below_score
        if scored and (each.below_exposure is None or exposure < each.below_exposure):
            return outcomes[each.do]
    return "gave_up"


def _meaning_of_answer(conversation: Conversation, answer: Answered, plan: Plan) -> Symbol:
    if answer.attempt is not None and not 1 <= answer.attempt <= conversation.attempt:
        return "unknown_attempt"
    if answer.attempt and conversation.attempts[answer.attempt - 1].heard == (answer.word, answer.assurance):
        return "repeated_answer"
    if answer.word == "no":
        return "no_after_yes" if conversation.state in ("releasing", "released") else "no"
    if answer.word != "yes":
        return "later" if answer.word == "later" and conversation.attempt < plan.attempts else "other"
    if answer.assurance not in PROVEN and (conversation.state == "escalated" or not answer.trusted):
        return "yes_unproven"
    covered = answered_for(conversation, answer)
    if covered.issuperset(conversation.unsettled):
        return "yes_told" if plan.acknowledge_s else "yes"
    return "yes_some" if answer.attempt == conversation.attempt else "yes_earlier"


def answered_for(conversation: Conversation, answer: Answered) -> set[str]:
    """The alerts an answer speaks about: those its attempt asked about; all, if no attempt of ours carried it."""
    if answer.attempt is None:
        return {alert.id for alert in conversation.alerts}
    return set(conversation.attempts[answer.attempt - 1].covers)


def _noted(conversation: Conversation, symbol: Symbol, event: Event, now_ms: int, plan: Plan) -> Conversation:
    """The conversation with the event's facts and counts in it."""
    if symbol == "next_rung":
        return replace(conversation, rung=conversation.rung + 1, tries=0)
    match event:
        case Raised(alert=alert):
            held = conversation.held_ms
            if held is None and alert.command != "none":
                held = now_ms
            return replace(conversation, alerts=(*conversation.alerts, alert), held_ms=held)
        case Claimed(rung=rung, address=address, sender=sender) if symbol == "claim":
            channel = plan.rung(rung).channel
            attempt = Attempt(covers=conversation.unsettled, channel=channel, address=address, sender=sender)
            attempts = (*conversation.attempts, attempt)
            tries = conversation.tries + 1 if rung == conversation.rung else 1
            return replace(conversation, attempts=attempts, rung=rung, tries=tries, asks=0)
        case Placed(call=call) | StillRinging(call=call) | Delivered(call=call):
            attempts = (*conversation.attempts[:-1], replace(conversation.attempts[-1], call=call))
            return replace(conversation, attempts=attempts, asks=_asks(conversation, event))
        case Absent() | Unasked():
            return replace(conversation, asks=conversation.asks + 1)
        case Answered():
            settles = symbol in ("yes", "yes_told", "yes_some", "yes_earlier", "no")
            alerts = _settled(conversation, event) if settles else conversation.alerts
            tries = 0 if symbol in ("later", "yes_some") else conversation.tries
            thanks = event.attempt if symbol == "yes_told" else conversation.thanks
            heard = _heard(conversation, event)
            return replace(conversation, alerts=alerts, attempts=heard, tries=tries, thanks=thanks)
    return conversation


def _heard(conversation: Conversation, answer: Answered) -> tuple[Attempt, ...]:
    """The attempts with the answer noted on the one it is to."""
    return tuple(
        replace(attempt, heard=(answer.word, answer.assurance)) if number == answer.attempt else attempt
        for number, attempt in enumerate(conversation.attempts, 1)
    )


def _asks(conversation: Conversation, event: Placed | StillRinging | Delivered) -> int:
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


def _due(
    before: Conversation, after: Conversation, symbol: Symbol, event: Event, now_ms: int, plan: Plan
) -> int | None:
    """When somebody must look at ``after`` next."""
    if after.state not in OPEN:
        return None
    if isinstance(event, Deferred):
        return event.until_ms
    if symbol == "delivered" and before.state == "ringing":
        return before.due_ms  # the answer's time runs from the provider's word
    asked_s = _answer_s(after, plan) if after.attempts else 0.0
    wait_s: float | None = {
        "claim": plan.lease_s,
        "absent": plan.lease_s if after.state == "sending" else 0.0,
        "retry": plan.retry_s,
        "next_rung": 0.0,
        "later": plan.later_s,
        "yes_some": 0.0,
        "yes_told": plan.acknowledge_s,
        "accepted": asked_s,
        "delivered": asked_s,
        "timed_out": asked_s if after.attempts and after.by_message else plan.ask_again_s,
        "unasked": _back_off(after, plan),
        "still_ringing": _back_off(after, plan) if before.state == "ringing" else asked_s,
    }.get(symbol)
    if after.state == "escalated":
        wait_s = None if before.state == "escalated" else plan.hand_over_s
    if before.state == "releasing" and symbol == "alert":
        wait_s = 0.0
    if wait_s is None:
        return now_ms if before.due_ms is None else before.due_ms
    return now_ms + round(wait_s * 1000)


def _answer_s(conversation: Conversation, plan: Plan) -> float:
    """How long the answer to the present attempt may take."""
    return plan.rung(conversation.rung).wait_s if conversation.by_message else plan.ring_s + plan.answer_grace_s


def _back_off(conversation: Conversation, plan: Plan) -> float:
    return plan.ask_again_s * float(2 ** max(0, conversation.asks - 1))

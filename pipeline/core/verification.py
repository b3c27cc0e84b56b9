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
A complaint too, whenever it comes: people promise to call back by a certain time, and if no agent's answer says that they
did, they are told once more. An ended conversation stays ended; only the task is new.

Late, double and contradictory reports. A report about an earlier attempt than the present one is ignored, unless it is
an answer: an answer counts for the alerts its attempt covered, or were shown to whoever gave it. The same answer to the same attempt counts once. A yes by
telephone or text while people have the case, or from a number that is not trusted, is recorded but releases nothing; a yes
from an agent or the app does. A no after a yes is never lost: the card is held again, the labels of the yes are withdrawn
and people take over; an agent's no blocks the card instead and makes them labels of fraud. After a no an agent corrects
labels, but the card stays blocked. A second yes, any other yes and no after a no, and a yes after expiry are ignored. Any
other answer to an ended conversation is recorded and changes nothing in it, because a STOP counts whenever it comes. A
notice (tell, do not ask) is told by a conversation of its own (`telling`); one that no message can carry, and an exempt
payment that needs no question, are recorded and *cancelled*. So is a question nobody has asked yet about payments that were
all taken back, if the card is not held; else it is asked all the same: a thief tests cards too. What a transition does is
named in the table; what the names mean is in `contacting`. A missing key is the written refusal: the event changes nothing, and the name of the
symbol says why.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.core.climbing import again, onward
from pipeline.core.contacting import Effect, Scene, carried_out
from pipeline.core.conversation import (
    OPEN,
    Absent,
    Acknowledged,
    Answered,
    Attempt,
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
)
from pipeline.core.matters import Requested, Withdrawn
from pipeline.core.plan import Plan
from pipeline.core.settling import answered_for, contradicts, settled
from pipeline.core.verification_table import TRANSITIONS, Symbol

RETRIED = frozenset({"busy", "no_answer", "failed", "lost", "refused"})
"""Ends after which another attempt on the same channel may help."""
NEXT_CHANNEL = frozenset({"voicemail", "undelivered"})
"""Ends after which only another channel helps. Any other (hung up, a wrong key) goes to people."""
PROVEN = frozenset({"app", "agent"})
SETTLES = frozenset({"yes", "yes_told", "yes_some", "yes_earlier", "no", "no_after_yes", "corrected"})
"""What sets verdicts."""


class Advanced(NamedTuple):
    """``refused``: the event changed nothing; the symbol, or why it has no meaning here."""

    conversation: Conversation
    effects: tuple[Effect, ...]
    refused: str | None = None


def begin(contact: str, card: str, customer: str | None, source_ms: int) -> Conversation:
    """A conversation about to receive its first alert."""
    return Conversation(id=contact, card=card, customer=customer, source_ms=source_ms)


def advance(conversation: Conversation, event: Event, now_ms: int, plan: Plan) -> Advanced:
    """What ``event`` makes of ``conversation``. A refused event gives back the conversation itself."""
    return made(conversation, event, meaning(conversation, event, plan), now_ms, plan)


def made(conversation: Conversation, event: Event, symbol: Symbol, now_ms: int, plan: Plan) -> Advanced:
    """As `advance`, of an event that is known to have meant ``symbol``: under another plan it may mean something else
    today."""
    row = TRANSITIONS[conversation.state].get(symbol)
    if row is None:
        return Advanced(conversation, (), symbol)
    state, names = row
    after = replace(noted(conversation, symbol, event, now_ms, plan), state=state)
    after = replace(after, due_ms=due(conversation, after, symbol, event, now_ms, plan))
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
            return "alert" if event.cannot_call is None and conversation.call_back_ms is None else "alert_no_call"
        case Reversed():
            return _meaning_of_reversal(conversation, event)
        case Claimed():
            return "claim" if conversation.attempt < plan.attempts else "capped"
        case Deferred():
            return "deferred"
        case Barred(no_way=no_way):
            return _silence(conversation, plan) if no_way and was_asked(conversation) else "barred"
        case CallBackMissed():
            return "no_call_back" if conversation.call_back_ms is None else "call_back_missed"
        case HandOverEnded():
            return "hand_over_ended"
        case Acknowledged(done=done):
            return "acknowledged" if done else "superseded"
        case Requested() | Withdrawn():
            return "not_asked"
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
            return again(conversation, plan, _silence(conversation, plan))
        case Refused(permanent=permanent, away=away):
            if permanent or away:
                return onward(
                    conversation,
                    plan,
                    "unclear" if permanent else again(conversation, plan, _silence(conversation, plan)),
                )
            return again(conversation, plan, _silence(conversation, plan))
        case Ended(reason=reason):
            if reason in NEXT_CHANNEL:
                return onward(conversation, plan, "unclear")
            return again(conversation, plan, _silence(conversation, plan)) if reason in RETRIED else "unclear"
        case Absent() if conversation.state == "ringing":
            return again(conversation, plan, _silence(conversation, plan))
        case Unasked() if conversation.by_message:
            return onward(conversation, plan, _silence(conversation, plan))
    if conversation.asks + 1 >= plan.asks:
        return "asks_over"
    symbols: dict[type, Symbol] = {StillRinging: "still_ringing", Absent: "absent", Unasked: "unasked"}
    return symbols[type(event)]


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


def was_asked(conversation: Conversation) -> bool:
    """Whether a provider has taken a question of this conversation."""
    return any(attempt.call for attempt in conversation.attempts)


def _meaning_of_reversal(conversation: Conversation, event: Reversed) -> Symbol:
    """What is not certainly the whole of an alert's amount is a part of it, and changes nothing."""
    alert = next((known for known in conversation.alerts if known.id == event.alert), None)
    if alert is None or alert.reversed:
        return "unknown_alert"
    comparable = alert.amount is not None and alert.currency == event.currency
    if event.amount and not (comparable and event.amount >= (alert.amount or 0)):
        return "reversed_in_part"
    rest = any(known.id != alert.id and not known.reversed for known in conversation.alerts)
    untouched = conversation.state == "planned" and not conversation.attempts and conversation.held_ms is None
    return "all_reversed" if untouched and not rest else "reversed"


def _meaning_of_answer(conversation: Conversation, answer: Answered, plan: Plan) -> Symbol:
    if answer.attempt is not None and not 1 <= answer.attempt <= conversation.attempt:
        return "unknown_attempt"
    if answer.attempt and conversation.attempts[answer.attempt - 1].heard == (answer.word, answer.assurance):
        return "repeated_answer"
    if answer.alerts and not answered_for(conversation, answer):
        return "unknown_alert"
    corrects = conversation.state == "blocked" and answer.assurance == "agent" and answer.word in ("yes", "no")
    if corrects and settled(conversation, answer, "corrected") != conversation.alerts:
        return "corrected"
    if answer.word == "no":
        return "no_after_yes" if contradicts(conversation, answer) else "no"
    if answer.word == "complaint" and conversation.call_back_ms is None:
        return "complaint"
    if answer.word != "yes":
        return "later" if answer.word == "later" and conversation.attempt < plan.attempts else "other"
    if answer.assurance not in PROVEN and (conversation.state == "escalated" or not answer.trusted):
        return "yes_unproven"
    covered = answered_for(conversation, answer)
    if covered.issuperset(conversation.unsettled):
        return "yes_told" if plan.acknowledge_s and conversation.held_ms is not None else "yes"
    return "yes_some" if answer.attempt == conversation.attempt else "yes_earlier"


def noted(conversation: Conversation, symbol: str, event: Event, now_ms: int, plan: Plan) -> Conversation:
    """The conversation with the event's facts and counts in it."""
    if symbol == "next_rung":
        return replace(conversation, rung=conversation.rung + 1, tries=0)
    match event:
        case Raised(alert=alert):
            held = conversation.held_ms
            if held is None and alert.command != "none":
                held = now_ms
            return replace(conversation, alerts=(*conversation.alerts, alert), held_ms=held)
        case Reversed():
            alerts = tuple(
                replace(alert, reversed=True) if alert.id == event.alert else alert for alert in conversation.alerts
            )
            return replace(conversation, alerts=alerts)
        case CallBackMissed():
            return replace(conversation, call_back_ms=None)
        case Claimed(rung=rung, address=address, sender=sender, cohort=cohort) if symbol == "claim":
            order = event.order or conversation.order
            channel = plan.rung(rung, order).channel
            attempt = Attempt(covers=conversation.unsettled, channel=channel, address=address, sender=sender)
            attempts = (*conversation.attempts, attempt)
            tries = conversation.tries + 1 if rung == conversation.rung else 1
            climbing = replace(conversation, attempts=attempts, rung=rung, tries=tries, asks=0)
            return replace(climbing, order=order, cohort=cohort)
        case Placed(call=call) | StillRinging(call=call) | Delivered(call=call):
            attempts = (*conversation.attempts[:-1], replace(conversation.attempts[-1], call=call))
            return replace(conversation, attempts=attempts, asks=_asks(conversation, event))
        case Absent() | Unasked():
            return replace(conversation, asks=conversation.asks + 1)
        case Answered():
            alerts = settled(conversation, event, symbol) if symbol in SETTLES else conversation.alerts
            tries = 0 if symbol in ("later", "yes_some") else conversation.tries
            thanks = event.attempt if symbol == "yes_told" else conversation.thanks
            heard = _heard(conversation, event)
            promised = _promised(conversation, symbol, event, now_ms, plan)
            after = replace(
                conversation, alerts=alerts, attempts=heard, tries=tries, thanks=thanks, call_back_ms=promised
            )
            if symbol == "no_after_yes":
                return replace(after, held_ms=after.held_ms or now_ms, taken_back=after.taken_back + 1)
            return after
    return conversation


def _promised(conversation: Conversation, symbol: str, answer: Answered, now_ms: int, plan: Plan) -> int | None:
    """Until when people promise to call back; None once an agent's answer shows that somebody did."""
    if symbol == "complaint":
        return answer.call_back_ms or now_ms + round(plan.call_back_s * 1000)
    done = answer.assurance == "agent" and answer.word != "complaint"
    return None if done else conversation.call_back_ms


def _heard(conversation: Conversation, answer: Answered) -> tuple[Attempt, ...]:
    """The attempts with the answer noted on the one it is to."""
    return tuple(
        replace(attempt, heard=(answer.word, answer.assurance)) if number == answer.attempt else attempt
        for number, attempt in enumerate(conversation.attempts, 1)
    )


def _asks(conversation: Conversation, event: Placed | StillRinging | Delivered) -> int:
    """A call that is first heard of gets its full number of questions."""
    return conversation.asks + 1 if conversation.state == "ringing" and isinstance(event, StillRinging) else 0


def due(before: Conversation, after: Conversation, symbol: str, event: Event, now_ms: int, plan: Plan) -> int | None:
    """When somebody must look at ``after`` next."""
    if after.state not in OPEN:
        return after.call_back_ms
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
        if after.call_back_ms is not None:
            return after.call_back_ms
        stays = before.state == "escalated" and before.call_back_ms is None
        wait_s = None if stays else plan.hand_over_s
    if before.state == "releasing" and symbol == "alert":
        wait_s = 0.0
    if wait_s is None:
        return now_ms if before.due_ms is None else before.due_ms
    return now_ms + round(wait_s * 1000)


def _answer_s(conversation: Conversation, plan: Plan) -> float:
    """How long the answer to the present attempt may take."""
    if not conversation.by_message:
        return plan.ring_s + plan.answer_grace_s
    return plan.rung(conversation.rung, conversation.order).wait_s


def _back_off(conversation: Conversation, plan: Plan) -> float:
    return plan.ask_again_s * float(2 ** max(0, conversation.asks - 1))

"""One conversation that tells the customer something and needs no answer: a notice, a reminder, an offer.

The theory. Its attempts are made, lost, found and made again just as those of a verification: planned under the gates,
on record before the provider hears of them, never repeated blindly. What differs is the end. A message is *told* when it
was delivered, or when the time for its answer is over and the provider had taken it; a call when somebody has heard it,
whatever key they pressed, or when a machine has and no other way is left. Where a class wants an answer (`WANTS_ANSWER`)
a message that is not answered is followed by the next rung of the ladder. Nobody holds a card for it, so what cannot be
told *expires*, with the reason; what may not be told (a STOP, no consent, no address) is *cancelled*.

Several matters may be told at once: one that joins while nothing has left yet is told with the others. A matter may be
put in other words while the conversation is planned, and withdrawn in any open state, unless the customer has asked for
people: nothing follows what is out, and a call is hung up where the provider can. Answers are recorded whenever they
come. An agent, a complaint, a dispute, a hardship, and a NO to a notice about a payment are for people, even after the
end; who complains is promised a call by a certain time.
"""

from msgspec.structs import replace

from pipeline.core.climbing import again, onward
from pipeline.core.contacting import Scene, carried_out
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
)
from pipeline.core.matters import Matter, Requested, Withdrawn, waiting
from pipeline.core.plan import Plan
from pipeline.core.telling_effects import EFFECTS
from pipeline.core.telling_table import TELLING, TellingSymbol
from pipeline.core.verification import NEXT_CHANNEL, PROVEN, RETRIED, Advanced, due, noted

WANTS_ANSWER = frozenset({"collection"})
"""Classes whose messages ask for a word back: silence takes the next rung."""
FOR_PEOPLE = frozenset({"agent", "complaint", "dispute", "hardship"})
"""Answers that no automaton settles."""
SETTLES = frozenset({"yes", "no", "already_paid", "promise"})


def advance(conversation: Conversation, event: Event, now_ms: int, plan: Plan) -> Advanced:
    """What ``event`` makes of ``conversation``. A refused event gives back the conversation itself."""
    return made(conversation, event, meaning(conversation, event, plan), now_ms, plan)


def made(conversation: Conversation, event: Event, symbol: TellingSymbol, now_ms: int, plan: Plan) -> Advanced:
    """As `advance`, of an event that is known to have meant ``symbol``: under another plan it may mean something else
    today."""
    row = TELLING.get(conversation.state, {}).get(symbol)
    if row is None:
        return Advanced(conversation, (), symbol)
    state, names = row
    after = replace(_told(conversation, symbol, event, now_ms, plan), state=state)
    after = replace(after, due_ms=_due(conversation, after, symbol, event, now_ms, plan))
    return Advanced(after, carried_out(names, Scene(conversation, after, event, now_ms, plan), EFFECTS))


def meaning(conversation: Conversation, event: Event, plan: Plan) -> TellingSymbol:
    """The symbol under which the table lists ``event``."""
    match event:
        case Requested(matter=matter):
            return _meaning_of_request(conversation, matter)
        case Withdrawn() if conversation.state == "escalated" and _asked_for_people(conversation):
            return "with_people"
        case Withdrawn(matter=name):
            left = waiting(conversation.matters)
            if name is not None and all(each.id != name for each in left):
                return "unknown_matter"
            return "withdrawn" if name is None or len(left) == 1 else "withdrawn_some"
        case Claimed():
            return "claim" if conversation.attempt < plan.attempts else "capped"
        case Deferred():
            return "deferred"
        case Barred(reason=reason):
            return "too_late" if reason.startswith("expired") else "barred"
        case CallBackMissed():
            return "no_call_back" if conversation.call_back_ms is None else "call_back_missed"
        case HandOverEnded():
            return "hand_over_ended"
        case Answered():
            return _meaning_of_answer(conversation, event, plan)
        case (
            Placed() | Delivered() | Silent() | Refused() | TimedOut() | StillRinging() | Absent() | Unasked() | Ended()
        ):
            return _meaning_of_report(conversation, event, plan)
    return "not_asked"


def _asked_for_people(conversation: Conversation) -> bool:
    """Whether the customer has said something that only people can settle: a payment settles no complaint."""
    heard = {attempt.heard[0] for attempt in conversation.attempts if attempt.heard is not None}
    return conversation.call_back_ms is not None or not heard.isdisjoint(FOR_PEOPLE)


Report = Placed | Delivered | Silent | Refused | TimedOut | StillRinging | Absent | Unasked | Ended


def _meaning_of_report(conversation: Conversation, event: Report, plan: Plan) -> TellingSymbol:
    if event.attempt != conversation.attempt:
        return "stale_attempt" if event.attempt < conversation.attempt else "unknown_attempt"
    answer_wanted = conversation.class_ in WANTS_ANSWER
    match event:
        case Placed():
            return "accepted"
        case TimedOut():
            return "timed_out"
        case Delivered():
            return "delivered" if answer_wanted else "told"
        case Silent():
            return again(conversation, plan, _end(plan)) if answer_wanted else "taken"
        case Refused(permanent=permanent, away=away):
            return (
                onward(conversation, plan, _end(plan)) if permanent or away else again(conversation, plan, _end(plan))
            )
        case Ended(reason=reason):
            if reason in NEXT_CHANNEL:
                return onward(conversation, plan, "left_message" if reason == "voicemail" else _end(plan))
            return again(conversation, plan, _end(plan)) if reason in RETRIED else "heard"
        case Absent() if conversation.state == "ringing":
            return again(conversation, plan, _end(plan))
        case Unasked() if conversation.by_message:
            return onward(conversation, plan, _end(plan))
    if conversation.asks + 1 >= plan.asks:
        return "asks_over"
    if isinstance(event, StillRinging):
        return "still_ringing"
    return "absent" if isinstance(event, Absent) else "unasked"


def _meaning_of_request(conversation: Conversation, matter: Matter) -> TellingSymbol:
    """Later words for a known matter replace the earlier ones while nothing has left; the same words, or words of an
    earlier record that is read again, change nothing."""
    known = next((each for each in conversation.matters if each.id == matter.id), None)
    planned = conversation.state == "planned"
    if known is not None:
        if matter.said_ms < known.said_ms or replace(matter, said_ms=known.said_ms, over=known.over) == known:
            return "repeated_request"
        return "replaced" if planned and not known.over else "no_longer_planned"
    if not conversation.matters:
        return "request"
    return "joined" if planned and not conversation.attempts else "no_longer_planned"


def _meaning_of_answer(conversation: Conversation, answer: Answered, plan: Plan) -> TellingSymbol:
    if answer.attempt is not None and not 1 <= answer.attempt <= conversation.attempt:
        return "unknown_attempt"
    if answer.attempt and conversation.attempts[answer.attempt - 1].heard == (answer.word, answer.assurance):
        return "repeated_answer"
    if answer.word == "complaint" and conversation.call_back_ms is None:
        return "complaint"
    if answer.word in FOR_PEOPLE or (answer.word == "no" and conversation.class_ == "fraud"):
        return "people"
    if conversation.state not in OPEN:
        return "heard_of"
    if conversation.state == "escalated":
        return "settled" if answer.word in SETTLES and answer.assurance in PROVEN else "heard_of"
    if answer.word in SETTLES:
        return "settled"
    if answer.word == "stop":
        return "stopped"
    if conversation.attempt < plan.attempts:
        if answer.word == "later":
            return "later"
        if answer.word == "wrong_person":
            return "wrong_person"
    return "heard_of"


def _end(plan: Plan) -> TellingSymbol:
    """Past the last rung: people only where the class's rule for silence wants them."""
    return "gave_up" if plan.on_silence and plan.on_silence[0].do == "agent" else "not_told"


def _told(conversation: Conversation, symbol: str, event: Event, now_ms: int, plan: Plan) -> Conversation:
    """The conversation with the event's facts and counts in it."""
    match event:
        case Requested(matter=matter):
            kept = tuple(matter if each.id == matter.id else each for each in conversation.matters)
            return replace(conversation, matters=kept if symbol == "replaced" else (*kept, matter))
        case Withdrawn(reason=reason, matter=name):
            matters = tuple(
                replace(each, over=reason) if not each.over and name in (None, each.id) else each
                for each in conversation.matters
            )
            return replace(conversation, matters=matters)
        case Claimed() if symbol == "claim":
            claimed = noted(conversation, symbol, event, now_ms, plan)
            matters = tuple(
                replace(each, over="expired") if not each.over and each.until_ms <= now_ms else each
                for each in conversation.matters
            )
            attempt = replace(claimed.attempts[-1], covers=tuple(each.id for each in waiting(matters)))
            return replace(claimed, matters=matters, attempts=(*claimed.attempts[:-1], attempt))
    return noted(conversation, symbol, event, now_ms, plan)


def _due(before: Conversation, after: Conversation, symbol: str, event: Event, now_ms: int, plan: Plan) -> int | None:
    """When somebody must look at ``after`` next."""
    if isinstance(event, Requested) and symbol != "joined":
        return max(now_ms, event.matter.from_ms)
    if symbol == "wrong_person":
        return now_ms  # another address, if there is one
    return due(before, after, symbol, event, now_ms, plan)

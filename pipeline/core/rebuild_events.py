"""Which events may have left a record on the topics: what `contacting` does, read backwards.

Answers are guesses in the order of likelihood; `rebuild` takes the first that leaves exactly the records found. Two
events that leave the same records make the same of a conversation, but for what its documentation names as lost.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from pipeline.core.contact_facts import moment_ms
from pipeline.core.conversation import (
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
    SwitchSilent,
    TimedOut,
    Unasked,
)
from pipeline.core.matters import Matter
from pipeline.core.plan import Plan
from pipeline.core.records import Answer, AnswerWord, Assurance, CardCommand, ContactStep, Label

Published = ContactStep | CardCommand | Label | Answer
LOST = "lost"
"""Stands for a provider's name of a call, or an address, that no record tells. It is equal to none."""
REFUSALS = frozenset({"refused", "rejected", "lost", "no_address", "text_refused"})
"""Why an attempt failed before anybody's telephone rang."""
ASSURANCES: Mapping[str | None, tuple[Assurance, ...]] = {"voice": ("voice", "agent"), "sms": ("sms", "agent")}
"""By channel, where a record does not say how surely the customer answered."""


class Known(NamedTuple):
    """What other topics than `contacts` tell of what a conversation is about. ``alerts``: those of the card, by id;
    ``matters``: what may be told in it by name, in the words that came one after the other, those it began with first."""

    alerts: Mapping[str, Alert] = MappingProxyType({})
    matters: Mapping[str, Sequence[Matter]] = MappingProxyType({})


class Found:
    """A transition's records from some place on, in their order, and what is known beside them."""

    def __init__(self, told: Sequence[Published], before: Conversation, known: Known, plan: Plan, at_ms: int) -> None:
        self.told = told
        self.before = before
        self.alerts = known.alerts
        self.matters = known.matters
        self.plan = plan
        self.at_ms = at_ms

    def step(self, *names: str) -> ContactStep | None:
        """The first step of these names."""
        return next((each for each in self.told if isinstance(each, ContactStep) and each.step in names), None)

    def events(self) -> Iterator[Event]:
        """What may have happened."""
        match self.told[0]:
            case ContactStep() as step:
                yield from EVENTS[step.step](self, step)
            case CardCommand() as command:
                yield from self._of_command(command)
            case Label(fraud=fraud):
                yield from self.answered("no" if fraud else "yes")
            case Answer() as answer:
                yield from self.answered(answer.answer)

    def _of_command(self, command: CardCommand) -> Iterator[Event]:
        if command.reason == "silence":
            yield from (Silent(self.before.attempt), Absent(self.before.attempt))
            yield from (Ended(self.before.attempt, "no_answer"), Barred("no_answer", no_way=True))
        elif command.command == "release":
            yield from self.answered("yes")
        elif command.command == "block" or command.reason == "no_after_yes":
            yield from self.answered("no")
        elif command.alert is not None:
            yield from self.raised(command.alert)

    def raised(self, name: str) -> Iterator[Event]:
        """The alert of this name, for which somebody can be called or not."""
        held = any(isinstance(each, CardCommand) and each.alert == name for each in self.told)
        unknown = [Alert(id=name, command="hold"), Alert(id=name)]
        given = [self.alerts[name]] if name in self.alerts else unknown if held else unknown[::-1]
        escalated = self.step("escalated")
        reasons = [None] if escalated is None else [None, escalated.reason]
        yield from (Raised(alert, reason) for alert, reason in product(given, reasons))

    def answered(self, word: AnswerWord) -> Iterator[Event]:
        """The answer as the records tell it; an agent's where they tell no more than its word."""
        step = self.step("answered")
        answer = next((each for each in self.told if isinstance(each, Answer)), None)
        given = answer or step
        channel = "unknown" if given is None or given.channel is None else given.channel
        said = "agent" if given is None else given.assurance
        sure = ASSURANCES.get(channel, ("app", "agent")) if said is None else (said,)
        shown = answer.alerts if answer is not None else step.covers if step is not None else ()
        promise = self.step("escalated")
        by_ms = moment_ms(promise.call_back_by) if promise is not None and promise.call_back_by else None
        promised = (None, None) if given is None else (given.by, given.amount)
        heard = word if given is None or given.answer is None else given.answer
        for assurance, ours, trusted in product(sure, (True, False), (True, False)):
            attempt = given.attempt if given else None
            yield Answered(heard, channel, assurance, attempt, ours, trusted, tuple(shown), by_ms, *promised)


Guess = Callable[[Found, ContactStep], Iterator[Event]]


def _planned(found: Found, step: ContactStep) -> Iterator[Event]:
    yield from found.raised(step.subject.get("alert", ""))


def _cancelled(found: Found, step: ContactStep) -> Iterator[Event]:
    name = step.subject.get("alert", "")
    alert = found.alerts.get(name, Alert(id=name))
    if step.reason == "reversed":
        yield Reversed(name, 0, "")
        return
    yield Raised(alert, exempt=True) if step.reason == "exempt" else Raised(alert, notice=True)


def _deferred(found: Found, step: ContactStep) -> Iterator[Event]:
    until_ms = moment_ms(step.due) if step.due else None
    yield Deferred(found.at_ms if until_ms is None else until_ms, step.reason or "")


def _sending(found: Found, step: ContactStep) -> Iterator[Event]:
    if step.attempt == found.before.attempt:
        yield Absent(found.before.attempt)
        return
    ladder = found.plan.ladder
    alike = [number for number, rung in enumerate(ladder) if rung.channel == step.channel]
    here = found.before.rung
    rungs = [step.rung] if step.rung is not None else [number for number in alike if number >= here] + alike + [here]
    yield Claimed(max(0, rungs[0]), step.to, step.sender, tuple(number for number in step.order if number >= 0))


def _accepted(found: Found, step: ContactStep) -> Iterator[Event]:
    number, call = of_attempt(found, step), step.call or LOST
    yield Delivered(number, call) if found.step("delivered") else Placed(number, call)


def _delivered(found: Found, step: ContactStep) -> Iterator[Event]:
    known = found.before.attempts[-1].call if found.before.attempts else None
    yield Delivered(of_attempt(found, step), step.call or known or LOST)


def _unknown(found: Found, step: ContactStep) -> Iterator[Event]:
    yield from (TimedOut(of_attempt(found, step)), Unasked(of_attempt(found, step)))


def _failed(found: Found, step: ContactStep) -> Iterator[Event]:
    number, reason = of_attempt(found, step), step.reason or "failed"
    if reason in REFUSALS:
        if reason == "lost":
            yield from (Absent(number), Unasked(number))
        yield Refused(number, permanent=False, reason=reason)
        yield Refused(number, permanent=True, reason=reason)
        yield Refused(number, permanent=False, reason=reason, away=True)
        yield Barred(reason, no_way=True)
        return
    if reason == "no_answer" and step.channel != "voice":
        yield Silent(number)
    yield Ended(number, reason)


def _answered(found: Found, step: ContactStep) -> Iterator[Event]:
    yield from found.answered(step.answer or "none")


def _escalated(found: Found, step: ContactStep) -> Iterator[Event]:
    if step.reason == "call_back_overdue":
        yield CallBackMissed()
        return
    match found.before.state:
        case "planned":
            yield Barred(step.reason or LOST)
        case "releasing":
            yield SwitchSilent()
        case _:
            yield from (Unasked(found.before.attempt), Absent(found.before.attempt))


def _completed(found: Found, step: ContactStep) -> Iterator[Event]:
    yield Acknowledged(done=step.reason != "superseded")


def _expired(found: Found, step: ContactStep) -> Iterator[Event]:
    yield from (HandOverEnded(), Barred("no_answer", no_way=True))


def of_attempt(found: Found, step: ContactStep) -> int:
    """The attempt a record is about."""
    return step.attempt or found.before.attempt


EVENTS: Mapping[str, Guess] = {
    "planned": _planned,
    "cancelled": _cancelled,
    "deferred": _deferred,
    "sending": _sending,
    "accepted": _accepted,
    "delivered": _delivered,
    "unknown": _unknown,
    "failed": _failed,
    "answered": _answered,
    "escalated": _escalated,
    "completed": _completed,
    "expired": _expired,
}

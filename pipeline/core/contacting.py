"""What the names in the verification table mean: the records that leave when a transition is made.

Each effect is a record for a topic, the order to call, or an exemption to be noted on the card. Identities are derived from the conversation, so that a
record published twice is recognisably the same one. Card commands leave here without their number (sequence 0): the
store allots it in the step that accepts the transition.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from msgspec.structs import replace

from pipeline.core.conversation import (
    OPEN,
    Acknowledged,
    Alert,
    Answered,
    Barred,
    CallBackMissed,
    Conversation,
    Deferred,
    Ended,
    Event,
    HandOverEnded,
    Raised,
    Refused,
    Reversed,
    Silent,
    SwitchSilent,
)
from pipeline.core.exemption import Exemption, exemption_after
from pipeline.core.label_book import CONFIDENCE
from pipeline.core.matters import on_record
from pipeline.core.moments import rfc3339
from pipeline.core.plan import Plan
from pipeline.core.records import Answer, CardCommand, ContactStep, Label, Step

EffectName = Literal[
    "command", "hold_again", "release", "block", "labels", "answer", "call",
    "planned", "planned_again", "sending", "accepted", "failed", "unknown", "answered", "completed", "escalated",
    "expired", "cancelled", "close", "deferred", "delivered", "hang_up",
]  # fmt: skip


TELLS_APART = 3
"""Characters of an address's digest that leave with a record, the first the same for all: enough to tell one customer's
addresses apart, and no more."""


class Call(NamedTuple):
    """The order to call or write to the customer now, for attempt ``attempt`` of the conversation."""

    attempt: int


class Close(NamedTuple):
    """The order to thank for the answer to ``attempt``, by its own channel, with the text ``part``: once, or not at all."""

    attempt: int
    part: str


class HangUp(NamedTuple):
    """The order to end the call of ``key``, the provider's ``call`` if its name is known: once, or not at all."""

    key: str
    call: str | None


Effect = CardCommand | Label | ContactStep | Answer | Call | Close | HangUp | Exemption


class Scene(NamedTuple):
    """A transition as it is made."""

    before: Conversation
    after: Conversation
    event: Event
    now_ms: int
    plan: Plan


def carried_out(
    names: Iterable[EffectName],
    scene: Scene,
    effects: Mapping[EffectName, Callable[[Scene], Iterable[Effect]]] | None = None,
) -> tuple[Effect, ...]:
    """The effects that ``names`` stand for, in their order; ``effects``: what they mean, if not as in a verification."""
    meant = effects or EFFECTS
    return tuple(effect for name in names for effect in meant[name](scene))


def _step(
    scene: Scene,
    step: Step,
    alert: str | None = None,
    *,
    reason: str | None = None,
    of_attempt: bool = True,
    call_back_ms: int | None = None,
) -> ContactStep:
    after = scene.after
    event = scene.event
    attempt = getattr(event, "attempt", None) or after.attempt or None
    first = after.attempts[attempt - 1].covers[0] if attempt and after.attempts[attempt - 1].covers else None
    subject = alert or first or (after.alerts or after.matters)[0].id
    unattached = isinstance(event, Answered) and event.attempt is None
    told = ContactStep(
        contact=after.id,
        subject={"alert": subject},
        customer=after.customer,
        class_=after.class_,
        step=step,
        time=rfc3339(scene.now_ms / 1000),
        channel=channel_of(after, event, attempt) if of_attempt else None,
        attempt=attempt if of_attempt and not unattached else None,
        reason=reason,
        answer=event.word if isinstance(event, Answered) else None,
        policy_version=next((known.policy_version for known in after.alerts if known.id == subject), None),
        call_back_by=None if call_back_ms is None else rfc3339(call_back_ms / 1000),
        due=None if after.due_ms is None else rfc3339(after.due_ms / 1000),
    )
    matter = next((each for each in after.matters if each.id == subject), None)
    return _with_what_is_needed_again(told if matter is None else on_record(told, matter), scene)


def _with_what_is_needed_again(told: ContactStep, scene: Scene) -> ContactStep:
    """``told`` with what only this transition knows, and whoever tells the conversation again has to."""
    event, attempts = scene.event, scene.after.attempts
    match told.step:
        case "sending":
            sent = attempts[-1]
            to = None if sent.address is None else sent.address[:TELLS_APART]
            climbed = {"rung": scene.after.rung, "order": list(scene.after.order)}
            return replace(told, covers=list(sent.covers), to=to, sender=sent.sender, **climbed)
        case "accepted" | "delivered":
            return replace(told, call=getattr(event, "call", None))
        case "answered":
            assert isinstance(event, Answered)
            address = attempts[event.attempt - 1].address if event.attempt else None
            to = address[:TELLS_APART] if address else None
            said = {"by": event.by, "amount": event.amount}
            return replace(told, assurance=event.assurance, to=to, covers=list(event.alerts), **said)
    return told


def channel_of(conversation: Conversation, event: Event, attempt: int | None) -> str | None:
    """The channel of the attempt an event is about; of an answer that no attempt carried, its own."""
    if isinstance(event, Answered) and event.attempt is None:
        return event.channel
    return conversation.attempts[attempt - 1].channel if attempt else None


def _command(
    scene: Scene, command: Literal["hold", "release", "block", "limit"], alert: Alert, reason: str
) -> CardCommand:
    after_no = scene.after.taken_back and command in ("hold", "release")
    again = f":{scene.after.taken_back}" if after_no else ""  # what was done before is done under another name
    return CardCommand(
        id=f"{scene.after.id}:{command}:{alert.id}{again}",
        card=scene.after.card,
        sequence=0,
        command=command,
        scope=alert.scope if command in ("hold", "limit") else "all",
        alert=alert.id,
        reason=reason,
    )


def _spoken(scene: Scene) -> list[Alert]:
    """The alerts whose verdict this transition sets."""
    before = {alert.id: alert.verdict for alert in scene.before.alerts}
    return [alert for alert in scene.after.alerts if alert.verdict != before.get(alert.id)]


def _on_alert(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    assert isinstance(event, Raised)
    if event.alert.command != "none":
        yield _command(scene, event.alert.command, event.alert, "suspected_fraud")


def _planned(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    assert isinstance(event, Raised)
    joined = "joined" if scene.before.alerts else None
    yield _step(scene, "planned", event.alert.id, reason=joined, of_attempt=False)


def _hold_again(scene: Scene) -> Iterable[Effect]:
    yield _command(scene, "hold", scene.after.alerts[0], "no_after_yes")


def _release(scene: Scene) -> Iterable[Effect]:
    """Where nothing was held there is nothing to release, but the exemptions hold."""
    said = isinstance(scene.event, Answered)
    allowed = [exemption for alert in scene.after.alerts if said and (exemption := _exemption(alert, scene))]
    if scene.after.held_ms is not None:  # each release has another name: that of the newest alert
        command = _command(scene, "release", scene.after.alerts[-1], "cardholder_yes" if said else "silence")
        yield replace(command, exemption=allowed[-1].told()) if allowed else command
    yield from allowed


def _exemption(alert: Alert, scene: Scene) -> Exemption | None:
    return exemption_after(alert, scene.now_ms, scene.plan.exempt_s) if alert.verdict == "genuine" else None


def _block(scene: Scene) -> Iterable[Effect]:
    spoken = _spoken(scene) or scene.after.alerts
    yield _command(scene, "block", spoken[0], "cardholder_no")


def _labels(scene: Scene) -> Iterable[Effect]:
    """What is known now of each alert spoken about; a later label names the one before it."""
    event = scene.event
    assert isinstance(event, Answered)
    for alert in _spoken(scene):
        yield Label(
            id=_label_id(scene, alert, alert.labels),
            transaction=alert.id,
            card=scene.after.card,
            fraud=None if alert.verdict is None else alert.verdict == "fraud",
            source="cardholder",
            confidence=None if alert.verdict is None else CONFIDENCE[event.assurance],
            time=rfc3339(scene.now_ms / 1000),
            supersedes=_label_id(scene, alert, alert.labels - 1) if alert.labels > 1 else None,
        )


def _label_id(scene: Scene, alert: Alert, number: int) -> str:
    return f"{scene.after.id}:label:{alert.id}:{number}"


def _answer(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    assert isinstance(event, Answered)
    if event.ours:
        yield Answer(
            contact=scene.after.id,
            answer=event.word,
            channel=event.channel,
            assurance=event.assurance,
            time=rfc3339(scene.now_ms / 1000),
            attempt=event.attempt,
            alerts=list(event.alerts),
            by=event.by,
            amount=event.amount,
        )


def _call(scene: Scene) -> Iterable[Effect]:
    yield Call(scene.after.attempt)


def _hang_up(scene: Scene) -> Iterable[Effect]:
    """A call that goes on has nothing to say any more, once somebody answered elsewhere or it was withdrawn. One that
    carried the answer ends by itself: it still says thanks, or was put through to an agent."""
    before, event = scene.before, scene.event
    carried = isinstance(event, Answered) and event.attempt == before.attempt
    if before.state in ("sending", "ringing", "unknown") and not before.by_message and not carried:
        yield HangUp(before.key, before.attempts[-1].call)


CLOSINGS = {"yes": "thanks_yes", "no": "thanks_no", "stop": "stopped", "agent": "help", "complaint": "complaint"}


def _close(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    if isinstance(event, Answered):
        attempt, part = event.attempt, CLOSINGS.get(event.word)
    else:
        attempt, part = scene.after.thanks, CLOSINGS["yes"]
    if part == "help" and scene.after.state not in OPEN:
        return  # there is nothing left to answer
    if part == CLOSINGS["yes"] and scene.after.held_ms is None:
        part = "thanks_known"
    if part and attempt and scene.after.attempts[attempt - 1].channel != "voice":
        yield Close(attempt, part)


def _completed(scene: Scene) -> Iterable[Effect]:
    """One for each alert that is settled now, or whose release is over; for the first alert if there is none."""
    event, reason = scene.event, str(scene.after.state)
    spoken = _spoken(scene)
    if isinstance(event, Acknowledged):
        spoken = [alert for alert in scene.after.alerts if alert.verdict == "genuine"]
        reason = reason if event.done else "superseded"
    for alert in spoken or scene.after.alerts[:1]:
        yield _step(scene, "completed", alert.id, reason=reason)


def why_escalated(scene: Scene) -> str:
    """In one word, why people take over."""
    match scene.event:
        case Raised(cannot_call=reason):
            return reason or "with_people"
        case Barred(no_way=True) if any(attempt.call for attempt in scene.before.attempts):
            return "no_answer"
        case CallBackMissed():
            return "call_back_overdue"
        case Barred(reason=reason) | Ended(reason=reason) | Refused(reason=reason):
            return reason
        case Answered(word=word):
            return {"no": "no_after_yes", "yes": "yes_unproven"}.get(word, f"answer_{word}")
        case Silent():
            return "no_answer"
        case SwitchSilent():
            return "switch_silent"
    return "calls_used_up" if scene.before.state == "planned" else "provider_silent"


def _reason(event: Event) -> str:
    if isinstance(event, Silent):
        return "no_answer"
    return event.reason if isinstance(event, Ended | Refused) else "lost"


def _why_cancelled(scene: Scene) -> str:
    if isinstance(scene.event, Reversed):
        return "reversed"
    return "exempt" if isinstance(scene.event, Raised) and scene.event.exempt else "no_channel_for_notices"


def _escalated(scene: Scene) -> Iterable[Effect]:
    complained = isinstance(scene.event, Answered) and scene.event.word == "complaint"
    yield _step(
        scene,
        "escalated",
        reason=why_escalated(scene),
        of_attempt=bool(scene.after.attempts),
        call_back_ms=scene.after.call_back_ms if complained else None,
    )


def _deferred(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    assert isinstance(event, Deferred)
    yield _step(scene, "deferred", reason=event.reason, of_attempt=False)


def why_planned_again(scene: Scene) -> str:
    """In one word, why there will be another attempt."""
    if isinstance(scene.event, Answered):
        return "later" if scene.event.word == "later" else "new_question"
    return "retry" if scene.after.rung == scene.before.rung else "next_channel"


EFFECTS: dict[EffectName, Callable[[Scene], Iterable[Effect]]] = {
    "command": _on_alert,
    "hold_again": _hold_again,
    "release": _release,
    "block": _block,
    "labels": _labels,
    "answer": _answer,
    "call": _call,
    "close": _close,
    "hang_up": _hang_up,
    "planned": _planned,
    "planned_again": lambda scene: [_step(scene, "planned", reason=why_planned_again(scene), of_attempt=False)],
    "deferred": _deferred,
    "delivered": lambda scene: [_step(scene, "delivered")],
    "sending": lambda scene: [_step(scene, "sending")],
    "accepted": lambda scene: [_step(scene, "accepted")],
    "failed": lambda scene: [_step(scene, "failed", reason=_reason(scene.event))],
    "unknown": lambda scene: [_step(scene, "unknown", reason="provider_silent")],
    "answered": lambda scene: [_step(scene, "answered")],
    "completed": _completed,
    "escalated": _escalated,
    "cancelled": lambda scene: [_step(scene, "cancelled", reason=_why_cancelled(scene), of_attempt=False)],
    "expired": lambda scene: [
        _step(
            scene,
            "expired",
            reason="nobody_took_over" if isinstance(scene.event, HandOverEnded) else "silence",
            of_attempt=False,
        )
    ],
}

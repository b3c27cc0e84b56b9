"""What the names in the verification table mean: the records that leave when a transition is made.

Each effect is a record for a topic, the order to call, or an exemption to be noted on the card. Identities are derived from the conversation, so that a
record published twice is recognisably the same one. Card commands leave here without their number (sequence 0): the
store allots it in the step that accepts the transition.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from msgspec.structs import replace

from pipeline.core.conversation import (
    CALL_CLASS,
    OPEN,
    Acknowledged,
    Alert,
    Answered,
    Barred,
    Conversation,
    Deferred,
    Ended,
    Event,
    HandOverEnded,
    Plan,
    Raised,
    Refused,
    Silent,
    SwitchSilent,
)
from pipeline.core.exemption import Exemption, exemption_after
from pipeline.core.moments import rfc3339
from pipeline.core.records import Answer, CardCommand, ContactStep, Label, Step

EffectName = Literal[
    "command", "hold_again", "release", "block", "labels", "answer", "call",
    "planned", "planned_again", "sending", "accepted", "failed", "unknown", "answered", "completed", "escalated",
    "expired", "cancelled", "close", "deferred", "delivered",
]  # fmt: skip


class Call(NamedTuple):
    """The order to call or write to the customer now, for attempt ``attempt`` of the conversation."""

    attempt: int


class Close(NamedTuple):
    """The order to thank for the answer to ``attempt``, by its own channel, with the text ``part``: once, or not at all."""

    attempt: int
    part: str


Effect = CardCommand | Label | ContactStep | Answer | Call | Close | Exemption


class Scene(NamedTuple):
    """A transition as it is made."""

    before: Conversation
    after: Conversation
    event: Event
    now_ms: int
    plan: Plan


def carried_out(names: Iterable[EffectName], scene: Scene) -> tuple[Effect, ...]:
    """The effects that ``names`` stand for, in their order."""
    return tuple(effect for name in names for effect in EFFECTS[name](scene))


def _step(
    scene: Scene, step: Step, alert: str | None = None, *, reason: str | None = None, of_attempt: bool = True
) -> ContactStep:
    after = scene.after
    event = scene.event
    attempt = getattr(event, "attempt", None) or after.attempt or None
    first = after.attempts[attempt - 1].covers[0] if attempt and after.attempts[attempt - 1].covers else None
    subject = alert or first or after.alerts[0].id
    return ContactStep(
        contact=after.id,
        subject={"alert": subject},
        customer=after.customer,
        class_=CALL_CLASS,
        step=step,
        time=rfc3339(scene.now_ms / 1000),
        channel=channel_of(after, event, attempt) if of_attempt else None,
        attempt=attempt if of_attempt else None,
        reason=reason,
        answer=event.word if isinstance(event, Answered) else None,
        policy_version=next((known.policy_version for known in after.alerts if known.id == subject), None),
    )


def channel_of(conversation: Conversation, event: Event, attempt: int | None) -> str | None:
    """The channel of the attempt an event is about; of an answer that no attempt carried, its own."""
    if isinstance(event, Answered) and event.attempt is None:
        return event.channel
    return conversation.attempts[attempt - 1].channel if attempt else None


def _command(
    scene: Scene, command: Literal["hold", "release", "block", "limit"], alert: Alert, reason: str
) -> CardCommand:
    again = ":again" if reason == "no_after_yes" else ""
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
    if not isinstance(scene.event, Answered):
        yield _command(scene, "release", scene.after.alerts[-1], "silence")
        return
    command = _command(scene, "release", scene.after.alerts[-1], "cardholder_yes")  # another name for each release
    allowed = [exemption for alert in scene.after.alerts if (exemption := _exemption(alert, scene))]
    if allowed:
        command = replace(command, exemption=allowed[-1].told())
    yield command
    yield from allowed


def _exemption(alert: Alert, scene: Scene) -> Exemption | None:
    return exemption_after(alert, scene.now_ms, scene.plan.exempt_s) if alert.verdict == "genuine" else None


def _block(scene: Scene) -> Iterable[Effect]:
    spoken = _spoken(scene) or scene.after.alerts
    yield _command(scene, "block", spoken[0], "cardholder_no")


def _labels(scene: Scene) -> Iterable[Effect]:
    for alert in _spoken(scene):
        yield Label(
            transaction=alert.id,
            card=scene.after.card,
            fraud=alert.verdict == "fraud",
            source="cardholder",
            time=rfc3339(scene.now_ms / 1000),
        )


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
        )


def _call(scene: Scene) -> Iterable[Effect]:
    yield Call(scene.after.attempt)


CLOSINGS = {"yes": "thanks_yes", "no": "thanks_no", "stop": "stopped", "agent": "help"}


def _close(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    if isinstance(event, Answered):
        attempt, part = event.attempt, CLOSINGS.get(event.word)
    else:
        attempt, part = scene.after.thanks, CLOSINGS["yes"]
    if part == "help" and scene.after.state not in OPEN:
        return  # there is nothing left to answer
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
    return "exempt" if isinstance(scene.event, Raised) and scene.event.exempt else "no_channel_for_notices"


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
    "escalated": lambda scene: [
        _step(scene, "escalated", reason=why_escalated(scene), of_attempt=bool(scene.after.attempts))
    ],
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

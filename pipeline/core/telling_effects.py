"""What the names in the telling table mean: one step on the contacts topic for each matter that it is about."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace

from pipeline.core.contacting import EFFECTS as ASKING_EFFECTS
from pipeline.core.contacting import Effect, EffectName, Scene
from pipeline.core.conversation import (
    Answered,
    Barred,
    CallBackMissed,
    Claimed,
    Delivered,
    Ended,
    HandOverEnded,
    Refused,
    Silent,
)
from pipeline.core.matters import Matter, Requested, Withdrawn, on_record, waiting
from pipeline.core.moments import rfc3339
from pipeline.core.records import ContactStep, Step


def _step(
    scene: Scene,
    step: Step,
    matter: Matter,
    reason: str | None,
    of_attempt: bool = True,
    call_back_ms: int | None = None,
) -> ContactStep:
    after, event = scene.after, scene.event
    attempt = (getattr(event, "attempt", None) or after.attempt or None) if of_attempt else None
    told = ContactStep(
        contact=after.id,
        subject=matter.subject,
        customer=after.customer,
        class_=after.class_,
        step=step,
        time=rfc3339(scene.now_ms / 1000),
        channel=after.attempts[attempt - 1].channel if attempt else None,
        attempt=attempt,
        reason=reason,
        answer=event.word if isinstance(event, Answered) else None,
        call_back_by=None if call_back_ms is None else rfc3339(call_back_ms / 1000),
        due=None if after.due_ms is None else rfc3339(after.due_ms / 1000),
    )
    return on_record(told, matter)


def _planned(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    assert isinstance(event, Requested)
    known = any(each.id == event.matter.id for each in scene.before.matters)
    reason = "replaced" if known else ("joined" if scene.before.matters else None)
    told = _step(scene, "planned", event.matter, reason, of_attempt=False)
    yield replace(told, prefers=scene.after.prefers or None)


def _sending(scene: Scene) -> Iterable[Effect]:
    """Beside the attempt: what has become useless and is not told with the others."""
    left = waiting(scene.after.matters)
    for matter in waiting(scene.before.matters):
        if all(each.id != matter.id for each in left):
            yield _step(scene, "expired", matter, "expired", of_attempt=False)
    yield from ASKING_EFFECTS["sending"](scene)


def _planned_again(scene: Scene) -> Iterable[Effect]:
    if isinstance(scene.event, Answered):
        reason = str(scene.event.word)
    else:
        reason = "retry" if scene.after.rung == scene.before.rung else "next_channel"
    yield _step(scene, "planned", _first(scene), reason, of_attempt=False)


def _answered(scene: Scene) -> Iterable[Effect]:
    """What is answered about several bills at once is said of each: whoever keeps one account reads no other's steps."""
    (told,) = (effect for effect in ASKING_EFFECTS["answered"](scene) if isinstance(effect, ContactStep))
    about = [matter for matter in scene.before.matters if matter.id in _asked_about(scene) and matter.bill is not None]
    yield from [on_record(told, matter) for matter in about] or [told]


def _asked_about(scene: Scene) -> Collection[str]:
    """The matters that an answer is about: those of the attempt that carried it, else all there are."""
    number = getattr(scene.event, "attempt", None)
    every = [matter.id for matter in scene.before.matters]
    return scene.before.attempts[number - 1].covers if number else every


def _completed(scene: Scene) -> Iterable[Effect]:
    for matter in _or_first(waiting(scene.after.matters), scene):
        yield _step(scene, "completed", matter, _how_told(scene))


def _how_told(scene: Scene) -> str:
    match scene.event:
        case Answered(word=word):
            return f"answer_{word}"
        case Delivered():
            return "delivered"
        case Ended(reason=reason):
            return reason
    return "accepted"


def _escalated(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    reason = "no_answer"
    if isinstance(event, Answered):
        reason = f"answer_{event.word}"
    elif isinstance(event, CallBackMissed):
        reason = "call_back_overdue"
    elif isinstance(event, Ended | Refused):
        reason = event.reason
    complained = reason == "answer_complaint"
    yield _step(
        scene,
        "escalated",
        _first(scene),
        reason,
        of_attempt=bool(scene.after.attempts),
        call_back_ms=scene.after.call_back_ms if complained else None,
    )


def _cancelled(scene: Scene) -> Iterable[Effect]:
    event = scene.event
    before = waiting(scene.before.matters)
    if isinstance(event, Withdrawn):
        gone = [matter for matter in before if event.matter in (None, matter.id)]
        reason = event.reason
    else:
        gone, reason = list(before), event.reason if isinstance(event, Barred) else "stop"
    for matter in _or_first(gone, scene):
        yield _step(scene, "cancelled", matter, reason, of_attempt=False)


def _expired(scene: Scene) -> Iterable[Effect]:
    for matter in _or_first(waiting(scene.after.matters), scene):
        yield _step(scene, "expired", matter, _why_expired(scene), of_attempt=False)


def _why_expired(scene: Scene) -> str:
    match scene.event:
        case Barred(reason=reason) | Ended(reason=reason) | Refused(reason=reason):
            return reason
        case Claimed():
            return "calls_used_up"
        case HandOverEnded():
            return "nobody_took_over"
        case Silent():
            return "silence"
    return "provider_silent"


def _first(scene: Scene) -> Matter:
    """The matter that stands for the others where one step is enough."""
    return (waiting(scene.after.matters) or scene.after.matters)[0]


def _or_first(matters: Sequence[Matter], scene: Scene) -> Sequence[Matter]:
    """An end is always on record: of matters that all need not be told any more, with the first of them."""
    return matters or scene.after.matters[:1]


OWN: Mapping[EffectName, Callable[[Scene], Iterable[Effect]]] = {
    "planned": _planned,
    "sending": _sending,
    "planned_again": _planned_again,
    "answered": _answered,
    "completed": _completed,
    "escalated": _escalated,
    "cancelled": _cancelled,
    "expired": _expired,
}
EFFECTS: Mapping[EffectName, Callable[[Scene], Iterable[Effect]]] = {**ASKING_EFFECTS, **OWN}

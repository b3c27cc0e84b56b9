"""What one entry of a dossier says: what happened to the contact, why it was allowed, what was said, what followed.

An entry is made with every transition, in the step that stores it: the text of an attempt stands in the entry of the
decision to make it, before any provider hears of it. No entry holds a number, an address or a name in full.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from pipeline.core.contacting import Effect
from pipeline.core.conversation import (
    Absent,
    Acknowledged,
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
    StillRinging,
    SwitchSilent,
    TimedOut,
    Unasked,
)
from pipeline.core.dossier import Link, chained
from pipeline.core.matters import Matter, Requested, Withdrawn
from pipeline.core.moments import rfc3339
from pipeline.core.records import CardCommand, ContactStep, Label
from pipeline.core.verdict import Said

NAMES: Mapping[type, str] = {
    Raised: "alert",
    Reversed: "reversed",
    CallBackMissed: "call_back_missed",
    Claimed: "attempt",
    Deferred: "deferred",
    Barred: "barred",
    Placed: "accepted",
    Delivered: "delivered",
    Silent: "silent",
    Refused: "refused",
    TimedOut: "timed_out",
    StillRinging: "going_on",
    Absent: "absent",
    Unasked: "unasked",
    Ended: "ended",
    Answered: "answered",
    HandOverEnded: "hand_over_ended",
    Acknowledged: "acknowledged",
    SwitchSilent: "switch_silent",
    Requested: "request",
    Withdrawn: "withdrawn",
}
"""What an event is called in a dossier."""
NOT_TOLD = frozenset(
    {"type", "alert", "address", "rung", "until_ms", "ours", "no_way", "call_back_ms", "order", "cohort"}
)
"""Fields of events that are told in another form, or are our own business."""
ALERT_TOLD = ("id", "command", "scope", "amount", "currency", "merchant", "country", "score", "policy_version")


class Grounds(NamedTuple):
    """Why an attempt is made now, later or never: the policy asked, where the customer may be, each gate's answer;
    ``order``: why the ladder is climbed in another order than the plan's, empty if it is not."""

    policy: str
    zones: Sequence[str]
    said: Sequence[Said]
    order: Sequence[str] = ()


class Told(NamedTuple):
    """A text as it was rendered for an attempt. ``to``: masked; ``parts``: by name, those of a call beside each
    other."""

    channel: str
    to: str
    language: str
    parts: Mapping[str, str]


class Happened(NamedTuple):
    """A transition to be put on record."""

    event: Event
    after: Conversation
    effects: Sequence[Effect]
    now_ms: int
    grounds: Grounds | None = None
    told: Sequence[Told] = ()


def recorded(happened: Happened) -> tuple[Conversation, Link]:
    """The conversation with the hash of its dossier's new last entry, and that entry."""
    after = happened.after
    link = chained(after.proof or after.id, entry_of(happened))
    return replace(after, proof=link.hash), link


def entry_of(happened: Happened) -> dict[str, Any]:
    """The entry's fields, all JSON values."""
    event, after = happened.event, happened.after
    facts = {name: value for name, value in msgspec.to_builtins(event).items() if name not in NOT_TOLD}
    entry: dict[str, Any] = {
        **{name: value for name, value in facts.items() if value is not None},
        "time": rfc3339(happened.now_ms / 1000),
        "event": NAMES[type(event)],
        "state": after.state,
        "did": [did for effect in happened.effects if (did := _done(effect))],
    }
    if isinstance(event, Raised):
        told = msgspec.to_builtins(event.alert)
        entry["alert"] = {name: told[name] for name in ALERT_TOLD if told.get(name) is not None}
        entry |= {"card": after.card, "customer": after.customer}
    if isinstance(event, Reversed):
        entry["alert"] = {"id": event.alert}
    if isinstance(event, Answered) and event.word == "complaint" and after.call_back_ms is not None:
        entry["call_back_by"] = rfc3339(after.call_back_ms / 1000)
    if isinstance(event, Requested):
        entry |= {"matter": _matter(event.matter), "class": after.class_, "customer": after.customer}
    if isinstance(event, Deferred):
        entry["until"] = rfc3339(event.until_ms / 1000)
    if isinstance(event, Claimed):
        entry |= {"attempt": after.attempt, "asks_about": list(after.attempts[-1].covers)}
    if happened.grounds is not None:
        grounds = happened.grounds
        entry |= {
            "policy": grounds.policy,
            "zones": list(grounds.zones),
            "gates": [_gate(said) for said in grounds.said],
        }
        if grounds.order:
            entry["order"] = list(grounds.order)
    if happened.told:
        entry["told"] = [
            {"channel": told.channel, "to": told.to, "language": told.language, "text": dict(told.parts)}
            for told in happened.told
        ]
    return entry


def _matter(matter: Matter) -> dict[str, Any]:
    """What is to be told, without the customer's name."""
    told = {name: value for name, value in matter.variables.items() if name != "name"}
    return {matter.about: matter.id, "template": matter.template, **told}


def _gate(said: Said) -> dict[str, Any]:
    found: dict[str, Any] = {"gate": said.gate, "answer": said.answer, "reason": said.reason}
    if said.source:
        found["source"] = said.source
    if said.until_ms is not None:
        found["until"] = rfc3339(said.until_ms / 1000)
    if said.details:
        found["detail"] = [detail.as_json() for detail in said.details]
    return found


def _done(effect: Effect) -> list[str] | None:
    """What was done in words of the topics: a command to the card, a label, the end of the contact."""
    match effect:
        case CardCommand(command=command, reason=reason):
            return ["card", command, reason or ""]
        case Label(fraud=fraud):
            return ["label", "withdrawn" if fraud is None else "fraud" if fraud else "genuine"]
        case ContactStep(step="completed" | "escalated" | "expired" | "cancelled" as step, reason=reason):
            return ["contact", step, reason or ""]
    return None

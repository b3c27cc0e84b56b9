"""What is known about one verification conversation, what can happen to it, and the plan it follows: plain values.

A conversation belongs to one card. It carries the alerts (transactions) it asks about and the attempts made to ask.
All times are unix milliseconds, all values are frozen: the machine in `verification` makes a new conversation from an
old one. The JSON form (`encode`, `decode`) is what the contact store keeps.
"""

from hashlib import blake2b
from typing import Literal

import msgspec

from pipeline.core.records import AnswerWord, Assurance

State = Literal["planned", "sending", "ringing", "unknown", "escalated", "released", "blocked", "expired", "cancelled"]
OPEN: frozenset[State] = frozenset({"planned", "sending", "ringing", "unknown", "escalated"})
CALL_CLASS = "fraud"
CHANNEL = "voice"
STEP = 1
"""The one step of this cascade: a call. The second part of the idempotency key."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One suspicious transaction. ``command``: what its decision wants done to the card; ``amount`` in minor units;
    ``verdict``: what the cardholder said about it, set once, together with its label."""

    id: str
    command: Literal["none", "hold", "limit"] = "none"
    scope: str = "all"
    amount: int | None = None
    currency: str | None = None
    merchant: str | None = None
    policy_version: str | None = None
    verdict: Literal["genuine", "fraud"] | None = None


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One call: the alerts it asks about (an answer covers these and no others), and the provider's name for it."""

    covers: tuple[str, ...]
    call: str | None = None


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``tries``: calls made for the present question; ``asks``: how often the provider was asked about the present
    call; ``source_ms``: log timestamp of the first alert's transaction; ``held_ms``: when a hold was first commanded;
    ``due_ms``: when somebody must look at it next."""

    id: str
    card: str
    customer: str | None = None
    state: State = "planned"
    alerts: tuple[Alert, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    tries: int = 0
    asks: int = 0
    source_ms: int = 0
    held_ms: int | None = None
    due_ms: int | None = None

    @property
    def attempt(self) -> int:
        """The present attempt's number; the first is 1, 0 before it."""
        return len(self.attempts)

    @property
    def unsettled(self) -> tuple[str, ...]:
        """The alerts the cardholder has not spoken about."""
        return tuple(alert.id for alert in self.alerts if alert.verdict is None)

    @property
    def key(self) -> str:
        """The present attempt's idempotency key: whatever crashes, the provider sees this one for this attempt."""
        return attempt_key(self.id, self.attempt)

    def covered(self) -> tuple[Alert, ...]:
        """The alerts of the present attempt."""
        named = self.attempts[-1].covers
        return tuple(alert for alert in self.alerts if alert.id in named)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long and how often; read from ``config/contact/<profile>.toml``. ``_s`` are seconds."""

    ring_s: float
    """How long the provider lets it ring and waits for a key."""
    answer_grace_s: float
    """After the ring, how long the call-back may take before the provider is asked."""
    attempts: int
    """Calls for one question."""
    retry_s: float
    """Between two of them."""
    calls: int
    """The most calls in one conversation, new questions for alerts that joined included."""
    lease_s: float
    """How long a worker may take for a request before another asks the provider what became of it."""
    asks: int
    """How often the provider is asked about one call before people take over."""
    ask_again_s: float
    """Between two questions; doubled each time."""
    hand_over_s: float
    """How long people have before the conversation expires. The hold stays."""
    keep_s: float
    """How long an ended conversation is remembered, for late call-backs and repeated alerts."""


class Raised(msgspec.Struct, frozen=True):
    """A decision asks for a contact. ``cannot_call``: why nobody can be called, None if somebody can. ``notice``: it
    wants the customer told, not asked."""

    alert: Alert
    cannot_call: str | None = None
    notice: bool = False


class Claimed(msgspec.Struct, frozen=True):
    """A worker holds the lease and is about to call."""


class NoPhone(msgspec.Struct, frozen=True):
    """A worker holds the lease, but the directory (no longer) has a number."""

    reason: str


class Placed(msgspec.Struct, frozen=True):
    """The provider has taken the call."""

    attempt: int
    call: str


class Refused(msgspec.Struct, frozen=True):
    """The provider has certainly not taken the call. ``permanent``: nor will it ever."""

    attempt: int
    permanent: bool
    reason: str


class TimedOut(msgspec.Struct, frozen=True):
    """The provider has not answered: it may or may not have taken the call."""

    attempt: int


class StillRinging(msgspec.Struct, frozen=True):
    """Asked, the provider says that the call goes on."""

    attempt: int
    call: str


class Absent(msgspec.Struct, frozen=True):
    """Asked, the provider says that it never had the call."""

    attempt: int


class Unasked(msgspec.Struct, frozen=True):
    """The provider could not be asked."""

    attempt: int


class Ended(msgspec.Struct, frozen=True):
    """The call is over without an answer. ``reason``: the provider's word."""

    attempt: int
    reason: str


class Answered(msgspec.Struct, frozen=True):
    """Somebody answered. ``attempt`` None: no call of ours carried it; an agent or the app has seen every alert."""

    word: AnswerWord
    channel: str
    assurance: Assurance
    attempt: int | None = None
    ours: bool = True
    """False: it came by the answers topic and stands there already."""


class HandOverEnded(msgspec.Struct, frozen=True):
    """People have had their time."""


Event = (
    Raised
    | Claimed
    | NoPhone
    | Placed
    | Refused
    | TimedOut
    | StillRinging
    | Absent
    | Unasked
    | Ended
    | Answered
    | HandOverEnded
)


def contact_id(card: str, transaction: str) -> str:
    """The same for the same first alert: a decision delivered again cannot make a second conversation."""
    return "ct_" + blake2b(f"{card}\n{transaction}".encode(), digest_size=12).hexdigest()


def attempt_key(contact: str, attempt: int) -> str:
    return f"{contact}:{STEP}:{attempt}"


def parse_key(key: str) -> tuple[str, int]:
    """Contact and attempt number of an idempotency key. Raises ValueError when it is none of ours."""
    contact, step, attempt = key.split(":")
    if not contact.startswith("ct_") or int(step) != STEP or int(attempt) < 1:
        raise ValueError("not an idempotency key of a call")
    return contact, int(attempt)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Conversation)


def encode(conversation: Conversation) -> bytes:
    return _encoder.encode(conversation)


def decode(value: bytes) -> Conversation:
    """Raises msgspec.DecodeError when ``value`` is no conversation."""
    return _decoder.decode(value)

"""What is known about one verification conversation, what can happen to it, and the plan it follows: plain values.

A conversation belongs to one card. It carries the alerts (transactions) it asks about and the attempts made to ask.
All times are unix milliseconds, all values are frozen: the machine in `verification` makes a new conversation from an
old one. The JSON form (`encode`, `decode`) is what the contact store keeps.
"""

from hashlib import blake2b
from typing import Literal, get_args

import msgspec

from pipeline.core.records import AnswerWord, Assurance

State = Literal[
    "planned", "sending", "ringing", "unknown", "escalated", "released", "blocked", "expired", "cancelled", "releasing"
]
OPEN: frozenset[State] = frozenset({"planned", "sending", "ringing", "unknown", "escalated", "releasing"})
Channel = Literal["voice", "sms", "email", "push", "wechat", "webhook"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
CALL_CLASS = "fraud"
ASKING = 1
CLOSING = 2
"""The second part of an idempotency key: a question, or the thanks for its answer. The third counts attempts."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One suspicious transaction. ``command``: what its decision wants done to the card; ``amount`` in minor units;
    ``verdict``: what the cardholder said about it, set once, together with its label. ``score``: probability of fraud;
    ``exposure``: its amount in minor units of the bank's currency; ``hard``: a rule spoke that no earlier YES sets
    aside."""

    id: str
    command: Literal["none", "hold", "limit"] = "none"
    scope: str = "all"
    amount: int | None = None
    currency: str | None = None
    merchant: str | None = None
    policy_version: str | None = None
    verdict: Literal["genuine", "fraud"] | None = None
    score: float = 1.0
    exposure: float | None = None
    merchant_id: str | None = None
    mcc: str | None = None
    country: str | None = None
    hard: bool = False


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One call or message: the alerts it asks about (an answer covers these and no others), a digest of the address it
    goes to, as whom (empty: the channel's own sender), and the provider's name for it; ``heard``: what was last answered to it, and how surely by the customer."""

    covers: tuple[str, ...]
    channel: Channel = "voice"
    address: str | None = None
    call: str | None = None
    heard: tuple[AnswerWord, Assurance] | None = None
    sender: str = ""


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``rung``: where on the plan's ladder it stands; ``tries``: attempts there for the present question; ``asks``: how
    often the provider was asked about the present attempt; ``source_ms``: log timestamp of the first alert's transaction; ``held_ms``: when a hold was first commanded; ``thanks``: the attempt to thank for when the card is released;
    ``due_ms``: when somebody must look at it next; ``proof``: hash of its dossier's last entry."""

    id: str
    card: str
    customer: str | None = None
    state: State = "planned"
    alerts: tuple[Alert, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    rung: int = 0
    tries: int = 0
    asks: int = 0
    source_ms: int = 0
    held_ms: int | None = None
    thanks: int | None = None
    due_ms: int | None = None
    proof: str = ""

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

    @property
    def by_message(self) -> bool:
        """Whether the present attempt is a message: sent, then waited for. A call is asked about."""
        return self.attempts[-1].channel != "voice"

    def covered(self) -> tuple[Alert, ...]:
        """The alerts of the present attempt."""
        named = self.attempts[-1].covers
        return tuple(alert for alert in self.alerts if alert.id in named)


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step of the ladder. ``number``: the kind of number to use, if only one (mobile, home, work); ``tries``: attempts
    here for one question; ``wait_s``: how long the answer to a message may take before the next attempt (a call has its
    own times)."""

    channel: Channel
    number: str = ""
    tries: int = 1
    wait_s: float = 0.0

    @property
    def way(self) -> str:
        """The rung as the gates know it: ``voice``, ``voice:home``."""
        return f"{self.channel}:{self.number}" if self.number else self.channel


class OnSilence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a conversation comes to that nobody answered, if no alert's score reaches ``below_score`` and their amounts
    together stay below ``below_exposure`` (minor units of the bank's currency; None: any): the card is released, the hold
    stays and that is all, or people decide."""

    do: Literal["release", "keep", "agent"]
    below_score: float | None = None
    below_exposure: float | None = None


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long and how often; read from ``config/contact/<profile>.toml``. ``_s`` are seconds."""

    ring_s: float
    """How long the provider lets it ring and waits for a key."""
    answer_grace_s: float
    """After the ring, how long the call-back may take before the provider is asked."""
    ladder: tuple[Rung, ...]
    """What is tried, in order, before people take over."""
    retry_s: float
    """Between two attempts on one rung."""
    attempts: int
    """The most attempts in one conversation, new questions for alerts that joined included."""
    later_s: float
    """How long who says "later" is left alone."""
    lease_s: float
    """How long a worker may take for a request before another asks the provider what became of it."""
    asks: int
    """How often the provider is asked about one call before people take over."""
    ask_again_s: float
    """Between two questions; doubled each time."""
    hand_over_s: float
    """How long people have before the conversation expires. The hold stays."""
    patience_s: float
    """How long a question may wait for its hour, before people take over."""
    acknowledge_s: float
    """How long the switch has to acknowledge a release; 0: it acknowledges nothing, and is not waited for."""
    exempt_s: float
    """How long the payment that a YES confirmed may be repeated without a new question."""
    keep_s: float
    """How long an ended conversation is remembered, for late call-backs and repeated alerts."""
    dossier_s: float = 63_072_000.0
    """How long, after its last entry, what was done and why is kept for complaints and regulators."""
    on_silence: tuple[OnSilence, ...] = ()
    """The first that holds; people, where none does."""

    def rung(self, number: int) -> Rung:
        """The rung of this number. A conversation that began under a longer ladder stands on the last."""
        return self.ladder[min(number, len(self.ladder) - 1)]


class Raised(msgspec.Struct, frozen=True):
    """A decision asks for a contact. ``cannot_call``: why nobody can be called, None if somebody can. ``notice``: it
    wants the customer told, not asked. ``exempt``: the customer has confirmed such a payment before."""

    alert: Alert
    cannot_call: str | None = None
    notice: bool = False
    exempt: bool = False


class Claimed(msgspec.Struct, frozen=True):
    """A worker holds the lease and is about to call or write, by the channel of the ladder's ``rung``; ``address``:
    digest of where to; ``sender``: as whom, empty for the channel's own."""

    rung: int = 0
    address: str | None = None
    sender: str = ""


class Deferred(msgspec.Struct, frozen=True):
    """A worker holds the lease, but nobody may be contacted before ``until_ms``: ``reason`` is the gate that says so."""

    until_ms: int
    reason: str


class Barred(msgspec.Struct, frozen=True):
    """A worker holds the lease, but this customer can or may not be contacted at all."""

    reason: str


class Placed(msgspec.Struct, frozen=True):
    """The provider has taken the call."""

    attempt: int
    call: str


class Delivered(msgspec.Struct, frozen=True):
    """The message has reached the customer's device."""

    attempt: int
    call: str


class Silent(msgspec.Struct, frozen=True):
    """The time for an answer to this message is over."""

    attempt: int


class Refused(msgspec.Struct, frozen=True):
    """The provider has certainly not taken it. ``permanent``: nor will it ever; ``away``: the next channel, at once."""

    attempt: int
    permanent: bool
    reason: str
    away: bool = False


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
    trusted: bool = True
    """False: the number is new, or no longer the customer's, or it is not clear which question this answers: a yes of
    these releases nothing."""


class Acknowledged(msgspec.Struct, frozen=True):
    """The switch has answered the release. ``done`` False: a later command had already come."""

    done: bool


class SwitchSilent(msgspec.Struct, frozen=True):
    """The switch has had its time to acknowledge the release."""


class HandOverEnded(msgspec.Struct, frozen=True):
    """People have had their time."""


Event = (
    Raised
    | Claimed
    | Deferred
    | Barred
    | Placed
    | Delivered
    | Silent
    | Refused
    | TimedOut
    | StillRinging
    | Absent
    | Unasked
    | Ended
    | Answered
    | HandOverEnded
    | Acknowledged
    | SwitchSilent
)


def contact_id(card: str, transaction: str) -> str:
    """The same for the same first alert: a decision delivered again cannot make a second conversation."""
    return "ct_" + blake2b(f"{card}\n{transaction}".encode(), digest_size=12).hexdigest()


def attempt_key(contact: str, attempt: int) -> str:
    return f"{contact}:{ASKING}:{attempt}"


def contact_of_release(command: str) -> str | None:
    """The conversation that gave the command of this id, if it is a release of ours."""
    contact, _, rest = command.partition(":")
    return contact if contact.startswith("ct_") and rest.startswith("release:") else None


def closing_key(contact: str, attempt: int) -> str:
    """Of the thanks for the answer to an attempt."""
    return f"{contact}:{CLOSING}:{attempt}"


def parse_key(key: str) -> tuple[str, int]:
    """Contact and attempt number of an idempotency key. Raises ValueError when it is none of ours."""
    contact, step, attempt = key.split(":")
    if not contact.startswith("ct_") or int(step) != ASKING or int(attempt) < 1:
        raise ValueError("not an idempotency key of an attempt")
    return contact, int(attempt)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Conversation)


def encode(conversation: Conversation) -> bytes:
    return _encoder.encode(conversation)


def decode(value: bytes) -> Conversation:
    """Raises msgspec.DecodeError when ``value`` is no conversation."""
    return _decoder.decode(value)

"""What is known about one verification conversation, and what can happen to it: plain values.

A conversation belongs to one card, with the alerts (transactions) it asks about, or to one customer, with the `matters` it
tells; and it has the attempts made to do so.
All times are unix milliseconds, all values are frozen: the machine in `verification` makes a new conversation from an
old one. The JSON form (`encode`, `decode`) is what the contact store keeps.
"""

from hashlib import blake2b
from typing import Literal, get_args

import msgspec

from pipeline.core.contact_policy import ContactClass
from pipeline.core.matters import Matter, Requested, Withdrawn
from pipeline.core.records import Answer, AnswerWord, Assurance

State = Literal[
    "planned", "sending", "ringing", "unknown", "escalated", "released", "blocked", "expired", "cancelled", "releasing",
    "completed",
]  # fmt: skip
OPEN: frozenset[State] = frozenset({"planned", "sending", "ringing", "unknown", "escalated", "releasing"})
Channel = Literal["voice", "sms", "email", "push", "wechat", "webhook"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
CALL_CLASS: ContactClass = "fraud"
ASKING = 1
CLOSING = 2
"""The second part of an idempotency key: a question, or the thanks for its answer. The third counts attempts."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One suspicious transaction. ``command``: what its decision wants done to the card; ``amount`` in minor units;
    ``verdict``: what the cardholder said about it, set together with a label, the ``labels``-th. ``score``: probability of
    fraud; ``exposure``: its amount in minor units of the bank's currency; ``hard``: a rule spoke that no earlier YES sets
    aside; ``reversed``: the payment was taken back as a whole meanwhile."""

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
    labels: int = 0
    reversed: bool = False


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
    ``taken_back``: how often a no came after a yes; ``call_back_ms``: until when people promised to call back; ``due_ms``: when somebody must look at it next; ``proof``: hash of its dossier's last entry; ``order``: the numbers of
    the plan's rungs in the order in which it climbs them, empty: the plan's own; ``cohort``: under whom the outcome of
    the present attempt counts, empty: under nobody. Of one that tells:
    ``channels`` of the ladder that may carry it, ``prefers`` the one taken first, ``into``: the contact that tells it too."""

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
    taken_back: int = 0
    call_back_ms: int | None = None
    class_: ContactClass = msgspec.field(default="fraud", name="class")
    matters: tuple[Matter, ...] = ()
    channels: tuple[Channel, ...] = ()
    prefers: str = ""
    into: str = ""
    due_ms: int | None = None
    proof: str = ""
    order: tuple[int, ...] = ()
    cohort: str = ""

    @property
    def attempt(self) -> int:
        """The present attempt's number; the first is 1, 0 before it."""
        return len(self.attempts)

    @property
    def tells(self) -> bool:
        """Whether it has matters to tell, and no alerts to ask about."""
        return bool(self.channels)

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


class Raised(msgspec.Struct, frozen=True):
    """A decision asks for a contact. ``cannot_call``: why nobody can be called, None if somebody can. ``notice``: it
    wants the customer told, not asked. ``exempt``: the customer has confirmed such a payment before."""

    alert: Alert
    cannot_call: str | None = None
    notice: bool = False
    exempt: bool = False


class Reversed(msgspec.Struct, frozen=True):
    """The payment of an alert was taken back: ``amount`` of it in minor units; 0: all of it."""

    alert: str
    amount: int
    currency: str


class Claimed(msgspec.Struct, frozen=True):
    """A worker holds the lease and is about to call or write, by the channel of the ladder's ``rung``; ``address``:
    digest of where to; ``sender``: as whom, empty for the channel's own; ``order``, ``cohort``: as the conversation's,
    given with the first attempt."""

    rung: int = 0
    address: str | None = None
    sender: str = ""
    order: tuple[int, ...] = ()
    cohort: str = ""


class Deferred(msgspec.Struct, frozen=True):
    """A worker holds the lease, but nobody may be contacted before ``until_ms``: ``reason`` is the gate that says so."""

    until_ms: int
    reason: str


class Barred(msgspec.Struct, frozen=True):
    """A worker holds the lease, but this customer can or may not be contacted at all. ``no_way``: because no channel from
    the present rung on leads to them."""

    reason: str
    no_way: bool = False


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
    """Somebody answered. ``attempt`` None: no call of ours carried it."""

    word: AnswerWord
    channel: str
    assurance: Assurance
    attempt: int | None = None
    ours: bool = True
    """False: it came by the answers topic and stands there already."""
    trusted: bool = True
    """False: the number is new, or no longer the customer's, or it is not clear which question this answers: a yes of
    these releases nothing."""
    alerts: tuple[str, ...] = ()
    """Those that were shown to whoever answered; empty: nobody says which."""
    call_back_ms: int | None = None
    """Until when people call back about a complaint; None: after the plan's time."""
    by: str | None = None
    """The day by which payment is promised, as 2026-11-27; None: nobody says which."""
    amount: int | None = None
    """How much is promised, in minor units."""


def heard_elsewhere(answer: Answer, trusted: bool = True) -> Answered:
    """The event of a record of ``answers`` that another system wrote."""
    return Answered(
        answer.answer,
        answer.channel,
        answer.assurance,
        answer.attempt,
        ours=False,
        trusted=trusted,
        alerts=tuple(answer.alerts),
        by=answer.by,
        amount=answer.amount,
    )


class Acknowledged(msgspec.Struct, frozen=True):
    """The switch has answered the release. ``done`` False: a later command had already come."""

    done: bool


class SwitchSilent(msgspec.Struct, frozen=True):
    """The switch has had its time to acknowledge the release."""


class CallBackMissed(msgspec.Struct, frozen=True):
    """The time by which people promised to call back is over."""


class HandOverEnded(msgspec.Struct, frozen=True):
    """People have had their time."""


Event = (
    Raised
    | Reversed
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
    | CallBackMissed
    | HandOverEnded
    | Acknowledged
    | SwitchSilent
    | Requested
    | Withdrawn
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

"""What Cardwatch advises about one transaction: the record on the ``decisions`` topic.

``actions`` say what to do to the transaction, the card, the customer and the analysts' queue; ``outcome`` summarises
them for people and for counting, the higher one winning.
"""

from enum import IntEnum
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class Outcome(IntEnum):
    """In order of weight: of several that apply, the highest is the transaction's outcome."""

    approve = 0
    notify = 1
    review = 2
    verify = 3
    hold = 4
    decline = 5


TransactionAction = Literal["approve", "step_up", "decline"]
CardAction = Literal["none", "limit", "hold"]
ContactAction = Literal["none", "notify", "verify"]
QueueAction = Literal["none", "review"]
Scope = Literal["all", "online", "cash", "abroad"]


class Actions(msgspec.Struct, frozen=True, omit_defaults=False):
    """What each party is asked to do. ``scope`` goes with a card action."""

    transaction: TransactionAction = "approve"
    card: CardAction = "none"
    contact: ContactAction = "none"
    queue: QueueAction = "none"
    scope: Scope | UnsetType = UNSET


APPROVE = Actions()


def summarise(actions: Actions) -> Outcome:
    """The outcome that ``actions`` amount to: the highest of those their parts stand for."""
    if actions.transaction == "decline":
        return Outcome.decline
    if actions.card != "none":
        return Outcome.hold
    if actions.contact == "verify" or actions.transaction == "step_up":
        return Outcome.verify
    if actions.queue == "review":
        return Outcome.review
    if actions.contact == "notify":
        return Outcome.notify
    return Outcome.approve


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why: a stable code (words for it are in ``config/messages``) and, where it helps, the figures behind it."""

    code: str
    detail: dict[str, Any] | None = None


class Decision(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One record of ``decisions``, keyed by card, in the partition of its transaction.

    ``score``: calibrated probability of fraud, 0–1; ``percentile``: how unusual, 0–100; times RFC 3339; ``amount``
    in minor units of ``currency``; ``hard``: a rule spoke that no earlier YES of the cardholder sets aside. The fields
    from ``amount`` on are present from outcome ``notify`` up; ``reverses``, with amount and currency, in a reversal: the
    transaction that it takes back. ``withheld``: the transaction is in the control group, and this is the outcome that
    it would have had. ``by_rule``: rules brought the outcome; by its score alone it would have been milder, so the score
    does not tell why.
    """

    id: str
    card: str
    customer: str | None = None
    time: str
    outcome: str
    actions: Actions
    score: float
    percentile: float
    reasons: list[Reason] = []
    warming_up: bool = False
    degraded: bool = False
    policy_version: str
    model_version: str
    shadow: list[dict[str, Any]] = []
    decided_at: str
    amount: int | None = None
    currency: str | None = None
    merchant_name: str | None = None
    country: str | None = None
    merchant: str | None = None
    mcc: str | None = None
    hard: bool = False
    features: dict[str, float] | None = None
    reverses: str | None = None
    withheld: str | None = None
    by_rule: bool = False


HEADER_SOURCE_OFFSET = "source_offset"
HEADER_SOURCE_TIMESTAMP = "source_timestamp"
HEADER_OUTCOME = "outcome"
HEADER_REVERSES = "reverses"
"""In a reversal's decision only: the transaction that it takes back."""

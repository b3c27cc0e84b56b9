"""The control group: a small random share of what is found gets the next milder outcome instead.

Without it a bank only learns about the transactions it acted on: whether anyone would have complained about the others,
and what calling is worth, it can but guess. Who is in the group follows from the transaction's id alone, so a decision
can be recomputed; what would have been done stays on the decision. Hard rules are never set aside.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from pipeline.core.decision import Actions, Outcome, summarise

MAX_SHARE: Final = 0.01
"""Of what is found, at most so much may be let off: measuring must stay cheap beside what it could cost."""
_DRAWS: Final = 2.0**64


class ControlGroup(NamedTuple):
    """``share`` of the findings, 0–1, of transactions of at most ``max_amount`` (minor units, billing currency)."""

    share: float
    max_amount: float

    def holds(self, transaction: str, amount: float) -> bool:
        """Whether the transaction with this id and amount is in the group. A missing amount never is."""
        return amount <= self.max_amount and _draw(transaction) < self.share


def _draw(transaction: str) -> float:
    """The id as a number, evenly spread over 0…1 whatever ids look like."""
    return int.from_bytes(blake2b(transaction.encode(), digest_size=8, person=b"control").digest(), "big") / _DRAWS


def milder(actions: Actions) -> Actions:
    """``actions`` without the part that makes their outcome: the next milder outcome that they still amount to."""
    outcome = summarise(actions)
    if outcome is Outcome.decline:
        return msgspec.structs.replace(actions, transaction="approve")
    if outcome is Outcome.hold:
        return msgspec.structs.replace(actions, card="none", scope=msgspec.UNSET)
    if outcome is Outcome.verify:
        return msgspec.structs.replace(actions, transaction="approve", contact="none")
    if outcome is Outcome.review:
        return msgspec.structs.replace(actions, queue="none")
    return msgspec.structs.replace(actions, contact="none")

"""The card switch's side of the conversation: it obeys card commands, and answers for restricted cards.

Of the commands for a card only those count whose sequence is not lower than the last one seen. A held card is refused
with 59 (suspected fraud, may be tried again), a blocked one with 41; ``limit``, and a hold with a narrower scope,
refuse only what the scope names. Expiry is by the event's own time. Exemptions are not applied.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.core.records import CardCommand
from pipeline.lab.simulate.attempt import Transaction, moment
from pipeline.lab.simulate.places import HOME_COUNTRY

HELD = "59"
BLOCKED = "41"


@dataclass(slots=True)
class _CardState:
    sequence: int
    command: str
    scope: str
    until: float | None


class Switch:
    """State per restricted card only. ``blocks``: cards blocked, and when (unix seconds), for whoever replaces them to
    take."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, float]] = []
        self._cards: dict[str, _CardState] = {}

    def apply(self, command: CardCommand, now: float) -> dict[str, object]:
        """Obey ``command`` (or find it stale: ``done`` false) and answer the ``card-command-results`` record."""
        state = self._cards.get(command.card)
        done = state is None or command.sequence >= state.sequence
        if done:
            if command.command == "block":
                self.blocks.append((command.card, now))
            until = datetime.fromisoformat(command.expires_at).timestamp() if command.expires_at else None
            self._cards[command.card] = _CardState(command.sequence, command.command, command.scope, until)
        return {"id": command.id, "done": done, "time": moment(now)}

    def status(self, card: str, now: float) -> str:
        """``open``, ``held``, ``limited`` or ``blocked``."""
        state = self._cards.get(card)
        if state is None or state.command == "release" or (state.until is not None and now >= state.until):
            return "open"
        return {"hold": "held", "limit": "limited", "block": "blocked"}[state.command]

    def authorise(self, transaction: Transaction, now: float) -> bool:
        """False, and the response code set, when the card's restriction refuses ``transaction``. Refunds and
        reversals always pass: they bring money back."""
        state = self._cards.get(transaction.card)
        if state is None:
            return True
        status = self.status(transaction.card, now)
        if status == "open" or transaction.type == "reversal" or transaction.kind == "refund":
            return True
        if status != "blocked" and not _in_scope(transaction, state.scope):
            return True
        transaction.response_code = BLOCKED if status == "blocked" else HELD
        return False


def _in_scope(transaction: Transaction, scope: str) -> bool:
    if scope == "online":
        return transaction.entry_mode in ("ecommerce", "stored", "manual")
    if scope == "cash":
        return transaction.kind == "cash"
    if scope == "abroad":
        return transaction.country != HOME_COUNTRY
    return True

"""A card that was blocked is replaced: some time later its holder has another, under a new token.

The bank says so on ``card-events`` (``replaced``), and the new card's first payment names the card before it. Thieves
have the old one still, which stays blocked; refunds and reversals go where they came from.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from pipeline.core.card_event import CardEvent
from pipeline.lab.simulate.attempt import Transaction, moment
from pipeline.lab.simulate.draws import Source
from pipeline.lab.simulate.switch import Switch

DAYS_S: Final = (2 * 86_400.0, 6 * 86_400.0)
"""From the block to the first use of the new card, from and to."""
_TIMES: Final = "r"
"""Between a first card's token, whose end is hexadecimal, and how often it was replaced."""


class Replaced(NamedTuple):
    """``time`` unix seconds; ``card`` the number among the world's."""

    time: float
    card: int
    event: CardEvent

    def key(self) -> bytes:
        return self.event.card.encode()

    def value(self) -> bytes:
        """The record as it goes on the topic: JSON, UTF-8."""
        return msgspec.json.encode(self.event)


class Reissues:
    """Cards that ``switch`` blocks are replaced ``after_s`` (from, to) seconds later, unless released by then."""

    def __init__(self, seed: int, switch: Switch, after_s: tuple[float, float] = DAYS_S) -> None:
        self._source = Source(seed, "reissues")
        self._switch = switch
        self._after_s = after_s
        self._due: list[tuple[float, str]] = []
        self._cards: dict[str, int] = {}
        self._next: dict[str, str] = {}
        self._unused: dict[str, str] = {}
        self._told: list[Replaced] = []

    def turn_to(self, now: float) -> None:
        """Replace what is due by unix ``now``."""
        while self._switch.blocks:
            token, at = self._switch.blocks.pop()
            if token not in self._cards:
                continue  # no card of this world's, as far as anybody has seen
            draws = self._source.at(self._cards[token], len(token))
            heappush(self._due, (at + draws.between(*self._after_s), token))
        while self._due and self._due[0][0] <= now:
            at, old = heappop(self._due)
            if old in self._next or self._switch.status(old, at) != "blocked":
                continue
            head, _, digest = old.rpartition("_")
            first, _, times = digest.partition(_TIMES)
            new = f"{head}_{first}{_TIMES}{int(times or 0) + 1}"
            self._next[old], self._unused[new] = new, old
            self._cards[new] = self._cards[old]
            self._told.append(
                Replaced(at, self._cards[old], CardEvent(card=old, type="replaced", time=moment(at), new_card=new))
            )

    def told(self) -> Iterator[Replaced]:
        """What was replaced since this was asked last, in order of time."""
        while self._told:
            yield self._told.pop(0)

    def in_hand(self, token: str) -> str:
        """The card that the holder of ``token`` uses now."""
        while (new := self._next.get(token)) is not None:
            token = new
        return token

    def seen(self, token: str, card: int) -> None:
        """The card number ``card`` of the world has this token."""
        self._cards[token] = card

    def pay(self, transaction: Transaction) -> None:
        """The holder makes ``transaction``, with the card in hand."""
        card = self.in_hand(transaction.card)
        if card != transaction.card and transaction.type == "authorisation" and transaction.kind != "refund":
            transaction.card = card
            transaction.previous_card = self._unused.pop(card, None)

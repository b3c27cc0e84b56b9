"""What is kept of every transaction for the figures: a few numbers each, so that millions fit."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.lab.evaluate.bank import Judged
from pipeline.lab.evaluate.stream import Labelled

Floats = NDArray[np.float64]

SIMULATED_TOKENS = ("tok_s1_", "tok_t1_", "tok_h1_")
"""How the tokens of our simulator's cards begin."""


class Transactions(NamedTuple):
    """Scored transactions in order of time. ``at`` float64[n] unix seconds; ``score`` and ``raw`` float64[n];
    ``amount`` float64[n] billing minor units; ``card`` int32[n] numbered in order of appearance; ``fraud`` bool[n];
    ``kind`` int16[n] index in ``kinds``, −1 none; ``outcome`` uint8[n]."""

    at: Floats
    score: Floats
    raw: Floats
    amount: Floats
    card: NDArray[np.int32]
    fraud: NDArray[np.bool_]
    kind: NDArray[np.int16]
    outcome: NDArray[np.uint8]
    kinds: tuple[str, ...]

    def chosen(self, mask: NDArray[np.bool_]) -> "Transactions":
        """Only those where ``mask`` is true."""
        return Transactions(
            self.at[mask], self.score[mask], self.raw[mask], self.amount[mask], self.card[mask], self.fraud[mask],
            self.kind[mask], self.outcome[mask], self.kinds,
        )  # fmt: skip


class Seen:
    """Grows by a piece at a time. 46 bytes a transaction, and 8 more while it grows."""

    def __init__(self) -> None:
        self._reals = tuple(array("d") for _ in range(4))
        self._cards = array("i")
        self._fraud = bytearray()
        self._kind = array("h")
        self._outcome = bytearray()
        self._card_numbers: dict[str, int] = {}
        self._kind_numbers: dict[str, int] = {}
        self.exempt = 0

    def add(self, piece: Sequence[Labelled], judged: Judged) -> None:
        """Keep what was scored; reversals, clearings and credits are only counted."""
        scored = np.flatnonzero(~judged.exempt)
        self.exempt += len(judged.place) - len(scored)
        for column, values in zip(self._reals, (judged.at, judged.score, judged.raw, judged.amount), strict=True):
            column.frombytes(values[scored].tobytes())
        self._outcome += judged.outcome[scored].tobytes()
        cards, kinds, names = self._card_numbers, self._kind_numbers, judged.cards
        self._cards.extend([cards.setdefault(names[line], len(cards)) for line in scored.tolist()])
        rows = [piece[place] for place in judged.place[scored].tolist()]
        self._fraud += bytes([row.fraud for row in rows])
        self._kind.extend(
            [kinds.setdefault(str(row.kind), len(kinds)) if row.fraud and row.kind is not None else -1 for row in rows]
        )

    @property
    def cards(self) -> int:
        return len(self._card_numbers)

    @property
    def simulated(self) -> bool:
        """Whether every card's token is one of our simulator's."""
        tokens = self._card_numbers
        return bool(tokens) and all(token.startswith(SIMULATED_TOKENS) for token in tokens)

    def transactions(self) -> Transactions:
        """All that was scored; to be called when nothing more is added."""
        at, score, raw, amount = (np.frombuffer(column, dtype=np.float64) for column in self._reals)
        return Transactions(
            at, score, raw, amount,
            np.frombuffer(self._cards, dtype=np.int32),
            np.frombuffer(self._fraud, dtype=np.bool_),
            np.frombuffer(self._kind, dtype=np.int16),
            np.frombuffer(self._outcome, dtype=np.uint8),
            tuple(self._kind_numbers),
        )  # fmt: skip

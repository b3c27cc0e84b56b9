"""Whose card it is: 48-bit card keys and their customers, 16 bytes a card.

Labels name a card, sums are kept by customer. A dictionary of a million cards takes 100 MB; two sorted arrays take a
sixth of it, with the newest cards in a small dictionary beside them until there are enough to be sorted in.
"""

from collections.abc import Container, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

NEWEST: Final = 65_536
"""Cards in the dictionary before they are sorted in: some 20 ms for a million."""


class CardOwners:
    """Card → customer (the customer's bytes are shared, not copied)."""

    def __init__(self) -> None:
        self._cards: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._owners: NDArray[np.object_] = np.empty(0, dtype=np.object_)
        self._newest: dict[int, bytes] = {}

    def __len__(self) -> int:
        """Cards known; one that changed hands may count twice until it is sorted in."""
        return len(self._cards) + len(self._newest)

    def note(self, card: int, customer: bytes, known: Container[bytes]) -> None:
        """``card`` is ``customer``'s from now on. ``known``: the customers there are; cards of others are let go of."""
        self._newest[card] = customer
        if len(self._newest) >= NEWEST:
            self._sort_in(known)

    def begin(self, cards: Sequence[int], owners: Sequence[bytes]) -> None:
        """Know these and no others; of a card named twice the later owner."""
        owned = np.empty(len(owners), dtype=np.object_)
        owned[:] = owners
        keys = np.array(cards, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        keys, owned = keys[order], owned[order]
        last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        self._cards, self._owners, self._newest = keys[last], owned[last], {}

    def of(self, card: int) -> bytes | None:
        """Whose ``card`` it is; None: not known."""
        found = self._newest.get(card)
        if found is not None:
            return found
        at = int(self._cards.searchsorted(np.uint64(card)))
        if at < len(self._cards) and int(self._cards[at]) == card:
            owner: bytes = self._owners[at]
            return owner
        return None

    def _sort_in(self, known: Container[bytes]) -> None:
        keep = np.fromiter((owner in known for owner in self._owners), np.bool_, len(self._owners))
        keep &= ~np.isin(self._cards, np.fromiter(self._newest, np.uint64, len(self._newest)))
        fresh = np.empty(len(self._newest), dtype=np.object_)
        fresh[:] = list(self._newest.values())
        cards = np.concatenate([self._cards[keep], np.fromiter(self._newest, np.uint64, len(self._newest))])
        owners = np.concatenate([self._owners[keep], fresh])
        order = np.argsort(cards)
        self._cards, self._owners = cards[order], owners[order]
        self._newest = {}

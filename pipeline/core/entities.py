"""Where a transaction was made and by whom, as numbers: digests that tell one terminal from another and nothing else.

A digest is BLAKE2b of the UTF-8 text with eight bytes and no key, read as a little-endian integer: the same that a card's
row keeps of transaction ids. 0 stands for "none given".
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipeline.core.poll import Row

Digests = NDArray[np.uint64]


class EntityKeys(NamedTuple):
    """For each of ``n`` transactions its event time (float64[n], unix seconds) and the digests of its entities
    (uint64[n]). ``customer``: of the account where no customer was given."""

    times: NDArray[np.float64]
    terminal: Digests
    merchant: Digests
    card: Digests
    customer: Digests


def digest_of(text: str | None) -> int:
    """The digest of ``text``; 0 for none."""
    return 0 if text is None else int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def keys_in_python(rows: Sequence["Row"]) -> EntityKeys:
    """What `entity_keys` gives, without a compiler."""
    transactions = [row.event.transaction for row in rows]

    def column(texts: list[str | None]) -> Digests:
        return np.array([digest_of(text) for text in texts], dtype=np.uint64)

    return EntityKeys(
        np.array([row.event.at for row in rows], dtype=np.float64),
        column([transaction.terminal for transaction in transactions]),
        column([transaction.merchant for transaction in transactions]),
        column([transaction.card for transaction in transactions]),
        column([t.account if t.customer is None else t.customer for t in transactions]),
    )


def _keys_compiled(rows: Sequence["Row"]) -> EntityKeys:
    times = np.empty(len(rows))
    digests = np.empty((4, len(rows)), dtype=np.uint64)
    _entities.fill(rows, times, digests)
    return EntityKeys(times, *digests)


try:
    from pipeline.core import _entities
except ImportError:
    entity_keys, COMPILED = keys_in_python, False
else:
    entity_keys, COMPILED = _keys_compiled, True

"""Where a transaction was made and by whom, as numbers: digests that tell one terminal from another and nothing else.

A digest is BLAKE2b of the UTF-8 text with eight bytes and no key, read as a little-endian integer: the same that a card's
row keeps of transaction ids. 0 stands for "none given".
"""

from collections.abc import Callable, Sequence
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


def digest_in_python(text: str | None) -> int:
    """What `digest_of` gives, without a compiler."""
    return 0 if text is None else int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def digests_in_python(texts: Sequence[str | None]) -> Digests:
    """What `digests_of` gives, without a compiler."""
    return np.array([digest_in_python(text) for text in texts], dtype=np.uint64)


def keys_in_python(rows: Sequence["Row"]) -> EntityKeys:
    """What `entity_keys` gives, without a compiler."""
    transactions = [row.event.transaction for row in rows]

    column = digests_in_python

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


digest_of: Callable[[str | None], int]
"""The digest of a text; 0 for none."""
digests_of: Callable[[Sequence[str | None]], Digests]
"""The digests of texts, uint64[n]."""
try:
    from pipeline.core import _entities
except ImportError:
    entity_keys, digest_of, digests_of, COMPILED = keys_in_python, digest_in_python, digests_in_python, False
else:
    entity_keys, digest_of, digests_of, COMPILED = (
        _keys_compiled, _entities.digest_of_text, _entities.digests_of, True,
    )  # fmt: skip

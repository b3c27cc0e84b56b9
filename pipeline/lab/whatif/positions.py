"""A set of rows in little memory."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hits(NamedTuple):
    """Of ``n`` rows: ``some`` int32, their positions, rising, where they are few; else ``bits``, one for each row."""

    n: int
    some: NDArray[np.int32] | None
    bits: NDArray[np.uint8] | None

    @classmethod
    def of(cls, hits: NDArray[np.bool_]) -> "Hits":
        """``hits``: bool[n]."""
        if int(np.count_nonzero(hits)) * 32 < len(hits):
            return cls(len(hits), np.flatnonzero(hits).astype(np.int32), None)
        return cls(len(hits), None, np.packbits(hits))

    @property
    def positions(self) -> NDArray[Any]:
        return np.flatnonzero(self.mask()) if self.some is None else self.some

    def mask(self) -> NDArray[np.bool_]:
        """bool[n]."""
        if self.bits is not None:
            return np.unpackbits(self.bits, count=self.n).view(np.bool_)
        found = np.zeros(self.n, dtype=np.bool_)
        found[self.some] = True
        return found

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for each in (self.some, self.bits) if each is not None)


def all_of(parts: list[Hits]) -> Hits:
    """Rows that are in each of ``parts``, the fewest first."""
    first, *others = sorted(parts, key=lambda part: part.nbytes)
    if not others:
        return first
    found = first.mask()
    for part in others:
        found &= part.mask()
    return Hits.of(found)

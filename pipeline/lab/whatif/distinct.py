"""Numbers, each once."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Whole = TypeVar("Whole", np.int64, np.uint64)


def distinct(numbers: NDArray[Whole]) -> NDArray[Whole]:
    """Rising. Sorting is several times as quick as the table that `np.unique` makes of them."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered

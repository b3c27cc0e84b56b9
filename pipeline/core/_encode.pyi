from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.poll import Row
from pipeline.core.topics import Outgoing

def approvals(
    rows: Sequence[Row],
    start: int,
    end: int,
    outcomes: NDArray[np.uint8],
    scores: list[bytes],
    percentiles: list[bytes],
    warming: list[bool],
    middle: bytes,
    tail: bytes,
    make: type[Outgoing],
    names: tuple[str, str, str],
) -> list[Outgoing | None]: ...

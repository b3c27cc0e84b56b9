from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.poll import Row

def fill(rows: Sequence[Row], times: NDArray[np.float64], digests: NDArray[np.uint64]) -> None: ...
def digest_of_text(text: str | None) -> int: ...
def digests_of(texts: Sequence[str | None]) -> NDArray[np.uint64]: ...
def fill_moments(
    rows: Sequence[Row], times: NDArray[np.float64], found: NDArray[np.float64], modes: Mapping[str, float]
) -> None: ...
def fill_values(
    lines: Mapping[int, int],
    standings: NDArray[np.float64],
    digests: NDArray[np.uint64],
    times: NDArray[np.float64],
    found: NDArray[np.float64],
    column: int,
) -> None: ...

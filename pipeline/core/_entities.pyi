from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.poll import Row

def fill(rows: Sequence[Row], times: NDArray[np.float64], digests: NDArray[np.uint64]) -> None: ...

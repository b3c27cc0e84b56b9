"""What a classifier would have said of rows just before it learned them: what it is judged by."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Before(NamedTuple):
    """Of rows learned one after the other, float64[n] each: ``said`` what `scores` and ``explained`` what `explained`
    of the classifier would have answered at the moment before the row was learned."""

    said: Floats
    explained: Floats

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Lines = NDArray[np.int64]
Flags = NDArray[np.uint8]

def observe_rows(lines: Lines, times: Floats, amounts: Floats, new: Flags, state: Floats) -> None: ...
def settle(lines: Lines, state: Floats, told: Floats) -> Flags: ...
def values_of(lines: Lines, times: Floats, amounts: Floats, told: Floats, found: Floats) -> None: ...
def walk(
    lines: Lines,
    times: Floats,
    amounts: Floats,
    new: Flags,
    learned: Flags,
    state: Floats,
    told: Floats,
    found: Floats,
    second: float,
    pending: list[int],
) -> float: ...

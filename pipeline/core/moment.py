"""What a transaction says of itself, as numbers a model can put into bins: hour, merchant category, entry mode."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.core.transaction import EntryMode

if TYPE_CHECKING:
    from pipeline.core.poll import Row

Floats = NDArray[np.float64]

DAY_S: Final = 86_400.0
_MODES: Final = {mode: float(code) for code, mode in enumerate(get_args(EntryMode))}
_NAN: Final = float("nan")


def moments_in_python(rows: Sequence["Row"], times: Floats) -> Floats:
    """float64[n, columns as `MOMENT_FEATURES`] of ``rows``, made at ``times`` (float64[n], unix seconds). NaN: not sent."""
    transactions = [row.event.transaction for row in rows]
    found = np.empty((len(rows), 3))
    found[:, 0] = np.mod(times, DAY_S) / 3_600.0
    found[:, 1] = [_NAN if (mcc := transaction.mcc) is None else int(mcc) for transaction in transactions]
    modes = _MODES.get
    found[:, 2] = [modes(transaction.entry_mode, _NAN) for transaction in transactions]
    return found


def _moments_compiled(rows: Sequence["Row"], times: Floats) -> Floats:
    found = np.empty((len(rows), 3))
    _entities.fill_moments(rows, times, found, _MODES)
    return found


moments: Callable[[Sequence["Row"], Floats], Floats]
try:
    from pipeline.core import _entities
except ImportError:
    moments = moments_in_python
else:
    moments = _moments_compiled
"""Both forms give equal numbers, to the bit."""

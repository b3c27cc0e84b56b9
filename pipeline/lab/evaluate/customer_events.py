"""Customer events beside a stream: what became of its customers, known to the scorer from their own time on.

Each line of the file is a record of ``customer-events``, in order of time. A line goes by the code by which the learner
takes an event in, and a transaction sees what a scorer would: all that happened at or before its own time. One that
stands later than its time is known when its line is reached, as on the topic.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from pipeline.core.customer_history import NAMES, BadEvent, Event, event_of, observe, pack, unpack, values
from pipeline.core.entities import EntityKeys, digest_of
from pipeline.core.merchant_habits import Floats
from pipeline.core.poll import Row
from pipeline.core.records import CustomerEvent
from pipeline.core.transaction import Refused, unix_seconds
from pipeline.lab.evaluate.left_out import LeftOut

NO_EVENT: Final = "not_an_event"

_decode = msgspec.json.Decoder(CustomerEvent).decode


class CustomerEvents:
    """What scoring asks of customers, out of the file ``path``, read once as far as the stream goes. Lines that cannot be
    used go to ``left_out``. Raises OSError."""

    def __init__(self, path: Path, left_out: LeftOut) -> None:
        self._left_out = left_out
        self._lines = self._read(path)
        self._known: dict[int, tuple[Event, ...]] = {}
        self._next = next(self._lines, None)

    def features(self, keys: EntityKeys, rows: Sequence[Row]) -> Floats:
        """float64[n, columns as `CUSTOMER_FEATURES`] of ``rows``, which are in order of time."""
        found = np.full((len(rows), len(NAMES)), np.nan)
        for place, (now, customer) in enumerate(zip(keys.times.tolist(), keys.customer.tolist(), strict=True)):
            while self._next is not None and self._next[0] <= now:
                _, whose, event = self._next
                self._known[whose] = unpack(observe(pack(self._known.get(whose, ())), event))
                self._next = next(self._lines, None)
            if (events := self._known.get(customer)) is not None:
                found[place] = values(events, now, rows[place].event.transaction.country)
        return found

    def _read(self, path: Path) -> Iterator[tuple[float, int, Event]]:
        """When each event is known (unix seconds), of which customer, and what it is."""
        newest = 0.0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    said = _decode(line)
                    newest = max(newest, unix_seconds(said.time))
                    event = event_of(said, newest)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    self._left_out.add(number, NO_EVENT, f"not a customer event: {error}", "line")
                except (BadEvent, Refused) as bad:
                    self._left_out.add(number, NO_EVENT, bad.detail, "line")
                else:
                    if event is not None:
                        yield newest, digest_of(said.customer), event

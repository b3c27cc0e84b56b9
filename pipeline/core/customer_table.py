"""What became of customers, as every scorer knows it, and as the learner keeps and tells it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from pipeline.core.customer_history import EMPTY, KEPT_S, NAMES, Event, newest, observe, unpack, values
from pipeline.core.entities import EntityKeys
from pipeline.core.merchant_habits import Floats
from pipeline.core.told import MAX_CHANGED, PARTS, Gathered, Rows, Told, tellings

if TYPE_CHECKING:
    from pipeline.core.poll import Row

MAX_CUSTOMERS: Final = 1_000_000
"""With an event of the last 30 days; beyond, those with the oldest are forgotten. Ours is 0.3 kB of one with two events."""


class Customers(Protocol):
    """What scoring asks of customers."""

    def features(self, keys: EntityKeys, rows: Sequence["Row"]) -> Floats:
        """float64[n, columns as `CUSTOMER_FEATURES`] of ``rows``, whose keys are ``keys``."""


class CustomerTable:
    """Changed by `take` alone, between two polls."""

    def __init__(self) -> None:
        self._gathered = Gathered()
        self._events: dict[int, tuple[Event, ...]] = {}

    def __len__(self) -> int:
        return len(self._events)

    def take(self, told: Told) -> None:
        """Take in what is told, in the order of the topic. Raises ValueError, and changes nothing, for rows that are
        none."""
        events = {customer: unpack(row) for customer, row in told.rows.items()}
        for customer in self._gathered.take(told):
            del self._events[customer]
        self._events.update(events)

    def features(self, keys: EntityKeys, rows: Sequence["Row"]) -> Floats:
        """float64[n, columns as `CUSTOMER_FEATURES`] of ``rows``, whose keys are ``keys``."""
        found = np.full((len(rows), len(NAMES)), np.nan)
        if self._events:
            for place, events in enumerate(map(self._events.get, keys.customer.tolist())):
                if events is not None:
                    event = rows[place].event
                    found[place] = values(events, event.at, event.transaction.country)
        return found


EMPTY_CUSTOMERS: Final = CustomerTable()
"""For those who score without a learner; never to be changed."""


class CustomerLedger:
    """The learner's rows. ``resumed``: what an earlier learner told. An event it reads again changes nothing."""

    def __init__(self, resumed: Gathered | None = None, most: int = MAX_CUSTOMERS) -> None:
        self._most = most
        self._sequence = resumed.sequence if resumed else 0
        self._parts: list[dict[int, bytes]] = [{} for _ in range(PARTS)]
        self._changed: dict[int, None] = {}
        self._as_of = 0.0
        self._count = 0
        for customer, row in resumed.rows.items() if resumed else ():
            self._put(customer, row)

    def __len__(self) -> int:
        return self._count

    def observe(self, customer: int, event: Event) -> None:
        """Something became of the customer of this digest."""
        before = self._parts[customer % PARTS].get(customer, EMPTY)
        after = observe(before, event)
        self._as_of = max(self._as_of, float(event.second))
        if after != before:
            self._put(customer, after)
            self._changed[customer] = None

    def tellings(self, epoch: int, read: Mapping[str, Mapping[int, int]]) -> Iterator[Told]:
        """What is to be told now; nothing where nothing changed. ``read``: how far the topics were read."""
        changed = list(self._changed)[:MAX_CHANGED]
        for customer in changed:
            del self._changed[customer]
        rows = {customer: self._parts[customer % PARTS].get(customer, EMPTY) for customer in changed}
        if rows:
            self._sequence += 1
            self._forget(self._sequence % PARTS)
            yield from tellings("customers", epoch, self._sequence, rows, self._part, read)

    def _part(self, number: int) -> Rows:
        return self._parts[number]

    def _put(self, customer: int, row: bytes) -> None:
        part = self._parts[customer % PARTS]
        self._count += customer not in part
        part[customer] = row
        if len(part) > max(self._most // PARTS, 1):
            oldest = min(part, key=lambda one: (newest(unpack(part[one])), one))
            del part[oldest]
            self._count -= 1

    def _forget(self, number: int) -> None:
        """Those of a part who have nothing left to say."""
        part = self._parts[number]
        for customer in [one for one, row in part.items() if newest(unpack(row)) < self._as_of - KEPT_S]:
            del part[customer]
            self._count -= 1

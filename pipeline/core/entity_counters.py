"""The bank's own counters per merchant and per customer: ``count per merchant over 10m where amount < 500``.

Two scorers meet the same merchant at the same time, so no row of theirs can hold such a counter. A scorer looks at the
transaction and writes down in `scored` what counts for which counter; the one learner adds up (`entity_count_ledger`) and
tells every scorer (`entity_count_table`). What is being decided is therefore never part of the value.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.core.counter_matching import Matcher
from pipeline.core.counters import Counter, exactness, long
from pipeline.core.entity_counts import Definition, Function, Per
from pipeline.core.transaction import Event

Floats = NDArray[np.float64]

MOST: Final = 8
"""Counters per merchant and per customer that a policy has."""


def definition_of(counter: Counter) -> Definition:
    """``counter`` as whoever adds up knows it. Blanks, and capitals outside quotes, make no other counter."""
    parts = counter.text.split("'")
    parts[::2] = [re.sub(r"\s+", " ", part).lower() for part in parts[::2]]
    digest = blake2b("'".join(parts).strip().encode(), digest_size=8).digest()
    tag = max(int.from_bytes(digest, "little"), 1)
    return Definition(cast(Per, counter.per), cast(Function, counter.function), counter.window_s, tag)


class EntityCounters:
    """Those of a policy. ``definitions`` in their order; ``layout``: fingerprint of names, definitions and order, empty
    without counters; ``fingerprints``: name → what is counted, in their order."""

    def __init__(self, counters: Sequence[Counter] = ()) -> None:
        self.each = tuple(counters)
        self.names = tuple(counter.name for counter in counters)
        self.definitions = tuple(map(definition_of, counters))
        self.fingerprints = {counter.name: counter.fingerprint for counter in counters}
        described = repr(list(zip(self.names, self.definitions, strict=True)))
        self.layout = blake2b(described.encode(), digest_size=8).hexdigest() if counters else ""
        self._distinct = {bit: str(one.column) for bit, one in enumerate(counters) if one.function == "distinct"}
        self._matcher = Matcher([one.where for one in counters], self._distinct)

    def __bool__(self) -> bool:
        return bool(self.each)

    def hits(self, events: Sequence[Event], exempt: NDArray[np.bool_]) -> Floats:
        """float64[n, C]: what each transaction counts for each counter (1, its amount, or the number of the part its value
        falls into), NaN: it does not. ``exempt`` bool[n]: reversals, clearings, refunds, payments, which never count."""
        hits = np.full((len(events), len(self.each)), np.nan)
        found = self._matcher.matches(events)
        masks = np.frombuffer(found.matched, dtype=np.uint8)
        for bit, counter in enumerate(self.each):
            counts = (masks >> bit & 1).astype(np.bool_) & ~exempt
            if counter.function == "count":
                hits[counts, bit] = 1.0
            elif counter.function == "distinct":
                hits[counts, bit] = np.frombuffer(found.marks[bit], dtype=np.uint8)[counts]
            else:
                hits[counts, bit] = np.array([event.amount for event in events], dtype=np.float64)[counts]
        return hits


NO_ENTITY_COUNTERS: Final = EntityCounters()


def explain_entity_counters(counters: EntityCounters) -> list[str]:
    """A sentence for each: how exact it is, and how old."""
    return [
        f"{one.name}: per {one.per}, the last {long(one.window_s)}, and up to {long(definition.bucket_s)} more; "
        f"{exactness(one.function)}; without the transaction being decided, as the learner told it: about 1 s old, and "
        f"what the learner lags behind; no value until the learner has followed it for {long(one.window_s)}"
        for one, definition in zip(counters.each, counters.definitions, strict=True)
    ]

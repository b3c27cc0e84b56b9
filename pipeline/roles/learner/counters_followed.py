"""The bank's counters per merchant and customer as the learner follows them: every attempt that was scored, once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import EntityKeys
from pipeline.core.entity_count_ledger import EntityCountLedger
from pipeline.core.scored import Scored
from pipeline.core.told import Gathered, Told
from pipeline.core.topics import SCORED
from pipeline.ports import Record


class CountersFollowed:
    """``resumed``: what an earlier learner told, and how far it had read by then. What it knew and did not tell is lost."""

    def __init__(self, resumed: Gathered | None) -> None:
        self.ledger = EntityCountLedger(resumed)
        self._read = dict(resumed.read.get(SCORED.name, {})) if resumed else {}

    def scored(self, scored: Scored, first: NDArray[np.bool_], record: Record) -> None:
        """The rows of ``record``, those of them that are the ``first`` of their transaction. One of the future counts as
        of now: it must not end the window of all others."""
        if record.offset < self._read.get(record.partition, 0):
            return
        self._read[record.partition] = record.offset + 1
        times = np.minimum(scored.event_times(), record.timestamp / 1_000)[first]
        nobody = np.zeros(len(times), dtype=np.uint64)
        merchants, customers = scored.digests("merchants")[first], scored.digests("customers")[first]
        keys = EntityKeys(times, nobody, merchants, nobody, customers)
        self.ledger.observe(scored.counted_per_entity, keys, scored.hit_matrix()[first])

    def tellings(self, epoch: int) -> Iterator[Told]:
        """What is to be told now."""
        yield from self.ledger.tellings(epoch, {SCORED.name: self._read})

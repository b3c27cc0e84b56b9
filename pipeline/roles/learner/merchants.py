"""Merchants' habits as the learner follows them: every attempt that was scored, once, in the order in which it is read."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.core.merchant_ledger import MerchantLedger
from pipeline.core.scored import Scored
from pipeline.core.told import Gathered, Told
from pipeline.core.topics import SCORED


class MerchantsFollowed:
    """``resumed``: what an earlier learner told, and how far it had read by then. What it knew and did not tell is lost."""

    def __init__(self, resumed: Gathered | None) -> None:
        self.ledger = MerchantLedger(resumed)
        self._read = dict(resumed.read.get(SCORED.name, {})) if resumed else {}

    def scored(self, scored: Scored, first: NDArray[np.bool_], partition: int, offset: int) -> None:
        """The rows of the record at ``offset`` of `scored`, those of them that are the ``first`` of their transaction."""
        if offset >= self._read.get(partition, 0):
            self._read[partition] = offset + 1
            merchants, terminals = scored.digests("merchants")[first], scored.digests("terminals")[first]
            self.ledger.observe(merchants, terminals, scored.event_times()[first], scored.matrix()[first])

    def tellings(self, epoch: int) -> Iterator[Told]:
        """What is to be told now."""
        yield from self.ledger.tellings(epoch, {SCORED.name: self._read})

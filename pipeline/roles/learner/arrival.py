"""A record of `scored` on its way among the rows that wait for their label, as far as it is learned."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import digests_of
from pipeline.core.scored import Scored
from pipeline.ports import Record
from pipeline.roles.learner.labelled import LabelledLearning
from pipeline.roles.learner.waiting import Arrived


def arrived(scored: Scored, chosen: NDArray[np.intp]) -> Arrived:
    """The ``chosen`` rows as they wait."""
    rows = chosen.tolist()
    keys, cards = (digests_of([texts[row] for row in rows]) for texts in (scored.ids, scored.cards))
    terminals, merchants = (scored.digests(kind)[chosen] for kind in ("terminals", "merchants"))
    entities = np.column_stack([terminals, merchants, cards])
    return Arrived(
        keys, scored.event_times()[chosen], scored.percentiles()[chosen], entities, scored.matrix().take(chosen, axis=0)
    )


class Arrival:
    """The ``chosen`` rows of a record; without ``labelled``, nobody waits. ``frauds`` bool[len(chosen)]: known to be."""

    def __init__(
        self, labelled: LabelledLearning | None, scored: Scored, chosen: NDArray[np.intp], record: Record
    ) -> None:
        self._labelled = labelled
        self._chosen = chosen
        self._place = record.partition, record.offset
        self._done = 0
        self.frauds = np.zeros(len(chosen), dtype=np.bool_)
        if labelled is not None:
            self._rows = arrived(scored, chosen)
            self.frauds = labelled.frauds(self._rows.keys.tolist())

    def up_to(self, row: int) -> None:
        """Everything up to this row of the record has been learned."""
        end = int(self._chosen.searchsorted(row, side="right"))
        if self._labelled is not None and end > self._done:
            self._labelled.arrived(self._rows.rows(self._done, end), *self._place)
        self._done = end

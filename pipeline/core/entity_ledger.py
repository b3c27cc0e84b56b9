"""The learner's side of the table of entities, of which it is the only writer.

Every part remembers which records have changed it. A learner that starts again finds the parts as they were told last,
perhaps after the snapshot it goes on from; what it then reads once more changes no part that it has changed before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pipeline.core.entity_history import EMPTY, observe, withdraw
from pipeline.core.entity_table import BUCKETS, MAX_FRAUDS, MAX_ROWS, Bucket
from pipeline.core.features import KINDS

STEPS = 254
"""How finely it is kept how far a fraud was explained: as the rows keep it."""
Entities = Sequence[int]
"""The digests of a transaction's entities, for each of `KINDS`; 0: none."""


class Cause(NamedTuple):
    """The two records that a change follows from, each as partition and offset: of `scored`, with the transaction, and of
    `labels`, with the newest label of it."""

    scored: tuple[int, int]
    label: tuple[int, int]


NO_RECORD = (-1, 0)
"""Of what stands in no log."""


class _Part:
    def __init__(self, bucket: Bucket | None = None) -> None:
        self.sequence = bucket.sequence if bucket else 0
        self.rows: tuple[dict[int, bytes], ...] = tuple(map(dict, bucket.rows)) if bucket else tuple({} for _ in KINDS)
        self.explained: dict[int, int] = dict(bucket.explained) if bucket else {}
        self._scored: Mapping[int, int] = bucket.scored if bucket else {}
        self._labels: Mapping[int, int] = bucket.labels if bucket else {}

    def knows(self, cause: Cause) -> bool:
        """Whether both records had been read when this part was told."""
        (partition, offset), (labels_partition, label) = cause
        return offset < self._scored.get(partition, 0) and label < self._labels.get(labels_partition, 0)


class EntityLedger:
    """Rows of entities that had labels, and which parts were changed since they were told last."""

    def __init__(self, parts: Iterable[Bucket] = ()) -> None:
        """``parts``: what an earlier learner told last."""
        told = {part.number: part for part in parts}
        self._parts = [_Part(told.get(number)) for number in range(BUCKETS)]
        self._changed = set(told)  # to be told anew, under this learner's epoch
        self._touched: dict[
            tuple[int, int], None
        ] = {}  # in the order of their first change: sorting them would cost more

    def __len__(self) -> int:
        return sum(len(rows) for part in self._parts for rows in part.rows)

    def is_fraud(self, transaction: int) -> bool:
        """Whether the transaction stands in the table as fraud."""
        return transaction in self._parts[transaction % BUCKETS].explained

    def explained(self, transaction: int) -> float:
        """How far the behaviour of a transaction explained that it was fraud, 0…1, as `observe` was told; 0 unknown."""
        return self._parts[transaction % BUCKETS].explained.get(transaction, 0) / STEPS

    def observe(
        self, transaction: int, entities: Entities, at: float, fraud: bool, explained: float, cause: Cause
    ) -> None:
        """The transaction of this digest, of time ``at``, is fraud or genuine."""
        if fraud:
            number = transaction % BUCKETS
            part = self._parts[number]
            if not part.knows(cause):
                part.explained.pop(transaction, None)
                part.explained[transaction] = round(STEPS * min(max(explained, 0.0), 1.0))
                if len(part.explained) > MAX_FRAUDS:
                    del part.explained[next(iter(part.explained))]
                self._changed.add(number)
        for kind, entity, part in self._of(entities, cause):
            rows = part.rows[kind]
            known = rows.pop(entity, None)
            rows[entity] = observe(known or EMPTY, at, fraud, explained)  # the newest last
            if known is None and sum(map(len, part.rows)) > MAX_ROWS:
                fullest = max(range(len(KINDS)), key=lambda number: len(part.rows[number]))
                oldest = next(iter(part.rows[fullest]))
                del part.rows[fullest][oldest]
                self._touched[fullest, oldest] = None

    def withdraw(
        self, transaction: int, entities: Entities, at: float, fraud: bool, explained: float, cause: Cause
    ) -> None:
        """What `observe` was told of it with these arguments does not hold any more."""
        number = transaction % BUCKETS
        if fraud and not self._parts[number].knows(cause):
            self._parts[number].explained.pop(transaction, None)
            self._changed.add(number)
        for kind, entity, part in self._of(entities, cause):
            if entity in part.rows[kind]:
                part.rows[kind][entity] = withdraw(part.rows[kind][entity], at, fraud, explained)

    def _of(self, entities: Entities, cause: Cause) -> Iterator[tuple[int, int, _Part]]:
        for kind, entity in enumerate(entities):
            part = self._parts[entity % BUCKETS]
            if entity and not part.knows(cause):
                self._changed.add(entity % BUCKETS)
                self._touched[kind, entity] = None
                yield kind, entity, part

    def changed(self, epoch: int, scored: Mapping[int, int], labels: Mapping[int, int]) -> Iterator[Bucket]:
        """The parts that were changed since they were asked for last, to be told now. ``scored``, ``labels``: partition →
        offset of the next record to be learned."""
        numbers, self._changed = sorted(self._changed), set()
        self._touched.clear()
        for number in numbers:
            self._parts[number].sequence += 1
            yield self._told(number, epoch, scored, labels)

    def changed_rows(self) -> Iterator[tuple[int, int, bytes | None]]:
        """The same by entity: number of its kind, digest, row (None: gone), for a table in the same process. Ask for one
        of both."""
        touched, self._touched = self._touched, {}
        self._changed.clear()
        for kind, entity in touched:
            yield kind, entity, self._parts[entity % BUCKETS].rows[kind].get(entity)

    def filled(self, epoch: int, scored: Mapping[int, int], labels: Mapping[int, int]) -> Iterator[Bucket]:
        """All other parts that say something."""
        for number, part in enumerate(self._parts):
            if number not in self._changed and (part.explained or any(part.rows)):
                yield self._told(number, epoch, scored, labels)

    def _told(self, number: int, epoch: int, scored: Mapping[int, int], labels: Mapping[int, int]) -> Bucket:
        part = self._parts[number]
        rows = tuple(dict(rows) for rows in part.rows)
        return Bucket(number, epoch, part.sequence, rows, dict(part.explained), dict(scored), dict(labels))

"""What labels say of terminals, merchants and cards, as every scorer knows it.

The learner keeps a row for each entity that had a label (`pipeline.core.entity_history`) and tells them in `BUCKETS`
parts, an entity's part being its digest modulo that number: a change is told by telling its part anew, and a compacted
topic holds the whole. A scorer keeps the rows of entities that had a fraud and looks every transaction up in them. Most
entities never had one: their features are missing, as those of a place nobody has a label of.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import EntityKeys
from pipeline.core.entity_history import MAX_BYTES, NAMES
from pipeline.core.entity_standing import STANDING, Standing, fill, has_fraud, standing
from pipeline.core.features import KINDS

Floats = NDArray[np.float64]

MAGIC: Final = b"CWTABLE1"
"""Before what is signed (`models.envelope`)."""
BUCKETS: Final = 256
MAX_ROWS: Final = 6_500
"""Rows in one part, of all kinds: it stays below a record's limit."""
MAX_FRAUDS: Final = 8_000
"""Frauds in one part of which it is kept how far they were explained."""
_WIDTH: Final = len(NAMES)


class Bucket(NamedTuple):
    """One part of the table. ``epoch``: of the learner that tells it; ``sequence`` rises with every change of the part.
    ``rows``: for each of `KINDS` the entities' digests and rows, the one with the newest label last; ``explained``: digests
    of transactions that were fraud, by how far their behaviour explained it (in 1/254). ``scored`` and ``labels``
    partition → offset of the first record that has not changed it."""

    number: int
    epoch: int
    sequence: int
    rows: tuple[Mapping[int, bytes], ...]
    explained: Mapping[int, int]
    scored: Mapping[int, int]
    labels: Mapping[int, int]


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    number: int
    epoch: int
    sequence: int
    rows: list[tuple[bytes, bytes, bytes]]
    explained: tuple[bytes, bytes]
    scored: dict[int, int]
    labels: dict[int, int]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Content)


def pack(bucket: Bucket) -> bytes:
    """``bucket`` as bytes, to be signed and told."""
    return _encoder.encode(
        _Content(
            bucket.number,
            bucket.epoch,
            bucket.sequence,
            [(_digests(rows), bytes(map(len, rows.values())), b"".join(rows.values())) for rows in bucket.rows],
            (_digests(bucket.explained), bytes(bucket.explained.values())),
            dict(sorted(bucket.scored.items())),
            dict(sorted(bucket.labels.items())),
        )
    )


def _digests(of: Mapping[int, object]) -> bytes:
    return np.fromiter(of, dtype="<u8", count=len(of)).tobytes()


def unpack(content: bytes) -> Bucket:
    """The part in ``content``, every value checked. Raises ValueError (msgspec's errors are such)."""
    found = _decoder.decode(content)
    if not 0 <= found.number < BUCKETS or found.epoch < 0 or found.sequence < 0 or len(found.rows) != len(KINDS):
        raise ValueError("a number of the part is out of range")
    for place in (found.scored, found.labels):
        if place and min(*place, *place.values()) < 0:
            raise ValueError("a negative partition or offset")
    rows = tuple(_rows(found.number, *columns) for columns in found.rows)
    transactions, shares = found.explained
    explained = dict(zip(_keys(found.number, transactions, len(shares)), shares, strict=True))
    if sum(map(len, rows)) > MAX_ROWS or len(explained) > MAX_FRAUDS:
        raise ValueError("more rows than a part has")
    return Bucket(found.number, found.epoch, found.sequence, rows, explained, found.scored, found.labels)


def _rows(number: int, entities: bytes, lengths: bytes, rows: bytes) -> dict[int, bytes]:
    keys = _keys(number, entities, len(lengths))
    if sum(lengths) != len(rows) or max(lengths, default=0) > MAX_BYTES:
        raise ValueError("rows of other lengths than they are said to have")
    found, start = {}, 0
    for key, length in zip(keys, lengths, strict=True):
        found[key] = rows[start : start + length]
        start += length
        standing(found[key])
    return found


def _keys(number: int, digests: bytes, count: int) -> list[int]:
    found = np.frombuffer(digests, "<u8")
    if len(found) != count or len(np.unique(found)) != count:
        raise ValueError("columns of different lengths, or one entity twice")
    if (found == 0).any() or (found % np.uint64(BUCKETS) != number).any():
        raise ValueError("an entity is of another part")
    keys: list[int] = found.tolist()
    return keys


class _Known:
    """The standings of one kind's entities that had a fraud, as lines of one array; line 0 stands for all others."""

    __slots__ = ("_free", "lines", "standings")

    def __init__(self) -> None:
        self.lines: dict[int, int] = {}
        self.standings = np.full((64, STANDING), np.nan)
        self._free = list(range(63, 0, -1))

    def put(self, entity: int, standing_of: Standing) -> None:
        if entity in self.lines:
            self.standings[self.lines[entity]] = standing_of
            return
        if not self._free:
            size = len(self.standings)
            self.standings = np.concatenate([self.standings, np.full((size, STANDING), np.nan)])
            self._free.extend(range(2 * size - 1, size - 1, -1))
        line = self.lines[entity] = self._free.pop()
        self.standings[line] = standing_of

    def remove(self, entity: int) -> None:
        self._free.append(self.lines.pop(entity))


class EntityTable:
    """The parts told last. Changed by `take` alone, between two polls."""

    __slots__ = ("_highest", "_known", "_places", "_told")

    def __init__(self) -> None:
        self._known = tuple(_Known() for _ in KINDS)
        self._told: dict[int, tuple[int, int]] = {}
        self._places: dict[int, tuple[Sequence[int], ...]] = {}
        self._highest = 0

    def __len__(self) -> int:
        return sum(len(known.lines) for known in self._known)

    def take(self, bucket: Bucket) -> None:
        """``bucket`` instead of what was told of this part before. Raises ValueError, and changes nothing, when it comes
        from a learner whose time is over, or is older than the one in hand."""
        told = self._told.get(bucket.number)
        if told is not None and bucket.epoch < self._highest:
            raise ValueError(f"learner epoch {bucket.epoch} is over: {self._highest} is in force")
        if told is not None and (bucket.epoch, bucket.sequence) < told:
            raise ValueError(f"part {bucket.number} of epoch and sequence {told} is in force")
        self._highest = max(self._highest, bucket.epoch)
        self._told[bucket.number] = (bucket.epoch, bucket.sequence)
        before = self._places.get(bucket.number, tuple([] for _ in KINDS))
        for known, gone, rows in zip(self._known, before, bucket.rows, strict=True):
            for entity in gone:
                known.remove(entity)
            for entity, row in rows.items():
                if has_fraud(row):
                    known.put(entity, standing(row))
        self._places[bucket.number] = tuple(
            [entity for entity in rows if has_fraud(rows[entity])] for rows in bucket.rows
        )

    def put(self, kind: int, entity: int, row: bytes | None) -> None:
        """One entity's row, None: it is gone. For a table beside its learner, which is told nothing by parts."""
        known = self._known[kind]
        if row is not None and has_fraud(row):
            known.put(entity, standing(row))
        elif entity in known.lines:
            known.remove(entity)

    def features(self, keys: EntityKeys) -> Floats:
        """float64[n, columns as `ENTITY_FEATURES`] of the transactions of ``keys``. A row's values do not depend on the
        other rows."""
        found = np.full((len(keys.times), _WIDTH * len(KINDS)), np.nan)
        for number, (known, digests) in enumerate(
            zip(self._known, (keys.terminal, keys.merchant, keys.card), strict=True)
        ):
            fill(known.lines, known.standings, digests, keys.times, found, number * _WIDTH)
        return found


EMPTY_TABLE: Final = EntityTable()
"""For those who score without a learner; never to be changed."""

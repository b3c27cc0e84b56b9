"""How the learner tells every scorer what it knows of many entities that change often: changes at once, all in turn.

Whatever is told is a row of bytes of one entity, named by a digest. One telling (at most one a second) is two records of
the compacted topic ``control``: the rows that changed, and one of `PARTS` parts with all its rows, each part in its turn.
Changes keep their place for `CHANGES` tellings, longer than all parts take to come round: so whoever reads the topic from
its beginning, in its order, ends with what is in force, though most rows are told whole but once in `PARTS` tellings.

What this puts on the topic has a bound, however busy the bank: `MAX_CHANGED` rows and the 256th part of all rows a telling.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from models.envelope import SealBroken, open_content, seal_content
from pipeline.core.topics import MAX_RECORD_BYTES, Outgoing

Kind = Literal["merchants", "customers", "counters", "tags"]
Rows = Mapping[int, bytes]
"""Digest of an entity → its row."""

MAGIC: Final = b"CWTOLD01"
"""Before what is signed (`models.envelope`)."""
PARTS: Final = 256
CHANGES: Final = 2 * PARTS
MAX_CHANGED: Final = 5_000
"""Rows that one telling says have changed; those beyond wait for the next."""
MAX_ROWS: Final = 8_000
"""In one record."""
MAX_ROW_BYTES: Final = 250
_KEY: Final = b"told:"


class Told(NamedTuple):
    """One record. ``part``: all rows there are of this part; None: rows that changed. ``epoch``: of the learner that tells
    it, ``sequence`` rises with every telling of a kind. ``read``: topic → partition → offset of the first record of it
    that is not in these rows. ``names``: what the rows speak of, where they do so by number."""

    kind: Kind
    epoch: int
    sequence: int
    part: int | None
    rows: Rows
    read: Mapping[str, Mapping[int, int]]
    names: Sequence[str] = ()


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    kind: Kind
    epoch: int
    sequence: int
    part: int | None
    entities: bytes
    lengths: bytes
    rows: bytes
    read: dict[str, dict[int, int]]
    names: tuple[str, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Content)


def tellings(
    kind: Kind,
    epoch: int,
    sequence: int,
    changed: Rows,
    part_of: Callable[[int], Rows],
    read: Mapping[str, Mapping[int, int]],
    names: Sequence[str] = (),
) -> Iterator[Told]:
    """The two records of the telling with this ``sequence``. ``part_of`` a part's number: all its rows, the changed ones
    among them."""
    yield Told(kind, epoch, sequence, None, changed, read, names)
    part = sequence % PARTS
    yield Told(kind, epoch, sequence, part, part_of(part), read, names)


def seal_told(told: Told, key: bytes) -> Outgoing:
    """``told`` as a record of ``control``, signed."""
    place = b"changes:%d" % (told.sequence % CHANGES) if told.part is None else b"part:%d" % told.part
    return Outgoing(_KEY + told.kind.encode() + b":" + place, seal_content(MAGIC, _packed(told), key))


def is_told_key(key: bytes | None) -> bool:
    return key is not None and key.startswith(_KEY)


def _packed(told: Told) -> bytes:
    entities = np.fromiter(told.rows, dtype="<u8", count=len(told.rows)).tobytes()
    lengths = bytes(map(len, told.rows.values()))
    read = {topic: dict(sorted(offsets.items())) for topic, offsets in sorted(told.read.items())}
    rows = b"".join(told.rows.values())
    return _encoder.encode(
        _Content(told.kind, told.epoch, told.sequence, told.part, entities, lengths, rows, read, tuple(told.names))
    )


def open_told(sealed: bytes, key: bytes) -> Told:
    """What a record of ``control`` tells; what its rows mean is for their table to check. Raises SealBroken when it is not
    as a learner with this key wrote it."""
    content = open_content(MAGIC, sealed, key, MAX_RECORD_BYTES, "part of what is told of merchants and customers")
    try:
        return _unpacked(content)
    except ValueError as error:
        raise SealBroken(f"signed, but nothing that is told of merchants, customers or counters: {error}") from error


def _unpacked(content: bytes) -> Told:
    found = _decoder.decode(content)
    numbers = [found.epoch, found.sequence, found.part or 0]
    numbers += [number for offsets in found.read.values() for pair in offsets.items() for number in pair]
    if min(numbers) < 0 or (found.part or 0) >= PARTS:
        raise ValueError("a number is out of range")
    keys = np.frombuffer(found.entities, "<u8")
    count = len(found.lengths)
    if len(keys) != count or count > MAX_ROWS or len(np.unique(keys)) != count or (keys == 0).any():
        raise ValueError("columns of different lengths, an entity twice, or more rows than a record has")
    if found.part is not None and (keys % np.uint64(PARTS) != found.part).any():
        raise ValueError("an entity is of another part")
    if sum(found.lengths) != len(found.rows) or max(found.lengths, default=0) > MAX_ROW_BYTES:
        raise ValueError("rows of other lengths than they are said to have")
    rows, start = {}, 0
    for entity, length in zip(keys.tolist(), found.lengths, strict=True):
        rows[entity] = found.rows[start : start + length]
        start += length
    return Told(found.kind, found.epoch, found.sequence, found.part, rows, found.read, found.names)


class EpochOver(ValueError):
    """Told by a learner after whom another has spoken."""


class Heard:
    """Who may still be listened to, of each kind: nobody whose time is over."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def check(self, told: Told) -> None:
        """Raises EpochOver when ``told`` comes from a learner whose time is over."""
        if told.epoch < self._highest.get(told.kind, 0):
            raise EpochOver(f"learner epoch {told.epoch} is over: {self._highest[told.kind]} is in force")
        self._highest[told.kind] = told.epoch


class Gathered:
    """All rows of one kind, by what was told in the order of the topic. ``sequence``: of the newest telling."""

    def __init__(self) -> None:
        self.rows: dict[int, bytes] = {}
        self.sequence = 0
        self.epoch = 0
        self.read: dict[str, dict[int, int]] = {}
        self._parts: dict[int, set[int]] = {}

    def take(self, told: Told) -> list[int]:
        """Take in ``told``; answers the entities that are gone."""
        self.sequence, self.epoch = max(self.sequence, told.sequence), max(self.epoch, told.epoch)
        self.read = {topic: dict(offsets) for topic, offsets in told.read.items()}
        gone: list[int] = []
        if told.part is not None:
            gone = list(self._parts.get(told.part, set()) - told.rows.keys())
            self._parts[told.part] = set(told.rows)
        else:
            for entity in told.rows:
                self._parts.setdefault(entity % PARTS, set()).add(entity)
        for entity in gone:
            self.rows.pop(entity, None)
        self.rows.update(told.rows)
        return gone

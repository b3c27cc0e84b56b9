"""Which tags each customer has, as every scorer knows it, and as the learner keeps and tells it.

A row is a whole number of 4 bytes, a bit for each tag; which bits stand for which names is said by the record that tells
the rows (`told.Told.names`), so rows told before the file of tags was changed mean what they meant. Customers without a
tag have no row.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.customer_tags import MAX_TAGS
from pipeline.core.told import MAX_CHANGED, MAX_ROWS, PARTS, Gathered, Rows, Told, tellings

if TYPE_CHECKING:
    from pipeline.core.entities import EntityKeys
    from pipeline.core.poll import Row

MAX_TAGGED: Final = PARTS * MAX_ROWS
"""Customers with tags that can be told of; beyond it those told longest ago are left out."""
MAX_NAMES: Final = 64
"""Names that a scorer knows at a time: those of two files, while it still has rows told under the older one."""
_ROW: Final = struct.Struct("<I")
_NO_TAG: Final = _ROW.pack(0)


class HeldTags(NamedTuple):
    """Of a poll's ``n`` transactions: ``bits`` uint64[n], the n-th bit for the n-th of ``names``; ``named`` bool[n]: a
    customer was given."""

    names: Sequence[str]
    bits: NDArray[np.uint64]
    named: NDArray[np.bool_]

    def holds(self, name: str) -> NDArray[np.float64]:
        """float64[n]: 1 where the customer has the tag, 0 where not, NaN where no customer was given."""
        has = np.zeros(len(self.bits), dtype=np.bool_)
        if name in self.names:
            has = (self.bits >> np.uint64(list(self.names).index(name)) & np.uint64(1)) != 0
        return np.where(self.named, has.astype(np.float64), np.nan)


class TagTable:
    """Changed by `take` alone, between two polls."""

    def __init__(self) -> None:
        self._gathered = Gathered()
        self._held: dict[int, int] = {}
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._held)

    def take(self, told: Told) -> None:
        """Take in what is told, in the order of the topic. Raises ValueError, and changes nothing, for rows that are
        none."""
        rows = {}
        for customer, row in told.rows.items():
            if len(row) != _ROW.size or (bits := _ROW.unpack(row)[0]) >> len(told.names):
                raise ValueError("no row of tags, or of more than it names")
            rows[customer] = bits
        if len(told.names) > MAX_TAGS or len(set(told.names)) != len(told.names):
            raise ValueError(f"names of tags that are not 0 to {MAX_TAGS} different ones")
        numbers = self._numbers(told.names)
        for customer in self._gathered.take(told):
            self._held.pop(customer, None)
        meant = {
            bits: sum(1 << number for at, number in enumerate(numbers) if bits >> at & 1) for bits in {*rows.values()}
        }
        for customer, bits in rows.items():
            if bits:
                self._held[customer] = meant[bits]
            else:
                self._held.pop(customer, None)

    def held(self, keys: "EntityKeys", rows: Sequence["Row"]) -> HeldTags:
        """What the customers of ``rows``, whose keys are ``keys``, have."""
        named = np.array([row.event.transaction.customer is not None for row in rows], dtype=np.bool_)
        bits = np.zeros(len(rows), dtype=np.uint64)
        if self._held:
            get = self._held.get
            bits[:] = [get(customer, 0) for customer in keys.customer.tolist()]
            bits[~named] = 0  # an account's number may be a customer's too
        return HeldTags(tuple(self._names), bits, named)

    def _numbers(self, names: Sequence[str]) -> list[int]:
        """Which bit each of ``names`` has here."""
        new = [name for name in names if name not in self._names]
        if len(self._names) + len(new) > MAX_NAMES:
            self._forget(names)
            new = [name for name in names if name not in self._names]
        self._names += new
        return [self._names.index(name) for name in names]

    def _forget(self, names: Sequence[str]) -> None:
        """Names that are not in ``names``, and what is held of them."""
        kept = [number for number, name in enumerate(self._names) if name in names]
        self._names = [self._names[number] for number in kept]
        for customer, bits in list(self._held.items()):
            left = sum(1 << at for at, number in enumerate(kept) if bits >> number & 1)
            if left:
                self._held[customer] = left
            else:
                del self._held[customer]


EMPTY_TAGS: Final = TagTable()
"""For those who score without a learner; never to be changed."""


class TagLedger:
    """The learner's rows, which are told once more whenever it starts: what an earlier one told may be of other names.
    ``resumed``: what that was."""

    def __init__(self, names: Sequence[str], resumed: Gathered | None = None) -> None:
        self._names = tuple(names)
        self._sequence = resumed.sequence if resumed else 0
        self._parts: list[dict[int, bytes]] = [{} for _ in range(PARTS)]
        self._changed: dict[int, None] = {}
        for customer in resumed.rows if resumed else ():
            self._put(customer, _NO_TAG)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def put(self, customer: int, tags: int) -> None:
        """The customer of this digest has ``tags``, a bit each."""
        before = self._parts[customer % PARTS].get(customer, _NO_TAG)
        if (row := _ROW.pack(tags)) != before:
            self._put(customer, row)

    def rename(self, names: Sequence[str], held: Iterable[tuple[int, int]]) -> None:
        """Other tags are in force: ``held`` are all customers that have any of them, and the bits of each. All are told
        again."""
        self._names = tuple(names)
        for part in self._parts:
            for customer in list(part):
                self._put(customer, _NO_TAG)
        for customer, tags in held:
            self._put(customer, _ROW.pack(tags))

    def tellings(self, epoch: int) -> Iterator[Told]:
        """What is to be told now; nothing where nothing changed."""
        changed = list(self._changed)[:MAX_CHANGED]
        if not changed:
            return
        for customer in changed:
            del self._changed[customer]
        rows = {customer: self._parts[customer % PARTS].get(customer, _NO_TAG) for customer in changed}
        self._sequence += 1
        part = self._parts[self._sequence % PARTS]
        for customer in [one for one, row in part.items() if row == _NO_TAG and one not in self._changed]:
            del part[customer]
        yield from tellings("tags", epoch, self._sequence, rows, self._part, {}, self._names)

    def _part(self, number: int) -> Rows:
        return self._parts[number]

    def _put(self, customer: int, row: bytes) -> None:
        part = self._parts[customer % PARTS]
        part.pop(customer, None)  # and in again at the end: the first is the one told longest ago
        part[customer] = row
        self._changed[customer] = None
        if len(part) > MAX_ROWS:
            del part[next(iter(part))]

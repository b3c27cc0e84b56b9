"""Ports in memory: for tests, `evaluate`, and anyone who wants to drive a role without servers."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.adapters.kafka.log import partition_of
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing, Poll, Record, Saved, StoreDown, Taken


class FixedClock:
    """Stands still until told otherwise."""

    def __init__(self, now: float = 0.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class StoredRecord(NamedTuple):
    """A record of a `MemoryLog`; satisfies the Record port."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class MemoryLog:
    """The Log port on lists: topic name → partition → records."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.topics: dict[str, dict[int, list[StoredRecord]]] = {}
        self.timestamp_ms = 0

    def part(self, topic: Topic, partition: int) -> list[StoredRecord]:
        return self.topics.setdefault(topic.name, {}).setdefault(partition, [])

    def all(self, topic: Topic) -> list[StoredRecord]:
        """Every record of ``topic``, partition by partition."""
        return [record for _, part in sorted(self.topics.get(topic.name, {}).items()) for record in part]

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        for partition, records in batches.items():
            part = self.part(topic, partition)
            for record in records:
                part.append(
                    StoredRecord(
                        partition, len(part), self.timestamp_ms, record.key, record.value, tuple(record.headers)
                    )
                )

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        for topic, parts in batches.items():
            await self.append(topic, parts)

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        count = topic.partitions or self.partitions
        for record in records:
            await self.append(topic, {partition_of(record.key or b"", count): [record]})


class MemoryReader:
    """The Reader port on a `MemoryLog`."""

    def __init__(self, log: MemoryLog, topic: Topic) -> None:
        self._log = log
        self._topic = topic
        self._next: dict[int, int] = {}
        self._held: frozenset[int] = frozenset()

    async def start(self, positions: Mapping[int, int] | None = None) -> Sequence[int]:
        numbers = range(self._topic.partitions or self._log.partitions)
        self._next = {number: (positions or {}).get(number, 0) for number in numbers}
        return list(numbers)

    async def ends(self) -> dict[int, int]:
        return {number: len(self._log.part(self._topic, number)) for number in self._next}

    async def poll(self, timeout_s: float) -> Poll:
        found: dict[int, Sequence[Record]] = {}
        for number, start in self._next.items():
            if number in self._held:
                continue
            records = self._log.part(self._topic, number)[start:]
            if records:
                found[number] = records
                self._next[number] = start + len(records)
        return found

    async def places(self) -> dict[int, int]:
        return dict(self._next)

    def hold(self, partitions: Iterable[int]) -> None:
        self._held = frozenset(partitions)

    async def stop(self) -> None:
        self._next = {}


class MemoryPartsReader:
    """The PartsReader port on a `MemoryLog`."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._next: dict[tuple[Topic, int], int] = {}

    async def start(self) -> None: ...

    def read(self, places: Mapping[tuple[Topic, int], int | None]) -> None:
        self._next = {place: at or 0 for place, at in places.items()}

    async def poll(self, timeout_s: float) -> dict[tuple[Topic, int], Sequence[Record]]:
        found: dict[tuple[Topic, int], Sequence[Record]] = {}
        for (topic, number), start in self._next.items():
            if records := self._log.part(topic, number)[start:]:
                found[topic, number] = records
                self._next[topic, number] = start + len(records)
        return found

    async def stop(self) -> None:
        self._next = {}


class MemoryProfiles:
    """The ProfileStore port on dicts, with the same fence; ``down`` makes every call fail as an outage does."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[bytes, bytes]] = {}
        self.archived: dict[int, dict[bytes, bytes]] = {}
        self.kept_marks: dict[int, bytes] = {}
        self.places: dict[int, tuple[str, int, int | None]] = {}
        self.down = False
        self.fenced = True

    def _place(self, partition: int) -> tuple[str, int, int | None]:
        if self.down:
            raise StoreDown("switched off")
        return self.places.get(partition, ("", 0, None))

    async def take(self, partition: int, token: str) -> Taken:
        previous, sequence, following = self._place(partition)
        self.places[partition] = (token, sequence, following)
        return Taken(token, sequence, following, previous or None)

    async def load(self, partition: int) -> AsyncIterator[dict[bytes, bytes]]:
        self._place(partition)
        yield dict(self.rows.get(partition, {}))

    async def position(self, partition: int) -> Taken:
        return Taken(*self._place(partition), None)

    async def save(
        self, partition: int, token: str, sequence: int, next_offset: int, rows: Mapping[bytes, bytes]
    ) -> Saved:
        owner, stored, _ = self._place(partition)
        if self.fenced:
            if owner != token:
                return "refused"
            if stored == sequence:
                return "already"
            if stored != sequence - 1:
                return "refused"
        self.rows.setdefault(partition, {}).update(rows)
        self.places[partition] = (owner, sequence, next_offset)
        return "saved"

    def _in_step(self, partition: int, token: str, sequence: int) -> bool:
        owner, stored, _ = self._place(partition)
        return owner == token and stored in (sequence, sequence + 1)

    async def archive(
        self, partition: int, token: str, sequence: int, rows: Mapping[bytes, bytes], marks: bytes
    ) -> bool:
        if not self._in_step(partition, token, sequence):
            return False
        self.archived.setdefault(partition, {}).update(rows)
        self.kept_marks[partition] = self.kept_marks.get(partition, b"") + marks
        for card in rows:
            self.rows.get(partition, {}).pop(card, None)
        return True

    async def marks(self, partition: int) -> bytes:
        self._place(partition)
        return self.kept_marks.get(partition, b"")

    async def wake(
        self, partition: int, token: str, sequence: int, cards: Sequence[bytes]
    ) -> dict[bytes, bytes] | None:
        if not self._in_step(partition, token, sequence):
            return None
        found = self.archived.get(partition, {}) | self.rows.get(partition, {})
        return {card: found[card] for card in cards if card in found}

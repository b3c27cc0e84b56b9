"""Record batches as Kafka keeps them, to and from our records: compiled (`_records`) where it could be built, through
aiokafka's own builder and reader where not. The bytes are the same.

Layout: Apache Kafka's documentation, "Message format", version 2. What the compiled reader does not take — compressed
batches, older formats — goes to aiokafka's in any case.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record._crecords.cutil import crc32c_cython as crc32c
from aiokafka.record.memory_records import MemoryRecords

from pipeline.ports import Outgoing

try:
    from pipeline.adapters.kafka import _records

    COMPILED = True
except ImportError:
    COMPILED = False

_HEADER = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length from here on, leader epoch, format, CRC-32C, attributes, last offset delta, first and newest
timestamp, producer's id, epoch and base sequence, number of records."""
_AFTER_LENGTH = 12
_AFTER_CRC = 21
_FORMAT = 2
_ANY_LEADER = -1
_CODEC, _BROKER_TIMESTAMP, _CONTROL = 0b111, 0b1000, 0b100000


class Fetched(NamedTuple):
    """One record as it was read. ``timestamp`` in milliseconds."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class DamagedBatch(Exception):
    """A batch's checksum or its records do not hold together."""


class PackedBatch(BatchBuilder):
    """A finished batch, in the place of aiokafka's builder: only the producer's identity is still to be written."""

    def __init__(self, batch: bytearray, count: int, timestamp_ms: int) -> None:
        # not super().__init__(): there is nothing left to build
        self._batch = batch
        self._count = count
        self._timestamp = timestamp_ms
        self._producer = (-1, -1, -1)
        self._sealed = False

    def append(self, **record: Any) -> None:
        """Nothing more fits."""

    def close(self) -> None:
        """It is."""

    def closed(self) -> bool:
        return True

    def size(self) -> int:
        return len(self._batch)

    def record_count(self) -> int:
        return self._count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)
        self._sealed = False

    def _build(self) -> bytearray:
        if not self._sealed:
            batch, last = self._batch, self._count - 1
            fields = (0, last, self._timestamp, self._timestamp, *self._producer, self._count)
            _HEADER.pack_into(batch, 0, 0, len(batch) - _AFTER_LENGTH, _ANY_LEADER, _FORMAT, 0, *fields)
            struct.pack_into(">I", batch, _AFTER_CRC - 4, crc32c(memoryview(batch)[_AFTER_CRC:]))
            self._sealed = True
        return self._batch


def batches(records: Sequence[Outgoing], limit: int, timestamp_ms: int, producer: Any) -> Iterator[BatchBuilder]:
    """As few batches of at most ``limit`` bytes as hold ``records``, in their order. ``producer``: whose builders are
    used where nothing is compiled. Raises ValueError for a record that no batch can hold."""
    if not COMPILED:
        yield from _built(records, timestamp_ms, producer)
        return
    start = 0
    while start < len(records):
        batch, count = _records.pack(records, start, limit)
        if not count:
            raise ValueError(f"a record is larger than a batch may be, {limit} bytes")
        yield PackedBatch(batch, count, timestamp_ms)
        start += count


def _built(records: Sequence[Outgoing], timestamp_ms: int, producer: Any) -> Iterator[BatchBuilder]:
    batch = producer.create_batch()
    for key, value, headers in records:
        record = {"key": key, "value": value, "headers": list(headers), "timestamp": timestamp_ms}
        if batch.append(**record) is None:
            yield batch
            batch = producer.create_batch()
            if batch.append(**record) is None:
                raise ValueError("a record is larger than a batch may be")
    if batch.record_count():
        yield batch


def unpack(data: bytes, partition: int, following: int) -> Iterator[tuple[list[Fetched], int]]:
    """Per batch of a fetch's answer: its records from the offset ``following`` on, and the offset behind it. A batch
    that was cut off at the end is left out. Raises `DamagedBatch`."""
    view = memoryview(data)
    start = 0
    while start + _HEADER.size <= len(data):
        base, length, _, magic, crc, attributes, last, first_time, newest, _, _, _, count = _HEADER.unpack_from(
            data, start
        )
        end = start + _AFTER_LENGTH + length
        if end > len(data):
            return
        if not COMPILED or magic != _FORMAT or attributes & _CODEC:
            yield from _read(bytes(view[start:end]), partition, following)
        else:
            if crc32c(view[start + _AFTER_CRC : end]) != crc:
                raise DamagedBatch(f"partition {partition}, offset {base}: wrong checksum")
            records: list[Fetched] = []
            if not attributes & _CONTROL:
                one_time = bool(attributes & _BROKER_TIMESTAMP)
                try:
                    records = _records.unpack(
                        view[start + _HEADER.size : end], count, partition, base, newest if one_time else first_time,
                        one_time, following, Fetched,
                    )  # fmt: skip
                except ValueError as error:
                    raise DamagedBatch(f"partition {partition}, offset {base}: {error}") from error
            yield records, base + last + 1
        start = end


def _read(data: bytes, partition: int, following: int) -> Iterator[tuple[list[Fetched], int]]:
    read = MemoryRecords(data)
    while read.has_next():
        batch = read.next_batch()
        if not batch.validate_crc():
            raise DamagedBatch(f"partition {partition}: wrong checksum")
        records = []
        if not batch.is_control_batch:
            records = [
                Fetched(partition, record.offset, record.timestamp, record.key, record.value, record.headers)
                for record in batch
                if record.offset >= following
            ]
        yield records, batch.next_offset

"""A record batch (magic 2): the unit in which clients send, the log keeps, and clients fetch.

The broker reads the header and leaves the records alone; only for compacted topics, and to find a record by its time,
does it look inside. Layout: Kafka's documentation, "Record Batch".
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from pipeline.embedded import wire

MAX_BATCH_BYTES: Final = 1_048_588
"""Apache Kafka's default ``message.max.bytes``: what fits here fits there."""

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_OVERHEAD: Final = 12  # base offset and length, which the length field does not count
_MAGIC: Final = 2
_CONTROL_OR_TRANSACTIONAL: Final = 0x30


class Header(NamedTuple):
    """The fixed part of a batch, in wire order. Timestamps are in milliseconds."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int


class StoredRecord(Protocol):
    """One record inside a batch, as aiokafka reads it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class UnreadableBatch(Exception):
    """The records can't be read; ``code`` is the Kafka error to answer with."""

    def __init__(self, code: int) -> None:
        super().__init__(f"unreadable batch, error code {code}")
        self.code = code


def checked(raw: bytes) -> tuple[int, Header | None]:
    """(0, header) for exactly one sound batch, else (Kafka error code, None)."""
    if len(raw) > MAX_BATCH_BYTES:
        return wire.MESSAGE_TOO_LARGE, None
    if len(raw) < _HEADER.size:
        return wire.CORRUPT_MESSAGE, None
    header = Header._make(_HEADER.unpack_from(raw))
    if header.magic != _MAGIC:
        return wire.UNSUPPORTED_FOR_MESSAGE_FORMAT, None
    if (
        header.length + _OVERHEAD != len(raw)
        or header.record_count < 1
        or header.last_offset_delta != header.record_count - 1
    ):
        return wire.CORRUPT_MESSAGE, None
    if header.attributes & _CONTROL_OR_TRANSACTIONAL:
        return wire.INVALID_RECORD, None
    if not DefaultRecordBatch(raw).validate_crc():
        return wire.CORRUPT_MESSAGE, None
    return wire.NONE, header


def placed(raw: bytes, base_offset: int) -> bytes:
    """The batch as the log keeps it: with its first offset (the checksum does not cover that) and leader epoch 0."""
    batch = bytearray(raw)
    struct.pack_into(">q", batch, 0, base_offset)
    struct.pack_into(">i", batch, 12, 0)
    return bytes(batch)


def records(raw: bytes) -> list[StoredRecord]:
    """The records of a batch. Raises `UnreadableBatch`."""
    try:
        return list(DefaultRecordBatch(raw))
    except UnsupportedCodecError as error:
        raise UnreadableBatch(wire.UNSUPPORTED_COMPRESSION_TYPE) from error
    except (CorruptRecordException, ValueError, EOFError, OSError, RuntimeError) as error:
        raise UnreadableBatch(wire.CORRUPT_MESSAGE) from error


def rebuilt(base_offset: int, kept: Sequence[StoredRecord]) -> bytes:
    """A batch of only some of a batch's records, their offsets and times unchanged. Without the producer's sequence:
    that a sequence was seen is remembered elsewhere."""
    builder = DefaultRecordBatchBuilder(
        magic=_MAGIC,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**31 - 1,
    )
    for record in kept:
        builder.append(
            record.offset - base_offset, record.timestamp, record.key, record.value, headers=list(record.headers)
        )
    return placed(bytes(builder.build()), base_offset)

"""Record batches, compiled and not: the same bytes out, the same records in, and damage noticed."""

import contextlib
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record._crecords.default_records import DefaultRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.kafka import records as module
from pipeline.adapters.kafka.records import DamagedBatch, Fetched, PackedBatch, batches, unpack
from pipeline.ports import Outgoing

NOW_MS = 1_790_000_000_000
LIMIT = 20_000
PRODUCER_STATE = (7_000_000_000, 3, 41)

headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=40)), max_size=3).map(tuple)
outgoing = st.builds(Outgoing, st.none() | st.binary(max_size=200), st.binary(max_size=9_000), headers)


class Producer:
    """What `batches` needs of aiokafka's producer."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(LIMIT, 0)


def sealed(found: Any) -> list[tuple[bytes, int]]:
    whole = []
    for batch in found:
        batch._set_producer_state(*PRODUCER_STATE)
        whole.append((bytes(batch._build()), batch.record_count()))
    return whole


def by_aiokafka(records: list[Outgoing]) -> list[tuple[bytes, int]]:
    return sealed(module._built(records, NOW_MS, Producer()))


def read_back(data: bytes, following: int = 0) -> list[Fetched]:
    return [record for part, _ in unpack(data, 2, following) for record in part]


@pytest.fixture(params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.COMPILED, "the compiled module was not built: is there a C compiler?"
    monkeypatch.setattr(module, "COMPILED", request.param == "compiled")


@settings(deadline=None)
@given(st.lists(outgoing, min_size=1, max_size=12))
def test_what_is_packed_is_byte_for_byte_what_aiokafka_builds(records: list[Outgoing]) -> None:
    assert sealed(batches(records, LIMIT, NOW_MS, Producer())) == by_aiokafka(records)


@settings(deadline=None)
@given(st.lists(outgoing, max_size=12))
def test_what_was_packed_is_read_back(records: list[Outgoing]) -> None:
    data = b"".join(batch for batch, _ in sealed(batches(records, LIMIT, NOW_MS, Producer())))
    expected = [(record.key, record.value, list(record.headers), NOW_MS, 2) for record in records]
    assert [(r.key, r.value, r.headers, r.timestamp, r.partition) for r in read_back(data)] == expected


def one_batch(count: int = 5, base: int = 100, codec: int = 0, **more: Any) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1_000_000)
    for number in range(count):
        builder.append(number, NOW_MS + number, key=b"k%d" % number, value=b"v%d" % number, headers=[("h", b"1")])
    data = bytearray(builder.build())
    data[:8] = base.to_bytes(8, "big")  # the broker writes the offset; the checksum does not cover it
    return bytes(data)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("codec", [0, 1])
def test_a_reader_may_begin_in_the_middle_of_a_batch(codec: int) -> None:
    data = one_batch(codec=codec)
    assert [(record.offset, record.timestamp - NOW_MS) for record in read_back(data, 103)] == [(103, 3), (104, 4)]
    assert [following for _, following in unpack(data, 2, 103)] == [105]


@pytest.mark.usefixtures("either")
def test_a_batch_cut_off_at_the_end_is_left_for_the_next_fetch() -> None:
    first, second = one_batch(), one_batch(base=105)
    assert [record.offset for record in read_back((first + second)[:-1])] == [100, 101, 102, 103, 104]
    assert read_back(first[:30]) == []


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("at", [20, 61, -1])
def test_damage_is_noticed(at: int) -> None:
    data = bytearray(one_batch())
    data[at] ^= 0x55
    with pytest.raises(DamagedBatch):
        read_back(bytes(data))


@settings(deadline=None)
@given(st.binary(max_size=120), st.integers(0, 200))
def test_nonsense_behind_a_right_checksum_is_damage_too(nonsense: bytes, count: int) -> None:
    packed = PackedBatch(bytearray(61) + bytearray(nonsense), count, NOW_MS)
    with contextlib.suppress(DamagedBatch):  # and no other error, nor a read beyond the end
        read_back(bytes(packed._build()))


def test_a_record_larger_than_a_batch_is_an_error_not_a_loop() -> None:
    with pytest.raises(ValueError, match="larger"):
        list(batches([Outgoing(b"k", b"x" * LIMIT)], LIMIT, NOW_MS, Producer()))


@pytest.mark.usefixtures("either")
def test_marks_of_transactions_are_passed_over() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 1, 1, 1, 1, 1_000)
    builder.append(0, NOW_MS, key=b"\0\0\0\1", value=b"\0\0\0\0\0\0", headers=[])
    data = bytearray(builder.build())
    data[22] |= 0b100000
    data[17:21] = module.crc32c(memoryview(data)[21:]).to_bytes(4, "big")
    assert list(unpack(bytes(data), 2, 0)) == [([], 1)]

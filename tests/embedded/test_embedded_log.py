"""A partition's log: what is dropped, what compaction keeps, what is refused."""

import pytest
from broker_suite.raw_client import batch

from pipeline.embedded import batch as batches
from pipeline.embedded import compaction, wire
from pipeline.embedded.log import PartitionLog
from pipeline.embedded.producers import PRODUCERS_REMEMBERED

KIB = 1 << 10


def read_all(log: PartitionLog) -> dict[int, tuple[bytes | None, bytes | None]]:
    """Offset → (key, value), read as a client does: from the start, on from the last offset seen."""
    found: dict[int, tuple[bytes | None, bytes | None]] = {}
    offset = log.start
    while offset < log.end:
        data = log.read(offset, 1)
        assert data, f"nothing at {offset}, though the log ends at {log.end}"
        for record in batches.records(data):
            found[record.offset] = record.key, record.value
            offset = record.offset + 1
    return found


def keyed(key: bytes, value: bytes | None) -> bytes:
    return batch([value], keys=[key])  # type: ignore[list-item]


def test_the_oldest_batches_go_when_the_log_is_full() -> None:
    log = PartitionLog("t-0", 100 * KIB)
    for number in range(300):
        assert log.append(batch([b"%03d" % number + bytes(KIB)])) == (wire.NONE, number)
    kept = read_all(log)
    assert list(kept) == list(range(log.start, 300))
    assert 70 * KIB < len(kept) * KIB <= 100 * KIB
    assert log.read(log.start, 1)
    assert log.at_time(0)[1] == log.start


def test_a_read_takes_whole_batches_up_to_the_limit_and_at_least_one() -> None:
    log = PartitionLog("t-0", 1 << 20)
    one = batch([bytes(KIB)])
    for _ in range(10):
        log.append(one)
    assert len(log.read(0, 1)) == len(one)
    assert len(log.read(2, 3 * len(one) + 1)) == 3 * len(one)
    assert log.read(10, 1 << 20) == b""


def test_compaction_keeps_the_newest_record_of_each_key_at_its_offset() -> None:
    log = PartitionLog("t-0", 4 << 20, compacted=True)
    for number in range(500):
        log.append(batch([b"%03d" % number + bytes(KIB), b"once"], keys=[b"k%d" % (number % 5), b"only-%03d" % number]))
    kept = read_all(log)
    assert log.end == 1_000
    assert [kept[offset] for offset in range(990, 1_000, 2)] == [
        (b"k%d" % (number % 5), b"%03d" % number + bytes(KIB)) for number in range(495, 500)
    ]
    assert {2 * number + 1 for number in range(500)} < set(kept)  # keys written once are all there
    repeated = [offset for offset in kept if offset % 2 == 0]
    assert len(repeated) * KIB < 3 * compaction.SUPERSEDED_MIN_BYTES  # but for what is not worth a compaction yet


def test_a_deleted_key_is_seen_deleted_and_then_forgotten() -> None:
    log = PartitionLog("t-0", 4 << 20, compacted=True)

    def fill() -> None:  # enough superseded bytes for one compaction
        for _ in range(2 + compaction.SUPERSEDED_MIN_BYTES // (16 * KIB)):
            log.append(keyed(b"other", bytes(16 * KIB)))

    log.append(keyed(b"gone", b"secret"))
    log.append(keyed(b"gone", None))
    fill()
    assert read_all(log).get(1) == (b"gone", None)
    assert 0 not in read_all(log)
    for _ in range(2):
        fill()
    assert 1 not in read_all(log)


def test_a_full_compacted_log_keeps_to_its_limit() -> None:
    log = PartitionLog("t-0", 100 * KIB, compacted=True)
    for number in range(300):
        log.append(keyed(b"k%d" % number, bytes(KIB)))
    kept = read_all(log)
    assert list(kept) == list(range(log.start, 300))
    assert len(kept) <= 100


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda good: good[:40], wire.CORRUPT_MESSAGE),
        (lambda good: good[:-1], wire.CORRUPT_MESSAGE),
        (lambda good: good + good, wire.CORRUPT_MESSAGE),
        (lambda good: good[:-1] + b"?", wire.CORRUPT_MESSAGE),
        (lambda good: good[:16] + b"\x01" + good[17:], wire.UNSUPPORTED_FOR_MESSAGE_FORMAT),
        (lambda good: batch([bytes(batches.MAX_BATCH_BYTES)]), wire.MESSAGE_TOO_LARGE),
    ],
    ids=["short", "cut", "two", "checksum", "old format", "large"],
)
def test_a_bad_batch_is_refused_with_kafkas_code(spoil, code) -> None:  # type: ignore[no-untyped-def]
    log = PartitionLog("t-0", 4 << 20)
    assert log.append(spoil(batch([b"value"]))) == (code, -1)
    assert log.end == 0


def test_a_compacted_log_refuses_records_without_a_key() -> None:
    log = PartitionLog("t-0", 1 << 20, compacted=True)
    assert log.append(batch([b"value"])) == (wire.INVALID_RECORD, -1)


def test_a_repeat_is_known_after_compaction_and_a_new_epoch_starts_at_zero() -> None:
    log = PartitionLog("t-0", 4 << 20, compacted=True)
    first = batch([bytes(40 * KIB)], (7, 0), 0, keys=[b"k"])
    assert log.append(first) == (wire.NONE, 0)
    for number in range(1, 4):
        assert log.append(batch([bytes(40 * KIB)], (7, 0), number, keys=[b"k"])) == (wire.NONE, number)
    assert 0 not in read_all(log)
    assert log.append(first) == (wire.NONE, 0)
    assert log.append(batch([b"v"], (7, 1), 3, keys=[b"k"])) == (wire.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert log.append(batch([b"v"], (7, 1), 0, keys=[b"k"])) == (wire.NONE, 4)
    assert log.append(first) == (wire.INVALID_PRODUCER_EPOCH, -1)


def test_only_the_last_five_batches_of_a_producer_are_remembered() -> None:
    log = PartitionLog("t-0", 1 << 20)
    for number in range(7):
        log.append(batch([b"v"], (1, 0), number))
    assert log.append(batch([b"v"], (1, 0), 2)) == (wire.NONE, 2)
    assert log.append(batch([b"v"], (1, 0), 1)) == (wire.DUPLICATE_SEQUENCE_NUMBER, -1)
    assert log.end == 7


def test_sequences_begin_anew_after_the_largest() -> None:
    log = PartitionLog("t-0", 1 << 20)
    assert log.append(batch([b"v", b"v"], (1, 0), 2**31 - 2)) == (wire.NONE, 0)
    assert log.append(batch([b"v"], (1, 0), 0)) == (wire.NONE, 2)


def test_the_producer_silent_longest_is_forgotten_first() -> None:
    log = PartitionLog("t-0", 4 << 20)
    for producer in range(PRODUCERS_REMEMBERED):
        log.append(batch([b"v"], (producer, 0), 0))
    log.append(batch([b"v"], (0, 0), 1))  # producer 0 is heard again
    log.append(batch([b"v"], (PRODUCERS_REMEMBERED, 0), 0))  # one too many: 1 goes
    end = log.end
    assert log.append(batch([b"v"], (0, 0), 0)) == (wire.NONE, 0)
    assert log.append(batch([b"v"], (1, 0), 0)) == (wire.NONE, end)

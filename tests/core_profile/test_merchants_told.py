"""What scorers know of merchants: the learner's lines, told thriftily, found again by whoever comes late."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from models.envelope import SealBroken
from pipeline.core.entities import EntityKeys
from pipeline.core.features import FEATURES
from pipeline.core.merchant_ledger import KEPT_S, MerchantLedger
from pipeline.core.merchant_table import MerchantTable
from pipeline.core.told import CHANGES, MAX_CHANGED, PARTS, EpochOver, Gathered, Heard, Told, open_told, seal_told

KEY = b"a key of sixteen bytes or more"
BEGAN = 1_800_000_000.0
NAMES = [feature.name for feature in FEATURES]
NOT_EXEMPT = np.zeros(10_000, dtype=np.bool_)


def stream(seed: int, n: int, merchants: int, rate: float) -> tuple[EntityKeys, np.ndarray]:
    """``n`` attempts, about ``rate`` a second; some at a terminal of no merchant, some nowhere."""
    rng = np.random.default_rng(seed)
    times = BEGAN + np.cumsum(rng.exponential(1 / rate, n))
    at = rng.integers(1, merchants + 1, n).astype(np.uint64) * np.uint64(1_000_003)
    merchant, terminal = np.where(rng.random(n) < 0.8, at, 0), np.where(rng.random(n) < 0.9, at + np.uint64(1), 0)
    own = np.zeros((n, len(FEATURES)))
    own[:, NAMES.index("amount")] = np.exp(rng.normal(8, 1, n))
    own[:, NAMES.index("new_merchant")] = rng.choice([0.0, 1.0, math.nan], n)
    return EntityKeys(times, terminal.astype(np.uint64), merchant.astype(np.uint64), at, at), own


def cut(keys: EntityKeys, rows: slice) -> EntityKeys:
    return EntityKeys(keys.times[rows], keys.terminal[rows], keys.merchant[rows], keys.card[rows], keys.customer[rows])


def observe(ledger: MerchantLedger, keys: EntityKeys, own: np.ndarray) -> None:
    ledger.observe(keys.merchant, keys.terminal, keys.times, own)


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.tobytes() == right.tobytes()


class Topic:
    """``control`` as compaction leaves it: of each key the last, in the order of the log."""

    def __init__(self) -> None:
        self.records: dict[bytes | None, bytes] = {}
        self.bytes = 0

    def put(self, told: Told) -> None:
        out = seal_told(told, KEY)
        self.records.pop(out.key, None)
        self.records[out.key] = out.value
        self.bytes += len(out.value)

    def read(self) -> Iterator[Told]:
        for value in self.records.values():
            yield open_told(value, KEY)


@pytest.mark.parametrize("most", [500_000, 40])
def test_what_a_scorer_beside_the_learner_sees_does_not_depend_on_chunks(most: int) -> None:
    keys, own = stream(1, 2_500, 60, 2.0)
    exempt = np.random.default_rng(2).random(2_500) < 0.1
    found = []
    for size in (2_500, 700, 1):
        ledger = MerchantLedger(most=most)
        rows = [slice(start, start + size) for start in range(0, 2_500, size)]
        found.append(np.concatenate([ledger.features(cut(keys, row), own[row], exempt[row]) for row in rows]))
        assert len(ledger) <= most
    assert same(found[0], found[1])
    assert same(found[0], found[2])
    assert np.isfinite(found[0]).mean() > 0.05


def test_a_scorer_that_is_told_each_second_sees_the_same_to_the_bit() -> None:
    keys, own = stream(3, 3_000, 20, 5.0)
    beside = MerchantLedger().features(keys, own, NOT_EXEMPT[:3_000])
    ledger, table, found = MerchantLedger(), MerchantTable(), []
    seconds = np.floor(keys.times)
    for second in np.unique(seconds):
        for told in ledger.tellings(1, {}):
            table.take(open_told(seal_told(told, KEY).value, KEY))
        rows = np.flatnonzero(seconds == second)
        mine = slice(int(rows[0]), int(rows[-1]) + 1)
        found.append(table.features(cut(keys, mine), own[mine], NOT_EXEMPT[mine]))
        observe(ledger, cut(keys, mine), own[mine])
    assert same(np.concatenate(found), beside)


def played(ledger: MerchantLedger, topic: Topic, keys: EntityKeys, own: np.ndarray, each: int) -> int:
    """Tell after every ``each`` attempts; how many rows changed."""
    changed = 0
    for start in range(0, len(own), each):
        rows = slice(start, start + each)
        observe(ledger, cut(keys, rows), own[rows])
        for told in ledger.tellings(1, {"scored": {0: start + each}}):
            topic.put(told)
            changed += len(told.rows) if told.part is None else 0
    return changed


def test_whoever_reads_the_compacted_topic_late_knows_what_is_in_force() -> None:
    keys, own = stream(4, 9_000, 700, 3.0)
    ledger, topic, early = MerchantLedger(), Topic(), MerchantTable()
    telling = [told for start in range(0, 9_000, 10) for told in _after(ledger, keys, own, slice(start, start + 10))]
    for told in telling:
        topic.put(told)
        early.take(told)
    assert len(telling) / 2 > CHANGES + PARTS, "changes were overwritten, all parts came round"
    late = MerchantTable()
    for told in topic.read():
        late.take(told)
    asked, their = stream(5, 2_000, 700, 3.0)
    asked = asked._replace(times=asked.times + 10_000)
    assert len(late) == len(early) > 1_000
    assert same(late.features(asked, their, NOT_EXEMPT), early.features(asked, their, NOT_EXEMPT))


def _after(ledger: MerchantLedger, keys: EntityKeys, own: np.ndarray, rows: slice) -> list[Told]:
    observe(ledger, cut(keys, rows), own[rows])
    return list(ledger.tellings(1, {}))


def test_a_learner_goes_on_from_what_was_told_and_loses_no_more_than_a_step() -> None:
    keys, own = stream(6, 6_000, 30, 0.05)
    topic, through = Topic(), MerchantLedger()
    half = slice(0, 4_000)
    played(through, topic, cut(keys, half), own[half], 20)
    gathered = Gathered()
    for told in topic.read():
        gathered.take(told)
    assert gathered.read == {"scored": {0: 4_000}}
    again = MerchantLedger(gathered)
    shop = cut(keys, slice(0, 1))._replace(merchant=np.array([12_345], np.uint64))
    (changes, _) = _after(MerchantLedger(gathered), shop, own, slice(0, 1))
    assert changes.sequence == gathered.sequence + 1 > 1
    rest = slice(4_000, 6_000)
    left, right = (
        ledger.features(cut(keys, rest), own[rest], NOT_EXEMPT[:2_000]) for ledger in (through, again)
    )  # fmt: skip
    assert np.array_equal(np.isnan(left), np.isnan(right))
    apart = np.abs(left[:, :3] - right[:, :3]) / np.maximum(np.abs(left[:, :3]), 1.0)
    assert np.nanmax(apart) < 0.3
    assert np.nanmean(apart) < 0.02


def test_telling_is_thrifty_and_bounded() -> None:
    keys, own = stream(7, 20_000, 10, 50.0)
    ledger, topic = MerchantLedger(), Topic()
    changed = played(ledger, topic, keys, own, 50)
    assert changed < 0.05 * 20_000, "a busy merchant's next payment says nothing new"
    many, theirs = stream(8, 10_000, 1_000_000, 1_000.0)
    ledger = MerchantLedger()
    observe(ledger, many, theirs)
    told = [list(ledger.tellings(1, {})) for _ in range(3)]
    assert [[len(record.rows) for record in records if record.part is None] for records in told] == [
        [MAX_CHANGED], [len(ledger) - MAX_CHANGED], [],
    ]  # fmt: skip


def test_who_is_silent_for_long_is_told_no_more() -> None:
    count = PARTS + 1
    keys, own = stream(9, count, 1, 1.0)
    merchants = np.arange(PARTS, PARTS + count, dtype=np.uint64)
    keys = keys._replace(merchant=merchants, times=np.where(np.arange(count) == 0, BEGAN, BEGAN + KEPT_S + 60))
    ledger, table, sizes = MerchantLedger(), MerchantTable(), []
    for row in range(count):  # each of a new merchant: until the first one's part comes round
        for told in _after(ledger, keys, own, slice(row, row + 1)):
            table.take(told)
        sizes.append(len(table))
    assert sizes == [*range(1, PARTS), PARTS - 1, PARTS]
    unknown = np.isnan(table.features(keys, own, NOT_EXEMPT)).all(axis=1)
    assert np.flatnonzero(unknown).tolist() == [0]


def test_what_is_not_as_a_learner_wrote_it_is_refused_and_changes_nothing() -> None:
    keys, own = stream(10, 300, 5, 1.0)
    ledger, table = MerchantLedger(), MerchantTable()
    changes, part = _after(ledger, keys, own, slice(0, 300))
    table.take(changes)
    before = table.features(keys, own, NOT_EXEMPT)
    sealed = seal_told(changes, KEY).value
    for place in (3, len(sealed) // 2, len(sealed) - 1):
        broken = bytearray(sealed)
        broken[place] ^= 1
        with pytest.raises(SealBroken):
            open_told(bytes(broken), KEY)
    entity, row = next(iter(changes.rows.items()))
    for wrong in (
        part._replace(part=PARTS), part._replace(part=(entity + 1) % PARTS, rows=changes.rows), changes._replace(sequence=-1),
        changes._replace(rows={0: row}), changes._replace(read={"scored": {0: -1}}),
    ):  # fmt: skip
        with pytest.raises(SealBroken):
            open_told(seal_told(wrong, KEY).value, KEY)
    for bad in (row[:-1], row[:12] + b"\xff\xff\xff\xff" + row[16:], row[:16] + b"\x00\x00\x80\xbf" + row[20:]):
        with pytest.raises(ValueError, match="row"):
            table.take(changes._replace(rows={entity: bad}))
    heard = Heard()
    heard.check(changes._replace(epoch=3))
    with pytest.raises(EpochOver):
        heard.check(changes._replace(epoch=2))
    assert same(table.features(keys, own, NOT_EXEMPT), before)

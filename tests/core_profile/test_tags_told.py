"""Tags of customers on their way from the learner to the scorers: whoever reads, from wherever, ends with what is in force."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from models.envelope import SealBroken
from pipeline.core.entities import EntityKeys, digest_of
from pipeline.core.tag_table import MAX_NAMES, TagLedger, TagTable
from pipeline.core.told import MAX_CHANGED, Gathered, Told, open_told, seal_told

KEY = b"a key of sixteen bytes or more"
NAMES = ("traveller", "frequent", "night_owl")


class Topic:
    """``control`` as compaction leaves it: of each key the last, in the order of the log."""

    def __init__(self) -> None:
        self.records: dict[bytes | None, bytes] = {}

    def tell(self, ledger: TagLedger, table: TagTable | None = None) -> int:
        """Tell until nothing is left; how many tellings it took."""
        count = 0
        while told := list(ledger.tellings(1)):
            count += 1
            for one in told:
                out = seal_told(one, KEY)
                self.records.pop(out.key, None)
                self.records[out.key] = out.value
                if table is not None:
                    table.take(open_told(out.value, KEY))
        return count

    def read(self) -> Iterator[Told]:
        for value in self.records.values():
            yield open_told(value, KEY)

    def late(self) -> TagTable:
        table = TagTable()
        for told in self.read():
            table.take(told)
        return table

    def gathered(self) -> Gathered:
        found = Gathered()
        for told in self.read():
            found.take(told)
        return found


class Customer:
    """A transaction's, as far as a table of tags looks at it."""

    def __init__(self, name: str | None) -> None:
        self.event = self
        self.transaction = self
        self.customer = name


def tags_of(table: TagTable, customers: list[str]) -> dict[str, tuple[str, ...]]:
    digests = np.array([digest_of(name) for name in customers], dtype=np.uint64)
    keys = EntityKeys(np.zeros(len(customers)), digests, digests, digests, digests)
    held = table.held(keys, [Customer(name) for name in customers])  # type: ignore[arg-type]
    found = {name: held.holds(name).tolist() for name in held.names}
    return {name: tuple(sorted(tag for tag, has in found.items() if has[at])) for at, name in enumerate(customers)}


def test_scorers_know_what_the_learner_knows_whenever_they_begin() -> None:
    dice, topic, ledger, early = random.Random(4), Topic(), TagLedger(NAMES), TagTable()
    customers, truth = [f"c{number}" for number in range(300)], {}
    for number in range(1_500):  # more tellings than keys of changes
        for name in dice.sample(customers, 2):
            truth[name] = dice.choice([0, 0, 1, 2, 5, 7])
            ledger.put(digest_of(name), truth[name])
        topic.tell(ledger, early)
        if number % 500 == 499:
            expected = {
                name: tuple(sorted(tag for at, tag in enumerate(NAMES) if truth.get(name, 0) >> at & 1))
                for name in customers
            }
            assert tags_of(early, customers) == tags_of(topic.late(), customers) == expected
    assert len(early) == sum(bits > 0 for bits in truth.values())


def test_only_what_changed_is_told_and_in_pieces() -> None:
    topic, ledger = Topic(), TagLedger(NAMES)
    for number in range(2 * MAX_CHANGED + 1):
        ledger.put(number + 1, 1)
    assert topic.tell(ledger) == 3
    ledger.put(1, 1)
    assert topic.tell(ledger) == 0
    ledger.put(1, 2)
    assert topic.tell(ledger) == 1
    assert len(topic.late()) == 2 * MAX_CHANGED + 1


def test_other_names_in_the_file_change_nothing_of_what_is_meant() -> None:
    topic, ledger, early = Topic(), TagLedger(NAMES), TagTable()
    a, b = digest_of("a"), digest_of("b")
    ledger.put(a, 0b011)
    ledger.put(b, 0b100)
    topic.tell(ledger, early)
    ledger.rename(("frequent", "victim"), [(a, 0b01)])
    for table in (early, topic.late()):  # not told yet: what was told means what it meant
        assert tags_of(table, ["a", "b"]) == {"a": ("frequent", "traveller"), "b": ("night_owl",)}
    topic.tell(ledger, early)
    ledger.put(b, 0b10)
    topic.tell(ledger, early)
    for table in (early, topic.late()):
        assert tags_of(table, ["a", "b"]) == {"a": ("frequent",), "b": ("victim",)}


def test_another_learner_tells_all_again_and_takes_back_what_is_gone() -> None:
    topic, first, early = Topic(), TagLedger(NAMES), TagTable()
    for name, bits in (("a", 1), ("b", 2), ("gone", 4)):
        first.put(digest_of(name), bits)
    topic.tell(first, early)
    second = TagLedger(("frequent", "traveller"), topic.gathered())
    second.put(digest_of("a"), 0b10)
    second.put(digest_of("b"), 0b01)
    topic.tell(second, early)
    for table in (early, topic.late()):
        assert tags_of(table, ["a", "b", "gone"]) == {"a": ("traveller",), "b": ("frequent",), "gone": ()}
    assert max(told.sequence for told in topic.read()) > 1


def test_a_scorer_forgets_names_that_are_long_gone() -> None:
    table = TagTable()
    for turn in range(20):
        names = tuple(f"t{turn}_{number}" for number in range(10))
        table.take(Told("tags", 1, turn, None, {turn + 1: b"\1\0\0\0"}, {}, names))
        keys = EntityKeys(*(np.array([turn + 1], dtype=np.uint64) for _ in range(5)))  # type: ignore[arg-type]
        held = table.held(keys, [Customer("x")])  # type: ignore[list-item]
        assert held.holds(f"t{turn}_0").tolist() == [1.0]
        assert len(held.names) <= MAX_NAMES
    assert len(table) < 20


def test_an_account_s_number_is_no_customer_s() -> None:
    table = TagTable()
    table.take(Told("tags", 1, 1, None, {7: b"\1\0\0\0"}, {}, ("frequent",)))
    keys = EntityKeys(*(np.array([7], dtype=np.uint64) for _ in range(5)))  # type: ignore[arg-type]
    held = table.held(keys, [Customer(None)])  # type: ignore[list-item]
    assert held.bits.tolist() == [0]
    assert np.isnan(held.holds("frequent")[0])


@pytest.mark.parametrize("row", [b"", b"\1", b"\2\0\0\0", b"\1\0\0\0\0"])
def test_rows_that_are_none_are_refused_and_change_nothing(row: bytes) -> None:
    table = TagTable()
    table.take(Told("tags", 1, 1, None, {7: b"\1\0\0\0"}, {}, ("frequent",)))
    with pytest.raises(ValueError, match="no row of tags"):
        table.take(Told("tags", 1, 2, None, {8: b"\1\0\0\0", 7: row}, {}, ("frequent",)))
    assert len(table) == 1


def test_too_many_names_or_one_twice_are_refused() -> None:
    for names in (("a", "a"), tuple(f"t{number}" for number in range(33))):
        with pytest.raises(ValueError, match="names of tags"):
            TagTable().take(Told("tags", 1, 1, None, {7: b"\1\0\0\0"}, {}, names))
    with pytest.raises(SealBroken):
        open_told(seal_told(Told("tags", 1, 1, None, {7: b"\1\0\0\0"}, {}, NAMES), KEY).value, KEY[::-1])

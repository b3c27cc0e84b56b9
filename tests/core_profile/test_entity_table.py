"""The table of entities: from the learner's ledger through parts to what a scorer sees of a transaction."""

import msgspec
import numpy as np
import pytest

from pipeline.core.entities import EntityKeys, digest_of
from pipeline.core.entity_history import EMPTY, NAMES, observe
from pipeline.core.entity_ledger import NO_RECORD as NOWHERE
from pipeline.core.entity_ledger import Cause, EntityLedger
from pipeline.core.entity_standing import standing, values
from pipeline.core.entity_table import BUCKETS, MAX_ROWS, Bucket, EntityTable, pack, unpack
from pipeline.core.features import CATALOGUE, ENTITY_FEATURES, FEATURES, KINDS

TILL, SHOP, CARD = (digest_of(text) for text in ("till", "shop", "tok_00000000"))
DAY = 86_400.0
NO_RECORD = Cause(NOWHERE, NOWHERE)


def keys(*entities: tuple[int, int, int], at: float = 5 * DAY) -> EntityKeys:
    columns = np.array(entities, dtype=np.uint64).reshape(-1, 3).T
    return EntityKeys(np.full(len(entities), at), *columns, columns[2])


def told(ledger: EntityLedger, epoch: int = 1) -> list[Bucket]:
    return [unpack(pack(part)) for part in ledger.changed(epoch, {0: 7}, {0: 3})]


def table_of(*parts: Bucket) -> EntityTable:
    table = EntityTable()
    for part in parts:
        table.take(part)
    return table


def marked(count: int = 1) -> EntityLedger:
    ledger = EntityLedger()
    for number in range(count):
        ledger.observe(1_000 + number, (TILL, SHOP, CARD), number * DAY, True, 0.25, NO_RECORD)
    return ledger


def test_the_catalogue_is_the_cards_features_and_then_the_entities() -> None:
    assert CATALOGUE[: len(FEATURES)] == FEATURES
    names = [feature.name for feature in ENTITY_FEATURES]
    assert names == [f"{kind}_{name}" for kind in KINDS for name in NAMES]
    assert len({feature.name for feature in CATALOGUE}) == len(CATALOGUE)


def test_a_transaction_sees_what_is_known_of_its_terminal_its_merchant_and_its_card() -> None:
    table = table_of(*told(marked(2)))
    found = table.features(keys((TILL, 0, 0), (0, SHOP, 0), (0, 0, CARD), (SHOP, CARD, TILL), (0, 0, 0)))
    row = EMPTY
    for day in range(2):
        row = observe(row, day * DAY, True, 0.25)
    width = len(NAMES)
    for place in range(3):
        mine = found[place, place * width : (place + 1) * width]
        assert mine.tolist() == pytest.approx(
            values(np.array([standing(row)]), np.array([5 * DAY]))[0].tolist(), nan_ok=True
        )
        assert np.isnan(np.delete(found[place], range(place * width, (place + 1) * width))).all()
    assert np.isnan(found[3:]).all(), "a terminal is no merchant of the same name"


def test_a_table_told_row_by_row_is_the_table_told_by_parts() -> None:
    by_parts, by_rows = EntityTable(), EntityTable()
    one, other = EntityLedger(), EntityLedger()
    dice = np.random.default_rng(5)
    known: list[tuple[int, tuple[int, int, int], float, bool]] = []
    for number in range(300):
        entities = tuple(int(entity) for entity in dice.integers(1, 40, 3))
        said = (number, entities, number * DAY / 10, bool(dice.random() < 0.3))
        back = known.pop(int(dice.integers(len(known)))) if known and dice.random() < 0.3 else None
        for ledger in (one, other):
            ledger.observe(*said, 0.25, NO_RECORD)
            if back is not None:
                ledger.withdraw(*back, 0.25, NO_RECORD)
        known.append(said)
        if number % 7 == 0:
            for part in told(one):
                by_parts.take(part)
            for change in other.changed_rows():
                by_rows.put(*change)
            looks = keys(*((n, n, n) for n in range(1, 40)), at=40 * DAY)
            assert by_parts.features(looks).tobytes() == by_rows.features(looks).tobytes()
    assert len(by_rows) == len(by_parts) > 50


def test_a_row_alone_sees_what_it_sees_among_others() -> None:
    table = table_of(*told(marked(3)))
    many = [(TILL, SHOP, CARD), (0, 0, 0), (TILL, 5, 7), (3, SHOP, 1)] * 5
    together = table.features(keys(*many))
    alone = np.concatenate([table.features(keys(one)) for one in many])
    assert together.tobytes() == alone.tobytes()


def test_an_entity_with_genuine_labels_alone_is_told_but_not_looked_up() -> None:
    ledger = EntityLedger()
    ledger.observe(1, (TILL, 0, 0), 0.0, False, 0.0, NO_RECORD)
    (part,) = told(ledger)
    assert TILL in part.rows[0]
    assert len(table_of(part)) == 0
    ledger.observe(2, (TILL, 0, 0), 1.0, True, 0.0, NO_RECORD)
    table = table_of(*told(ledger))
    assert table.features(keys((TILL, 0, 0)))[0, 2] < 1.005 / 2, "and counts once there is a fraud"


def test_only_what_changed_is_told_and_the_rest_when_asked_for() -> None:
    ledger = marked()
    assert {part.number for part in told(ledger)} == {entity % BUCKETS for entity in (TILL, SHOP, CARD, 1_000)}
    assert told(ledger) == []
    assert len(list(ledger.filled(1, {}, {}))) == 4
    ledger.withdraw(1_000, (TILL, 0, 0), 0.0, True, 0.25, NO_RECORD)
    assert {(part.number, part.sequence) for part in told(ledger)} == {(TILL % BUCKETS, 2), (1_000 % BUCKETS, 2)}


def test_a_learner_that_begins_again_changes_nothing_twice() -> None:
    ledger = EntityLedger()
    first, second = Cause((0, 6), (0, 2)), Cause((0, 6), (0, 3))
    ledger.observe(9, (TILL, 0, CARD), 0.0, True, 0.5, first)
    parts = told(ledger)  # which says that labels up to 3 are in it
    again = EntityLedger(parts)
    again.observe(9, (TILL, 0, CARD), 0.0, True, 0.5, first)
    again.withdraw(9, (TILL, 0, CARD), 0.0, True, 0.5, first)
    assert again.is_fraud(9)
    anew = told(again, epoch=2)
    assert [part.rows for part in anew] == [part.rows for part in parts]
    assert {part.epoch for part in anew} == {2}, "all is told anew, as this learner's"
    assert all(part.sequence > before.sequence for part, before in zip(anew, parts, strict=True))
    assert again.explained(9) == round(254 * 0.5) / 254
    again.observe(10, (TILL, 0, CARD), 0.0, True, 0.5, second)
    assert len(told(again, epoch=2)) == 3
    again.observe(11, (TILL, 0, CARD), 0.0, True, 0.5, Cause((0, 7), (0, 2)))
    assert len(told(again, epoch=2)) == 3, "a label that was read before the row it speaks of"
    again.withdraw(10, (TILL, 0, CARD), 0.0, True, 0.5, second)
    assert not again.is_fraud(10)


def test_a_scorer_takes_no_older_part_and_none_of_an_earlier_learner() -> None:
    ledger = marked()
    old = told(ledger)
    ledger.observe(5_000, (TILL, SHOP, CARD), 1.0, True, 0.0, NO_RECORD)
    new = told(ledger)
    table = table_of(*new)
    seen = table.features(keys((TILL, SHOP, CARD))).tobytes()
    for part in old:
        if part.number in {one.number for one in new}:
            with pytest.raises(ValueError, match="is in force"):
                table.take(part)
    for part in new:
        table.take(part._replace(epoch=3))
    with pytest.raises(ValueError, match="learner epoch 2 is over: 3 is in force"):
        table.take(new[0]._replace(epoch=2, sequence=99))
    assert table.features(keys((TILL, SHOP, CARD))).tobytes() == seen


def test_an_entity_that_is_gone_from_its_part_is_forgotten() -> None:
    ledger = marked()
    table = table_of(*told(ledger))
    assert len(table) == 3
    ledger.withdraw(1_000, (TILL, SHOP, CARD), 0.0, True, 0.25, NO_RECORD)
    for part in told(ledger):
        table.take(part)
    assert len(table) == 0
    assert np.isnan(table.features(keys((TILL, SHOP, CARD)))).all()


def test_a_part_has_an_end_and_the_entity_not_heard_of_for_longest_goes() -> None:
    ledger = EntityLedger()
    entities = [BUCKETS * number + 1 for number in range(MAX_ROWS + 10)]
    for number, entity in enumerate(entities):
        if number == MAX_ROWS - 1:
            ledger.observe(7, (entities[0], 0, 0), 0.0, False, 0.0, NO_RECORD)
        ledger.observe(number * BUCKETS, (entity, 0, 0), float(number), False, 0.0, NO_RECORD)
    (part,) = told(ledger)
    assert set(part.rows[0]) == {entities[0], *entities[11:]}
    assert len(pack(part)) < 850_000


GOOD = told(marked())[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": BUCKETS}, {"number": -1}, {"epoch": -1}, {"sequence": -1}, {"number": (GOOD.number + 1) % BUCKETS},
        {"scored": {0: -1}}, {"labels": {-1: 1}}, {"rows": GOOD.rows[:2]}, {"rows": ({0: EMPTY}, {}, {})},
        {"rows": ({GOOD.number + 256: EMPTY[:-1]}, {}, {})}, {"rows": ({GOOD.number + 256: b"\xff" * len(EMPTY)}, {}, {})},
        {"explained": {GOOD.number + 257: 1}},
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    assert unpack(pack(GOOD)) == GOOD
    with pytest.raises(ValueError, match=r"."):
        unpack(pack(GOOD._replace(**wrong)))  # type: ignore[arg-type]


def test_what_is_no_part_is_refused() -> None:
    whole = pack(GOOD)
    for wrong in (b"", whole[:-1], whole + b"\0", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({"a": 1})):
        with pytest.raises(ValueError, match=r"."):
            unpack(wrong)

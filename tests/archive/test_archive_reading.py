"""What the archive answers: rows as rules take them, one transaction, labels that hold at a moment."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from archive_world import DAY_S, MONEY, NOON, UNDER, Place, Traffic
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.core.archive_labels import RANKS
from pipeline.core.columns import SCHEMA, columns
from pipeline.core.features import CATALOGUE
from pipeline.core.rules import compile_rule
from pipeline.core.scored import decode as decode_scored
from pipeline.core.topics import LABELS, SCORED, TRANSACTIONS
from pipeline.core.transaction import decode
from pipeline.ports_archive import Archive

TODAY = datetime.fromtimestamp(NOON, UTC).date()
RULES = [
    "amount > 3000 and country <> home_country",
    "available_credit / count_1h < 3 or amount / (count_1m - 1) > 0",
    "available_credit is null",
    "not (available_credit > 0)",
    "amount / available_credit < 1 or available_credit / amount >= 0.5",
    "coalesce(available_credit, -1) < 0 and recurring is not null",
    "recurring",
    "not preauthorisation or recurring",
    "city like '%谷%' or merchant in ('m0', 'm2')",
    "mcc is null and entry_mode = 'ecommerce'",
    "score >= 0.01 or percentile > 99",
    "amount_ratio > 1 and amount_z > 0",
    "km_from_last / speed_kmh > 0",
    "case when three_ds is null then score > 0 else amount = 0 end",
    "type = 'authorisation' and kind <> 'cash'",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two partitions, two days, scored transactions only."""
    traffic = Traffic()
    place = Place(traffic, tmp_path_factory.mktemp("archive"))
    for _ in range(2):
        for number in range(40):
            place.pace = place.pace._replace(file_rows=7 + number)
            traffic.pay(
                number % 2,
                number % 3,
                available_credit=[None, 0, -500, 7_000][number % 4],
                recurring=[None, True, False][number % 3],
                preauthorisation=[None, False][number % 2],
                latitude=31.0 + number,
                longitude=None if number % 5 == 0 else 121.0,
                city=["曼谷", None, "it's"][number % 3],
                mcc=None if number % 7 == 0 else "5967",
                entry_mode=["chip", "ecommerce", None][number % 3],
                three_ds=[None, "full"][number % 2],
                kind=[None, "cash", "purchase"][number % 3],
                amount=[0, 4_000, 90_000][number % 3],
            )
        for partition in (0, 1):
            traffic.score(partition, 11)
            traffic.score(partition)
        place.work()
        traffic.log.timestamp_ms += int(DAY_S * 1000)
        place.clock.time += DAY_S
    return place


def live(place: Place) -> tuple[list, dict[str, np.ndarray]]:
    """The events that were decided, partition by partition, and what rules saw of them: made from the log again."""
    events, matrices, scores, percentiles = [], [], [], []
    for partition in (0, 1):
        transactions = place.traffic.log.part(TRANSACTIONS, partition)
        for record in place.traffic.log.part(SCORED, partition):
            block = decode_scored(record.value)
            events += [
                decode(transactions[offset].value, transactions[offset].timestamp, MONEY)
                for offset in block.source_offsets()
            ]
            matrices.append(block.matrix())
            scores.append(np.frombuffer(block.score))
            percentiles.append(np.frombuffer(block.percentile))
    wanted = frozenset(SCHEMA)
    return events, columns(events, np.vstack(matrices), np.concatenate(scores), np.concatenate(percentiles), wanted)


def together(chunks) -> dict[str, np.ndarray]:
    chunks = list(chunks)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


@pytest.mark.parametrize("at_a_time", [100_000, 5])
def test_the_columns_of_the_archive_are_those_that_rules_saw(place: Place, at_a_time: int) -> None:
    events, seen = live(place)
    assert len(events) == 80
    read = place.archive.columns(TODAY, TODAY + timedelta(1), [*SCHEMA, "id"], at_a_time=at_a_time)
    chunks = list(read)
    assert max(len(chunk["id"]) for chunk in chunks) <= at_a_time
    found = together(chunks)
    order = np.argsort([int(name[1:]) for name in found["id"]])
    live_order = np.argsort([int(event.transaction.id[1:]) for event in events])
    for name, kind in SCHEMA.items():
        if kind == "text":
            assert found[name][order].tolist() == seen[name][live_order].tolist(), name
        else:
            assert np.array_equal(found[name][order], seen[name][live_order], equal_nan=True), name


@pytest.mark.parametrize("text", RULES)
def test_a_rule_hits_in_the_archive_what_it_hit_live(place: Place, text: str) -> None:
    rule = compile_rule(text, SCHEMA)
    events, seen = live(place)
    hit = {event.transaction.id for event, yes in zip(events, rule.hits(seen, len(events)), strict=True) if yes}
    chunks = list(place.archive.columns(TODAY, TODAY + timedelta(1), ["id"], rule.sql, at_a_time=9))
    assert {name for chunk in chunks for name in chunk["id"]} == hit
    relation = place.archive.relation(TODAY, TODAY + timedelta(1))
    assert {row[0] for row in relation.filter(f"({rule.sql})").project("id").fetchall()} == hit


def test_the_rules_hit_something_and_not_everything(place: Place) -> None:
    events, seen = live(place)
    shares = [compile_rule(text, SCHEMA).hits(seen, len(events)).mean() for text in RULES]
    assert sum(0 < share < 1 for share in shares) >= len(RULES) - 4, shares


def test_a_score_is_made_again_to_the_bit(place: Place) -> None:
    names = [feature.name for feature in CATALOGUE]
    found = together(place.archive.columns(TODAY, TODAY + timedelta(1), [*names, "raw", "percentile", "score"]))
    matrix = np.column_stack([found[name] for name in names])
    raw, percentile, score = UNDER.model.scores(matrix)
    assert np.array_equal(raw, found["raw"])
    assert np.array_equal(percentile, found["percentile"])
    assert np.array_equal(score, found["score"])


def test_days_present_and_only_those_asked_for(place: Place) -> None:
    archive: Archive = place.archive
    assert archive.days() == [TODAY, TODAY + timedelta(1)]
    assert archive.days("labels") == []
    first = together(archive.columns(TODAY, TODAY, ["id"]))["id"]
    assert sorted(int(name[1:]) for name in first) == list(range(1, 41))
    assert list(archive.columns(date(2020, 1, 1), date(2020, 1, 2), ["id"])) == []
    assert archive.relation(date(2020, 1, 1), date(2020, 1, 2)).fetchall() == []


def test_one_transaction_by_its_id(place: Place) -> None:
    row = place.archive.transaction("t45")
    assert row is not None
    assert row["id"] == "t45"
    assert row == {**place.traffic.expected()[row["source_partition"], row["source_offset"]]}
    assert place.archive.transaction("t45", TODAY, TODAY) is None
    assert place.archive.transaction("nobody's") is None


def test_a_column_that_is_not_there_is_refused(place: Place) -> None:
    with pytest.raises(KeyError, match="no column"):
        list(place.archive.columns(TODAY, TODAY, ["id; drop"]))


def test_files_of_another_catalogue_of_features_are_read_with_what_they_have(place: Place, tmp_path) -> None:
    (path, *_) = sorted((place.root / "scored").rglob("*.parquet"))
    old = tmp_path / "scored" / path.parent.name / path.name
    old.parent.mkdir(parents=True)
    connection = place.archive._connection
    connection.execute(
        f"COPY (SELECT * EXCLUDE (days_known, wallet), 7.0 AS once_a_feature FROM read_parquet('{path}')) TO '{old}' (FORMAT parquet)"
    )
    (chunk, *_) = ParquetArchive(tmp_path, connection).columns(
        TODAY, TODAY, ["id", "days_known", "wallet"], "days_known is null"
    )
    assert np.isnan(chunk["days_known"]).all()
    assert set(chunk["wallet"]) == {None}


# --- labels

SOURCES = list(RANKS)
labels = st.lists(
    st.fixed_dictionaries({
        "transaction": st.sampled_from(["t1", "t2"]),
        "fraud": st.sampled_from([True, False, None]),
        "source": st.sampled_from(SOURCES),
        "confidence": st.sampled_from([None, 0.5, 0.9]),
        "supersedes": st.sampled_from([None, None, 0, 1, 2, 3]),
        "repeat_of": st.sampled_from([None, None, None, 0, 1]),
    }),
    max_size=8,
)  # fmt: skip


def in_force(told: list[dict]) -> dict[str, bool]:
    """By the rules, one label after the other."""
    kept: list[dict] = []
    seen: set[tuple] = set()
    for label in told:
        if (label["transaction"], label["id"]) in seen:
            continue
        seen.add((label["transaction"], label["id"]))
        mine = [one for one in kept if one["transaction"] == label["transaction"]]
        if label["supersedes"] is not None:
            gone = [
                one
                for one in mine
                if one["id"] == label["supersedes"] and RANKS[one["source"]] <= RANKS[label["source"]]
            ]
        else:
            gone = [one for one in mine if label["fraud"] is None and one["source"] == label["source"]]
        kept = [one for one in kept if one not in gone]
        if label["fraud"] is not None:
            kept.append(label)

    def weight(label: dict) -> tuple:
        sure = label["confidence"] or 0 if label["source"] == "cardholder" else 0
        return RANKS[label["source"]], sure, told.index(label)

    return {label["transaction"]: label["fraud"] for label in sorted(kept, key=weight)}


@settings(max_examples=25, deadline=None)
@given(told=labels, known=st.integers(0, 8))
def test_the_labels_in_force_are_those_of_precedence(tmp_path_factory, told: list[dict], known: int) -> None:
    traffic = Traffic(partitions=1)
    written: list[dict] = []
    for number, one in enumerate(told):
        label = {**one, "id": f"l{number}", "card": "tok_a_00000001", "time": "2026-09-22T12:00:00Z"}
        if label["supersedes"] is not None:
            label["supersedes"] = f"l{label['supersedes']}"
        repeated = label.pop("repeat_of")
        if repeated is not None and repeated < len(written):
            label = written[repeated]
        written.append(label)
        traffic.log.timestamp_ms = int((NOON + number) * 1000)
        traffic.put(LABELS, 0, json.dumps({k: v for k, v in label.items() if v is not None or k == "fraud"}).encode())
    found = holding(traffic, tmp_path_factory.mktemp("labels"), NOON + known - 1)
    assert found == in_force(written[:known])


def holding(traffic: Traffic, root: Path, moment: float) -> dict[str, bool]:
    place = Place(traffic, root)
    place.clock.time += 10
    place.work(3)
    found = place.archive.labels_in_force(int(moment * 1000))
    return dict(zip(found["transaction"].tolist(), found["fraud"].astype(bool).tolist(), strict=True))


STORIES = {
    "the cardholder's word": ([("a", True, "cardholder", {})], True),
    "an analyst overrules it": ([("a", True, "cardholder", {}), ("b", False, "analyst", {})], False),
    "and is not overruled by a later one": ([("a", False, "analyst", {}), ("b", True, "cardholder", {})], False),
    "nor superseded by it": ([("a", False, "analyst", {}), ("b", True, "cardholder", {"supersedes": "a"})], False),
    "a chargeback overrules both": ([("a", False, "analyst", {}), ("b", True, "chargeback", {})], True),
    "the later of two equals": ([("a", False, "chargeback", {}), ("b", True, "network", {})], True),
    "the surer answer": ([("a", True, "cardholder", {"confidence": 0.9}), ("b", False, "cardholder", {})], True),
    "withdrawn by name": ([("a", True, "cardholder", {}), ("b", None, "cardholder", {"supersedes": "a"})], None),
    "withdrawn by its source": ([("a", True, "analyst", {}), ("b", None, "analyst", {})], None),
    "not by another": ([("a", True, "analyst", {}), ("b", None, "cardholder", {})], True),
    "said again after": ([("a", True, "analyst", {}), ("b", None, "analyst", {}), ("c", True, "analyst", {})], True),
    "a repeat is not said again": ([("a", True, "analyst", {}), ("b", None, "analyst", {}), ("a", True, "analyst", {})], None),
    "what is superseded leaves what stood below": (
        [("a", True, "cardholder", {}), ("b", False, "analyst", {}), ("c", None, "analyst", {"supersedes": "b"})], True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_of_several_labels_one_holds(tmp_path, story: str) -> None:
    told, holds = STORIES[story]
    traffic = Traffic(partitions=1)
    for identifier, fraud, source, more in told:
        label = {"id": identifier, "transaction": "t1", "card": "tok_a_00000001", "fraud": fraud, "source": source,
                 "time": "2026-09-22T12:00:00Z", **more}  # fmt: skip
        traffic.put(LABELS, 0, json.dumps(label).encode())
    place = Place(traffic, tmp_path)
    place.work(3)
    found = place.archive.labels_in_force(int(NOON * 1000))
    assert found["fraud"].tolist() == ([] if holds is None else [float(holds)])


def test_no_labels_no_answer(tmp_path) -> None:
    found = ParquetArchive(tmp_path).labels_in_force(0)
    assert {name: len(column) for name, column in found.items()} == dict.fromkeys(found, 0)

"""What was decided is in the archive, whole, once, in the file of its day."""

import json
from datetime import date

import pytest
from archive_world import AT_ONCE, DAY_S, NOON, Place, Traffic, versions, without_day

from pipeline.core.topics import DECISIONS, LABELS, SCORED, TRANSACTIONS
from pipeline.ports_archive import ArchiveBusy
from pipeline.roles.archive.run import ArchiveRun, OutsideLog


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def place(traffic: Traffic, tmp_path) -> Place:
    return Place(traffic, tmp_path / "archive")


def some_of_everything(traffic: Traffic) -> None:
    first = traffic.pay(0, latitude=31.2, longitude=121.5, recurring=True, available_credit=-5_000)
    traffic.put(TRANSACTIONS, 0, b"no JSON")
    for number in range(12):
        traffic.pay(0, number, entry_mode="ecommerce", amount=0, mcc="5967", three_ds="none")
    traffic.pay(0, id=first)  # a retransmission
    traffic.pay(0, type="reversal", original_id=first)
    traffic.pay(0, kind="refund")
    traffic.pay(0, type="clearing", original_id=first)
    traffic.pay(0, currency="THB", amount=77_000, billing_amount=15_400, billing_currency="CNY", city="曼谷")
    traffic.pay(1, device="d1", preauthorisation=False)
    traffic.score(0, most=9)
    traffic.score(0)
    traffic.score(1)


def test_a_row_holds_all_that_was_known_to_the_last_bit(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.work()
    expected = traffic.expected()
    assert len(expected) == 18
    assert {row["outcome"] for row in expected.values()} >= {"approve", "hold"}
    assert [row["scored"] for row in expected.values()].count(False) == 3
    assert without_day(place.rows()) == expected


def test_no_number_is_nan(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.work()
    assert not [name for row in place.rows() for name, value in row.items() if value != value]


def test_files_are_named_by_partition_and_offsets_below_their_day(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.work()
    assert place.files() == [
        "day=2026-09-22/p000-000000000000-000000000018-d000000000017-s000000000002.parquet",
        "day=2026-09-22/p001-000000000000-000000000000-d000000000001-s000000000001.parquet",
    ]


def test_nothing_is_written_twice_by_one_that_comes_later(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.work()
    before = place.files()
    place.work()
    assert place.files() == before
    traffic.pay(0)
    traffic.score(0)
    place.work()
    assert len(place.files()) == len(before) + 1
    assert without_day(place.rows()) == traffic.expected()


def test_scores_that_come_after_their_decisions_are_waited_for(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.shown = {SCORED.name: 1, DECISIONS.name: 100}
    place.work()
    assert max(offset for partition, offset in without_day(place.rows()) if partition == 0) == 8
    place.shown = {}
    place.work()
    assert without_day(place.rows()) == traffic.expected()


def test_decisions_whose_transactions_are_not_read_yet_wait(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.shown = {TRANSACTIONS.name: 4}
    place.work()
    assert [offset for partition, offset in without_day(place.rows()) if partition == 0] == [0, 2, 3]
    place.shown = {}
    place.work()
    assert without_day(place.rows()) == traffic.expected()


def test_of_two_scorings_the_one_of_the_decision_counts(traffic: Traffic, place: Place) -> None:
    for _ in range(4):
        traffic.pay(0)
    traffic.score(0, most=2)
    traffic.score(0, only=[SCORED])
    traffic.crash(0)
    traffic.score(0, under=versions(1))
    place.shown = {SCORED.name: 2}
    place.work()
    assert len(place.rows()) == 2
    place.shown = {}
    place.work()
    expected = traffic.expected()
    assert all(row["scored"] for row in expected.values())
    assert len({row["policy_version"] for row in expected.values()}) == 2
    assert without_day(place.rows()) == expected


def test_a_decision_whose_scores_were_lost_is_kept_with_what_there_is(traffic: Traffic, place: Place) -> None:
    traffic.pay(0)
    traffic.score(0, only=[DECISIONS])
    traffic.crash(0)
    traffic.score(0, under=versions(1))
    place.work()
    assert place.rows() == []
    place.clock.time += 120
    place.work()
    (row,) = place.rows()
    assert row["raw"] is None
    assert row["score"] is not None
    assert row["count_24h"] == 1.0
    assert place.metrics.skipped.labels("score_gone")._value.get() == 1


def test_a_transaction_that_the_log_no_longer_holds_leaves_its_decision(traffic: Traffic, place: Place) -> None:
    gone = traffic.pay(0)
    traffic.pay(0)
    traffic.score(0)
    records = traffic.log.part(TRANSACTIONS, 0)
    records[0] = records[0]._replace(value=None)
    place.work()
    row, other = sorted(place.rows(), key=lambda one: one["source_offset"])
    assert (row["id"], row["customer"], row["outcome"]) == (gone, "c0", "approve")
    assert (row["currency"], row["type"], row["transaction_amount"], row["merchant"]) == (None, None, None, None)
    assert row["amount"] is not None
    assert other["merchant"] is not None


@pytest.mark.parametrize("rows", [1, 1_000])
def test_days_are_those_of_arrival_and_never_go_back(traffic: Traffic, tmp_path, rows: int) -> None:
    place = Place(traffic, tmp_path, AT_ONCE._replace(file_rows=rows))
    for ahead_s in (0, DAY_S, -2, 400 * DAY_S, DAY_S):
        traffic.log.timestamp_ms = int((NOON + ahead_s) * 1000)
        traffic.pay(0, time="2026-09-20T10:00:00Z" if ahead_s < 300 * DAY_S else "2027-10-20T10:00:00Z")
    traffic.score(0)
    place.clock.time = NOON + DAY_S
    place.work()
    days = {row["source_offset"]: row["day"] for row in place.rows()}
    assert days == {0: date(2026, 9, 22), **dict.fromkeys((1, 2, 3, 4), date(2026, 9, 23))}
    traffic.log.timestamp_ms = int(NOON * 1000)
    traffic.pay(0)
    traffic.score(0)
    place.work()
    assert [row["day"] for row in place.rows() if row["source_offset"] == 5] == [date(2026, 9, 23)]


def test_a_closed_day_becomes_one_file_for_each_partition(traffic: Traffic, place: Place) -> None:
    for _ in range(3):
        for partition in (0, 1):
            traffic.pay(partition)
            traffic.score(partition)
        place.work()
    assert len(place.files()) == 6
    traffic.log.timestamp_ms += int(DAY_S * 1000)
    place.clock.time += DAY_S
    traffic.pay(0)
    traffic.score(0)
    place.work()
    expected = traffic.expected()
    assert without_day(place.rows()) == expected
    place.clock.time += 3_600
    place.work()
    assert without_day(place.rows()) == expected
    counted = [each for each in place.shelf.pieces("scored") if each.day == date(2026, 9, 22)]
    assert [(each.partition, each.first, each.last) for each in counted] == [(0, 0, 2), (1, 0, 2)]


def test_files_put_together_are_removed_when_nobody_reads_them_any_more(traffic: Traffic, tmp_path) -> None:
    place = Place(traffic, tmp_path, AT_ONCE)
    for _ in range(3):
        traffic.pay(0)
        traffic.score(0)
        place.work()
    place.clock.time += DAY_S
    place.work()
    assert len(place.files()) == 4
    reading = place.archive.columns(date(2026, 9, 22), date(2026, 9, 22), ["id"])
    assert [len(chunk["id"]) for chunk in reading] == [3]

    async def later(run) -> None:
        await run.turn()
        place.clock.time += 601
        await run.turn()

    place.during(later)
    assert place.files() == ["day=2026-09-22/p000-000000000000-000000000002-d000000000003-s000000000003.parquet"]
    assert without_day(place.rows()) == traffic.expected()


def test_old_days_are_deleted_whole_and_what_follows_goes_on(traffic: Traffic, tmp_path) -> None:
    place = Place(traffic, tmp_path, AT_ONCE._replace(keep_days=2))
    for partition in (0, 1):
        traffic.pay(partition)
        traffic.score(partition)
    place.work()
    traffic.log.timestamp_ms += int(DAY_S * 1000)
    place.clock.time += DAY_S
    traffic.pay(0)
    traffic.score(0)
    place.work()
    assert len(place.rows()) == 3
    place.clock.time += 2 * DAY_S
    place.work()
    assert [(row["source_partition"], row["source_offset"]) for row in place.rows()] == [(0, 1)]
    traffic.pay(1)
    traffic.score(1)
    place.work()
    rows = [(row["source_partition"], row["source_offset"]) for row in place.rows()]
    assert sorted(rows) == [(0, 1), (1, 1)], "where a partition's rows are gone, its place is not"
    assert place.metrics.rows.labels("scored")._value.get() == 4


def test_what_a_dead_writer_left_half_written_is_removed(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.work()
    (folder,) = (place.root / "scored").iterdir()
    half = folder / "p000-000000000019-000000000020-d000000000018-s000000000002.parquet.unfinished"
    half.write_bytes(b"PAR1")
    assert without_day(place.rows()) == traffic.expected()
    place.work()
    assert not half.exists()


def test_labels_are_kept_as_they_came(traffic: Traffic, place: Place) -> None:
    label = {"id": "l1", "transaction": "t1", "card": "tok_a_00000001", "fraud": True, "source": "analyst",
             "time": "2026-09-22T12:00:00Z", "confidence": 0.75, "supersedes": "l0", "fraud_type": "lost"}  # fmt: skip
    traffic.put(LABELS, 1, json.dumps(label).encode())
    traffic.put(LABELS, 1, b"no label")
    traffic.put(LABELS, 1, json.dumps(label | {"card": "4111111111111111"}).encode())
    traffic.put(LABELS, 1, json.dumps(label | {"id": "l2", "fraud": None}).encode())
    place.work()
    place.work()
    assert place.files("labels") == ["day=2026-09-22/p001-000000000000-000000000003.parquet"]
    (path,) = (place.root / "labels").rglob("*.parquet")
    rows = place.archive._connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)])
    names = [column[0] for column in rows.description]
    first, second = (dict(zip(names, row, strict=True)) for row in rows.fetchall())
    assert first == label | {"source_partition": 1, "source_offset": 0, "timestamp_ms": int(NOON * 1000)}
    assert (second["id"], second["fraud"], second["source_offset"]) == ("l2", None, 3)


def test_there_is_one_writer_and_the_next_goes_on_where_it_ended(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    other = Place(traffic, place.root)
    place.shelf.open()
    with pytest.raises(ArchiveBusy):
        other.work()
    place.shelf.close()
    other.shown = {DECISIONS.name: 5}
    other.work()
    place.work()
    assert without_day(place.rows()) == traffic.expected()


def test_an_archive_that_is_further_than_the_log_is_not_written_to(traffic: Traffic, place: Place) -> None:
    some_of_everything(traffic)
    place.work()
    elsewhere = Place(Traffic(), place.root)
    with pytest.raises(OutsideLog, match="another cluster"):
        elsewhere.work()


def test_a_partition_far_ahead_of_the_others_is_not_read_on(traffic: Traffic, place: Place, monkeypatch) -> None:
    monkeypatch.setattr("pipeline.core.archive_join.MAX_AHEAD", 6)
    monkeypatch.setattr("pipeline.core.archive_join.LEAST_AHEAD", 3)
    for _ in range(10):
        traffic.pay(0)
    traffic.score(0, most=6)
    traffic.score(0)
    traffic.pay(1)
    traffic.score(1)
    place.shown = {DECISIONS.name: 0, TRANSACTIONS.name: 4}

    async def ahead(run: ArchiveRun) -> None:
        await run.turn()
        await run.turn()
        del place.shown[TRANSACTIONS.name]
        await run.turn()
        reading = {topic.name: await reader.places() for topic, reader in run._readers.items()}
        assert reading["transactions"] == {0: 4, 1: 1}
        place.shown.clear()
        for _ in range(6):
            await run.turn()

    place.during(ahead)
    assert without_day(place.rows()) == traffic.expected()


def test_many_rows_are_written_before_their_time(traffic: Traffic, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("pipeline.roles.archive.run.MAX_WAITING_ROWS", 5)
    place = Place(traffic, tmp_path, AT_ONCE._replace(file_s=3_600))
    for number in range(8):
        traffic.pay(1 if number == 3 else 0)
    for partition in (0, 1):
        traffic.score(partition)
    place.work()
    assert sorted(row["source_partition"] for row in place.rows()) == [0] * 7
    place.pace = AT_ONCE
    place.work()
    assert without_day(place.rows()) == traffic.expected()

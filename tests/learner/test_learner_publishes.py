"""What the learner puts on ``control``: signed models made of each transaction once, by one leader at a time."""

import asyncio

import msgspec
import numpy as np
import pytest
from learner_world import KEY, Bank, features, masses, put_rows, scored, taught

from models.snapshot import Snapshot
from pipeline.core.scored import decode, encode
from pipeline.core.topics import CONTROL, SCORED
from pipeline.ports import StoreDown
from pipeline.roles.learner.role import MODEL_KEY


def run(bank: Bank) -> dict[str, float]:
    return asyncio.run(bank.until_idle())


def same_model(snapshot: Snapshot, matrix: np.ndarray) -> bool:
    return np.array_equal(masses(snapshot), taught(matrix).trees().masses)


def test_a_model_at_every_window_boundary_equal_to_river_taught_directly() -> None:
    bank, matrix = Bank(), features(1, 230)
    put_rows(bank.log, matrix)
    run(bank)
    snapshots = bank.log.snapshots()
    assert [s.learned for s in snapshots] == [50, 100, 150, 200]
    assert [s.positions for s in snapshots] == [{0: 50}, {0: 100}, {0: 150}, {0: 200}]
    assert [s.reading for s in snapshots] == [{0: 2}, {0: 5}, {0: 8}, {0: 11}]
    assert snapshots[-1].as_of == 199.0
    for snapshot in snapshots:
        assert same_model(snapshot, matrix[: snapshot.learned])
    assert {entry.key for entry in bank.log.of(CONTROL)} == {MODEL_KEY}


def test_the_grid_is_of_the_rows_learned_scored_with_the_new_masses() -> None:
    bank, matrix = Bank(), features(2, 150)
    put_rows(bank.log, matrix)
    run(bank)
    newest = bank.log.snapshots()[-1]
    raw = newest.detector.score(newest.detector.see(matrix))
    assert (newest.grid_rows, newest.percentile.quantiles[-1]) == (150, raw.max())
    assert np.median(newest.percentile.of(raw)) == pytest.approx(50, abs=2)


def test_repeats_are_not_learned_twice() -> None:
    bank, matrix = Bank(), features(3, 200)
    put_rows(bank.log, matrix[:90], size=30)
    put_rows(bank.log, matrix[60:90], first=60)  # after a crash: the same records once more, cut otherwise
    bank.log.put(SCORED, scored(matrix[80:120], 80))  # partly old, partly new
    put_rows(bank.log, matrix[120:], first=120)
    figures = run(bank)
    newest = bank.log.snapshots()[-1]
    assert (newest.learned, newest.positions) == (200, {0: 200})
    assert same_model(newest, matrix)
    assert figures["cardwatch_learner_skipped_total/repeat"] == 40
    assert figures["cardwatch_learned_total"] == 200


def test_gaps_in_the_source_offsets_are_normal() -> None:
    bank, matrix = Bank(), features(4, 50)
    put_rows(bank.log, matrix[:20])
    put_rows(bank.log, matrix[20:], first=1_000)
    run(bank)
    assert bank.log.snapshots()[-1].positions == {0: 1_030}


def test_records_that_cannot_be_used_are_counted_and_passed_over() -> None:
    bank, matrix = Bank(), features(5, 60)
    put_rows(bank.log, matrix[:30])
    bank.log.put(SCORED, scored(features(6, 25), 30, layout="layout-0"))
    uneven = encode(msgspec.structs.replace(decode(scored(features(6, 5), 30)), times=b""))
    for nonsense in (b"", b"\xc1", None, b"{}", scored(features(6, 5)[:, :2], 30), scored(features(6, 0), 30), uneven):
        bank.log.put(SCORED, nonsense)
    put_rows(bank.log, matrix[30:], first=30)
    figures = run(bank)
    assert same_model(bank.log.snapshots()[-1], matrix)
    assert figures["cardwatch_learner_skipped_total/layout"] == 25
    assert figures["cardwatch_learner_skipped_total/unreadable"] == 6


def test_all_partitions_are_learned_and_their_positions_kept() -> None:
    bank = Bank(partitions=3)
    for partition in range(3):
        put_rows(bank.log, features(partition, 50 + partition), size=10, partition=partition)
    figures = run(bank)
    newest = bank.log.snapshots()[-1]
    assert newest.learned == sum(newest.positions.values()) == 150
    assert figures["cardwatch_consumer_lag/learner/2"] >= 0


def test_snapshots_keep_their_distance() -> None:
    bank = Bank(pace=Bank().pace._replace(snapshot_s=30, repeat_s=1e9, lease_s=1e9))
    put_rows(bank.log, features(7, 500), size=50)

    async def scenario() -> None:
        stop = asyncio.Event()
        steps = iter([29, 31, 31, 30])  # seconds that pass each time the learner has read everything

        def idle() -> None:
            step = next(steps, None)
            if step is None:
                return stop.set()
            bank.clock.time += step
            put_rows(bank.log, features(8, 50), first=len(bank.log.of(SCORED)) * 50) if step == 31 else None

        learner, _ = bank.learner(idle)
        await asyncio.wait_for(learner.run(stop), 20)

    asyncio.run(scenario())
    made = [
        (e.timestamp // 1_000 - 1_000_000, s.learned)
        for e, s in zip(bank.log.of(CONTROL), bank.log.snapshots(), strict=True)
    ]
    assert made == [(0, 50), (60, 550), (91, 600)]


def test_an_idle_learner_repeats_its_newest_snapshot_every_minute() -> None:
    bank = Bank(pace=Bank().pace._replace(lease_s=1e9))
    put_rows(bank.log, features(9, 50))

    async def scenario() -> None:
        stop = asyncio.Event()
        idles = 0

        def idle() -> None:
            nonlocal idles
            idles, bank.clock.time = idles + 1, bank.clock.time + 20
            if idles == 7:
                stop.set()

        learner, _ = bank.learner(idle)
        await asyncio.wait_for(learner.run(stop), 20)

    asyncio.run(scenario())
    values = [entry.value for entry in bank.log.of(CONTROL)]
    assert len(values) == 3
    assert len(set(values)) == 1


def test_of_two_learners_one_leads_and_the_other_takes_over_where_it_stopped() -> None:
    bank, matrix = Bank(), features(10, 200)
    put_rows(bank.log, matrix[:120])

    async def scenario() -> None:
        stops = [asyncio.Event(), asyncio.Event()]
        idle = [asyncio.Event(), asyncio.Event()]
        tasks = [asyncio.create_task(bank.learner(idle[i].set)[0].run(stops[i])) for i in range(2)]
        await asyncio.wait_for(idle[0].wait(), 20)
        await bank.lease.asked_times(3)  # the second has asked again, and was refused
        assert not idle[1].is_set()
        assert len(bank.readers) == 1, "who does not lead reads nothing"
        assert {s.epoch for s in bank.log.snapshots()} == {1}
        stops[0].set()
        await asyncio.wait_for(tasks[0], 20)
        put_rows(bank.log, matrix[120:], first=120)
        await asyncio.wait_for(idle[1].wait(), 20)
        stops[1].set()
        await asyncio.wait_for(tasks[1], 20)

    asyncio.run(scenario())
    assert [(s.epoch, s.learned) for s in bank.log.snapshots()] == [(1, 50), (1, 100), (2, 150), (2, 200)]
    assert same_model(bank.log.snapshots()[-1], matrix)


def test_without_the_lease_nothing_is_published() -> None:
    """The lease goes to somebody else while a window fills: the snapshot at its end stays unpublished."""
    bank = Bank(pace=Bank().pace._replace(lease_s=1e9))
    put_rows(bank.log, features(11, 49))

    async def scenario() -> None:
        stop = asyncio.Event()

        def idle() -> None:
            if bank.lease.epoch == 2:
                return
            bank.lease.epoch = 2  # taken; the first learner is not told
            put_rows(bank.log, features(12, 1), first=49)

        learner, _ = bank.learner(idle)
        task = asyncio.create_task(learner.run(stop))
        await bank.lease.asked_times(2)  # it noticed, and asks for the lease again
        stop.set()
        await asyncio.wait_for(task, 20)

    asyncio.run(scenario())
    assert bank.log.of(CONTROL) == []


@pytest.mark.parametrize("where", ["broker", "lease"])
def test_broker_or_store_away_for_a_while_changes_nothing_in_the_end(where: str) -> None:
    bank, matrix = Bank(pace=Bank().pace._replace(lease_s=1e-3)), features(13, 150)
    put_rows(bank.log, matrix)
    if where == "broker":
        bank.log.failures += [ConnectionError("broker away"), ConnectionError("broker away")]
    else:
        bank.lease.failures += [StoreDown("store away"), StoreDown("store away")]
    figures = run(bank)
    assert figures["cardwatch_learner_failures_total"] == 2
    assert same_model(bank.log.snapshots()[-1], matrix)


def test_the_metrics_name_the_newest_model() -> None:
    bank = Bank()
    assert run(bank)["cardwatch_model_info/none"] == 1
    put_rows(bank.log, features(14, 100))
    figures = run(bank)
    newest = bank.log.snapshots()[-1].version
    assert [name for name in figures if name.startswith("cardwatch_model_info")] == [f"cardwatch_model_info/{newest}"]
    assert figures["cardwatch_snapshots_total"] == 2
    assert figures["cardwatch_consumer_lag/learner/0"] == 0
    assert figures["cardwatch_learner_leading"] == 1
    assert KEY.decode() not in str(figures)

"""A learner killed at any moment and started again comes to the same model as one that was never stopped."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from learner_world import KEY, NAMES, PLAN, SEEN, SHAPE, SURPRISE, Bank, features, masses, put_rows, taught

from models.scaling import Scaling
from models.snapshot import Snapshot, open_sealed, seal
from models.trees_detector import TreesPlan
from pipeline.core.topics import CONTROL
from pipeline.roles.learner.course import Plan
from pipeline.roles.learner.role import MODEL_KEY

OTHER = Scaling.of((0, 1, 3), [[0, 0, 10, 0.5]] * 3)


def newest(bank: Bank) -> Snapshot:
    return bank.log.snapshots()[-1]


@pytest.mark.parametrize("cuts", [(60,), (100,), (101, 149, 150), (20, 40, 52, 260, 261)])
@pytest.mark.parametrize("snapshot_s", [0.0, 1e9])
@pytest.mark.parametrize("plan", [PLAN, SURPRISE], ids=["trees", "surprise"])
def test_killed_and_resumed_equals_uninterrupted(cuts: tuple[int, ...], snapshot_s: float, plan: Plan) -> None:
    matrix = features(1, 400)
    whole, cut = Bank(plan=plan), Bank(plan=plan, pace=Bank().pace._replace(snapshot_s=snapshot_s))
    put_rows(whole.log, matrix)
    asyncio.run(whole.until_idle())
    start = 0
    for end in cuts:
        put_rows(cut.log, matrix[start:end], first=start)
        asyncio.run(cut.killed_when_idle())
        start = end
    put_rows(cut.log, matrix[start:], first=start)
    cut.pace = whole.pace
    cut.clock.time += 1
    asyncio.run(cut.until_idle())
    resumed, uninterrupted = newest(cut), newest(whole)
    now, then = resumed.detector.dump(), uninterrupted.detector.dump()
    assert {name: now[name].tobytes() for name in now} == {name: then[name].tobytes() for name in then}
    assert (resumed.learned, resumed.positions, resumed.as_of) == (400, {0: 400}, 399.0)
    assert resumed.epoch == len(cuts) + 1


def test_resuming_reads_on_from_where_the_snapshot_ended() -> None:
    bank = Bank()
    put_rows(bank.log, features(2, 200), size=10)
    asyncio.run(bank.killed_when_idle())
    bank.readers.clear()
    figures = asyncio.run(bank.until_idle())
    assert figures["cardwatch_learner_skipped_total/repeat"] == 10
    assert figures["cardwatch_learned_total"] == 0


def test_when_that_place_is_gone_from_the_log_all_that_is_retained_is_read() -> None:
    bank, matrix = Bank(), features(3, 300)
    put_rows(bank.log, matrix[:120], size=10)
    asyncio.run(bank.killed_when_idle())
    put_rows(bank.log, matrix[150:], size=10, first=150)  # the rows between are lost
    bank.retained_from = 12
    figures = asyncio.run(bank.until_idle())
    assert figures["cardwatch_learner_failures_total"] == 1
    assert (newest(bank).learned, newest(bank).positions) == (250, {0: 300})


def test_a_grid_of_many_rows_is_kept_until_as_many_have_been_seen_again() -> None:
    bank, matrix = Bank(), features(4, 800)
    put_rows(bank.log, matrix[:400])
    asyncio.run(bank.killed_when_idle())
    before = newest(bank)
    put_rows(bank.log, matrix[400:], first=400)
    asyncio.run(bank.until_idle())
    later = [s for s in bank.log.snapshots() if s.learned > 400]
    assert [s.percentile.quantiles.tolist() == before.percentile.quantiles.tolist() for s in later] == [True] * 7 + [
        False
    ]
    assert [s.grid_rows for s in later] == [400] * 8


def damaged(blob: bytes) -> bytes:
    return blob[:-100] + bytes([blob[-100] ^ 1]) + blob[-99:]


def test_a_snapshot_with_a_flipped_bit_is_refused_and_an_older_sound_one_taken() -> None:
    bank, matrix = Bank(), features(5, 250)
    put_rows(bank.log, matrix)
    asyncio.run(bank.killed_when_idle())
    sound, bad = bank.log.of(CONTROL)[1], bank.log.of(CONTROL)[4]
    bank.log.entries[CONTROL.name, 0] = []
    bank.log.put(CONTROL, sound.value, key=MODEL_KEY)
    bank.log.put(CONTROL, damaged(bad.value or b""), key=MODEL_KEY)
    for other in (None, b"", b"{}"):
        bank.log.put(CONTROL, other, key=MODEL_KEY)
    bank.log.put(CONTROL, sound.value, key=b"policy")
    found = asyncio.run(bank.learner(lambda: None)[0].newest())
    assert found.snapshot is not None
    assert found.snapshot.learned == 100
    asyncio.run(bank.until_idle())
    assert (
        masses(open_sealed(bank.log.of(CONTROL)[-1].value or b"", KEY)).tobytes()
        == taught(matrix).trees().masses.tobytes()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda bank: setattr(bank, "key", b"another key, longer than 16"),
        lambda bank: setattr(bank, "plan", PLAN._replace(detector=TreesPlan(SHAPE._replace(trees=5), NAMES, SEEN))),
        lambda bank: setattr(bank, "plan", PLAN._replace(detector=TreesPlan(SHAPE._replace(seed=4), NAMES, SEEN))),
        lambda bank: setattr(bank, "plan", PLAN._replace(detector=TreesPlan(SHAPE, NAMES, OTHER))),
        lambda bank: setattr(bank, "plan", SURPRISE),
    ],
    ids=["key", "trees", "seed", "features", "kind"],
)
def test_another_key_shape_or_catalogue_begins_a_new_model(change: object) -> None:
    bank, matrix = Bank(), features(6, 100)
    put_rows(bank.log, matrix)
    asyncio.run(bank.killed_when_idle())
    assert callable(change)
    change(bank)
    asyncio.run(bank.until_idle())
    snapshots = [open_sealed(entry.value or b"", bank.key) for entry in bank.log.of(CONTROL)[2:]]
    assert [s.learned for s in snapshots] == [50, 100]


def test_the_newest_is_the_highest_epoch_not_the_last_record() -> None:
    """A leader that was paused, woke and published late wrote the last record."""
    bank = Bank()
    put_rows(bank.log, features(7, 150))
    asyncio.run(bank.killed_when_idle())
    late, good = bank.log.snapshots()[0], bank.log.snapshots()[2]
    bank.log.put(CONTROL, seal(replace(good, epoch=2), KEY), key=MODEL_KEY)
    bank.log.put(CONTROL, seal(replace(late, epoch=1), KEY), key=MODEL_KEY)
    found = asyncio.run(bank.learner(lambda: None)[0].newest())
    assert found.snapshot is not None
    assert (found.snapshot.epoch, found.snapshot.learned, found.highest_epoch) == (2, 150, 2)


def test_epochs_go_on_rising_after_a_store_that_forgot_them() -> None:
    bank, matrix = Bank(), features(8, 200)
    bank.lease.epoch = 40
    put_rows(bank.log, matrix[:100])
    asyncio.run(bank.until_idle())
    bank.lease.epoch = 0
    put_rows(bank.log, matrix[100:], first=100)
    asyncio.run(bank.until_idle())
    assert [s.epoch for s in bank.log.snapshots()] == [41, 41, 42, 42]
    assert np.array_equal(masses(newest(bank)), taught(matrix).trees().masses)

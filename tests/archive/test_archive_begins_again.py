"""The role by itself: it waits for its turn, begins again after trouble, and ends where that is no help."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_world import Place, Traffic, without_day

from pipeline.adapters.parquet_files import WriterLock
from pipeline.adapters.parquet_writing import ParquetShelf
from pipeline.roles.archive.role import Archiver
from pipeline.roles.archive.run import OutsideLog

BOUND_S = 20.0


def paid() -> Traffic:
    traffic = Traffic()
    for number in range(5):
        traffic.pay(number % 2)
    for partition in (0, 1):
        traffic.score(partition)
    return traffic


def run_until(
    place: Place, over: Callable[[Archiver], bool], at_turn: Callable[[Archiver], None] = lambda _: None
) -> None:
    async def run() -> None:
        archiver, stop = Archiver(place.world(), place.pace, place.metrics), asyncio.Event()
        running = asyncio.create_task(archiver.run(stop))
        async with asyncio.timeout(BOUND_S):
            while not over(archiver) and not running.done():
                at_turn(archiver)
                await asyncio.sleep(0.001)
            stop.set()
            await running
        assert not archiver.ready

    asyncio.run(run())


def test_a_full_disk_is_tried_again_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(paid(), tmp_path)
    copy, refused = ParquetShelf._copy, [0]

    def full(self, connection, query, path):
        if refused[0] < 3:
            refused[0] += 1
            raise OSError("no space left on device")
        return copy(self, connection, query, path)

    monkeypatch.setattr(ParquetShelf, "_copy", full)
    run_until(place, lambda archiver: len(place.rows()) == 5)
    assert without_day(place.rows()) == place.traffic.expected()
    assert place.metrics.failures._value.get() == 3


def test_it_waits_while_another_writes_and_then_takes_over(tmp_path: Path) -> None:
    place = Place(paid(), tmp_path)
    other = WriterLock(tmp_path)
    other.take()
    looks: list[bool] = []

    def look(archiver: Archiver) -> None:
        if len(looks) < 20:
            looks.append(archiver.ready)
            assert place.rows() == []
        else:
            other.leave()

    run_until(place, lambda archiver: archiver.ready and len(place.rows()) == 5, look)
    assert not any(looks)
    assert place.metrics.failures._value.get() == 0


def test_another_cluster_ends_it(tmp_path: Path) -> None:
    Place(paid(), tmp_path).work()
    with pytest.raises(OutsideLog, match="another cluster"):
        run_until(Place(Traffic(), tmp_path), lambda _: False)

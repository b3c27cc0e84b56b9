"""Whatever happens to the archive, at whatever moment: in the end each decided transaction is in it once, as decided."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_world import AT_ONCE, DAY_S, Place, Traffic, versions, without_day
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters import parquet_files
from pipeline.adapters.parquet_writing import ParquetShelf
from pipeline.core.topics import DECISIONS, SCORED, TRANSACTIONS

OTHER = versions(1)
UNDER = (versions(0), OTHER)
TOPICS = (TRANSACTIONS.name, SCORED.name, DECISIONS.name)


class Crash(Exception):
    """The process ended here."""


class Fate:
    """Lets so many steps of the archive on its disk happen, then none."""

    def __init__(self) -> None:
        self.left = 10**9
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.left == 0:
            raise Crash
        self.left -= 1


@pytest.fixture(scope="module")
def fate() -> Iterator[Fate]:
    """Between any two of: half a file written, a whole one, renamed, removed."""
    made = Fate()
    publish, remove, copy, make = (
        parquet_files.publish, parquet_files.remove, ParquetShelf._copy, parquet_files.make_folder,
    )  # fmt: skip

    def half_written(self, connection, query, path):
        made.step()
        if made.left == 0:
            parquet_files.unfinished(path).write_bytes(b"PAR1 half")
        made.step()
        return copy(self, connection, query, path)

    def published(path: Path) -> None:
        made.step()
        publish(path)
        made.step()

    def removed(path: Path) -> None:
        made.step()
        remove(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_files, "publish", published)
        patch.setattr(parquet_files, "remove", removed)
        patch.setattr(parquet_files, "make_folder", lambda folder: (made.step(), make(folder)))
        patch.setattr(ParquetShelf, "_copy", half_written)
        yield made


partitions = st.integers(0, 1)
payments = st.tuples(
    st.just("pay"),
    partitions,
    st.integers(1, 6),
    st.sampled_from(["", "reversal", "refund", "clearing", "bad", "again"]),
)
steps = st.one_of(
    payments,
    payments,
    st.tuples(st.just("score"), partitions, st.integers(1, 8), st.integers(0, 1)),
    st.tuples(st.just("score"), partitions, st.integers(1, 8), st.integers(0, 1)),
    st.tuples(st.just("scorer crashes"), partitions, st.integers(1, 2), st.sampled_from([SCORED, DECISIONS, None])),
    st.tuples(st.just("show"), st.sampled_from(TOPICS), st.integers(0, 12)),
    st.tuples(st.just("next day")),
    st.tuples(st.just("archive"), st.integers(1, 4), st.integers(0, 14)),
    st.tuples(st.just("archive"), st.integers(1, 4), st.just(10**9)),
)  # fmt: skip


def play(traffic: Traffic, place: Place, fate: Fate, step: tuple) -> None:
    match step:
        case ("pay", partition, number, how):
            for each in range(number):
                if how == "bad":
                    traffic.put(TRANSACTIONS, partition, b"not JSON")
                elif how == "again":
                    traffic.pay(partition, 0, id="t1")
                elif how == "refund":
                    traffic.pay(partition, each, kind="refund")
                elif how:
                    traffic.pay(partition, each, type=how, original_id="t1")
                else:
                    traffic.pay(partition, each)
        case ("score", partition, most, number):
            traffic.score(partition, most, UNDER[number])
        case ("scorer crashes", partition, polls, landed):
            if landed is not None:  # one of the two got through before; the other versions only where no decision did
                traffic.score(partition, 5, OTHER if landed == SCORED else UNDER[0], only=[landed])
                polls += 1
            traffic.crash(partition, polls)
            if landed == DECISIONS:
                traffic.score(partition, 5, UNDER[0])
        case ("show", topic, number):
            place.shown[topic] = number
        case ("next day",):
            traffic.log.timestamp_ms += int(DAY_S * 1000)
            place.clock.time += DAY_S
        case ("archive", turns, left):
            fate.left = left
            try:
                place.work(turns)
            except Crash:
                pass
            finally:
                fate.left = 10**9
                place.shelf = ParquetShelf(place.root)  # another process


@settings(max_examples=60, deadline=None)
@given(story=st.lists(steps, min_size=4, max_size=25), rows=st.sampled_from([1, 3, 1_000]))
def test_each_transaction_is_archived_once_whatever_crashes(fate: Fate, story: list[tuple], rows: int) -> None:
    traffic = Traffic()
    with tempfile.TemporaryDirectory() as root:
        place = Place(traffic, Path(root), AT_ONCE._replace(file_rows=rows))
        for step in story:
            play(traffic, place, fate, step)
            if step[0] == "archive":
                archived, expected = without_day(place.rows()), traffic.expected()
                assert all(expected[key] == row for key, row in archived.items())
        place.shown.clear()
        place.clock.time += 3_600
        place.work(10)
        assert without_day(place.rows()) == traffic.expected()
        assert not list(place.root.rglob("*.unfinished"))


def test_the_steps_are_met(fate: Fate, tmp_path: Path) -> None:
    """The property would show nothing if its crashes never came."""
    traffic = Traffic()
    place = Place(traffic, tmp_path)
    met = fate.steps
    for _ in range(2):
        traffic.pay(0)
        traffic.score(0)
        place.work()
    place.clock.time += 2 * DAY_S
    place.work()
    assert fate.steps - met >= 3 * 4
    assert len(list(place.root.rglob("*.parquet"))) == 3

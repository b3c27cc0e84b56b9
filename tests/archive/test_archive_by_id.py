"""Rows of the archive by id: the features as they were scored to the bit, whatever has become of the files since."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from archive_world import DAY_S, NOON, Place, Traffic

from pipeline.adapters import parquet_ids
from pipeline.adapters.parquet_past import ParquetPast
from pipeline.core.features import CATALOGUE, KINDS, LAYOUT
from pipeline.core.scored import decode as decode_scored
from pipeline.core.topics import SCORED
from pipeline.ports_archive import PastRow, Sought
from pipeline.roles.archive.run import ArchiveRun


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two days of many small files; of ``twice`` there are two transactions, ``back`` was never scored."""
    traffic = Traffic()
    place = Place(traffic, tmp_path)
    for day in range(2):
        for number in range(30):
            place.pace = place.pace._replace(file_rows=4)
            traffic.pay(number % 2, number % 3, terminal=f"q{number % 4}" if number % 5 else None)
        traffic.pay(0, day, id="twice", amount=100 + day)
        traffic.pay(1, 0, id=f"back{day}", kind="refund")
        for partition in (0, 1):
            traffic.score(partition)
        place.work()
        traffic.log.timestamp_ms += int(DAY_S * 1000)
        place.clock.time += DAY_S
    return place


def check(place: Place) -> None:
    """Every row that was scored is found, and is what the scorer saw."""
    wanted, expected = [], []
    for partition in (0, 1):
        for record in place.traffic.log.part(SCORED, partition):
            scored = decode_scored(record.value or b"")
            for row, name in enumerate(scored.ids):
                wanted.append(Sought(name, scored.cards[row]))
                expected.append((partition, scored, row))
    found = ParquetPast(place.root).rows(wanted)
    terminals = {row["id"]: row["terminal"] for row in place.rows()}
    for sought, past, (partition, scored, row) in zip(wanted, found, expected, strict=True):
        assert past is not None
        place_of = partition, int(scored.source_offsets()[row])
        assert (past.partition, past.offset) == place_of
        assert np.array([past.at, past.percentile]).tobytes() == (
            scored.event_times()[row].tobytes() + scored.percentiles()[row].tobytes()
        )
        assert past.features.tobytes() == np.ascontiguousarray(scored.matrix()[row]).tobytes()
        assert past.features.shape == (len(CATALOGUE),)
        assert past.layout == LAYOUT
        assert dict(zip(KINDS, past.entities, strict=True))["card"] == sought.card
        assert past.entities[KINDS.index("terminal")] == terminals[sought.transaction] or sought.transaction == "twice"


def ids_files(place: Place) -> list[Path]:
    return sorted(place.root.rglob(f"*{parquet_ids.SUFFIX}"))


def test_rows_are_found_before_and_after_their_files_were_put_together(place: Place) -> None:
    before = len(ids_files(place))
    assert before == sum(1 for name in place.files() if name.endswith(".parquet")) > 4
    check(place)
    seen: list[int] = []

    async def grow_old(run: ArchiveRun) -> None:
        for _ in range(4):
            place.clock.time += DAY_S / 2
            await run.turn()
            if run.compacting is not None:
                await run.compacting
            seen.append(len(ids_files(place)))
            check(place)

    place.during(grow_old)
    parquet = {path.removesuffix(".parquet") for path in place.files() if path.endswith(".parquet")}
    beside = {str(path.relative_to(place.root / "scored")).removesuffix(".parquet.ids") for path in ids_files(place)}
    assert beside == parquet
    assert len(parquet) == 4 < before < max(seen)


def test_without_the_files_of_ids_the_ids_themselves_are_read(place: Place) -> None:
    first, second, *rest = ids_files(place)
    for path in rest:
        path.unlink()
    first.write_bytes(b"half a file")
    second.write_bytes(b"")
    check(place)


def test_of_a_repeated_id_the_first_of_that_card_and_nothing_that_was_never_scored(place: Place) -> None:
    cards = place.traffic.cards
    past = ParquetPast(place.root)
    asked = [Sought("twice", cards[0][1]), Sought("twice", cards[0][0]), Sought("twice", cards[0][2])]
    asked += [Sought("back0", cards[1][0]), Sought("nothing", "tok_a_00000000")]
    later, first, *others = past.rows(asked)
    assert isinstance(first, PastRow)
    assert isinstance(later, PastRow)
    today = datetime.fromtimestamp(NOON, UTC).date()
    assert datetime.fromtimestamp(first.at, UTC).date() == today
    assert datetime.fromtimestamp(later.at, UTC).date() > today
    assert others == [None, None, None]
    assert ParquetPast(place.root / "nowhere").rows(asked) == [None] * 5


def test_a_file_that_cannot_be_read_is_told_and_a_forgotten_day_is_no_longer_there(place: Place) -> None:
    place.pace = place.pace._replace(keep_days=2)
    place.clock.time += DAY_S
    place.work(4)
    gone, kept = (Sought(name, place.traffic.cards[0][0]) for name in ("t1", "t33"))
    past = ParquetPast(place.root)
    assert [one is not None for one in past.rows([gone, kept])] == [False, True]
    for path in place.root.rglob("scored/*/p000*.parquet"):
        path.write_bytes(b"nothing")
        parquet_ids.beside(path).unlink(missing_ok=True)
    with pytest.raises(OSError, match="scored"):
        past.rows([gone])

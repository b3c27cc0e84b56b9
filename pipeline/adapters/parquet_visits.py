"""Who was where, by DuckDB over the archive: what the finder of points of compromise works on.

The rows are never held: each question reads the few columns that it needs, and what comes back is counted. Memory
grows with cards and with where the bad ones had been, not with transactions.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.parquet_writing import connected
from pipeline.core.point_of_compromise import Looked, Window, windows_of
from pipeline.ports_archive import BadCards, Place, Way

MAX_PLACES: Final = 4_000
"""Of more places at which enough bad cards had been, those with the most are looked at."""
QUIET_S: Final = 86_400
"""Where a card was in the last day before its first known fraud may be fraud that nobody has reported."""
AREA_CARDS: Final = 100
"""A town of fewer cards shares a class with other small ones."""
_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1)
_INSIDE: Final = "\x1f"
"""Between way, merchant and terminal in the name of a place."""
_WAYS: Final = get_args(Way)

# Refunds and reversals expose nothing. A refused payment does: a skimmer copies before the bank is asked.
_SPAN = """
CREATE OR REPLACE TEMP VIEW span AS
SELECT id, card, "at", CAST(floor("at" / 86400) AS BIGINT) AS day, merchant, terminal, merchant_name, city,
    CAST(coalesce(entry_mode IN ('ecommerce', 'stored', 'manual'), false) AS INTEGER) AS way,
    CASE WHEN response_code IS NULL OR response_code = '00' THEN billing_value ELSE 0 END AS value
FROM ({rows}) WHERE "at" BETWEEN {first} AND {until}
    AND coalesce(type, 'authorisation') IN ('authorisation', 'advice') AND coalesce(kind, 'purchase') <> 'refund'
"""
_PLACES = f"""
CREATE OR REPLACE TEMP VIEW visited AS
SELECT way || '{_INSIDE}' || merchant AS place, way, card, day, "at" FROM span WHERE merchant IS NOT NULL
UNION ALL
SELECT way || '{_INSIDE}' || merchant || '{_INSIDE}' || terminal, way, card, day, "at" FROM span
WHERE merchant IS NOT NULL AND terminal IS NOT NULL
"""
# Like cards, by what is not known to be fraud: as busy in that way, to a factor of four; in person also of the town where most of their payments are.
_CLASSED = f"""
CREATE OR REPLACE TEMP TABLE classed AS
WITH ways AS (SELECT unnest([0, 1]) AS way), each_card AS (
    SELECT card, ways.way, CAST(least(4, floor(log2(1 + count(*) FILTER (span.way = ways.way)) / 2)) AS INTEGER) AS busy,
        CASE WHEN ways.way = 0 THEN mode(city) FILTER (span.way = 0) END AS town
    FROM (FROM span ANTI JOIN frauds ON id = frauds."transaction") AS span CROSS JOIN ways GROUP BY card, ways.way
), of_area AS (
    SELECT card, way, busy, CASE WHEN count(*) OVER (PARTITION BY way, town) >= {AREA_CARDS} THEN town END AS area
    FROM each_card
)
SELECT card, way, dense_rank() OVER (ORDER BY way, busy, area) - 1 AS class FROM of_area
"""
_BAD = """
CREATE OR REPLACE TEMP TABLE bad AS
SELECT row_number() OVER (ORDER BY card) - 1 AS number, card, since, loss, way FROM (
    SELECT card, min("at") AS since, sum(value) AS loss, arg_min(way, "at") AS way FROM span SEMI JOIN frauds ON id = frauds."transaction"
    WHERE card IN (SELECT card FROM classed) GROUP BY card
)
"""
_THERE = f"""
CREATE OR REPLACE TEMP TABLE there AS
SELECT DISTINCT place, number, day FROM visited JOIN bad USING (card, way) WHERE "at" < since - {QUIET_S}
"""
_CANDIDATES = f"""
CREATE OR REPLACE TEMP TABLE candidates AS
SELECT row_number() OVER (ORDER BY place) - 1 AS at_place, place FROM (
    SELECT place FROM there GROUP BY place HAVING count(DISTINCT number) >= {{least}}
    ORDER BY count(DISTINCT number) DESC, place LIMIT {MAX_PLACES}
)
"""
_COUNTED = """
SELECT at_place, spell, class, count(DISTINCT card) AS cards
FROM (SELECT DISTINCT at_place, card, way, day FROM visited JOIN candidates USING (place))
JOIN spells ON day BETWEEN spells.first AND spells.last JOIN classed USING (card, way)
GROUP BY ALL
"""


class ParquetVisits:
    """The Visits port on the archive in the directory ``root``."""

    def __init__(self, root: Path) -> None:
        self._connection = connected()
        self._archive = ParquetArchive(root, self._connection)

    def bad_cards(self, days: int, at_ms: int, least: int) -> BadCards | None:
        ask = self._connection.execute
        arrived = [day for day in self._archive.days() if day <= datetime.fromtimestamp(at_ms / 1000, UTC).date()]
        if not arrived:
            return None
        (newest,) = self._archive.relation(arrived[-1], arrived[-1]).aggregate('max("at")').fetchall()[0]
        if newest is None:
            return None
        until = min(newest, at_ms / 1000)
        window = Window(int(until // _DAY_S) - days + 1, int(until // _DAY_S))
        first = _EPOCH + timedelta(days=window.first)
        labels = self._archive.labels_in_force(at_ms, first)
        frauds = {"transaction": labels["transaction"][labels["fraud"] == 1.0]}
        if not len(frauds["transaction"]):
            return None
        rows = self._archive.relation(first - timedelta(days=1), arrived[-1]).sql_query()
        ask(_SPAN.format(rows=rows, first=window.first * _DAY_S, until=until))
        ask(_PLACES)
        self._connection.register("frauds", frauds)
        try:
            ask(_CLASSED)
            ask(_BAD)
        finally:
            self._connection.unregister("frauds")
        bad = ask(
            "SELECT card, loss, class, since FROM bad JOIN classed USING (card, way) ORDER BY number"
        ).fetchnumpy()
        if not len(bad["card"]):
            return None
        ask(_THERE)
        ask(_CANDIDATES.format(least=int(least)))
        places = [_place(name) for (name,) in ask("SELECT place FROM candidates ORDER BY at_place").fetchall()]
        looked = self._looked(window, len(places), bad, least)
        return BadCards(window, looked, places, bad["card"].tolist(), np.asarray(bad["loss"], dtype=np.float64))

    def _looked(self, days: Window, places: int, bad: dict[str, NDArray[Any]], least: int) -> Looked:
        ask = self._connection.execute
        windows = windows_of(days)
        sizes = _integers(ask("SELECT count(*) AS n FROM classed GROUP BY class ORDER BY class").fetchnumpy()["n"])
        there = ask(
            "SELECT at_place, number, day FROM there JOIN candidates USING (place) ORDER BY at_place, number, day"
        ).fetchnumpy()
        spells = np.array(windows, dtype=np.int64)
        self._connection.register(
            "spells", {"spell": np.arange(len(windows)), "first": spells[:, 0], "last": spells[:, 1]}
        )
        try:
            counted = ask(_COUNTED).fetchnumpy()
        finally:
            self._connection.unregister("spells")
        shares = np.zeros((places, len(windows), len(sizes)))
        shares[_integers(counted["at_place"]), _integers(counted["spell"]), _integers(counted["class"])] = counted[
            "cards"
        ]
        (looked_at,) = ask(
            "SELECT count(*) FROM (SELECT place FROM visited GROUP BY place HAVING count(DISTINCT card) >= ?)", [least]
        ).fetchall()[0]
        until = np.floor((bad["since"] - QUIET_S) / _DAY_S).astype(np.int64)
        return Looked(
            windows,
            _integers(bad["class"]),
            until,
            _integers(there["at_place"]),
            _integers(there["number"]),
            _integers(there["day"]),
            shares / sizes,
            looked_at,
        )

    def visitors(self, place: Place, days: Window) -> dict[str, NDArray[Any]]:
        found = self._connection.execute(
            "SELECT card, count(DISTINCT day) AS visits, max(day) AS last_day FROM span "
            "WHERE way = $way AND merchant = $merchant AND ($terminal IS NULL OR terminal = $terminal) AND day BETWEEN $first AND $last "
            "GROUP BY card ORDER BY card",
            {**place._asdict(), **days._asdict(), "way": _WAYS.index(place.way)},
        ).fetchnumpy()
        return {
            "card": found["card"].astype(np.object_),
            "visits": _integers(found["visits"]),
            "last_day": _integers(found["last_day"]),
        }

    def words(self, place: Place) -> tuple[str | None, str | None]:
        name, town = self._connection.execute(
            "SELECT mode(merchant_name), mode(city) FROM span WHERE merchant = ?", [place.merchant]
        ).fetchall()[0]
        return name, town


def _place(name: str) -> Place:
    way, merchant, *terminal = name.split(_INSIDE, 2)
    return Place(merchant, terminal[0] if terminal else None, _WAYS[int(way)])


def _integers(column: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(np.ma.getdata(column), dtype=np.int64)

"""Past decisions tried again, by DuckDB over the archive: one pass finds the rows that matter, the rest is small.

Rows that matter were alerts, could be decided otherwise now, or have a label. All others were approved, would be, and are
only counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.parquet_writing import connected, quoted
from pipeline.core.decide import Judgement
from pipeline.core.decision import Outcome
from pipeline.core.features import LAYOUT
from pipeline.ports_archive import Beside, Redecided, Weighed

MEMORY = "800MB"
ACTIONS = ("transaction_action", "card_action", "contact_action", "queue_action", "scope")
AGAIN = ("outcome_after", *(f"{name}_after" for name in ACTIONS), "reasons")
"""What a row is decided again as: texts; ``reasons`` joined by spaces."""
_DAY_S = 86_400
_DELAY_QUANTILE = 0.9
_DISTURBING = "('verify', 'hold', 'decline')"

_ROWS = """
CREATE OR REPLACE TEMP VIEW past AS
SELECT *{more}, coalesce(scored, false) AND layout = {layout} AND currency IS NOT NULL AND {whole} AS askable FROM ({rows})
"""
_COUNTED = """
SELECT policy_version, outcome, day, askable, coalesce(scored, false), count(*) FROM past GROUP BY ALL
"""
_MATTER = """
CREATE OR REPLACE TEMP TABLE matter AS
SELECT row_number() OVER () AS number, * FROM (
    SELECT {columns}, askable AND {could_change} AS asked FROM past {labelled}
) WHERE outcome <> 'approve' OR fraud IS NOT NULL OR asked AND ({something})
"""
_KEPT = (
    'source_partition, source_offset, id, card, coalesce(customer, account, card) AS customer, "time", timestamp_ms, '
    "coalesce(billing_value, 0) AS value, amount, outcome"
)
_LABELLED = 'LEFT JOIN known ON past.id = known."transaction" AND past.card = known.known_card'
_NO_LABEL = "CAST(NULL AS BOOLEAN) AS fraud, CAST(NULL AS BIGINT) AS known_ms"
_JUDGED = """
CREATE OR REPLACE TEMP TABLE judged AS
SELECT matter.*, {after}, CASE WHEN asked THEN coalesce(let_off.reasons, again.reasons) END AS reasons
FROM matter LEFT JOIN again ON asked AND {same} LEFT JOIN let_off ON asked AND matter.number = let_off.number
"""
_SIDE = """
SELECT count(*) FILTER (o <> 'approve') AS alerts, count(*) FILTER (contact <> 'none') AS contacts,
    count(DISTINCT card) FILTER (held <> 'none') AS held,
    count(*) FILTER (fraud AND o <> 'approve') AS caught, coalesce(sum(value) FILTER (fraud AND o <> 'approve'), 0) AS caught_value,
    count(*) FILTER (fraud AND o = 'approve') AS missed, coalesce(sum(value) FILTER (fraud AND o = 'approve'), 0) AS missed_value,
    count(DISTINCT customer) FILTER (NOT fraud AND o IN {disturbing}) AS disturbed_genuine,
    count(DISTINCT customer) FILTER (fraud IS NULL AND o IN {disturbing}) AS disturbed_unknown
FROM (SELECT *, {outcome} AS o, {contact} AS contact, {held} AS held FROM judged)
"""


class ParquetTrials:
    """The Trials port on the archive in the directory ``root``."""

    def __init__(self, root: Path, threads: int) -> None:
        self._connection = connected()
        self._connection.execute(f"SET threads = {int(threads)}")
        self._connection.execute(f"SET memory_limit = {quoted(MEMORY)}")
        self._connection.execute("SET preserve_insertion_order = false")
        self._archive = ParquetArchive(root, self._connection)
        self._connection.execute("SET parquet_metadata_cache = true")
        self._masks = 0
        self._any_label = False
        self._counted: list[tuple[Any, ...]] = []

    def counters(self, first: date, last: date) -> Sequence[str]:
        rows = self._archive.relation(first, last).sql_query()
        return [
            told
            for (told,) in self._run(f"SELECT DISTINCT counters FROM ({rows}) WHERE counters IS NOT NULL").fetchall()
        ]

    def open(self, first: date, last: date, known_at_ms: int, beside: Beside) -> Mapping[str, int]:
        rows = self._archive.relation(first, last).sql_query()
        self._entries(beside.entries)
        more = "".join(f', {value} AS "{name}"' for name, value in beside.columns.items())
        self._run(_ROWS.format(layout=quoted(LAYOUT), rows=rows, more=more, whole=beside.whole))
        labels = self._archive.labels_in_force(known_at_ms, first)
        known = {"transaction": labels["transaction"], "known_card": labels["card"], "said": labels["fraud"]}
        self._registered("said", {**known, "known_ms": labels["timestamp_ms"]})
        self._run("CREATE OR REPLACE TEMP TABLE known AS SELECT * EXCLUDE (said), said = 1 AS fraud FROM said")
        self._connection.unregister("said")
        self._any_label = bool(len(labels["fraud"]))
        self._counted = self._run(_COUNTED).fetchall()
        versions: Counter[str] = Counter()
        for version, _, _, askable, _, count in self._counted:
            if askable and version is not None:
                versions[version] += count
        return versions

    def weigh(self, level: str, masks: Sequence[str], could_change: str) -> Sequence[Weighed]:
        self._masks = len(masks)
        named = {"level": level} | {f"mask{number}": mask for number, mask in enumerate(masks)}
        columns = [f"CASE WHEN askable AND {could_change} THEN {text} END AS {name}" for name, text in named.items()]
        self._matter(could_change, columns, " OR ".join(f"{name} <> {-1 if name == 'level' else 0}" for name in named))
        ways = self._run(f"SELECT DISTINCT {', '.join(named)} FROM matter WHERE asked").fetchall()
        return [Weighed(int(one), tuple(map(int, rest))) for one, *rest in ways]

    def _matter(self, could_change: str, weighed: Sequence[str], something: str) -> None:
        """Those that amount to ``something``, were alerts, or are known of."""
        fraud = "fraud, known_ms" if self._any_label else _NO_LABEL
        self._run(
            _MATTER.format(
                columns=", ".join([_KEPT, *ACTIONS, fraud, *weighed]),
                labelled=_LABELLED if self._any_label else "",
                could_change=could_change,
                something=something,
            )
        )

    def draws(self, soft: Sequence[Weighed], most: float) -> tuple[Sequence[int], Sequence[str], Sequence[float]]:
        if not soft:
            return [], [], []
        self._registered("soft", self._ways(soft))
        found = self._run(
            f"SELECT number, id, amount FROM matter SEMI JOIN soft ON {self._same('soft')} WHERE asked AND amount <= ?",
            most,
        ).fetchnumpy()
        self._connection.unregister("soft")
        return found["number"].tolist(), found["id"].tolist(), found["amount"].tolist()

    def judge(self, found: Sequence[tuple[Weighed, Judgement]], let_off: Mapping[int, Judgement]) -> None:
        self._registered("again", self._ways([way for way, _ in found]) | _again([each for _, each in found]))
        self._judged(self._same("again"), let_off)
        self._connection.unregister("again")

    def decided(self, rows: Redecided) -> None:
        places = {"source_partition": rows.partitions, "source_offset": rows.offsets}
        self._registered("more", places | _again(rows.judgements))
        self._run("CREATE TEMP TABLE IF NOT EXISTS again AS SELECT * FROM more LIMIT 0")
        self._run("INSERT INTO again SELECT * FROM more")
        self._connection.unregister("more")

    def judge_decided(self) -> None:
        there = "(source_partition, source_offset) IN (SELECT (source_partition, source_offset) FROM again)"
        self._matter(there, ["0 AS level"], "true")
        same = "matter.source_partition = again.source_partition AND matter.source_offset = again.source_offset"
        self._judged(same, {})

    def figures(self, top: int) -> Mapping[str, Any]:
        whole = {
            "transactions": sum(row[-1] for row in self._counted),
            "days": len({row[2] for row in self._counted}),
            "as_recorded": sum(row[-1] for row in self._counted if row[4] and not row[3]),
            **self._one("SELECT count(DISTINCT card) AS cards FROM past"),
        }
        recorded: Counter[str] = Counter()
        for row in self._counted:
            recorded[row[1]] += row[-1]
        moved = self._run(
            "SELECT outcome, outcome_after, count(*) FROM judged WHERE outcome <> outcome_after GROUP BY 1, 2"
        )
        after = dict(recorded)
        for left, came, count in moved.fetchall():
            after[left] -= count
            after[came] = after.get(came, 0) + count
        return {
            **whole,
            **self._labels(),
            "before": self._side("", recorded, whole),
            "after": self._side("_after", after, whole),
            **self._changes(top),
        }

    # --- parts

    def _entries(self, entries: Sequence[tuple[str, str, float]]) -> None:
        """The table that `ListUse.sql` asks."""
        texts = [np.array([each[place] for each in entries], dtype=np.object_) for place in (0, 1)]
        until = np.array([each[2] for each in entries], dtype=np.float64)
        self._registered("told", {"list": texts[0], "value": texts[1], "until": until})
        self._run(
            "CREATE OR REPLACE TEMP TABLE list_entries AS SELECT CAST(list AS VARCHAR) AS list, "
            "CAST(value AS VARCHAR) AS value, until FROM told"
        )
        self._connection.unregister("told")

    def _ways(self, ways: Sequence[Weighed]) -> dict[str, NDArray[Any]]:
        columns = {"level": np.array([way.level for way in ways], dtype=np.int64)}
        for number in range(self._masks):
            columns[f"mask{number}"] = np.array([way.masks[number] for way in ways], dtype=np.int64)
        return columns

    def _same(self, table: str) -> str:
        names = ("level", *(f"mask{number}" for number in range(self._masks)))
        return " AND ".join(f"matter.{name} = {table}.{name}" for name in names)

    def _judged(self, same: str, let_off: Mapping[int, Judgement]) -> None:
        self._registered(
            "let_off", {"number": np.array(list(let_off), dtype=np.int64)} | _again(list(let_off.values()))
        )
        after = ", ".join(
            f"CASE WHEN asked THEN coalesce(let_off.{name}_after, again.{name}_after) ELSE matter.{name} END AS {name}_after"
            if name != "scope"
            else "CASE WHEN NOT asked THEN matter.scope WHEN let_off.number IS NULL THEN again.scope_after ELSE "
            "let_off.scope_after END AS scope_after"
            for name in ("outcome", *ACTIONS)
        )
        self._run(_JUDGED.format(after=after, same=same))
        self._connection.unregister("let_off")

    def _labels(self) -> Mapping[str, Any]:
        known = self._one(
            "SELECT count(*) FILTER (fraud IS NOT NULL) AS labels, count(*) FILTER (fraud) AS frauds, "
            "coalesce(sum(value) FILTER (fraud), 0) AS fraud_value, "
            f"quantile_cont((known_ms - timestamp_ms) / 1000.0 / {_DAY_S}, {_DELAY_QUANTILE}) FILTER (fraud) AS delay FROM judged"
        )
        return {
            "labels": known["labels"],
            "frauds": (known["frauds"], int(known["fraud_value"])),
            "label_delay_days": known["delay"],
        }

    def _side(self, end: str, outcomes: Mapping[str, int], whole: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self._one(
            _SIDE.format(
                outcome=f"outcome{end}",
                contact=f"contact_action{end}",
                held=f"card_action{end}",
                disturbing=_DISTURBING,
            )
        )
        return {
            "outcomes": {each.name: int(outcomes.get(each.name, 0)) for each in Outcome},
            "alerts": found["alerts"],
            "contacts": found["contacts"],
            "held": found["held"],
            "caught": (found["caught"], int(found["caught_value"])),
            "missed": (found["missed"], int(found["missed_value"])),
            "disturbed_genuine": found["disturbed_genuine"],
            "disturbed_unknown": found["disturbed_unknown"],
        }

    def _changes(self, top: int) -> Mapping[str, Any]:
        other = " OR ".join(f"{name} IS DISTINCT FROM {name}_after" for name in ("outcome", *ACTIONS))
        moves = self._run(
            "SELECT outcome, outcome_after, count(*), count(*) FILTER (fraud), count(*) FILTER (NOT fraud) FROM judged "
            f"WHERE {other} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        ).fetchall()
        changes = self._run(
            'SELECT id, card, "time", CAST(value AS BIGINT), outcome, outcome_after, reasons, fraud FROM judged '
            f"WHERE {other} ORDER BY value DESC, id LIMIT {int(top)}"
        ).fetchall()
        return {"changed": sum(move[2] for move in moves), "moves": moves, "changes": changes}

    def _one(self, sql: str) -> dict[str, Any]:
        found = self._run(sql)
        names = [column[0] for column in found.description]
        return dict(zip(names, found.fetchall()[0], strict=True))

    def _registered(self, name: str, columns: Mapping[str, Any]) -> None:
        self._connection.register(name, {key: np.ascontiguousarray(column) for key, column in columns.items()})

    def _run(self, sql: str, *values: Any) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql, list(values))
        except duckdb.IOException as error:
            raise OSError(f"the archive cannot be read: {error}") from error


def _again(judgements: Sequence[Judgement]) -> dict[str, NDArray[Any]]:
    """What these amount to, as columns named by `AGAIN`."""
    return {name: np.array(values, dtype=np.object_) for name, values in zip(AGAIN, _texts(judgements), strict=True)}


def _texts(judgements: Sequence[Judgement]) -> Iterator[list[str | None]]:
    actions = [each.actions for each in judgements]
    yield [each.outcome.name for each in judgements]
    for name in ("transaction", "card", "contact", "queue"):
        yield [getattr(each, name) for each in actions]
    yield [each.scope if isinstance(each.scope, str) else None for each in actions]
    yield [" ".join(each.reasons) for each in judgements]

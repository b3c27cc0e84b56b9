"""`simulate` onto topics (given as plain functions) and into files."""

import asyncio
import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.core.records import CardCommand
from pipeline.lab.simulate.command import Sinks, simulate, to_file, with_rate, world_for
from pipeline.lab.simulate.files import TruthFile, write_history
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.table import write_table
from pipeline.lab.simulate.world import World

NOW = 1_790_000_000.0


class Behind:
    """A clock that the sender never catches up with: a day passes with every look, so nothing is waited for."""

    def __init__(self) -> None:
        self._days = count()

    def now(self) -> float:
        return NOW + 86_400.0 * next(self._days)


class Frozen:
    def now(self) -> float:
        return NOW


def demo(cards: int = 200) -> World:
    return world_for(PRESETS["demo"], 1, NOW, cards=cards)


class Topics:
    def __init__(self) -> None:
        self.records: dict[str, list[tuple[bytes, bytes]]] = {}

    def sink(self, topic: str):  # type: ignore[no-untyped-def]  # the closure's type is Send
        async def send(key: bytes, value: bytes) -> None:
            self.records.setdefault(topic, []).append((key, value))

        return send

    def sinks(self) -> Sinks:
        return Sinks(self.sink("transactions"), self.sink("customers"), self.sink("labels"), self.sink("results"))


def test_the_directory_goes_first_then_count_transactions_keyed_by_card() -> None:
    topics = Topics()
    sent = asyncio.run(simulate(demo(), PRESETS["demo"], topics.sinks(), Behind(), asyncio.Event(), count=300))
    assert sent.transactions == len(topics.records["transactions"]) == 300
    assert sent.customers == len(topics.records["customers"]) > 100
    for key, value in topics.records["transactions"]:
        assert json.loads(value)["card"].encode() == key


def test_backlog_sends_history_with_late_labels() -> None:
    topics = Topics()
    preset = PRESETS["backlog"]
    world = world_for(preset, 1, NOW, cards=150)
    sent = asyncio.run(simulate(world, preset, topics.sinks(), Frozen(), asyncio.Event()))
    assert sent.transactions > 150 * preset.days * 0.9
    assert sent.fraud == sum(sent.by_kind.get(population.name, 0) for population in world.fraud) > 0
    assert sent.labels == len(topics.records["labels"]) > 0


def test_stop_ends_a_pause_at_once() -> None:
    async def scene() -> int:
        stop = asyncio.Event()
        slow = with_rate(PRESETS["demo"], 1e-6)
        assert slow.live is not None
        slow = replace(slow, live=replace(slow.live, opening_s=1e6))
        running = asyncio.create_task(simulate(demo(), slow, Topics().sinks(), Frozen(), stop))
        await asyncio.sleep(0)
        stop.set()
        return (await asyncio.wait_for(running, 30)).transactions

    assert asyncio.run(scene()) == 0


def test_a_commanded_card_is_refused_and_the_command_answered() -> None:
    world, topics = demo(30), Topics()
    blocked = world.cardholders.get(3).token
    given = iter(
        [
            [b"no json", msgspec.json.encode(CardCommand(id="c1", card=blocked, sequence=2, command="hold"))],
            [msgspec.json.encode(CardCommand(id="c0", card=blocked, sequence=1, command="release"))],
        ]
    )

    async def commands() -> Sequence[bytes]:
        values = next(given, None)
        if values is None:
            await asyncio.Event().wait()
        return values or []

    sent = asyncio.run(
        simulate(world, PRESETS["demo"], topics.sinks(), Behind(), asyncio.Event(), commands=commands, count=3_000)
    )
    assert (sent.commands, sent.stale_commands, sent.unreadable_commands) == (2, 1, 1)
    assert [(key.decode(), json.loads(value)["done"]) for key, value in topics.records["results"]] == [
        (blocked, True),
        (blocked, False),
    ]
    answers = {
        json.loads(value).get("response_code")
        for key, value in topics.records["transactions"]
        if key == blocked.encode()
    }
    assert "59" in answers


def test_an_error_of_a_sink_ends_the_run() -> None:
    async def broken(key: bytes, value: bytes) -> None:
        raise OSError("the topic is gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(simulate(demo(), PRESETS["demo"], Sinks(broken), Behind(), asyncio.Event(), count=5))


def test_files_hold_fields_and_fraud(tmp_path: Path) -> None:
    truth = TruthFile(tmp_path / "truth.jsonl")
    lines, table = tmp_path / "month.jsonl", tmp_path / "month.csv"
    written = write_history(Stream(World(1, 300, NOW)).history(5), lines, truth=truth)
    told = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    truth.close()
    assert write_history(Stream(World(1, 300, NOW)).history(5), table) == written
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(records) == len(rows) == len(told) == written
    for record, row, known in zip(records, rows, told, strict=True):
        assert record["id"] == row["id"] == known["id"]
        assert record["fraud"] == int(row["fraud"]) == int(known["fraud"])
        assert (record["card"], str(record["amount"])) == (row["card"], row["amount"])
    assert any(record["fraud"] for record in records)


def test_a_field_hardly_ever_filled_is_kept(tmp_path: Path) -> None:
    """DuckDB guesses a column's type from its first thousand values."""
    late: dict[str, object] = {"id": "a", "billing_amount": 7, "recurring": True, "latitude": 1.5}
    batch = {name: np.array([None] * 5_000 + [value], dtype=object) for name, value in late.items()}
    write_table([batch], tmp_path / "a.parquet")
    with duckdb.connect() as database:
        rows = database.sql(f"SELECT * FROM '{tmp_path / 'a.parquet'}'").fetchall()
    assert rows[-1] == tuple(late.values())
    assert set(rows[:-1]) == {(None, None, None, None)}


def test_a_history_is_the_same_in_parquet(tmp_path: Path) -> None:
    lines, table = tmp_path / "month.jsonl", tmp_path / "month.parquet"
    for out in (lines, table):
        to_file(PRESETS["backlog"], 3, out, cards=600, days=6, count=4_000)
    with duckdb.connect() as database:
        read = database.sql(f"SELECT * FROM '{table}'")
        rows = [dict(zip(read.columns, row, strict=True)) for row in read.fetchall()]
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [{name: value for name, value in row.items() if value is not None} for row in rows] == records
    assert {"recurring", "billing_amount", "latitude", "original_id", "fraud_type"} <= {
        name for record in records for name in record
    }


def test_an_unknown_form_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.csv, \.jsonl"):
        write_history([], tmp_path / "month.xlsx")


def test_count_bounds_a_file(tmp_path: Path) -> None:
    assert write_history(Stream(World(1, 300, NOW)).history(), tmp_path / "some.csv", count=50) == 50


def test_the_seed_alone_decides_a_files_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert to_file(PRESETS["backlog"], 7, tmp_path / f"{name}.jsonl", cards=100, count=400) == 400
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "second.jsonl").read_bytes()
    to_file(PRESETS["backlog"], 8, tmp_path / "other.jsonl", cards=100, count=400, truth=tmp_path / "truth.jsonl")
    assert (tmp_path / "other.jsonl").read_bytes() != (tmp_path / "first.jsonl").read_bytes()
    assert len((tmp_path / "truth.jsonl").read_text().splitlines()) == 400


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        with_rate(PRESETS["demo"], 0)


def test_the_command_writes_a_table_preset_and_only_to_a_file(tmp_path: Path) -> None:
    def asked(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["simulate", "--preset", "terminals", "--cards", "40", *arguments])

    out = tmp_path / "a.csv"
    written = asked("--days", "3", "--to", "file", "--out", str(out))
    assert written.exit_code == 0
    assert written.output == f"{len(out.read_text().splitlines()) - 1} transactions in {out}\n"
    for refused, words in (
        (asked(), "--to file --out FILE"),
        (asked("--to", "file", "--out", str(tmp_path / "a.xlsx")), ".parquet"),
        (asked("--cards", "5000000", "--to", "file", "--out", str(out)), "fewer cards or days"),
    ):
        assert refused.exit_code == 2
        assert words in refused.output


def test_the_commands_files_end_on_a_fixed_day(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    arguments = ["--preset", "backlog", "--cards", "20", "--days", "2", "--to", "file", "--out", str(out)]
    assert CliRunner().invoke(main, ["simulate", *arguments]).exit_code == 0
    with out.open(newline="") as file:
        assert {row["time"][:10] for row in csv.DictReader(file)} == {"2025-12-30", "2025-12-31"}


def test_other_commands_do_not_wait_for_duckdb() -> None:
    looked = subprocess.run([sys.executable, "-c", "import sys, pipeline.cli; sys.exit('duckdb' in sys.modules)"])
    assert looked.returncode == 0

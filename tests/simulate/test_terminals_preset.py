"""The preset `terminals` is the stream its description tells of, and the same whatever file it is written to."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from pipeline.core.currencies import Money
from pipeline.core.transaction import decode, unix_seconds
from pipeline.lab.simulate.command import to_file
from pipeline.lab.simulate.presets import TABLE_PRESETS
from pipeline.lab.simulate.table import Batch, NotWritten, write_table
from pipeline.lab.simulate.terminals import (
    COMPROMISED_TERMINAL,
    FRAUD_TYPES,
    HIGH_AMOUNT,
    LEAKED_CARD,
    Payments,
    TerminalsParameters,
    payments,
)

PRESET = TABLE_PRESETS["terminals"]
QUIET = TerminalsParameters(days=40, compromised_daily=0, leaked_daily=0)


@pytest.fixture(scope="module")
def months() -> Payments:
    return payments(3, TerminalsParameters(days=60))


def test_as_many_payments_and_frauds_as_published(months: Payments) -> None:
    assert 9_300 < len(months.day) / 60 < 9_900
    late = months.fraud_type[months.day >= 30]  # all kinds are under way by then
    assert 0.007 < (late > 0).mean() < 0.011
    found = Counter(late.tolist())
    assert found[COMPROMISED_TERMINAL] > found[LEAKED_CARD] > found[HIGH_AMOUNT] > 0


def test_each_card_has_an_average_and_a_rate_of_its_own() -> None:
    quiet = payments(3, QUIET)
    number = np.bincount(quiet.card, minlength=5_000)
    assert abs(number.mean() / 40 - 2 * 0.969) < 0.05
    busy = np.flatnonzero(number > 100)
    sums = np.bincount(quiet.card, quiet.amount, 5_000)
    squares = np.bincount(quiet.card, quiet.amount.astype(float) ** 2, 5_000)
    mean = sums[busy] / number[busy]
    assert 5_000 < mean.mean() < 5_600
    assert mean.min() > 400
    assert mean.max() < 13_000
    sd = np.sqrt(squares[busy] / number[busy] - mean**2)
    assert 0.45 < np.median(sd / mean) < 0.52
    assert quiet.amount.min() >= 0


def test_the_day_is_around_noon(months: Payments) -> None:
    assert months.second.min() > 0
    assert months.second.max() < 86_400
    assert abs(months.second.mean() - 43_200) < 300
    assert 18_000 < months.second.std() < 20_000
    moments = months.day.astype(np.int64) * 86_400 + months.second
    assert (np.diff(moments) >= 0).all()


def test_a_card_pays_only_within_its_reach(months: Payments) -> None:
    seen = defaultdict(set)
    for card, terminal in zip(months.card.tolist(), months.terminal.tolist(), strict=True):
        seen[card].add(terminal)
    assert max(map(len, seen.values())) < 130  # π 5² of 100² holds 79 of 10,000 terminals on average
    far = payments(3, TerminalsParameters(days=3, reach=0.001))
    assert len(far.day) == 0, "without a terminal in reach there is no payment"


def test_amounts_above_the_fixed_one_are_fraud() -> None:
    quiet = payments(3, QUIET)
    assert ((quiet.amount > 22_000) == (quiet.fraud_type == HIGH_AMOUNT)).all()
    assert (quiet.amount > 22_000).any()


def test_a_compromised_terminal_is_so_for_four_weeks() -> None:
    only = payments(3, TerminalsParameters(days=70, cards=1_000, terminals=5_000, leaked_daily=0))
    bad = only.fraud_type == COMPROMISED_TERMINAL
    spans = []
    for terminal in np.unique(only.terminal[bad]):
        theirs = only.terminal == terminal
        days = only.day[theirs & bad]
        spans.append(days.max() - days.min())
        between = theirs & (only.day >= days.min()) & (only.day <= days.max())
        if spans[-1] < 28:  # else it was compromised twice
            assert bad[between].all()
    assert np.mean(np.array(spans) < 28) > 0.95
    assert np.max(np.array(spans)[np.array(spans) < 28]) > 20


def test_a_third_of_a_leaked_cards_payments_are_five_times_as_large() -> None:
    parameters = TerminalsParameters(days=60, cards=2_000, compromised_daily=0)
    before, after = payments(3, replace(parameters, leaked_daily=0)), payments(3, parameters)
    leaked = after.fraud_type == LEAKED_CARD
    assert (before.amount[~leaked] == after.amount[~leaked]).all()
    times = after.amount[leaked] / np.maximum(before.amount[leaked], 1)
    assert (np.round(times) % 5 == 0).mean() > 0.98
    assert 0.28 < leaked.sum() / (3 * 60 * 14 * 2 * 0.969) < 0.36


def test_cards_have_nothing_to_do_with_how_long_they_are_watched(months: Payments) -> None:
    shorter = payments(3, TerminalsParameters(days=20))
    number = len(shorter.day)
    assert (months.card[:number] == shorter.card).all()
    assert (months.terminal[:number] == shorter.terminal).all()


def test_all_forms_hold_the_same_and_the_seed_decides(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "a.jsonl", "a.parquet"):
        assert to_file(PRESET, 7, tmp_path / name, cards=60, days=30, count=1_000) == 1_000
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    with duckdb.connect() as database:
        table = database.sql(f"SELECT * FROM '{tmp_path / 'a.parquet'}'")
        records = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    assert len(records) == 1_000
    for row, line, record in zip(rows, lines, records, strict=True):
        assert {name: value for name, value in record.items() if value is not None} == line
        assert {name: "" if value is None else str(value) for name, value in record.items()} == row
    to_file(PRESET, 8, tmp_path / "other.csv", cards=60, days=30, count=1_000)
    assert (tmp_path / "other.csv").read_bytes() != (tmp_path / "a.csv").read_bytes()


def test_every_record_is_usable(tmp_path: Path) -> None:
    to_file(PRESET, 1, tmp_path / "a.jsonl", cards=300, days=40)
    kinds, seen = set(), set()
    for line in (tmp_path / "a.jsonl").read_bytes().splitlines():
        told = json.loads(line)
        event = decode(line, int(unix_seconds(told["time"]) * 1000), Money("CNY", {"CNY": 1.0}))
        assert event.amount == told["amount"]
        assert told["fraud"] == ("fraud_type" in told)
        kinds.add(told.get("fraud_type"))
        seen.add(told["id"])
    assert kinds == set(FRAUD_TYPES)
    assert len(seen) == len((tmp_path / "a.jsonl").read_bytes().splitlines())


def test_the_last_day_can_be_chosen_and_the_truth_is_told_beside(tmp_path: Path) -> None:
    out, truth = tmp_path / "a.csv", tmp_path / "truth.jsonl"
    to_file(PRESET, 1, out, cards=50, days=4, truth=truth)
    assert f",{date(2018, 4, 1)}T" in out.read_text().splitlines()[1]
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    with out.open(newline="") as file:
        assert [(one["id"], int(one["fraud"])) for one in told] == [
            (row["id"], int(row["fraud"])) for row in csv.DictReader(file)
        ]
    to_file(PRESET, 1, out, cards=50, days=4, now=1_790_035_200.0)
    assert {row.split(",")[2][:10] for row in out.read_text().splitlines()[1:]} == {
        "2026-09-18",
        "2026-09-19",
        "2026-09-20",
        "2026-09-21",
    }


def test_what_would_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match="fewer cards or days"):
        to_file(PRESET, 1, tmp_path / "a.csv", cards=5_000_000, days=183)


def test_an_error_leaves_no_parquet_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Batch]:
        yield {"id": np.array(["a"], dtype=object), "fraud": np.array([0], dtype=np.int8)}
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_table(broken(), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []

"""CSV, JSON lines and Parquet say the same, and what is wrong in them is found where it is."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from pipeline.adapters.transaction_files import (
    FLAGS,
    MAX_REJECTS,
    REAL,
    WHOLE,
    FileRefused,
    LabelledRow,
    TransactionFile,
)
from pipeline.core.currencies import Money
from pipeline.core.transaction import Event, Refused, Transaction, decode
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.stream import in_order

MONEY = Money("CNY", {"CNY": 1.0})
COLUMNS = ("id", "card", "time", "amount", "currency", "kind", "recurring", "latitude", "longitude", "mcc", "merchant_name", "colour", "fraud", "fraud_type")  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"id": "a", "card": "tok_aaaaaaaa", "time": "2026-01-01T08:00:00+08:00", "amount": 1250, "currency": "CNY", "mcc": "0742", "merchant_name": 'Rose, "Bud" & 花店\nnext door', "fraud": 0},
    {"id": "b", "card": "tok_bbbbbbbb", "time": "2026-01-01T00:00:00.25Z", "amount": 0, "currency": "CNY", "kind": "cash", "recurring": True, "latitude": 31.5, "longitude": -0.25, "fraud": 1, "fraud_type": "stolen", "colour": "red"},
]  # fmt: skip


def write(tmp_path: Path, suffix: str, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    path = tmp_path / f"rows{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows))
        return path
    source = tmp_path / "rows.csv"
    with source.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        for each in rows:
            values = [each.get(name) for name in COLUMNS]
            lines.writerow(
                ["" if value is None else str(value).lower() if value is True else value for value in values]
            )
    if suffix == ".parquet":
        types = "{'amount': 'BIGINT', 'recurring': 'BOOLEAN', 'latitude': 'DOUBLE', 'longitude': 'DOUBLE', 'fraud': 'TINYINT', 'mcc': 'VARCHAR', 'time': 'VARCHAR'}"
        duckdb.execute(f"COPY (FROM read_csv('{source}', types = {types})) TO '{path}'")
    return path


def rows_of(path: Path, chunk: int = 1_000) -> list[LabelledRow]:
    return [each for some in TransactionFile(path).rows(chunk) for each in some]


def event(each: LabelledRow) -> Event:
    assert each.at is not None
    return decode(each.value, round(each.at * 1_000), MONEY)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_form_gives_the_same_transactions(tmp_path: Path, suffix: str) -> None:
    one, two = rows_of(write(tmp_path, suffix))
    assert (one.number, one.fraud, one.kind, two.number, two.fraud, two.kind) == (1, 0, None, 2, 1, "stolen")
    first, second = event(one), event(two)
    assert first.transaction == Transaction(
        id="a", card="tok_aaaaaaaa", time="2026-01-01T08:00:00+08:00", amount=1250, currency="CNY", mcc="0742", merchant_name='Rose, "Bud" & 花店\nnext door'
    )  # fmt: skip
    assert (first.at, second.at) == (one.at, two.at) == (1_767_225_600.0, 1_767_225_600.25)
    assert second.transaction.recurring is True
    assert (second.transaction.latitude, second.transaction.longitude) == (31.5, -0.25)
    assert (second.transaction.kind, second.transaction.amount) == ("cash", 0)


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "TIMESTAMP"])
def test_a_parquet_timestamp_is_a_time_in_utc(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "typed.parquet"
    duckdb.execute("SET TimeZone = 'UTC'")
    duckdb.execute(
        f"COPY (SELECT 'a' AS id, 'tok_aaaaaaaa' AS card, '2026-01-01 00:00:00.25'::{kind} AS time, 5 AS amount, "
        f"'CNY' AS currency, true AS fraud) TO '{path}'"
    )
    (only,) = rows_of(path)
    assert (only.at, event(only).at, only.fraud) == (1_767_225_600.25, 1_767_225_600.25, 1)


def test_numbers_and_flags_are_the_fields_that_the_transaction_says() -> None:
    told = {field.name: str(field.type) for field in msgspec.structs.fields(Transaction)}
    assert {name for name, kind in told.items() if "int" in kind} == set(WHOLE)
    assert {name for name, kind in told.items() if "float" in kind} == set(REAL)
    assert {name for name, kind in told.items() if "bool" in kind} == set(FLAGS)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("amount", "12.5", "wrong_type"),
        ("amount", "-3", "negative_amount"),
        ("amount", "", "wrong_type"),
        ("latitude", "north", "wrong_type"),
        ("recurring", "perhaps", "wrong_type"),
        ("kind", "gift", "unknown_kind"),
        ("time", "yesterday", "bad_time"),
        ("card", "4111111111111111", "clear_card_number"),
    ],
)
def test_a_bad_value_is_refused_by_the_decoders_own_rules(tmp_path: Path, field: str, value: str, reason: str) -> None:
    (bad,) = rows_of(write(tmp_path, ".csv", [ROWS[0] | {field: value}]))
    with pytest.raises(Refused) as refused:
        decode(bad.value, 1_767_225_600_000, MONEY)
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_a_csv_line_that_is_no_row_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv")
    good = path.read_text()
    path.write_text(good + "x,y\n" * 30 + good.split("\n", 1)[1].replace("a,tok", "c,tok"))
    file = TransactionFile(path)
    assert [event(each).transaction.id for some in file.rows(10) for each in some] == ["a", "b", "c", "b"]
    assert (file.rejects, len(file.rejected)) == (30, MAX_REJECTS)
    assert file.rejected[0].line == 4  # header, two rows (one with a line break within), then this
    assert "Columns" in file.rejected[0].why


def test_a_line_of_a_jsonl_file_that_is_no_json_is_left_to_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": 1}\n\nnot json\n{"time": "2026-01-01T00:00:00Z", "fraud": "yes"}\n\xff\xfe\n')
    assert [(each.number, each.at, each.fraud) for each in rows_of(path)] == [
        (1, None, None),
        (3, None, None),
        (4, 1_767_225_600.0, None),
        (5, None, None),
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rows.txt", "", "must end in one of .csv, .jsonl, .parquet"),
        ("none.csv", None, "there is no such file"),
        ("rows.csv", "id,card,time\n1,2,3\n", "no column amount, currency, fraud"),
        ("rows.parquet", "no parquet", "unreadable"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(FileRefused, match=words) as refused:
        TransactionFile(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_are_counted_without_being_read(tmp_path: Path, suffix: str) -> None:
    assert TransactionFile(write(tmp_path, suffix)).count() == 2


def test_rows_out_of_order_or_without_a_label_are_left_out_and_told() -> None:
    rows = [
        LabelledRow(1, 10.0, b"", 0, None),
        LabelledRow(2, 9.0, b"", 0, None),
        LabelledRow(3, 11.0, b"", None, None),
        LabelledRow(4, None, b"", None, None),
        LabelledRow(5, 11.0, b"", 1, "theft"),
    ]
    left_out = LeftOut()
    kept = [each for some in in_order([rows[:2], rows[2:]], left_out) for each in some]
    assert [(each.number, each.at, each.fraud, each.kind) for each in kept] == [
        (1, 10.0, False, None),
        (4, 10.0, False, None),
        (5, 11.0, True, "theft"),
    ]
    assert dict(left_out.reasons) == {"out_of_order": 1, "no_label": 1}
    assert left_out.told == [
        "row 2: lies 1 s before row 1: rows must be in order of time",
        "row 3: fraud must be 0 or 1",
    ]


def test_only_the_first_rows_left_out_are_told_and_all_are_counted() -> None:
    left_out = LeftOut()
    for number in range(50):
        left_out.add(number, "no_label", "fraud must be 0 or 1")
    assert (len(left_out.told), left_out.rows) == (20, 50)

"""`cardwatch pilot`: extracts with foreign names, forms and encodings, and clear card numbers that appear nowhere."""

import csv
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.core.masking import luhn_valid

CONFIG = Path(__file__).parents[2] / "config"
GERMAN = """
[file]
encoding = "cp1252"
delimiter = ";"
decimal = ","
thousands = "."
zone = "Europe/Berlin"

[fields]
id = "Buchungsnummer"
card = "Kartennummer"
time = { columns = ["Datum", "Uhrzeit"], format = "%d.%m.%Y %H:%M:%S" }
amount = { column = "Betrag", sign = "drop" }
currency = { value = "EUR" }
merchant = "Händler"
mcc = "Branche"
country = { column = "Land", values = { "Österreich" = "AT", Deutschland = "DE" } }
entry_mode = { column = "Eingabe", values = { C = "chip", O = "ecommerce" }, other = "manual" }
customer = { column = "Kunde", token = true }
fraud = { column = "Betrug", values = { J = "1" }, other = "0", empty = "0" }
"""
CHINESE = """
[file]
encoding = "gb18030"
zone = "Asia/Shanghai"
[fields]
card = "卡号"
time = { column = "交易时间", format = "%Y/%m/%d %H:%M" }
amount = { column = "金额（分）", unit = "minor" }
currency = { column = "币种", values = { "人民币" = "CNY" } }
merchant_name = "商户"
fraud = { column = "是否欺诈", values = { "是" = "1", "否" = "0" } }
"""


def card_number(number: int) -> str:
    """A Visa number that is nobody's."""
    head = f"400000{number:09}"
    return next(head + str(check) for check in range(10) if luhn_valid(head + str(check)))


def clear_numbers() -> list[str]:
    return [card_number(number) for number in range(12)]


def german(path: Path, days: int = 24, extra: tuple[list[str], ...] = ()) -> Path:
    draw = random.Random(3)
    rows = []
    for number in range(days * 60):
        card = draw.randrange(12)
        at = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=24 * number)
        fraud = card == 3 and draw.random() < 0.3
        amount = draw.uniform(900, 9_000) if fraud else draw.uniform(3, 80)
        clear = card_number(card)
        rows.append([
            f"B{number}", " ".join(clear[i : i + 4] for i in range(0, 16, 4)), at.strftime("%d.%m.%Y"),
            at.strftime("%H:%M:%S"), "-" + f"{amount:,.2f}".translate(str.maketrans(",.", ".,")), "Bäcker Grün",
            "742", draw.choice(["Österreich", "Deutschland"]), draw.choice("COX"), f"K{card}", "J" if fraud else "",
        ])  # fmt: skip
    draw.shuffle(rows)
    header = ["Buchungsnummer", "Kartennummer", "Datum", "Uhrzeit", "Betrag", "Händler", "Branche", "Land", "Eingabe",
              "Kunde", "Betrug"]  # fmt: skip
    with path.open("w", encoding="cp1252", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerows([header, *rows, *extra])
    return path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(CONFIG))
    monkeypatch.delenv("CARDWATCH_TOKEN_KEY", raising=False)


def mapping(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["pilot", *map(str, arguments)])


def test_a_german_extract_gives_its_report_in_one_command(tmp_path: Path) -> None:
    bad = ["B9998", card_number(1), "31.02.2026", "10:00:00", "1,00", "x", "742", "Deutschland", "C", "K1", ""]
    odd = ["B9999", card_number(2), "10.01.2026", "10:00:00", "viel", "x", "742", "Frankreich", "C", "K1", ""]
    leak = [card_number(5), card_number(5), "10.01.2026", "10:00:00", "1,00", "x", "742", "Deutschland", "C", "K1", ""]
    extract = german(tmp_path / "auszug.csv", extra=(bad, odd, leak, ["zu", "kurz"]))
    report, left_out = tmp_path / "report.html", tmp_path / "left.csv"
    done = run(
        extract, "--map", mapping(tmp_path / "m.toml", GERMAN), "--report", report, "--left-out", left_out, "--json"
    )
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["files"]
    assert told["scored"] == 24 * 60
    assert told["rows"] == told["scored"] + 4
    assert told["cards"] == 12
    assert told["left_out"] == {
        "bad_time": 1, "unknown_value": 1, "clear_card_number": 1, "broken_line": 1,
    }  # fmt: skip
    assert told["frauds"] > 10
    assert "warm-up: 17 days; measured: 1 × 7 days" in done.stderr
    listed = list(csv.DictReader(left_out.open(encoding="utf-8")))
    assert sorted(int(row["row"]) for row in listed) == [1441, 1442, 1443, 1444]
    assert "<html" in report.read_text(encoding="utf-8")
    everything = done.output + report.read_text(encoding="utf-8") + left_out.read_text(encoding="utf-8")
    for clear in clear_numbers():
        for form in (clear, " ".join(clear[i : i + 4] for i in range(0, 16, 4)), clear[:12], clear[6:]):
            assert form not in everything


def test_a_chinese_extract_too(tmp_path: Path) -> None:
    extract = tmp_path / "交易.csv"
    draw = random.Random(1)
    with extract.open("w", encoding="gb18030", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["卡号", "交易时间", "金额（分）", "币种", "商户", "是否欺诈"])
        for number in range(600):
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * number)
            fraud = draw.random() < 0.05
            writer.writerow(
                [
                    card_number(number % 9),
                    f"{at:%Y/%m/%d %H:%M}",
                    90_000 if fraud else 1_500,
                    "人民币",
                    "茶馆",
                    "是" if fraud else "否",
                ]
            )
    done = run(extract, "--map", mapping(tmp_path / "m.toml", CHINESE), "--language", "zh-CN")
    assert done.exit_code == 0, done.output
    assert "600 rows read, 0 left out" in done.stderr
    assert "平均精度" in done.stdout


def test_tokens_last_as_long_as_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.app.pilot import tokens_for
    from pipeline.settings import Settings

    one, random_one = tokens_for(Settings())
    assert random_one
    assert one.of("4000 0000-0000 0002") == one.of("4000000000000002")
    assert one.of("4000000000000002") != tokens_for(Settings())[0].of("4000000000000002")
    monkeypatch.setenv("CARDWATCH_TOKEN_KEY", "k" * 16)
    first, random_one = tokens_for(Settings())
    assert not random_one
    assert first.of("4000000000000002") == tokens_for(Settings())[0].of("4000000000000002")
    monkeypatch.setenv("CARDWATCH_TOKEN_KEY", "short")
    weak = run(german(tmp_path / "a.csv", 2), "--map", mapping(tmp_path / "m.toml", GERMAN))
    assert weak.exit_code == 2
    assert "at least 16" in weak.output


def test_a_card_column_declared_as_tokens_is_refused_row_by_row_when_it_holds_numbers(tmp_path: Path) -> None:
    text = GERMAN.replace('card = "Kartennummer"', 'card = { column = "Kartennummer", token = false }')
    done = run(german(tmp_path / "a.csv", 2), "--map", mapping(tmp_path / "m.toml", text))
    assert done.exit_code == 1
    assert "clear card number" in done.output
    assert not any(clear[:12] in done.output.replace(" ", "") for clear in clear_numbers())


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ('id = "Buchungsnummer"', 'idd = "Buchungsnummer"', "m.toml:10: unknown field 'idd'"),
        ('currency = { value = "EUR" }', 'currency = { vaule = "EUR" }', "m.toml:14: currency"),
        ('currency = { value = "EUR" }', "currency = {}", "m.toml:14: currency: give a column"),
        ('zone = "Europe/Berlin"', 'zone = "Mars/Base"', "no such time zone"),
        ('decimal = ","', 'decimal = "."', "the same character"),
        ("fraud = {", "terminal = {", "lacks fraud"),
        ("[fields]", "[felder]", "unknown entry 'felder'"),
    ],
)
def test_a_wrong_mapping_names_its_line(tmp_path: Path, change: str, to: str, message: str) -> None:
    assert change in GERMAN
    done = run(german(tmp_path / "a.csv", 2), "--map", mapping(tmp_path / "m.toml", GERMAN.replace(change, to, 1)))
    assert done.exit_code == 2
    assert message in done.output


def test_a_file_that_does_not_fit_says_so_without_showing_numbers(tmp_path: Path) -> None:
    extract = tmp_path / "a.csv"
    extract.write_text(f"{card_number(1)};01.01.2026\n", encoding="cp1252")
    done = run(extract, "--map", mapping(tmp_path / "m.toml", GERMAN))
    assert done.exit_code == 1
    assert "no column" in done.output
    assert card_number(1) not in done.output
    unknown = run(extract, "--map", mapping(tmp_path / "m.toml", GERMAN.replace("cp1252", "klingon")))
    assert unknown.exit_code == 1
    assert "none that is known" in unknown.output
    missing = run(tmp_path / "none.csv", "--map", tmp_path / "m.toml")
    assert missing.exit_code == 1
    assert "no such file" in missing.output
    assert run(extract).exit_code == 2


def test_a_mapping_is_proposed_from_the_header(tmp_path: Path) -> None:
    done = run(german(tmp_path / "a.csv", 2), "--guess")
    assert done.exit_code == 0, done.output
    for line in (
        'encoding = "cp1252"',
        'delimiter = ";"',
        'card = "Kartennummer"',
        'amount = "Betrag"',
        'fraud = "Betrug"',
    ):
        assert line in done.output
    assert "# currency" in done.output
    chinese = tmp_path / "c.csv"
    chinese.write_text("卡号,交易时间,金额,币种,是否欺诈\n", encoding="gb18030")
    told = run(chinese, "--guess").output
    assert 'encoding = "gb18030"' in told
    assert 'card = "卡号"' in told
    nameless = tmp_path / "b.csv"
    nameless.write_text(f"{card_number(1)},{card_number(2)}\n")
    assert card_number(1) not in run(nameless, "--guess").output

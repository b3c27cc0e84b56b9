"""`cardwatch compromise` over an archive: a place that leaked is named, its exposed cards with it, in both languages."""

import asyncio
import json
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from models.calibrate import parse_prior
from models.scorer import Model
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.parquet_visits import ParquetVisits
from pipeline.adapters.parquet_writing import ParquetShelf
from pipeline.cli import main
from pipeline.core.archive_columns import LABEL_COLUMNS, SCORED_COLUMNS
from pipeline.core.archive_files import Piece
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.exposed_cards import Costs
from pipeline.core.features import LAYOUT
from pipeline.core.lists import list_text, listed_as, parse_list
from pipeline.core.point_of_compromise import Window
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Versions
from pipeline.lab.compromise.measure import look_times, measured
from pipeline.lab.compromise.past import ANSWER_S, Fraud, Genuine, Past, write_past
from pipeline.lab.compromise.report import Report, as_json, lines, report
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.world import World
from pipeline.ports_archive import Place

CONFIG = Path(__file__).parents[2] / "config"
DAY_S = 86_400
FIRST = 20_600
"""Days since 1970."""
CARDS = 240
LEAKING = "m_leak"
STOLEN = range(10)
EXPOSED = range(25)
"""Cards that paid where it leaked; the first ten of them went bad."""


def _table(columns: dict[str, str], rows: list[dict[str, object]]) -> dict[str, np.ndarray]:
    table = {}
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        if name in ("source_partition", "source_offset", "timestamp_ms"):
            table[name] = np.array(values, dtype=np.int64)
        else:
            table[name] = np.array(values, dtype=object if kind == "text" else float)
    return table


def _archive(root: Path, leaked: str | None = None, used: str | None = None) -> None:
    """Sixty days; every card pays in five of sixty shops, and some also where it leaked, on days 20 to 26, with the entry
    mode ``leaked``; what was stolen is used with ``used``."""
    draws = np.random.default_rng(3)
    rows: list[dict[str, object]] = []

    def pay(card: int, merchant: str, day: float, **more: object) -> str:
        at = (FIRST + day) * DAY_S
        rows.append({
            "id": f"t{len(rows)}", "card": f"tok_c{card:08}", "at": at, "merchant": merchant, "terminal": f"{merchant}x1",
            "merchant_name": "Tea House", "city": "成都", "billing_value": 5_000.0, "response_code": "00", "type": "authorisation",
        } | more)  # fmt: skip
        return str(rows[-1]["id"])

    for card in range(CARDS):
        for _ in range(5):
            pay(card, f"m{draws.integers(60)}", draws.uniform(0, 59))
    for card in EXPOSED:
        pay(card, LEAKING, 20 + card % 7, entry_mode=leaked)
    pay(100, LEAKING, 21.0, type="reversal")
    pay(101, LEAKING, 21.0, kind="refund")
    pay(102, LEAKING, 50.0)
    stolen = [
        pay(card, "m_abroad", 40 + card % 100, billing_value=80_000.0, entry_mode=used) for card in (*STOLEN, 200, 201)
    ]
    again = [
        pay(card, "m_abroad", 39.5 + card, billing_value=1.0, response_code="05", entry_mode=used) for card in STOLEN
    ]
    assert again
    rows.sort(key=lambda row: row["at"])
    for offset, row in enumerate(rows):
        row |= {"source_partition": 0, "source_offset": offset, "timestamp_ms": round(row["at"] * 1000)}
    labels = [
        {
            "source_partition": 0, "source_offset": offset, "timestamp_ms": (FIRST + 40 + offset) * DAY_S * 1000,
            "transaction": each, "card": "", "fraud": 1.0, "source": "chargeback",
        }
        for offset, each in enumerate(stolen)
    ]  # fmt: skip
    shelf = ParquetShelf(root)
    shelf.open()
    for kind, columns, found in (("scored", SCORED_COLUMNS, rows), ("labels", LABEL_COLUMNS, labels)):
        by_day: dict[int, list[dict[str, object]]] = {}
        for row in found:
            by_day.setdefault(row["timestamp_ms"] // (DAY_S * 1000), []).append(row)
        for day, part in sorted(by_day.items()):
            piece = Piece(
                datetime.fromtimestamp(day * DAY_S, UTC).date(), 0, part[0]["source_offset"], part[-1]["source_offset"],
                *((0, 0) if kind == "scored" else ()),
            )  # fmt: skip
            asyncio.run(shelf.write(kind, piece, _table(columns, part)))
    shelf.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compromised")
    _archive(root)
    return root


@pytest.fixture(scope="module")
def visits(root: Path) -> ParquetVisits:
    return ParquetVisits(root)


def after(visits: ParquetVisits, day: float, **more: int) -> Report:
    return report(visits, 60, round((FIRST + day) * DAY_S * 1000), Costs(), **more)


@pytest.mark.parametrize(
    ("leaked", "used", "way"),
    [
        ("chip", "magstripe", "in_person"),
        ("ecommerce", "stored", "online"),
        ("chip", "ecommerce", None),
        ("stored", "magstripe", None),
    ],
)
def test_a_place_answers_for_cards_used_as_they_were_there(
    tmp_path: Path, leaked: str, used: str, way: str | None
) -> None:
    _archive(tmp_path, leaked, used)
    found = after(ParquetVisits(tmp_path), 70)
    assert [(each.place.merchant, each.place.way) for each in found.places] == ([(LEAKING, way)] if way else [])
    if way is not None:
        assert len(found.places[0].exposed.card) == len(EXPOSED) - len(STOLEN)
        assert ("online" in lines(found, "en")[1]) == (way == "online")
        assert ("线上" in lines(found, "zh")[1]) == (way == "online")


def test_the_leaking_place_is_named_with_its_days(visits: ParquetVisits) -> None:
    found = after(visits, 70)
    (named,) = found.places
    assert named.place in (Place(LEAKING), Place(LEAKING, f"{LEAKING}x1"))
    assert (named.name, named.town) == ("Tea House", "成都")
    assert set(named.cards) == {f"tok_c{card:08}" for card in STOLEN}
    assert named.suspected.seen == Window(FIRST + 20, FIRST + 26)
    assert named.suspected.by_chance < 0.01
    assert found.bad_cards == 12


def test_exposed_cards_are_those_that_were_there_and_are_not_bad(visits: ParquetVisits) -> None:
    exposed = after(visits, 70).places[0].exposed
    assert sorted(exposed.card) == sorted(f"tok_c{card:08}" for card in EXPOSED if card not in STOLEN)
    assert exposed.rate == pytest.approx(10 / 25, abs=0.06)
    assert exposed.loss.sum() == pytest.approx(exposed.risk.sum() * 80_000)


def test_what_was_not_known_yet_names_nothing(visits: ParquetVisits) -> None:
    assert after(visits, 39).days is None
    assert not after(visits, 42.5).places
    assert after(visits, 49.5).places, "all ten labels are in"


def test_a_place_of_the_frauds_themselves_is_not_named(visits: ParquetVisits) -> None:
    """All bad cards were at the shop abroad half a day before their first known fraud: it is where they were used."""
    assert "m_abroad" not in {each.place.merchant for each in after(visits, 70).places}


def test_a_higher_minimum_names_fewer(visits: ParquetVisits) -> None:
    assert not after(visits, 70, least=11).places


def test_the_words_in_both_languages_and_the_json_agree(visits: ParquetVisits) -> None:
    found = after(visits, 70)
    english, chinese = lines(found, "en"), lines(found, "zh")
    assert len(english) == len(chinese)
    assert "10 bad cards had been there" in english[2]
    assert "10 张出事卡此前去过" in chinese[2]
    told = as_json(found)
    json.dumps(told)
    assert told["places"][0]["seen"] == ["2026-06-16", "2026-06-22"]
    assert len(told["places"][0]["cards"]) == 15
    assert lines(Report(None, 0, 0, ()), "zh") == ["目前没有任何卡带有有效的欺诈标签，无从查找。"]


def test_the_command_tells_it(root: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["compromise", "--archive", str(root), "--json"], catch_exceptions=False)
    assert json.loads(told.output)["places"][0]["merchant"] == LEAKING
    missing = CliRunner().invoke(main, ["compromise", "--archive", str(tmp_path)])
    assert missing.exit_code == 1
    assert "no archive here" in missing.output


def test_cards_worth_watching_join_a_list(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(SystemClock, "now", lambda self: float((FIRST + 70) * DAY_S))
    path = tmp_path / "lists" / "exposed.toml"
    path.parent.mkdir()
    over, later = listed_as("tok_over", "card"), listed_as("tok_later", "card")
    path.write_text(
        list_text(
            "card", {over: (FIRST + 69.0) * DAY_S, later: inf, listed_as("tok_c00000020", "card"): FIRST + 71.0 * DAY_S}
        )
    )
    command = ["compromise", "--archive", str(root), "--watch", "exposed"]
    for _ in range(2):  # the second time finds what the first wrote
        told = CliRunner().invoke(main, command, catch_exceptions=False)
        assert "16 cards to watch" in told.stderr
        listed = parse_list("exposed", path.read_text(), "exposed.toml")
        exposed = {listed_as(f"tok_c{card:08}", "card") for card in EXPOSED if card not in STOLEN}
        assert set(listed.until) == {*exposed, later}
        ends = {listed.until[card] for card in exposed}
        assert ends == {(FIRST + 27 + 61) * DAY_S}, "the place leaked until day 26, and a day beyond that is likely"
        assert listed.until[later] == inf
    assert CliRunner().invoke(main, [*command, "--call-cost", "90000"]).stderr.endswith("16 cards to watch\n")


def test_a_list_of_something_else_is_left_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(tmp_path))
    path = tmp_path / "lists" / "hot.toml"
    path.parent.mkdir()
    path.write_text(list_text("merchant", {"m1": inf}))
    before = path.read_text()
    told = CliRunner().invoke(main, ["compromise", "--archive", str(root), "--watch", "hot"])
    assert (told.exit_code, path.read_text()) == (2, before)
    assert "this list is of merchant" in told.stderr


def test_what_watching_saves_is_measured(visits: ParquetVisits) -> None:
    def day(number: float) -> float:
        return (FIRST + number) * DAY_S

    after_naming = [
        Fraud(day(56), "tok_c00000020", 500.0, False, LEAKING),
        Fraud(day(56) + ANSWER_S + 1, "tok_c00000020", 700.0, False, LEAKING),
    ]
    known = [Fraud(day(40 + card), f"tok_c{card:08}", 80_000.0, card == 0, LEAKING) for card in STOLEN]
    in_the_hour = Fraud(day(40) + ANSWER_S + 60, "tok_c00000024", 90.0, False, LEAKING)
    cards = np.array(["tok_c00000021", "tok_c00000021", "tok_c00000150"], dtype=object)
    genuine = Genuine(cards, np.array([day(30), day(57), day(57)]), np.zeros(3, dtype=np.bool_))
    past = Past([*known, *after_naming, in_the_hour], genuine, {LEAKING: {f"tok_c{card:08}" for card in EXPOSED}}, 0)
    found = measured(past, visits, look_times(day(45), day(55), 5 * DAY_S), 60)
    assert (found.leaking, found.named, found.wrong, found.bad_cards) == (1, 1, 0, (10,))
    assert (found.watched, found.at_stake, found.saved) == (15, 1_200.0, 700.0)
    assert (found.hour_at_stake, found.hour_saved) == (90.0, 0.0)
    assert found.asks == 1


def test_a_simulated_past_becomes_an_archive(tmp_path: Path) -> None:
    preset = PRESETS["everyone"]
    world = World(5, 60, 1_790_000_000.0, parameters=preset.world)
    shelf = ParquetShelf(tmp_path)
    shelf.open()
    curve = parse_prior((CONFIG / "models" / "prior.toml").read_text(), "prior.toml")
    policy = parse_policy((CONFIG / "policies" / "default.toml").read_text(), "default.toml", SCHEMA)
    money = parse_rates((CONFIG / "rates.toml").read_text(), "rates.toml")
    under = Versions(policy, Model.day_one(LAYOUT, curve), money)
    past = write_past(Stream(world).history(8), shelf, under, 5, preset.chargebacks)
    shelf.close()
    archive = ParquetArchive(tmp_path)
    days = archive.days()
    assert archive.relation(days[0], days[-1]).aggregate("count(*)").fetchall() == [(past.transactions,)]
    labels = archive.labels_in_force(2_000_000_000_000)
    known = {fraud.card for fraud in past.frauds}
    assert {
        card for card, source in zip(labels["card"], labels["source"], strict=True) if source == "cardholder"
    } <= known

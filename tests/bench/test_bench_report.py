"""What people, programs and eyes get of a benchmark: table, JSON, picture."""

import json
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from pipeline.lab.bench.backlog import Backlog, Bytes
from pipeline.lab.bench.chart import draw
from pipeline.lab.bench.command import Result, as_json
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.figures import latency
from pipeline.lab.bench.latency import Rate
from pipeline.lab.bench.machine import look
from pipeline.lab.bench.options import LONG, OURS, PARTS, PLAIN, RELAY, TITLES, options_for
from pipeline.lab.bench.process import Cost
from pipeline.lab.bench.report import table, text
from pipeline.lab.bench.scaling import Scaling
from pipeline.lab.bench.state import Resident, State, Work
from pipeline.lab.bench.store import Longest
from pipeline.lab.bench.summary import Round, summarise
from pipeline.lab.bench.takeover import Arrivals, Handover, Takeover

COST = Cost(1_000, 0.96, 200.0, {"decode": 8.5, "append": 10.25}, 1.5, 31.0)
WORK = Work(COST, 50_000.0)
SVG = "{http://www.w3.org/2000/svg}"


def measured(scale: float) -> Round:
    def runs(wait_ms: float) -> list[Rate]:
        return [
            Rate(200.0, latency([wait_ms * scale / 1e3] * 10, 0.01, 10), COST),
            Rate(1_000.0, latency([2 * wait_ms * scale / 1e3] * 10, 0.02, 12), COST),
        ]

    def resident(cards: int) -> Resident:
        return Resident(cards, 3.5 * scale, cards * 800, cards * 900, WORK, WORK, Longest("EVALSHA", 4.5))

    def takeover(cards: int) -> Takeover:
        return Takeover(cards, Handover(6.0 + cards / 1e6, 6.0, 0), Handover(0.5, 0.4, 0))

    return Round(
        backlog={
            RELAY: Backlog(500_000, 120_000.0 * scale, None, None),
            PLAIN: Backlog(50_000, 2_000.0 * scale, None, None),
            OURS: Backlog(500_000, 40_000.0 * scale, COST, Bytes(255.0, 453.0, 339.0, 60.0)),
        },
        latency={RELAY: runs(1.0), OURS: runs(3.0)},
        state=State(450.0, resident(10_000), resident(1_000_000), 777.0, takeover(250_000), takeover(1_000_000)),
        scaling=Scaling(50_000.0, 90_000.0 * scale, 1.8 * scale, 19.5),
    )


ROUNDS = [measured(scale) for scale in (1.0, 1.5, 0.5)]
FIGURES = summarise(ROUNDS)
MACHINE = look("4.1.0", "7.0.15", "default@1", 21)


def lines_of(title: str, whole: str) -> list[str]:
    """The lines of one table below its headings."""
    part = next(part for part in whole.split("\n\n") if part.startswith(title))
    return part.splitlines()[3:]


def test_the_table_has_every_part_with_medians_and_extremes() -> None:
    whole = text(FIGURES, MACHINE, 3)
    assert "Kafka 4.1.0 · Redis 7.0.15" in whole
    backlog = lines_of("Backlog", whole)
    assert [line.split("  ")[0] for line in backlog] == [TITLES[RELAY], TITLES[PLAIN], TITLES[OURS]]
    assert "120,000 (60,000–180,000)" in backlog[0]
    assert backlog[1].endswith("20.00 (20.00–20.00)")
    fast = lines_of("Milliseconds from due to decided, 1000/s", whole)
    assert "2.00 (1.00–3.00)" in fast[0]
    assert fast[0].endswith("3.00 (3.00–3.00)")
    costs = lines_of("Microseconds a transaction", whole)
    assert costs[0].split()[:2] == ["decode", "8.50"]
    assert next(line for line in costs if line.startswith("all stages")).split()[2] == "18.75"
    assert "777 (777–777)" in whole
    killed = lines_of("Hand-over between two workers", whole)[0]
    assert "6.25 (6.25–6.25)  7.00 (7.00–7.00)" in killed
    assert "1.80 (0.90–2.70)" in whole


def test_a_part_that_was_not_measured_leaves_no_table() -> None:
    whole = text(summarise([Round(scaling=Scaling(1.0, 2.0, 2.0, 3.0))]), MACHINE, 1)
    assert "one round" in whole
    assert "Scoring from memory" in whole
    assert "Backlog" not in whole
    assert "Many cards" not in whole


def test_columns_stand_below_their_headings() -> None:
    drawn = table("T", ("name", "a"), [("x", "1,000"), ("longer", "2")]).splitlines()
    assert drawn == ["T", "-", "name        a", "x       1,000", "longer      2"]


def test_the_json_is_read_back_as_it_was() -> None:
    options = options_for("all", 3, False, "200,1000", None, None, (), Path("/somewhere"))
    result = Result("2026-01-01T00:00:00+00:00", MACHINE, options, FIGURES, ROUNDS)
    cost = json.loads(as_json(result))["rounds"][0]["backlog"][OURS]["cost"]
    assert cost["stages_us"] == COST.stages_us  # by name, in the rounds too
    assert msgspec.json.decode(as_json(result), type=Result, dec_hook=lambda kind, value: kind(value)) == result


@pytest.mark.parametrize("parts", ["all", "some", "none"])
def test_the_chart_is_sound_and_asks_for_nothing_outside(parts: str) -> None:
    figures = {"all": FIGURES, "some": summarise([Round(backlog=ROUNDS[0].backlog)]), "none": {}}[parts]
    picture = draw(figures, "a <b> & c")
    root = ElementTree.fromstring(picture)
    titles = [each for each in root.iter(f"{SVG}text") if each.get("class") == "head"]
    assert len(titles) == {"all": 3, "some": 1, "none": 0}[parts]
    assert root.findtext(f"{SVG}title") == "a <b> & c"
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in picture
    height, width = float(root.get("height", "0")), float(root.get("width", "0"))
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.get("y", "")) + float(bar.get("height", "")) <= height
        assert 0 < float(bar.get("width", "")) < width


def test_a_bar_is_as_long_as_its_figure() -> None:
    root = ElementTree.fromstring(draw(summarise([Round(backlog=ROUNDS[0].backlog)]), ""))
    lengths = [float(bar.get("width", "")) for bar in root.iter(f"{SVG}rect")]
    assert lengths[2] / lengths[0] == pytest.approx(40_000 / 120_000, rel=0.01)


def test_options_say_what_is_measured() -> None:
    options = options_for("state", 2, False, "50", 10, 2_000_000, ("quix",), None)
    assert options.parts == ("state",)
    assert options.rates == (50.0,)
    assert (options.sizes.seconds, options.sizes.many_cards) == (600.0, 2_000_000)
    assert options.sizes.backlog == LONG.backlog
    assert "quix" not in options.programs
    assert RELAY in options.programs
    assert options_for("all", 1, True, "1", None, None, (), None).parts == PARTS


@pytest.mark.parametrize("rates", ["", "fast", "200,0", "200,200", "-1"])
def test_wrong_rates_are_refused_with_an_example(rates: str) -> None:
    with pytest.raises(ValueError, match="200,1000"):
        options_for("all", 1, True, rates, None, None, (), None)


def test_a_handover_is_over_when_the_last_partition_decides_again() -> None:
    arrivals = Arrivals(first=100)
    arrivals.began = 50.0
    for place in range(8):  # the signal comes with place 4, due 0.02 s after the start; partition 3 stays away for 6 s
        late = 6.0 if place >= 4 and place % 4 == 3 else 0.001
        arrivals.took(place % 4, b'{"id":"x%d"}' % (100 + place), 50.0 + place / 200 + late)
    found = arrivals.handover(place=4, number=9)
    assert found.first_s == pytest.approx(6.0 + 3 / 200)
    assert found.longest_s == pytest.approx(6.0)
    assert found.missing == 1


def test_a_partition_that_never_decides_again_is_a_failure() -> None:
    arrivals = Arrivals(first=0)
    arrivals.took(0, b'{"id":"x0"}', 1.0)
    with pytest.raises(BenchFailed, match="1 of 4 partitions"):
        arrivals.handover(place=0, number=1)

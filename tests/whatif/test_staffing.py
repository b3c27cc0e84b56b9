"""Which point of a curve is suggested for the people there are: by hand, and against trying every point."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.decision import Outcome
from pipeline.lab.whatif.answer import Curve, Known, Point, Side
from pipeline.lab.whatif.staffing import Bands, Costs, Staff, suggest

COSTS = Costs(contact=10.0, agent_hour=3_000.0, insult=500.0)


def side(alerts: int, loss: int, **more: Any) -> Side:
    figures: dict[str, Any] = {
        "alerts": alerts, "alerts_per_10000": alerts / 100, "alerts_genuine": 0, "alerts_unknown": alerts, "reviews": alerts,
        "contacts": alerts, "contacts_a_day": alerts / 10, "agent_hours_a_day": alerts / 50, "held": 0,
        "held_per_10000_cards": alerts / 1_000, "caught": Known(0, 0), "missed": Known(0, 0), "disturbed_genuine": 0,
        "disturbed_unknown": 0, "expected_loss": loss, "expected_insults": alerts / 2,
    }  # fmt: skip
    return Side(outcomes={each.name: 0 for each in Outcome}, **(figures | more))


def curve(points: list[tuple[float, int, int]], today: int = 0) -> Curve:
    return Curve(
        threshold=0, days=10, points=[Point(score, side(alerts, loss)) for score, alerts, loss in points], today=today
    )


# a day of 100 alerts more: 100 contacts' worth of 1/10 a day, 2 hours, 50 insults' worth of 1/10
POINTS = [(0.9, 100, 900_000), (0.5, 500, 300_000), (0.3, 1_000, 100_000), (0.1, 5_000, 90_000)]


def test_the_cheapest_day_is_suggested() -> None:
    found = suggest(curve(POINTS), COSTS, Staff(agents=100), Bands())
    assert found.costs[1].loss == 30_000
    assert found.costs[1].contacts == 500
    assert found.costs[1].agents == 30_000
    assert found.costs[1].insults == 12_500
    assert (found.best, found.unbounded, found.outside) == (1, 1, [])
    assert found.saved_a_day == found.costs[0].whole - found.costs[1].whole > 0


def test_more_than_the_agents_can_do_is_not_suggested_but_told() -> None:
    cheap = Costs(contact=0, agent_hour=0, insult=0)
    found = suggest(curve(POINTS, today=3), cheap, Staff(agents=2, hours_each=6), Bands())
    assert (found.best, found.unbounded) == (1, 3)
    assert found.agents_for_unbounded == pytest.approx(100 / 6)
    assert found.outside == ["agent_hours_a_day"]


@pytest.mark.parametrize(
    ("bands", "best"),
    [
        (Bands(lowest_score=0.6), 0),
        (Bands(highest_score=0.4), 2),
        (Bands(most_alerts_per_10000=4.9), 0),
        (Bands(most_held_per_10000_cards=0.4), 0),
        (Bands(most_contacts_a_day=49), 0),
        (Bands(lowest_score=0.4, highest_score=0.45), None),
    ],
)
def test_what_is_outside_the_bands_is_not_suggested(bands: Bands, best: int | None) -> None:
    found = suggest(curve(POINTS, today=1), COSTS, Staff(agents=100), bands)
    assert (found.best, found.saved_a_day is None) == (best, best is None)
    assert len(found.outside) == 1


def test_of_equally_cheap_points_the_quieter_one() -> None:
    free = Costs(contact=0, agent_hour=0, insult=0)
    assert suggest(curve([(0.9, 300, 5), (0.5, 400, 5)]), free, Staff(agents=100), Bands()).best == 0


def test_costs_below_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        suggest(curve(POINTS), COSTS, Staff(agents=-1), Bands())
    with pytest.raises(ValueError, match="more than 0 hours"):
        suggest(curve(POINTS), COSTS, Staff(agents=1, hours_each=0), Bands())


@given(
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 10**6)), min_size=1, max_size=12),
    st.integers(0, 20),
    st.integers(0, 30),
)
def test_no_allowed_point_is_cheaper(rows: list[tuple[int, int]], agents: int, most: int) -> None:
    points = [(1 - number / 20, alerts, loss) for number, (alerts, loss) in enumerate(rows)]
    bands = Bands(most_alerts_per_10000=float(most))
    found = suggest(curve(points), COSTS, Staff(agents=agents), bands)
    able = [
        number for number, (_, alerts, _) in enumerate(points) if alerts / 100 <= most and alerts / 50 <= agents * 6
    ]
    assert (found.best in able) if able else (found.best is None)
    assert all(found.costs[found.best].whole <= found.costs[number].whole for number in able if found.best is not None)

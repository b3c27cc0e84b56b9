"""The best place of a threshold for the people there are: what each point of a curve is expected to cost a day.

A day costs what goes through unseen (score × worth, known frauds as they are), each contact, the agents' hours, and each
genuine customer who is disturbed. Of the points that keep to the approved bands and need no more hours than there are, the
cheapest is suggested; of equally cheap ones the one of fewest alerts.
"""

import msgspec

from pipeline.lab.whatif.answer import Curve, Point, Side


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units of the bank's currency: of one contact by the automatic channels, of an agent's hour, and of disturbing
    one genuine customer."""

    contact: float
    agent_hour: float
    insult: float


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """How many agents work on a day, and for how many hours each can work on cases and calls."""

    agents: float
    hours_each: float = 6.0


class Bands(msgspec.Struct, frozen=True, kw_only=True):
    """Within what the bank lets a threshold be moved; None: as far as one likes."""

    lowest_score: float | None = None
    highest_score: float | None = None
    most_alerts_per_10000: float | None = None
    most_held_per_10000_cards: float | None = None
    most_contacts_a_day: float | None = None


class DayCost(msgspec.Struct, frozen=True, kw_only=True):
    """Expected minor units a day."""

    loss: float
    contacts: float
    agents: float
    insults: float

    @property
    def whole(self) -> float:
        return self.loss + self.contacts + self.agents + self.insults


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """``best``: the place of the suggested point in the curve, None where no point is both within the bands and within the
    hours there are; ``costs``: of each point; ``saved_a_day`` against today, below 0 where today is outside. ``unbounded``:
    the cheapest point within the bands, were there agents enough; None: none is within them. ``agents_for_unbounded``: how
    many that takes; ``outside``: why today's own point is not among those that may be chosen, empty where it is."""

    best: int | None
    costs: list[DayCost]
    saved_a_day: float | None
    unbounded: int | None
    agents_for_unbounded: float | None
    outside: list[str]


def suggest(curve: Curve, costs: Costs, staff: Staff, bands: Bands) -> Suggestion:
    """Raises ValueError for costs, agents or hours below 0, or a day without hours."""
    if min(costs.contact, costs.agent_hour, costs.insult, staff.agents) < 0 or staff.hours_each <= 0:
        raise ValueError("costs and agents are at least 0, and an agent's day has more than 0 hours")
    days = [day_cost(point.side, costs, curve.days) for point in curve.points]
    allowed = [number for number, point in enumerate(curve.points) if not outside(point, bands)]
    able = [number for number in allowed if _enough(curve.points[number], staff)]

    def price(number: int) -> tuple[float, int]:
        return days[number].whole, curve.points[number].side.alerts

    best, unbounded = (min(some, key=price, default=None) for some in (able, allowed))
    today = curve.points[curve.today]
    why = outside(today, bands)
    if not _enough(today, staff):
        why.append("agent_hours_a_day")
    return Suggestion(
        best=best,
        costs=days,
        saved_a_day=None if best is None else days[curve.today].whole - days[best].whole,
        unbounded=unbounded,
        agents_for_unbounded=None
        if unbounded is None
        else curve.points[unbounded].side.agent_hours_a_day / staff.hours_each,
        outside=why,
    )


def day_cost(side: Side, costs: Costs, days: int) -> DayCost:
    """``side``: of so many ``days``."""
    each = 1 / days if days else 0.0
    return DayCost(
        loss=side.expected_loss * each,
        contacts=side.contacts * costs.contact * each,
        agents=side.agent_hours_a_day * costs.agent_hour,
        insults=side.expected_insults * costs.insult * each,
    )


def outside(point: Point, bands: Bands) -> list[str]:
    """Which bands ``point`` does not keep to, by name."""
    side = point.side
    most = {
        "highest_score": point.score,
        "most_alerts_per_10000": side.alerts_per_10000,
        "most_held_per_10000_cards": side.held_per_10000_cards,
        "most_contacts_a_day": side.contacts_a_day,
    }
    found = [name for name, value in most.items() if (edge := getattr(bands, name)) is not None and value > edge]
    return [*(["lowest_score"] if point.score < (bands.lowest_score or 0.0) else []), *found]


def _enough(point: Point, staff: Staff) -> bool:
    return point.side.agent_hours_a_day <= staff.agents * staff.hours_each

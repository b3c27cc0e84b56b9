"""When the stages of a plan fall for a bill: the plan's days and times of day as instants, by the bank's own clock."""

from datetime import date, datetime, time, tzinfo
from typing import Final, NamedTuple

from pipeline.core.contact_hours import Almanac
from pipeline.core.reminder_stages import OnHoliday, ReminderPolicy

MAX_HOLIDAYS: Final = 30
"""Days in a row that a stage is moved over at most: no calendar has more."""
MAX_REMEMBERED: Final = 4_096
"""Due dates whose moments are remembered; bills fall due on a few hundred days."""


class StageMoment(NamedTuple):
    """A stage of a bill: told from ``at_ms`` on, worth nothing from ``until_ms`` on. ``stage``: the number of the plan's
    stage that says how it is told; ``name``: under which it leaves its mark."""

    at_ms: int
    until_ms: int
    stage: int
    name: str


class Timetable:
    """Of one plan. Remembers what it worked out: most bills share their due dates."""

    def __init__(self, policy: ReminderPolicy, almanac: Almanac) -> None:
        zone = almanac.zone(policy.zone)
        if zone is None:
            raise LookupError(f"{policy.name}: there is no time zone {policy.zone!r}: correct zone in the plan")
        self.zone: tzinfo = zone
        self._policy = policy
        self._almanac = almanac
        self._known: dict[tuple[str, int], tuple[StageMoment, ...]] = {}

    def of(self, product: str, due_on: int) -> tuple[StageMoment, ...]:
        """The moments of every stage of ``product`` for a bill due on that day (proleptic ordinal), in time's order."""
        key = (product, due_on)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._moments(product, due_on)
        return found

    def instant(self, day: int, minutes: int = 0) -> int:
        """Unix ms of that minute of a day (proleptic ordinal) by the bank's clock; of one that is skipped, as far behind
        the change as it would have been without it."""
        clock = time(*divmod(minutes, 60))
        return round(datetime.combine(date.fromordinal(day), clock, self.zone).timestamp() * 1000)

    def _moments(self, product: str, due_on: int) -> tuple[StageMoment, ...]:
        """In the plan's order. What a holiday moves does not overtake its neighbours: it comes at the same moment as they
        do, and of the two the later stage is told."""
        numbered = [(number, each) for number, each in enumerate(self._policy.stages) if product in each.products]
        days = [self._moved(due_on + stage.day, stage.on_holiday) for _, stage in numbered]
        ats = [self.instant(day, stage.at_minutes) for day, (_, stage) in zip(days, numbered, strict=True)]
        for k in range(1, len(ats)):
            if numbered[k][1].on_holiday == "before":
                ats[k] = max(ats[k], ats[k - 1])
        for k in range(len(ats) - 2, -1, -1):
            ats[k] = min(ats[k], ats[k + 1])
        return tuple(
            StageMoment(at_ms, self.instant(max(due_on + stage.until_day, day) + 1), number, stage.name)
            for at_ms, day, (number, stage) in zip(ats, days, numbered, strict=True)
        )

    def _moved(self, day: int, on_holiday: OnHoliday) -> int:
        if on_holiday == "keep" or self._policy.calendar is None:
            return day
        step = 1 if on_holiday == "after" else -1
        moved = day
        for _ in range(MAX_HOLIDAYS):
            if self._almanac.holiday(self._policy.calendar, date.fromordinal(moved)) is None:
                return moved
            moved += step
        return day

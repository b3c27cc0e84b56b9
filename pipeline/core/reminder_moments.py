"""When the stages of a plan fall for a bill: the plan's days and times of day as instants, by the bank's own clock."""

from datetime import date, datetime, time, tzinfo
from typing import Final, NamedTuple

from pipeline.core.contact_hours import Almanac
from pipeline.core.reminder_stages import OnHoliday, ReminderPolicy, Stage

MAX_HOLIDAYS: Final = 30
"""Days in a row that a stage is moved over at most: no calendar has more."""
MAX_REMEMBERED: Final = 4_096
"""Due dates whose moments are remembered; bills fall due on a few hundred days."""


class StageMoment(NamedTuple):
    """``stage``: its number in the plan's. Told from ``at_ms`` on, worth nothing from ``until_ms`` on."""

    at_ms: int
    until_ms: int
    stage: int


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
            found = self._known[key] = tuple(sorted(
                self._moment(number, stage, due_on)
                for number, stage in enumerate(self._policy.stages)
                if product in stage.products
            ))  # fmt: skip
        return found

    def instant(self, day: int, minutes: int = 0) -> int:
        """Unix ms of that minute of a day (proleptic ordinal) by the bank's clock; of one that is skipped, as far behind
        the change as it would have been without it."""
        clock = time(*divmod(minutes, 60))
        return round(datetime.combine(date.fromordinal(day), clock, self.zone).timestamp() * 1000)

    def _moment(self, number: int, stage: Stage, due_on: int) -> StageMoment:
        day = self._moved(due_on + stage.day, stage.on_holiday)
        last = max(due_on + stage.until_day, day)
        return StageMoment(self.instant(day, stage.at_minutes), self.instant(last + 1), number)

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

"""The judge's own reading of a profile for reminders and collection, and of the reminders' plan, by plain arithmetic.

Shares no code with the gates and the planner that it judges.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import holidays

from simulated_year.ledger import place
from simulated_year.rules import ALL, WEEK, Cap, Window, _minute, counted

CLASSES = ("reminder", "collection")


class Hours(NamedTuple):
    """``holidays``: closed, open, or the days of the week whose hours count (not judged)."""

    window: Window
    closed_on_holidays: bool


class ClassRules(NamedTuple):
    """Of one class. ``needs``: channel → (consent, whether it has to be given: else it must not be refused)."""

    hours: Sequence[Hours]
    quiet: Mapping[str, str]
    caps: Sequence[Cap]
    protections: frozenset[str]
    needs: Mapping[str, tuple[str, bool]]


class StageRule(NamedTuple):
    """A stage of the plan: worth telling from ``day`` (at ``minutes``) to the end of ``until_day``."""

    name: str
    day: int
    until_day: int
    minutes: int
    class_: str
    on_holiday: str


class PlanRules(NamedTuple):
    """The plan as the judge reads it."""

    zone: str
    calendar: str
    tolerance: int
    grace_days: int
    posting_days: int
    promise_days: int
    stages: Sequence[StageRule]


class ReminderRules(NamedTuple):
    """What a profile says of both classes. ``zones``: of each country."""

    of: Mapping[str, ClassRules]
    zones: Mapping[str, Sequence[str]]

    def zones_of(self, record: Mapping[str, Any]) -> Sequence[str]:
        """Where a customer may be."""
        if _is_zone(record["time_zone"]):
            return [record["time_zone"]]
        every = sorted({zone for zones in self.zones.values() for zone in zones})
        return self.zones.get(record["country"], every)

    def open(self, class_: str, channel: str, record: Mapping[str, Any], at_ms: int) -> bool:
        rules = self.of[class_]
        if channel in rules.quiet and (not rules.quiet[channel] or record["consent"].get(rules.quiet[channel]) is True):
            return True
        return all(self._open_in(rules, channel, zone, record["country"], at_ms) for zone in self.zones_of(record))

    def _open_in(self, rules: ClassRules, channel: str, zone: str, country: str, at_ms: int) -> bool:
        local = datetime.fromtimestamp(at_ms / 1000, place(zone))
        minute = local.hour * 60 + local.minute
        return any(
            hours.window.start <= minute < hours.window.end
            and local.weekday() in hours.window.days
            and not (hours.closed_on_holidays and is_holiday(country, local.date()))
            for hours in rules.hours
            if channel in hours.window.channels
        )

    def consents(self, class_: str, channel: str, record: Mapping[str, Any]) -> bool:
        if channel not in self.of[class_].needs:
            return True
        name, asked = self.of[class_].needs[channel]
        given = record["consent"].get(name)
        return given is True if asked else given is not False


@cache
def _is_zone(name: str | None) -> bool:
    try:
        return name is not None and bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False


@cache
def _calendar(country: str) -> Mapping[date, str]:
    try:
        return holidays.country_holidays(country)
    except NotImplementedError:
        return {}


def is_holiday(country: str, day: date) -> bool:
    return day in _calendar(country)


def too_many(cap: Cap, moments_ms: Sequence[int], zone: str, at_ms: int) -> bool:
    return counted(cap, moments_ms, zone, at_ms) > cap.limit


def read_reminder_rules(path: Path) -> ReminderRules:
    """From a file of ``config/contact``."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return ReminderRules({class_: _of_class(found, class_) for class_ in CLASSES}, found["zones"])


def _of_class(found: Mapping[str, Any], class_: str) -> ClassRules:
    def rules(table: str) -> list[dict[str, Any]]:
        return [rule for rule in found.get(table, []) if class_ in rule["classes"]]

    hours = []
    for rule in rules("window"):
        days = [WEEK.index(day) for day in rule.get("days", WEEK)]
        window = Window(_minute(rule["start"]), _minute(rule["end"]), rule.get("channels", ALL), days)
        hours.append(Hours(window, rule.get("holidays", "open") == "closed"))
    caps = []
    for rule in rules("cap"):
        kinds = [channel for channel in ALL if ("dial" if channel == "voice" else "message") in rule["counts"]]
        channels = [channel for channel in kinds if channel in rule.get("channels", ALL)]
        if channels:  # what counts talks only is judged by its dials, which are never fewer
            per_event = rule.get("per") == "event"
            caps.append(Cap(rule["limit"], rule["days"], per_event, rule.get("of", "customer"), channels))
    needs = {
        channel: (rule["needs"], rule.get("basis") != "not_refused")
        for rule in rules("consent")
        for channel in rule.get("channels", ALL)
    }
    quiet = {channel: rule.get("consent", "") for rule in reversed(rules("quiet")) for channel in rule["channels"]}
    protections = frozenset(name for rule in rules("protection") for name in rule["names"])
    return ClassRules(hours, quiet, caps, protections, needs)


def read_plan_rules(text: str) -> PlanRules:
    """From the text of a plan whose products have the same terms."""
    found = tomllib.loads(text)
    card = found["product"][0]
    stages = [
        StageRule(
            one["name"], one["day"], one["until_day"], _minute(one.get("at", "10:00")), one["class"],
            one.get("on_holiday", "keep"),
        )
        for one in found["stage"]
    ]  # fmt: skip
    return PlanRules(
        found["zone"], found["calendar"], card["tolerance"], card["grace_days"], card["posting_grace_days"],
        found["promise"]["days"], sorted(stages, key=lambda stage: stage.day),
    )  # fmt: skip


def moved(plan: PlanRules, day: date, on_holiday: str) -> date:
    """The day on which a stage is told, if its own is a holiday."""
    if on_holiday == "keep":
        return day
    while is_holiday(plan.calendar, day):
        day += timedelta(days=1 if on_holiday == "after" else -1)
    return day

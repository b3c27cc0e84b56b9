"""The judge's own reading of a profile: hours, caps, STOP and protections of fraud questions, by plain arithmetic.

Shares no code with the gates that it judges.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

ALL = ["voice", "sms", "email", "push", "wechat", "webhook"]
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ZONES = available_timezones()


class Window(NamedTuple):
    """Minutes of the day; ``days``: numbers, Monday 0."""

    start: int
    end: int
    channels: Sequence[str]
    days: Sequence[int]


class Cap(NamedTuple):
    """``per_event``: of one conversation only; ``of``: customer or number."""

    limit: int
    days: int
    per_event: bool
    of: str
    channels: Sequence[str]


class Rules(NamedTuple):
    """What a profile says about fraud questions. ``quiet``: channel → the consent it needs at any hour, "" for none;
    ``answer_s``: how long a text's answer is awaited."""

    windows: Sequence[Window]
    quiet: Mapping[str, str]
    caps: Sequence[Cap]
    protections: frozenset[str]
    zones: Mapping[str, Sequence[str]]
    fresh_days: int
    silence_releases: bool
    answer_s: float

    def open(self, channel: str, zones: Sequence[str], consent: Mapping[str, bool], at_ms: int) -> bool:
        """Whether ``channel`` may be used then, wherever of ``zones`` the customer is."""
        if channel in self.quiet and (not self.quiet[channel] or consent.get(self.quiet[channel]) is True):
            return True
        return all(self._open_in(channel, zone, at_ms) for zone in zones)

    def _open_in(self, channel: str, zone: str, at_ms: int) -> bool:
        local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        return any(
            window.start <= minute < window.end and local.weekday() in window.days
            for window in self.windows
            if channel in window.channels
        )

    def zones_of(self, record: Mapping[str, Any]) -> Sequence[str]:
        """Where a customer may be."""
        if record["time_zone"] in ZONES:
            return [record["time_zone"]]
        every = sorted({zone for zones in self.zones.values() for zone in zones})
        return self.zones.get(record["country"], every)


def local_day(zone: str, at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()


def counted(cap: Cap, moments_ms: Sequence[int], zone: str, at_ms: int) -> int:
    """How many of ``moments_ms`` up to ``at_ms`` fall into the cap's days, ending with the day of ``at_ms``."""
    today = local_day(zone, at_ms)
    first = today - timedelta(days=cap.days - 1)
    return sum(1 for moment in moments_ms if moment <= at_ms and first <= local_day(zone, moment) <= today)


def read_rules(path: Path) -> Rules:
    """From a file of ``config/contact``. Raises ValueError for a kind of rule that this judge cannot judge."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))

    def fraud(table: str) -> list[dict[str, Any]]:
        return [rule for rule in found.get(table, []) if "fraud" in rule["classes"]]

    if fraud("preferred_hours") or fraud("cool_down") or fraud("consent"):
        raise ValueError(f"{path}: the judge knows no preferred hours, cool-downs or consents of fraud questions")
    windows = []
    for rule in fraud("window"):
        if rule.get("holidays", "open") != "open":
            raise ValueError(f"{path}: the judge knows no holidays")
        days = [WEEK.index(day) for day in rule.get("days", WEEK)]
        windows.append(Window(_minute(rule["start"]), _minute(rule["end"]), rule.get("channels", ALL), days))
    caps = []
    for rule in fraud("cap"):
        if not set(rule["counts"]) <= {"dial", "message"}:
            raise ValueError(f"{path}: the judge counts dials and messages only")
        kinds = [channel for channel in ALL if ("dial" if channel == "voice" else "message") in rule["counts"]]
        channels = [channel for channel in kinds if channel in rule.get("channels", ALL)]
        per_event = rule.get("per") == "event"
        caps.append(Cap(rule["limit"], rule["days"], per_event, rule.get("of", "customer"), channels))
    return Rules(
        windows=windows,
        quiet={channel: rule.get("consent", "") for rule in reversed(fraud("quiet")) for channel in rule["channels"]},
        caps=caps,
        protections=frozenset(name for rule in fraud("protection") for name in rule["names"]),
        zones=found["zones"],
        fresh_days=found["fresh_number"]["days"],
        silence_releases=any(rule["then"] == "release" for rule in fraud("silence")),
        answer_s=max(rung.get("wait_s", 0.0) for rung in found["ladder"] if "fraud" in rung.get("classes", ("fraud",))),
    )


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)

"""The profiles that come with the product, a customer, and an independent reading of windows and caps: straight from the
TOML tables, by the wall clock, without the product's own parser or arithmetic."""

import os
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from pipeline.adapters.almanac import world_almanac
from pipeline.core.contact_history import Entry
from pipeline.core.contact_policy import ContactPolicy
from pipeline.core.contact_profile import parse_contact_policy
from pipeline.core.records import Customer, Phone

CONFIG = Path(__file__).parents[2] / "config" / "contact"
PROFILES = {"cn": "CN", "us": "US", "uk": "GB", "eu": "DE", "in": "IN"}
CHANNELS = ("voice", "sms", "email", "push", "wechat", "webhook")
ZONES = (
    "Asia/Shanghai", "America/New_York", "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe",
    "America/Santiago", "Africa/Cairo", "Africa/Casablanca", "America/Havana", "Asia/Kathmandu", "Pacific/Apia",
    "Pacific/Honolulu", "Atlantic/Azores", "Nowhere/Else", None,
)  # fmt: skip
PROOF = 20 if os.environ.get("CARDWATCH_PROOF") else 1
"""By how much more the properties are tried when asked to."""
MOBILE, HOME = "+8613900000001", "+8613900000002"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


YEAR_MS = ms("2026-01-01")
ALMANAC = world_almanac()


@cache
def policy_of(name: str) -> ContactPolicy:
    return parse_contact_policy(
        (CONFIG / f"{name}.toml").read_text(encoding="utf-8"), f"{name}.toml", ALMANAC, ("ladder",)
    )


@cache
def tables_of(name: str) -> dict[str, Any]:
    return tomllib.loads((CONFIG / f"{name}.toml").read_text(encoding="utf-8"))


def customer_of(country: str | None = "CN", time_zone: str | None = None, **more: Any) -> Customer:
    facts: dict[str, Any] = {
        "phones": [Phone(HOME, "home"), Phone(MOBILE)],
        "email": "a@example.com",
        "app_id": "app",
        "wechat_id": "wx",
        "consent": {"automated_calls": True, "marketing": True},
    }
    return Customer(customer="c1", country=country, time_zone=time_zone, **facts | more)


@cache
def clock_changes(name: str) -> tuple[int, ...]:
    """The hours of 2026 in which the zone's offset changes, in unix milliseconds."""
    zone = ZoneInfo(name)
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(365 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return tuple(round(hours[at].timestamp() * 1000) for at in range(1, len(hours)) if offsets[at] != offsets[at - 1])


def zones_of(profile: str, customer: Customer) -> list[ZoneInfo]:
    if customer.time_zone and customer.time_zone != "Nowhere/Else":
        return [ZoneInfo(customer.time_zone)]
    zones = tables_of(profile)["zones"]
    every = [name for names in zones.values() for name in names]
    return [ZoneInfo(name) for name in zones.get(customer.country, every)]


@cache
def _closed(calendar: str, day: date) -> bool:
    return day in holidays.country_holidays(calendar)


def in_window(profile: str, class_: str, channel: str, customer: Customer, moment_ms: int) -> bool:
    """Whether the tables let this class use the channel then, in every zone the customer may be in."""
    tables = tables_of(profile)
    for rule in tables.get("quiet", []):
        wanted = rule.get("consent")
        if class_ in rule["classes"] and channel in rule["channels"] and (not wanted or customer.consent.get(wanted)):
            return True
    calendars = tables.get("holidays", {})
    calendar = [calendars[customer.country]] if customer.country in calendars else list(calendars.values())
    for zone in zones_of(profile, customer):
        now = datetime.fromtimestamp(moment_ms / 1000, zone)
        if not any(
            class_ in rule["classes"]
            and channel in rule.get("channels", CHANNELS)
            and rule["start"] <= f"{now:%H:%M}" < rule["end"]
            and f"{now:%a}".lower() in rule.get("days", [f"{now:%a}".lower()])
            and not (rule.get("holidays") == "closed" and any(_closed(name, now.date()) for name in calendar))
            for rule in tables["window"]
        ):
            return False
    return True


def caps_broken(profile: str, customer: Customer, entries: Sequence[tuple[str, Entry]]) -> list[str]:
    """The caps that these contacts (each with the address it went to) exceed, counted naively on the calendar."""
    broken = []
    for cap in tables_of(profile)["cap"]:
        for zone in zones_of(profile, customer):
            counted: dict[tuple[str, str], list[int]] = {}
            for to, entry in entries:
                channels = cap.get("channels", CHANNELS)
                if entry.class_ in cap["classes"] and entry.channel in channels and entry.kind in cap["counts"]:
                    of = to if cap.get("of") == "number" else ""
                    event = entry.event if cap.get("per") == "event" else ""
                    day = datetime.fromtimestamp(entry.time_ms / 1000, zone).date().toordinal()
                    counted.setdefault((of, event), []).append(day)
            for days in counted.values():
                most = max(sum(day <= each < day + cap["days"] for each in days) for day in days)
                if most > cap["limit"]:
                    broken.append(f"{most} of {cap['limit']}: {cap['source']}")
    return broken

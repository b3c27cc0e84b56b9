"""What a customer's record says that the gates ask: where they may be, what protects them, which ways lead to them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, get_args

from pipeline.core import contact_policy
from pipeline.core.contact_hours import DAY_MS, Place
from pipeline.core.contact_policy import ContactPolicy
from pipeline.core.records import Customer

PHONE_KINDS = ("mobile", "home", "work")
"""The order in which numbers are called; others come last."""
PROTECTIONS = frozenset(get_args(contact_policy.Protection))
FRESH_NUMBER_DAYS = 30


class Protected(NamedTuple):
    """``until_ms`` None: until the record says otherwise."""

    name: str
    until_ms: int | None = None


def place_of(policy: ContactPolicy, customer: Customer) -> Place:
    """The customer's zone; unknown, all zones of their country; that unknown too, all of the profile. Holidays: the
    calendar of their country; of a country the profile does not know, all its calendars."""
    own = policy.almanac.zone(customer.time_zone) if customer.time_zone else None
    every = dict.fromkeys(name for names in policy.zones.values() for name in names)
    names = policy.zones.get(customer.country or "", tuple(every))
    zones = (own,) if own else tuple(zone for name in names if (zone := policy.almanac.zone(name)))
    calendars = tuple(policy.calendars.values())
    if customer.country and (customer.country in policy.calendars or customer.country in policy.zones):
        calendars = (policy.calendars[customer.country],) if customer.country in policy.calendars else ()
    return Place(zones, calendars, policy.almanac.holiday)


def protections_of(customer: Customer) -> list[Protected]:
    """``protections`` of a record: a name, {name: {"until": …}}, {name: until} or {"name": …, "until": …}. What can't
    be read, or has another name, is a protection called unknown: nobody is contacted because of a spelling."""
    return [_protected(given) for given in customer.protections]


def _protected(given: Any) -> Protected:
    until: Any = None
    if isinstance(given, dict) and isinstance(given.get("name"), str):
        given, until = given["name"], given.get("until")
    elif isinstance(given, dict) and len(given) == 1:
        ((given, until),) = given.items()
        until = until.get("until") if isinstance(until, dict) else until
    if not isinstance(given, str) or given not in PROTECTIONS:
        return Protected("unknown")
    return Protected(given, moment_ms(until) if isinstance(until, str) else None)


def ways_to(customer: Customer, rung: str) -> Iterator[str]:
    """The addresses a rung of the ladder leads to: ``sms``, ``voice``, or ``voice:home`` for numbers of that kind."""
    channel, _, kind = rung.partition(":")
    if channel in ("voice", "sms"):
        wanted = kind or ("mobile" if channel == "sms" else "")
        phones = [phone for phone in customer.phones if not wanted or phone.kind == wanted]
        order = {name: place for place, name in enumerate(PHONE_KINDS)}
        yield from (each.number for each in sorted(phones, key=lambda phone: order.get(phone.kind, len(order))))
        return
    addresses: Mapping[str, str | None] = {
        "email": customer.email, "push": customer.app_id, "wechat": customer.wechat_id, "webhook": customer.customer
    }  # fmt: skip
    if address := addresses.get(channel):
        yield address


def fresh_number(customer: Customer, number: str, now_ms: int, days: int = FRESH_NUMBER_DAYS) -> bool:
    """Whether the bank has known this number of the customer for less than ``days`` (a policy's ``fresh_number.days``),
    so that whoever answers there can't release a hold. True also of a number that is not the customer's and of a
    ``since`` that can't be read; False where none is given."""
    phone = next((phone for phone in customer.phones if phone.number == number), None)
    if phone is None or phone.since is None:
        return phone is None
    since_ms = moment_ms(phone.since)
    return since_ms is None or now_ms - since_ms < days * DAY_MS


def moment_ms(text: str) -> int | None:
    """An RFC 3339 moment (without a zone: UTC), or the end of a date anywhere on earth, in unix milliseconds; None if
    it is neither."""
    try:
        if len(text) == 10:
            over = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp() * 1000
            return round(over) + DAY_MS + DAY_MS // 2  # a date ends last at UTC-12
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

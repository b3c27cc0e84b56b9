"""Reading a contact profile: from the tables of a TOML text to a `ContactPolicy`; every complaint names its line.

Beside the tables of the policy a profile holds, at its top, the times of the cascade; those, and the tables named in
``others``, have readers of their own and are passed over here.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import NoReturn, TypeVar

import msgspec

from pipeline.core.contact_hours import Almanac, Place, clock_minutes, next_open
from pipeline.core.contact_policy import (
    MAX_RULES,
    CapRule,
    ChannelRule,
    ClassRule,
    ClassRules,
    ConsentRule,
    ContactPolicy,
    CoolDownRule,
    FreshNumber,
    PreferredRule,
    ProtectionRule,
    QuietRule,
    Rule,
    SilenceRule,
    StopRule,
    WindowRule,
)
from pipeline.core.toml_text import FileError, TomlText

MAX_FILE_CHARACTERS = 200_000
KINDS: Mapping[str, type[Rule]] = {
    "class": ClassRule, "window": WindowRule, "quiet": QuietRule, "preferred_hours": PreferredRule, "cap": CapRule,
    "cool_down": CoolDownRule, "consent": ConsentRule, "protection": ProtectionRule, "channel": ChannelRule,
    "stop": StopRule, "silence": SilenceRule,
}  # fmt: skip
"""What is written as ``[[name]]``, and the type that tells what stands in it."""
TABLES = ("profile", "zones", "holidays", "fresh_number")
_A_WINTER_AND_A_SUMMER_MONDAY_MS = (1_767_571_200_000, 1_783_296_000_000)  # 2026-01-05 and 2026-07-06, 00:00 UTC
_SOON_MS = 14 * 86_400_000
_COUNTRY = re.compile(r"[A-Z]{2}")
_R = TypeVar("_R", bound=Rule)
_T = TypeVar("_T")


class ContactPolicyError(FileError):
    """Why a contact profile is refused: ``file:line: what is wrong, what to do``."""


class _Profile(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    signed_by: str = ""


def parse_contact_policy(text: str, filename: str, almanac: Almanac, others: Collection[str] = ()) -> ContactPolicy:
    """Read a profile. ``others``: further tables it may hold, not read here. Raises `ContactPolicyError`, and nothing
    else, whatever the text."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise ContactPolicyError(
            f"{filename}:1: {len(text)} characters; a contact profile has at most {MAX_FILE_CHARACTERS}"
        )
    return _Reader(TomlText(text, filename, ContactPolicyError), almanac, others).policy()


class _Reader:
    def __init__(self, file: TomlText, almanac: Almanac, others: Collection[str]) -> None:
        self._file = file
        self._almanac = almanac
        self._others = others
        self._read: dict[str, list[tuple[int, Rule]]] = {}

    def policy(self) -> ContactPolicy:
        for key, value in self._file.data.items():
            if isinstance(value, (dict, list)) and key not in (*KINDS, *TABLES, *self._others):
                self._file.fail(f"unknown table {key!r}: a contact profile has {', '.join((*TABLES, *KINDS))}",
                                max(self._header(key), self._file.table(key, 0)))  # fmt: skip
        profile = self._table("profile", _Profile)
        fresh = self._table("fresh_number", FreshNumber)
        zones, calendars = self._zones(), self._calendars()
        self._read = {name: self._rules(name, kind) for name, kind in KINDS.items()}
        self._check_windows()
        self._check_each()
        named = {name for _, rule in self._read["class"] for name in rule.classes}
        if not named:
            self._file.fail("no [[class]]: a profile in which nobody may be contacted; name the classes that may")
        classes: dict[str, ClassRules] = {name: self._class(name) for name in sorted(named)}
        digest = hashlib.sha256(self._file.text.encode()).hexdigest()
        policy = ContactPolicy(
            name=profile.name,
            version=f"{profile.name}@{digest[:12]}",
            signed_by=profile.signed_by,
            classes=classes,
            stops=tuple(rule for _, rule in self._read["stop"] if isinstance(rule, StopRule)),
            zones=zones,
            calendars=calendars,
            fresh_number=fresh,
            almanac=self._almanac,
        )
        self._check_it_opens(policy)
        return policy

    def _header(self, name: str) -> int:
        """The line of ``[name]``; 1 if it was written in another form."""
        header = re.compile(rf"^[ \t]*\[[ \t]*{re.escape(name)}[ \t]*\]", re.MULTILINE)
        found = header.search(self._file.text)
        return self._file.text.count("\n", 0, found.start()) + 1 if found else 1

    def _table(self, name: str, kind: type[_T]) -> _T:
        if name not in self._file.data:
            self._file.fail(f"[{name}] is missing")
        return self._converted(self._file.data[name], kind, f"[{name}]", self._header(name))

    def _rules(self, name: str, kind: type[_R]) -> list[tuple[int, _R]]:
        given = self._file.data.get(name, [])
        if not isinstance(given, list):
            self._file.fail(f"{name} is a list of tables: begin each with [[{name}]]", self._header(name))
        if len(given) > MAX_RULES:
            place = self._file.table(name, MAX_RULES)
            self._file.fail(f"{len(given)} [[{name}]] tables; a profile has at most {MAX_RULES}", place)
        lines = [self._file.table(name, index) for index in range(len(given))]
        return [
            (line, self._converted(table, kind, f"[[{name}]]", line)) for line, table in zip(lines, given, strict=True)
        ]

    def _converted(self, table: object, kind: type[_T], what: str, line: int) -> _T:
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            named = re.search(r"at `\$\.(\w+)", str(error)) or re.search(r"unknown field `(\w+)`", str(error))
            plain = re.sub(r" - at `\$\.?([\w\[\].]*)`", lambda at: f" ({at[1]})" if at[1] else "", str(error))
            self._file.fail(f"{what}: {plain.replace('`', '')}", self._file.key(named[1], line) if named else line)

    def _zones(self) -> Mapping[str, tuple[str, ...]]:
        zones = self._table("zones", dict[str, tuple[str, ...]])
        line = self._header("zones")
        if not zones:
            self._file.fail('[zones] is empty: give each country its time zones, as in GB = ["Europe/London"]', line)
        for country, names in zones.items():
            place = self._file.key(country, line)
            if not _COUNTRY.fullmatch(country) or not names:
                self._file.fail(f"[zones]: {country!r} must be an ISO 3166 country and have a zone at least", place)
            for name in names:
                if self._almanac.zone(name) is None:
                    self._file.fail(f"[zones]: there is no time zone {name!r}", place)
        return zones

    def _calendars(self) -> Mapping[str, str]:
        if "holidays" not in self._file.data:
            return {}
        calendars = self._table("holidays", dict[str, str])
        for country, name in calendars.items():
            if not _COUNTRY.fullmatch(country) or not self._almanac.calendar(name):
                place = self._file.key(country, self._header("holidays"))
                self._file.fail(f"[holidays]: {country} = {name!r}: there is no such calendar", place)
        return calendars

    def _check_windows(self) -> None:
        for line, rule in self._read["window"]:
            assert isinstance(rule, WindowRule)
            for key, text in (("start", rule.start), ("end", rule.end)):
                if clock_minutes(text) is None:
                    self._file.fail(f"{key} = {text!r}: a time from 00:00 to 24:00", self._file.key(key, line))
            if rule.start >= rule.end:
                self._file.fail(f"the window ends at {rule.end}, before it starts; write one that runs over midnight "
                                "as two", self._file.key("end", line))  # fmt: skip
            if rule.holidays == "closed" and not self._file.data.get("holidays"):
                self._file.fail("holidays = closed needs a [holidays] table", self._file.key("holidays", line))

    def _check_each(self) -> None:
        for line, rule in [each for rules in self._read.values() for each in rules]:
            if isinstance(rule, ChannelRule) and rule.sender and not rule.sender.startswith(rule.begins):
                place = self._file.key("sender", line)
                self._file.fail(f"sender {rule.sender!r} does not begin with {rule.begins}", place)
            if isinstance(rule, ChannelRule) and rule.begins and not rule.sender:
                self._file.fail(f"a sender is needed that begins with {rule.begins}", line)
            if isinstance(rule, CapRule) and not any(map(rule.binds, rule.channels)):
                self._file.fail("nothing on these channels is counted: a call is a dial and may be effective, anything "
                                "else is a message", self._file.key("counts", line))  # fmt: skip

    def _class(self, name: str) -> ClassRules:
        def of(table: str, kind: type[_R]) -> tuple[_R, ...]:
            return tuple(rule for _, rule in self._read[table] if isinstance(rule, kind) and name in rule.classes)

        basis = of("class", ClassRule)
        rules = ClassRules(
            basis[0], of("window", WindowRule), of("quiet", QuietRule), of("preferred_hours", PreferredRule),
            of("cap", CapRule), of("cool_down", CoolDownRule), of("consent", ConsentRule),
            of("protection", ProtectionRule), of("channel", ChannelRule), of("silence", SilenceRule),
        )  # fmt: skip
        if len(basis) > 1:
            self._of_class(name, "class", "is named by two [[class]] tables; keep one")
        given = [channel for rule in rules.channels for channel in rule.channels]
        if not given or len(given) > len(set(given)):
            self._of_class(name, "channel", "needs each of its channels in just one [[channel]]")
        for channel in given:
            if not rules.windows_of(channel):
                self._of_class(name, "class", f"has no [[window]] for {channel}; 00:00 to 24:00 stands for any hour")
        bounds = [rule.below_score is not None or rule.below_amount is not None for rule in rules.silences]
        if not bounds or bounds[-1] or not all(bounds[:-1]):
            self._of_class(name, "silence", "needs a last [[silence]] without bounds, and bounds in those before it")
        if not any(name in rule.classes for _, rule in self._read["stop"]):
            self._of_class(name, "class", "has no [[stop]]: say what a STOP given to it stops")
        return rules

    def _of_class(self, name: str, table: str, what: str) -> NoReturn:
        lines = [line for line, rule in self._read[table] if name in rule.classes]
        self._file.fail(f"class {name} {what}", max(lines, default=1))

    def _check_it_opens(self, policy: ContactPolicy) -> None:
        """A customer of unknown zone is contacted in the hours common to all zones of the country, or of all countries:
        there must be some."""
        every = tuple(zone for zones in policy.zones.values() for zone in zones)
        of_hours = {
            tuple(window.hours for window in rules.windows_of(channel)): (name, channel)
            for name, rules in policy.classes.items()
            for rule in rules.channels
            for channel in rule.channels
        }
        for country, names in [*policy.zones.items(), ("any country", every)]:
            zones = tuple(zone for name in names if (zone := self._almanac.zone(name)))
            place = Place(zones, (), policy.almanac.holiday)
            for hours, (name, channel) in of_hours.items():
                for monday_ms in _A_WINTER_AND_A_SUMMER_MONDAY_MS:
                    opening = next_open(hours, place, monday_ms)
                    if opening is None or opening > monday_ms + _SOON_MS:
                        self._of_class(name, "window", f"never opens on {channel} for a customer in {country} whose time "
                                       "zone is not known")  # fmt: skip

"""The words of a call: templates as data, checked when they are read, filled with as little as will do.

A template may name only the placeholders its place allows; the voicemail text may name the bank and nothing else,
because anyone may hear it. Customers read card, amount and merchant in the question itself, which the bank asks of the
number it knows; a key press proves no identity, so nothing else is said.
"""

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.core.conversation import Alert

ALLOWED: Mapping[str, frozenset[str]] = {
    "ask_one": frozenset({"bank", "card", "amount", "merchant"}),
    "ask_many": frozenset({"bank", "card", "amount", "merchant", "count"}),
    "voicemail": frozenset({"bank"}),
    "thanks_yes": frozenset({"bank"}),
    "thanks_no": frozenset({"bank"}),
    "card": frozenset({"last4"}),
    "card_unknown": frozenset(),
    "amount": frozenset({"value", "unit"}),
    "amount_unknown": frozenset(),
    "merchant_unknown": frozenset(),
}
"""Every template of ``calls.toml`` and what it may name."""

MERCHANT_LENGTH = 24
EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Decimal places of a currency where they are not two (ISO 4217, list one)."""


class TemplateError(ValueError):
    """``file:line: reason``."""


class CallText(NamedTuple):
    """One language's templates. ``units``: what a currency is called, its code where none is given."""

    language: str
    templates: Mapping[str, str]
    units: Mapping[str, str]

    def question(self, bank: str, last4: str | None, alerts: Sequence[Alert]) -> str:
        """What is said to the person who picks up: about the one alert, or the number of them and the largest."""
        first = max(alerts, key=lambda alert: alert.amount or 0)
        name = "ask_one" if len(alerts) == 1 else "ask_many"
        return self.templates[name].format(
            bank=bank,
            card=self.templates["card"].format(last4=last4) if last4 else self.templates["card_unknown"],
            amount=self._amount(first),
            merchant=short_merchant(first.merchant) or self.templates["merchant_unknown"],
            count=len(alerts),
        )

    def plain(self, name: str, bank: str) -> str:
        """A text that carries the bank's name only."""
        return self.templates[name].format(bank=bank)

    def _amount(self, alert: Alert) -> str:
        if alert.amount is None or alert.currency is None:
            return self.templates["amount_unknown"]
        value = decimal(alert.amount, alert.currency)
        return self.templates["amount"].format(value=value, unit=self.units.get(alert.currency, alert.currency))


def decimal(amount: int, currency: str) -> str:
    """Minor units as a decimal number with thousands separators: 123450 CNY → 1,234.50."""
    places = EXPONENTS.get(currency, 2)
    if places == 0:
        return f"{amount:,}"
    whole, part = divmod(amount, 10**places)
    return f"{whole:,}.{part:0{places}d}"


def short_merchant(name: str | None) -> str:
    """A merchant's name as one would say it: no digits runs, no codes, at most 24 characters. (Long digits are also how
    a card number would come in.)"""
    words = re.sub(r"\d{4,}|[^\w\s&'.-]", " ", name or "").split()
    return " ".join(words)[:MERCHANT_LENGTH].strip()


def read_call_text(text: str, language: str, where: str) -> CallText:
    """The templates in ``text``, a ``calls.toml``. Raises TemplateError naming file and line."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise TemplateError(f"{where}:{line.group(1) if line else 1}: not TOML: {error}") from error
    units = found.pop("units", {})
    for name in found.keys() - ALLOWED.keys():
        raise TemplateError(f"{where}:{_line(text, name)}: there is no call text named {name!r}")
    for name in ALLOWED.keys() - found.keys():
        raise TemplateError(f"{where}:1: the call text {name!r} is missing")
    if not isinstance(units, dict) or not all(isinstance(unit, str) for unit in units.values()):
        raise TemplateError(f"{where}:{_line(text, 'units')}: [units] maps currency codes to words")
    for name, template in found.items():
        if not isinstance(template, str) or not template.strip():
            raise TemplateError(f"{where}:{_line(text, name)}: {name} must be a text")
        _check(template, ALLOWED[name], f"{where}:{_line(text, name)}: {name}")
    return CallText(language, found, units)


def _check(template: str, allowed: frozenset[str], where: str) -> None:
    try:
        fields = [(field, spec, conversion) for _, field, spec, conversion in string.Formatter().parse(template)]
    except ValueError as error:
        raise TemplateError(f"{where}: {error}") from error
    for field, spec, conversion in fields:
        if field is None:
            continue
        if field not in allowed:
            names = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "no placeholder"
            raise TemplateError(f"{where} may not name {{{field}}}: allowed here: {names}")
        if spec or conversion:
            raise TemplateError(f"{where}: {{{field}}} takes no format")


def _line(text: str, name: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf'\s*\[?"?{re.escape(name)}"?\s*[=\]]', line):
            return number
    return 1


def choose_language(wanted: str, present: Sequence[str], fallback: str = "en") -> str:
    """Of the languages present, the one wanted (BCP 47), else one with its primary subtag, else ``fallback``."""
    folded = wanted.casefold()
    primary = folded.split("-")[0]
    by_fold = {language.casefold(): language for language in present}
    if folded in by_fold:
        return by_fold[folded]
    return next((by_fold[name] for name in sorted(by_fold) if name.split("-")[0] == primary), fallback)

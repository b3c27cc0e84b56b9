"""What a message may be told, and how each fact is said: money, dates, card and merchant by the language's own forms.

A fact has one kind, and its kind alone decides how it is said. So templates need no filters, and none can print an
amount in cents, a whole card number or a merchant's terminal codes.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import NamedTuple

from pipeline.core.messages import decimal, short_merchant

Plain = int | str | date
"""A fact that has been looked at: minor units or a number, a text, a day, a moment (datetime)."""

LENGTHS: Mapping[str, int] = {"bank": 30, "name": 40, "offer": 300}
"""Texts given from outside, and the most characters each may have."""

CODE_WORDS = re.compile(
    r"(?<![A-Za-z])(?:CV[VCN]2?|PINs?|OTP|pass-?(?:code|word)s?|one[- ]time (?:code|pass)\w*|"
    r"(?:security|verification|access|authori[sz]ation) codes?|expir(?:y|ation)(?: date)?)(?![A-Za-z])"
    r"|验证码|校验码|动态码|安全码|密码|口令|有效期",
    re.IGNORECASE,
)
"""What only a thief asks for. No message of ours holds these words, so none can be taken for such a request."""


class TextRefused(ValueError):
    """A message that must not be sent, with the reason; whoever wanted it sent hands the matter to people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Locale(NamedTuple):
    """How a language writes. ``money``: of {value} and {unit}; ``day``: of {day} and {month}; ``moment``: of these and
    {time}; ``months``: twelve names; ``units``: what a currency is called, its code where none is given."""

    money: str
    day: str
    moment: str
    months: tuple[str, ...]
    units: Mapping[str, str]

    def say_money(self, amount: int, currency: str) -> str:
        """Minor units in words: 123450 CNY → CNY 1,234.50, 1,234.50元."""
        return self.money.format(value=decimal(amount, currency), unit=self.units.get(currency, currency))

    def say_date(self, value: date) -> str:
        """A day, or a moment with its hour, as its own clock has it: 23 Nov 14:05, 11月23日 14:05."""
        month = self.months[value.month - 1]
        if isinstance(value, datetime):
            return self.moment.format(day=value.day, month=month, time=f"{value:%H:%M}")
        return self.day.format(day=value.day, month=month)


def merchant_name(name: str, length: int | None = None) -> str:
    """A merchant's name as a message may carry it (`short_merchant`), with no dot a telephone would make a link of
    (AMAZON.COM → AMAZON COM), without the words of `CODE_WORDS`; cut to ``length`` characters."""
    known = short_merchant(unicodedata.normalize("NFKC", name))
    words = CODE_WORDS.sub(" ", re.sub(r"(?<=\w)\.(?=\w)", " ", known)).split()
    return " ".join(words)[:length].strip(" .&'-")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TextRefused(f"{name} must be a text")
    text = " ".join(value.split())
    if len(text) > LENGTHS[name]:
        raise TextRefused(f"{name} is longer than {LENGTHS[name]} characters")
    return text if name == "offer" else re.sub(r"(?<=\w)\.(?=\w)", ". ", text)  # Dr.Lee is no link


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TextRefused(f"{name} must be a whole number, not below zero")
    return value


def _last4(name: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}", value):
        raise TextRefused(f"{name} must be the card's last four digits")
    return value


def _currency(name: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3}", value):
        raise TextRefused(f"{name} must be a currency's three letters")
    return value


def _merchant(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TextRefused(f"{name} must be a text")
    return merchant_name(value)


def _moment(name: str, value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        raise TextRefused(f"{name} must be a moment, such as 2026-11-23T14:05:00+08:00")
    return value


def _day(name: str, value: object) -> date:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TextRefused(f"{name} must be a day, such as 2026-11-23")
    return value


MONEY = frozenset({"amount", "minimum", "balance", "limit"})
"""In minor units of the fact ``currency``."""

KINDS: Mapping[str, Callable[[str, object], Plain]] = {
    **dict.fromkeys(LENGTHS, _text),
    **dict.fromkeys(MONEY, _number),
    **dict.fromkeys(("count", "days"), _number),
    "currency": _currency,
    "last4": _last4,
    "merchant": _merchant,
    "time": _moment,
    "due": _day,
}
"""Every fact there is. ``time`` and ``due`` are by the customer's own clock: whoever gives them has changed the zone."""


def plain_facts(facts: Mapping[str, object]) -> dict[str, Plain]:
    """The facts we know, each looked at; those that are None or empty, and names unknown here, are left out. Raises
    TextRefused naming a fact that is not what it should be (never its value)."""
    plain = {
        name: KINDS[name](name, value) for name, value in facts.items() if name in KINDS and value not in (None, "")
    }
    return {name: value for name, value in plain.items() if value != ""}


def say_facts(plain: Mapping[str, Plain], locale: Locale) -> dict[str, str]:
    """Each fact in words. An amount without a currency is not known."""
    said = {}
    currency = plain.get("currency")
    for name, value in plain.items():
        if name in MONEY and isinstance(value, int):
            if isinstance(currency, str):
                said[name] = locale.say_money(value, currency)
        elif isinstance(value, date):
            said[name] = locale.say_date(value)
        elif name != "currency":
            said[name] = str(value)
    return said

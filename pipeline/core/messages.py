"""What every text to a customer is made of: amounts, merchants' names, the choice of a language."""

import re
from collections.abc import Mapping, Sequence

MERCHANT_LENGTH = 24
EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Decimal places of a currency where they are not two (ISO 4217, list one)."""


class TemplateError(ValueError):
    """``file:line: reason``."""


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


def choose_language(wanted: str, present: Sequence[str], fallback: str = "en") -> str:
    """Of the languages present, the one wanted (BCP 47), else one with its primary subtag, else ``fallback``."""
    folded = wanted.casefold()
    primary = folded.split("-")[0]
    by_fold = {language.casefold(): language for language in present}
    if folded in by_fold:
        return by_fold[folded]
    return next((by_fold[name] for name in sorted(by_fold) if name.split("-")[0] == primary), fallback)

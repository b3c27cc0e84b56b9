"""What an amount is worth in the bank's own money.

Wire amounts are integers in minor units, and how many minor units make a unit differs by currency (ISO 4217: none for
the yen, three for the Kuwaiti dinar). A card's history is kept in one currency, the bank's, so every amount is brought
there first: by the switch's own billing amount where it gives one, else by the rates of ``config/rates.toml``.
"""

import re
import tomllib
from types import MappingProxyType

import msgspec

_TWO_DECIMALS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO
NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

EXPONENTS: MappingProxyType[str, int] = MappingProxyType(
    dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_NO_DECIMALS.split(), 0)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
    | dict.fromkeys(_FOUR_DECIMALS.split(), 4)
)
"""ISO 4217 code → digits after the decimal point. Every currency one can pay in; metals and test codes are not."""

MAX_RATE = 1e9
"""A rate beyond this, or below its inverse, is a slip of the pen: no currency is worth that."""


class Money(msgspec.Struct, frozen=True):
    """``billing`` is the bank's currency; ``rates`` gives, for each currency that can be converted, the billing minor
    units that one minor unit of it is worth (the billing currency itself: 1)."""

    billing: str
    rates: dict[str, float]


def parse_rates(text: str, filename: str, billing_currency: str | None = None) -> Money:
    """Read a rates file: ``billing = "CNY"`` and a table ``[rates]`` of code = price of one whole unit in whole units
    of the billing currency. ``billing_currency`` is the installation's setting, which the file must agree with.

    Raises ValueError with ``file:line: what is wrong``.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        line = int(place.group(1)) if place else text.count("\n") + 1
        raise ValueError(f"{filename}:{line}: not valid TOML: {error}") from None

    def wrong(key: str, message: str) -> ValueError:
        return ValueError(f"{filename}:{_line_of(text, key)}: {message}")

    for key in document:
        if key not in ("billing", "as_of", "rates"):
            raise wrong(key, f"unknown key {key!r}; known are billing, as_of, rates")
    billing = document.get("billing")
    if not isinstance(billing, str) or billing not in EXPONENTS:
        raise wrong("billing", 'billing must be an ISO 4217 code in use, such as billing = "CNY"')
    if billing_currency is not None and billing != billing_currency:
        raise wrong("billing", f"rates are in {billing}, but the billing currency is set to {billing_currency}")
    table = document.get("rates", {})
    if not isinstance(table, dict):
        raise wrong("rates", "rates must be a table: [rates]")
    rates = {}
    for code, price in table.items():
        if code not in EXPONENTS:
            raise wrong(code, f"{code!r} is no ISO 4217 code in use")
        if isinstance(price, bool) or not isinstance(price, int | float) or not 1 / MAX_RATE <= price <= MAX_RATE:
            raise wrong(code, f"the rate of {code} must be a number between {1 / MAX_RATE:g} and {MAX_RATE:g}")
        if code == billing and price != 1:
            raise wrong(code, f"{code} is the billing currency itself: its rate is 1, or leave it out")
        rates[code] = price * 10.0 ** (EXPONENTS[billing] - EXPONENTS[code])
    return Money(billing, rates | {billing: 1.0})


def _line_of(text: str, key: str) -> int:
    """The line that sets ``key`` or opens it as a table; 1 when it is nowhere (a missing key has no line)."""
    pattern = re.compile(rf"""\s*(?:\[\s*)?["']?{re.escape(key)}["']?\s*[=\].]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)

"""From the bytes of one record of ``transactions`` to an event that can be scored, or to the reason why not.

Every rule about what a usable transaction is stands here: the types and limits of its fields (checked while decoding,
by msgspec, for next to nothing), and what only code can check: clear card numbers, currencies, the time. A message
that breaks one is refused as a whole, with a stable reason for counting and a sentence for the operator that names the
field but never repeats its value.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.core.currencies import EXPONENTS, Money
from pipeline.core.masking import CARD_DIGITS, holds_card_number, is_card_number, mask

MAX_MESSAGE_BYTES = 64 * 1024
MAX_AMOUNT = 10**15
"""Minor units. Up to here a float carries every integer exactly."""
MAX_AHEAD_S = 86_400.0
"""A transaction may lie at most a day after its record's Kafka timestamp: clocks differ, zones are mistaken."""
MAX_BEHIND_S = 400 * 86_400.0
"""And at most 400 days before it: late advices and back-filled history are real, the year 1970 is not."""

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(extra_json_schema={"pattern": "^tok_[A-Za-z0-9_]{8,80}$"})]
Reference = Annotated[str, Meta(max_length=128)]
Words = Annotated[str, Meta(max_length=256)]
Code = Annotated[str, Meta(max_length=8)]
Country = Annotated[str, Meta(min_length=2, max_length=2)]
Currency = Annotated[str, Meta(min_length=3, max_length=3)]
MinorUnits = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]

Type = Literal["authorisation", "advice", "reversal", "clearing"]
Kind = Literal["purchase", "cash", "refund", "transfer", "payment", "verification"]
EntryMode = Literal["chip", "contactless", "magstripe", "manual", "ecommerce", "stored"]
Initiator = Literal["cardholder", "merchant"]


class Transaction(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One record of ``transactions`` (key card). Unknown fields are ignored.

    ``amount``, ``billing_amount`` and ``available_credit`` are minor units of ``currency``, ``billing_currency`` and
    the billing currency; ``time`` RFC 3339 with zone, as it came; ``latitude`` and ``longitude`` degrees, of the
    terminal; ``response_code`` what the switch answered (DE 39).
    """

    id: Id
    card: Token
    time: Annotated[str, Meta(min_length=20, max_length=40)]
    amount: MinorUnits
    currency: Currency
    type: Type = "authorisation"
    original_id: Id | None = None
    customer: Reference | None = None
    account: Reference | None = None
    previous_card: Token | None = None
    billing_amount: MinorUnits | None = None
    billing_currency: Currency | None = None
    kind: Kind | None = None
    entry_mode: EntryMode | None = None
    initiator: Initiator | None = None
    recurring: bool | None = None
    preauthorisation: bool | None = None
    wallet: Reference | None = None
    device: Reference | None = None
    three_ds: Reference | None = None
    eci: Code | None = None
    cvv_result: Code | None = None
    pin_result: Code | None = None
    avs_result: Code | None = None
    merchant: Reference | None = None
    merchant_name: Words | None = None
    terminal: Reference | None = None
    mcc: Annotated[str, Meta(min_length=4, max_length=4)] | None = None
    country: Country | None = None
    city: Words | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    home_country: Country | None = None
    available_credit: Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)] | None = None
    response_code: Code | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """A usable transaction: ``at`` its own time in unix seconds, ``amount`` what it is worth in minor units of the
    billing currency."""

    transaction: Transaction
    at: float
    amount: float


class Refused(Exception):
    """Why a message can't be used. ``reason`` is a stable code, ``field`` the field at fault (None: the message as a
    whole), ``detail`` a sentence for the operator, free of card and phone numbers."""

    def __init__(self, reason: str, field: str | None, detail: str) -> None:
        super().__init__(reason, field, detail)
        self.reason = reason
        self.field = field
        self.detail = detail


REASONS: dict[str, str] = {
    # what a field's value breaks when its type is right; fields not listed here can only be too long
    "id": "bad_id",
    "original_id": "bad_id",
    "card": "bad_card_token",
    "previous_card": "bad_card_token",
    "time": "bad_time",
    "amount": "amount_out_of_range",
    "billing_amount": "amount_out_of_range",
    "available_credit": "amount_out_of_range",
    "currency": "unknown_currency",
    "billing_currency": "unknown_currency",
    "type": "unknown_type",
    "kind": "unknown_kind",
    "entry_mode": "unknown_entry_mode",
    "initiator": "unknown_initiator",
    "mcc": "bad_mcc",
    "country": "bad_country",
    "home_country": "bad_country",
    "latitude": "bad_place",
    "longitude": "bad_place",
}

ALL_REASONS: frozenset[str] = frozenset(REASONS.values()) | {
    "empty", "too_large", "not_utf8", "not_json", "not_object", "missing_field", "wrong_type", "too_long",
    "negative_amount", "time_out_of_range", "no_rate", "clear_card_number",
}  # fmt: skip
"""Every reason `decode` gives, for a metric's series to start at zero."""

FREE_TEXT = ("merchant_name", "city")
"""Written by people: a card or phone number in them is masked and the transaction goes on."""

_IDENTIFIERS = (
    "id", "original_id", "customer", "account", "wallet", "device", "three_ds", "merchant", "terminal",
)  # fmt: skip
"""Fields long enough to hold a card number and meant to be kept as they are."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_COUNTRY_FORMS = frozenset(first + second for first in _LETTERS for second in _LETTERS) | {None}
_MCC_FORMS = frozenset(f"{number:04}" for number in range(10_000)) | {None}
_parse_iso = datetime.fromisoformat
_EPOCH = _parse_iso("1970-01-01T00:00:00+00:00")

_TOKEN = re.compile("tok_[A-Za-z0-9_]{8,80}")
"""Checked by ourselves: for msgspec an expression costs as much as the rest of a transaction."""


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


_decode: Callable[[bytes], Transaction] = msgspec.json.Decoder(Transaction).decode
_digits_as_zero = bytes(48 if 48 <= byte <= 57 else 46 for byte in range(256))
_LONG_RUN = b"0" * 11
"""The shortest run of digits worth a closer look: a mobile number; card numbers have 13 and more."""


def decode(value: bytes | None, timestamp_ms: int, money: Money) -> Event:
    """The event in ``value``, a record appended at ``timestamp_ms`` (Kafka's timestamp). Raises `Refused`, and nothing
    else, whatever the bytes."""
    if not value:
        raise Refused("empty", None, "the record has no value")
    event = _quick(value, timestamp_ms, money.billing, money.rates)
    return _closely(value, timestamp_ms, money) if event is None else event


def _closely(value: bytes, timestamp_ms: int, money: Money) -> Event:
    if len(value) > MAX_MESSAGE_BYTES:
        raise Refused("too_large", None, f"{len(value)} bytes; a transaction has at most {MAX_MESSAGE_BYTES}")
    try:
        transaction = _decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise refusal(value, error) from None
    for field in ("card", "previous_card"):
        token = getattr(transaction, field)
        if token is not None and not _TOKEN.fullmatch(token):
            raise _no_token(field, token)
    if (
        _LONG_RUN in value.translate(_digits_as_zero, b" -\t")
        or b"\\" in value
        or (not value.isascii() and (b"\xef" in value or b"\xc2" in value or b"\xe2" in value))
    ):
        _look_for_card_numbers(transaction)
    if transaction.currency not in EXPONENTS:
        raise Refused("unknown_currency", "currency", "currency is no ISO 4217 code in use")
    if transaction.country not in _COUNTRY_FORMS:
        raise Refused("bad_country", "country", "country must be two capital letters (ISO 3166 alpha-2)")
    if transaction.home_country not in _COUNTRY_FORMS:
        raise Refused("bad_country", "home_country", "home_country must be two capital letters (ISO 3166 alpha-2)")
    if transaction.mcc not in _MCC_FORMS:
        raise Refused("bad_mcc", "mcc", "mcc must be four digits (ISO 18245)")
    at = unix_seconds(transaction.time)
    ahead = at - timestamp_ms / 1000
    if ahead > MAX_AHEAD_S or ahead < -MAX_BEHIND_S:
        side = "after" if ahead > 0 else "before"
        raise Refused(
            "time_out_of_range",
            "time",
            f"time lies {abs(ahead) / 86_400:.1f} days {side} the record's own timestamp; "
            f"at most {MAX_AHEAD_S / 86_400:.0f} after and {MAX_BEHIND_S / 86_400:.0f} before are taken",
        )
    return Event(transaction, at, billing_amount(transaction, money))


def unix_seconds(time: str) -> float:
    """RFC 3339 with zone → unix seconds. Raises `Refused` (bad_time)."""
    try:
        # fromisoformat also takes week dates, dates without dashes and minutes without seconds: RFC 3339 does not
        if time[4] != "-" or time[10] not in "Tt " or time[13] != ":" or time[16] != ":":
            raise ValueError
        if time[-1] == "z":
            time = time.upper()
        return (_parse_iso(time) - _EPOCH).total_seconds()
    except (ValueError, IndexError, TypeError, OverflowError):  # TypeError: no zone
        raise Refused("bad_time", "time", _EXPECTED["time"]) from None


def billing_amount(transaction: Transaction, money: Money) -> float:
    """Minor units of the bank's currency: the switch's billing amount where it is in that currency, else the amount
    where that is, else the amount converted. Raises `Refused` (no_rate)."""
    if transaction.billing_currency == money.billing and transaction.billing_amount is not None:
        return float(transaction.billing_amount)
    rate = money.rates.get(transaction.currency)
    if rate is None:
        raise Refused("no_rate", "currency", f"no rate from {transaction.currency} to {money.billing} in rates.toml")
    return transaction.amount * rate


def _look_for_card_numbers(transaction: Transaction) -> None:
    """Refuse a card number in an identifier; mask it, and phone numbers, in free text. Called only when the bytes hold
    a long run of digits, blanks and dashes apart, or write characters in a way that may hide one."""
    for name in _IDENTIFIERS:
        text = getattr(transaction, name)
        if text is not None and len(text) >= CARD_DIGITS.start and holds_card_number(text):
            raise Refused("clear_card_number", name, f"{name} holds a clear card number")
    for name in FREE_TEXT:
        text = getattr(transaction, name)
        if text is not None and len(text) >= len(_LONG_RUN):
            setattr(transaction, name, mask(text))


_AT_FIELD = re.compile(r"at `\$\.(\w+)`$")
_MISSING = re.compile(r"missing required field `(\w+)`$")
_TYPES = re.compile(r"^Expected `([\w |]+)`, got `(\w+)`")


def refusal(value: bytes, error: Exception) -> Refused:
    """What msgspec's error means. Its text may repeat the value, so only names and types are taken from it."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return Refused("not_utf8", None, "not UTF-8: a string holds bytes that are no character")
    if not isinstance(error, msgspec.ValidationError):
        return Refused("not_json", None, "not a JSON document")
    missing = _MISSING.search(text)
    if missing:
        return Refused("missing_field", missing[1], f"the required field {missing[1]} is missing")
    place = _AT_FIELD.search(text)
    if place is None:
        return Refused("not_object", None, "the message is JSON, but no object")
    field = place[1]
    if field == "card" or field == "previous_card":
        given = _plain_value(value, field)
        if is_card_number(given):
            return _no_token(field, given)
    types = _TYPES.match(text)
    if types:
        return Refused("wrong_type", field, f"{field} must be {types[1]}, not {types[2]}")
    if field in ("amount", "billing_amount") and ">= 0" in text:
        return Refused("negative_amount", field, f"{field} is negative: amounts are given without a sign")
    if field in REASONS:
        return Refused(REASONS[field], field, _EXPECTED.get(field, f"{field} is outside what is allowed"))
    return Refused("too_long", field, f"{field} is longer than allowed")


def _no_token(field: str, given: str) -> Refused:
    if is_card_number(given):
        return Refused("clear_card_number", field, f"{field} holds a clear card number, not a token")
    return Refused("bad_card_token", field, _EXPECTED[field])


def _plain_value(value: bytes, field: str) -> str:
    try:
        return str(msgspec.json.decode(value, type=dict[str, object]).get(field))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ""


_EXPECTED = {
    "id": "id must have 1–64 characters",
    "original_id": "original_id must have 1–64 characters",
    "card": "card must be a token: tok_ and 8–80 letters, digits or underscores",
    "previous_card": "previous_card must be a token: tok_ and 8–80 letters, digits or underscores",
    "amount": f"amount is above {MAX_AMOUNT} minor units",
    "billing_amount": f"billing_amount is above {MAX_AMOUNT} minor units",
    "available_credit": f"available_credit is beyond {MAX_AMOUNT} minor units",
    "time": "time must be RFC 3339 with a zone, such as 2026-01-31T08:30:00+08:00",
    "currency": "currency must be three capital letters (ISO 4217)",
    "billing_currency": "billing_currency must be three capital letters (ISO 4217)",
    "type": "type must be authorisation, advice, reversal or clearing",
    "kind": "kind must be purchase, cash, refund, transfer, payment or verification",
    "entry_mode": "entry_mode must be chip, contactless, magstripe, manual, ecommerce or stored",
    "initiator": "initiator must be cardholder or merchant",
    "mcc": "mcc must be four digits (ISO 18245)",
    "country": "country must be two capital letters (ISO 3166 alpha-2)",
    "home_country": "home_country must be two capital letters (ISO 3166 alpha-2)",
    "latitude": "latitude must lie between -90 and 90 degrees",
    "longitude": "longitude must lie between -180 and 180 degrees",
}

try:
    from pipeline.core._decode import Quick

    _quick: Callable[[bytes, int, str, dict[str, float]], Event | None] = Quick(
        _decode, Event, EXPONENTS, _COUNTRY_FORMS, _MCC_FORMS, MAX_MESSAGE_BYTES, MAX_AHEAD_S, MAX_BEHIND_S
    )
except ImportError:  # not compiled: everything is looked at closely

    def _quick(value: bytes, timestamp_ms: int, billing: str, rates: dict[str, float]) -> Event | None:
        return None

"""How a bank's own extract becomes our transactions: which of its columns is which field, and how it writes them.

A mapping is one TOML file. ``[file]`` says how the file is written, ``[fields]`` from which column each field comes, with
small changes on the way: dates, decimal commas, whole units or cents, one word for another. Card numbers become tokens
here, by a keyed hash, before anything else sees them.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec

from pipeline.core.currencies import EXPONENTS
from pipeline.core.masking import masked_payload
from pipeline.core.toml_text import FileError, TomlText
from pipeline.core.transaction import Transaction

MONEY = ("amount", "billing_amount", "available_credit")
REAL = ("latitude", "longitude")
FLAGS = ("recurring", "preauthorisation")
CARDS = ("card", "previous_card")
LABELS = ("fraud", "fraud_type")
REQUIRED = ("card", "time", "amount", "currency", "fraud")
FIELDS = frozenset(Transaction.__struct_fields__) | frozenset(LABELS)
MAX_SHOWN = 40
"""Characters of a value that are told, masked; of a card's column nothing is."""
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class MappingRefused(FileError):
    """Why a mapping cannot be used: ``file:line: what is wrong, what to do``."""


class RowRefused(Exception):
    """Why a row cannot be used: a code for counting, and a sentence without card or phone numbers."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class FileForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[file]``: how the file is written. ``zone`` of times that name none; empty: the bank's."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    zone: str = ""


class FieldSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of ``[fields]``. ``columns``: several that make one value together, a blank between; ``value``: the same
    for every row; ``values``: their word → ours, ``other`` for any word not among them, ``empty`` for none at all;
    ``format`` as `datetime.strptime` has it; ``unit`` of money; ``sign``: whether a minus is taken off an amount;
    ``token``: make a token of it."""

    column: str = ""
    columns: list[str] = []
    value: str | None = None
    values: dict[str, str] = {}
    other: str | None = None
    empty: str | None = None
    format: str | None = None
    unit: Literal["major", "minor"] = "major"
    sign: Literal["keep", "drop"] = "keep"
    token: bool | None = None

    @property
    def taken(self) -> Sequence[str]:
        return self.columns or ([self.column] if self.column else [])


class Row(NamedTuple):
    """A row as it is scored: the message's bytes, event time (unix seconds), the truth (None: it says neither)."""

    value: bytes
    at: float
    fraud: int | None
    kind: str | None


class Tokens:
    """Card numbers and other identifiers → tokens: HMAC-SHA256 of what is left without blanks and dashes. Equal numbers
    have equal tokens under one key; nobody without the key can try numbers out."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._kid = hashlib.sha256(b"kid" + key).hexdigest()[:4]

    def of(self, value: str) -> str:
        plain = re.sub(r"[\s\-\u2010-\u2015]", "", value).upper()
        return f"tok_{self._kid}_{hmac.new(self._key, plain.encode(), hashlib.sha256).hexdigest()[:32]}"


class ExtractMapping:
    """A mapping that was read. ``columns``: those of the file that it needs."""

    def __init__(
        self, form: FileForm, fields: Mapping[str, FieldSource], tokens: Tokens, zone: tzinfo, billing: str
    ) -> None:
        self.form = form
        self.columns = tuple(dict.fromkeys(column for source in fields.values() for column in source.taken))
        self._fields = fields
        self._tokens = tokens
        self._zone = zone
        self._billing = billing

    def row(self, number: int, told: Mapping[str, str]) -> Row:
        """The row ``number`` (from 1) with the texts ``told`` by column. Without a field ``id`` its number names it.
        Raises RowRefused."""
        texts = {field: self._text(field, source, told) for field, source in self._fields.items()}
        message: dict[str, object] = {"id": f"row-{number}"}
        for field, text in texts.items():
            if text is not None and field not in LABELS:
                message[field] = self._value(field, text, texts)
        moment = message.get("time")
        if not isinstance(moment, datetime):
            raise RowRefused("missing_field", "the required field time is missing")
        message["time"] = moment.isoformat()
        fraud = {"1": 1, "true": 1, "0": 0, "false": 0}.get((texts.get("fraud") or "").lower())
        return Row(msgspec.json.encode(message), moment.timestamp(), fraud, texts.get("fraud_type"))

    def _text(self, field: str, source: FieldSource, told: Mapping[str, str]) -> str | None:
        """What the row says of ``field``, in our words; None: nothing."""
        if source.value is not None:
            return source.value
        text = " ".join(told[column].strip() for column in source.taken).strip()
        if not text:
            return source.empty
        if not source.values:
            return text
        ours = source.values.get(text, source.other)
        if ours is None:
            raise RowRefused("unknown_value", f"{field}: {_shown(field, text)} is not among its values in the mapping")
        return ours or None

    def _value(self, field: str, text: str, texts: Mapping[str, str | None]) -> object:
        source = self._fields[field]
        if source.token if source.token is not None else field in CARDS:
            return text if source.value is not None else self._tokens.of(text)
        if field == "time":
            return self._moment(text, source)
        if field in MONEY:
            return self._money(field, text, source, texts)
        if field in REAL:
            return float(self._number(field, text))
        if field in FLAGS:
            return _TRUTH.get(text.lower(), text)
        if field == "mcc":
            return text.zfill(4)  # spreadsheets take leading zeros away
        return text

    def _moment(self, text: str, source: FieldSource) -> datetime:
        try:
            form = source.format
            moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007  # its zone: below
        except ValueError:
            form = source.format or "2026-01-31T08:30:00"
            raise RowRefused("bad_time", f"time: {_shown('time', text)} is not written as {form}") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=self._zone)

    def _number(self, field: str, text: str) -> Decimal:
        plain = text.replace("\u00a0", " ")
        if self.form.thousands:
            plain = plain.replace(self.form.thousands, "")
        plain = plain.replace(" ", "").replace(self.form.decimal, ".") if self.form.decimal != "." else plain
        try:
            number = Decimal(plain.strip())
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise RowRefused("wrong_type", f"{field}: {_shown(field, text)} is not a number as [file] writes them")
        return number

    def _money(self, field: str, text: str, source: FieldSource, texts: Mapping[str, str | None]) -> int:
        """Minor units of the field's currency."""
        currency = {"amount": texts.get("currency"), "billing_amount": texts.get("billing_currency")}.get(field)
        number = self._number(field, text)
        if source.unit == "major":
            number = number.scaleb(EXPONENTS.get(currency or self._billing, 2))
        if number != number.to_integral_value():
            raise RowRefused("wrong_type", f"{field}: {_shown(field, text)} has more decimals than its currency")
        return abs(int(number)) if source.sign == "drop" else int(number)


def _shown(field: str, text: str) -> str:
    return "its value" if field in CARDS else repr(masked_payload(text.encode())[:MAX_SHOWN])


def parse_mapping(
    text: str, filename: str, tokens: Tokens, zone_of: Callable[[str], tzinfo], billing: str
) -> ExtractMapping:
    """Read a mapping. ``zone_of`` finds a time zone by name, the bank's for an empty one, and raises KeyError or
    ValueError where there is none; ``billing``: the bank's currency. Raises MappingRefused."""
    file = TomlText(text, filename, MappingRefused)
    for key in file.data:
        if key not in ("file", "fields"):
            file.fail(f"unknown entry {key!r}: a mapping has [file] and [fields]", file.key(key))
    top = file.header("file")
    form: FileForm = _table(file, "file", file.data.get("file", {}), FileForm, top)
    if len(form.delimiter) != 1:
        file.fail("delimiter: one character", file.key("delimiter", top))
    if form.decimal == form.thousands:
        file.fail("decimal and thousands are the same character", file.key("thousands", top))
    given = file.data.get("fields")
    if not isinstance(given, dict):
        file.fail('no [fields]: write field = "its column", a line each')
    fields = {name: _source(file, name, entry) for name, entry in given.items()}
    lacking = [name for name in REQUIRED if name not in fields]
    if lacking:
        file.fail(f"[fields] lacks {', '.join(lacking)}: without them no row can be evaluated")
    try:
        zone = zone_of(form.zone)
    except (KeyError, ValueError, OSError):
        file.fail(f"zone = {form.zone!r}: no such time zone; write one like Europe/Berlin", file.key("zone", top))
    return ExtractMapping(form, fields, tokens, zone, billing)


def _source(file: TomlText, name: str, entry: object) -> FieldSource:
    line = file.key(name, file.header("fields"))
    if name not in FIELDS:
        file.fail(f"unknown field {name!r}: fields are those of transactions, fraud and fraud_type", line)
    source = FieldSource(column=entry) if isinstance(entry, str) else _table(file, name, entry, FieldSource, line)
    if bool(source.taken) == (source.value is not None):
        file.fail(f"{name}: give a column, or a value for every row", line)
    if name == "card" and source.value is not None:
        file.fail("card: a column, not one value for every row", line)
    return source


def _table(file: TomlText, name: str, entry: object, kind: type[Any], line: int) -> Any:
    try:
        return msgspec.convert(entry, kind)
    except msgspec.ValidationError as error:
        return file.fail(f"{name}: {str(error).replace('`', '')}", line)

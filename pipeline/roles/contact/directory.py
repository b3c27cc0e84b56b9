"""The customers' directory: whose card it is, which number to call, whether calling is allowed.

Phone numbers live here and in the request to the provider, nowhere else.
"""

import re

import msgspec

from pipeline.core.conversation import CALL_CLASS
from pipeline.core.masking import holds_card_number
from pipeline.core.records import Customer
from pipeline.ports import DirectoryEntry, Record

E164 = re.compile(r"\+[1-9]\d{6,14}")
LAST4 = re.compile(r"[0-9]{4}")
_decoder = msgspec.json.Decoder(Customer)
_encoder = msgspec.json.Encoder()


class NoCustomer(ValueError):
    """Why a record is no customer's: the field, if one is to blame, and what is wrong; no values."""

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


def read_entry(record: Record) -> DirectoryEntry:
    """What a record of ``customers`` makes of the directory; a null value erases. Fields nobody here knows are not
    kept. Raises NoCustomer."""
    if record.value is None:
        return DirectoryEntry((record.key or b"").decode("utf-8", "replace"), None)
    customer = _read(record.key, record.value)
    return DirectoryEntry(customer.customer, _encoder.encode(customer), [held.card for held in customer.cards])


def _read(key: bytes | None, value: bytes) -> Customer:
    try:
        customer = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NoCustomer(None, f"not a customer: {error}") from error
    if not customer.customer or key != customer.customer.encode():
        raise NoCustomer("customer", "the key must be the customer's id")
    if not all(E164.fullmatch(phone.number) for phone in customer.phones):
        raise NoCustomer("phones", "a phone number must be in E.164 form: + and 7 to 15 digits")
    if any(held.last4 is not None and not LAST4.fullmatch(held.last4) for held in customer.cards):
        raise NoCustomer("cards", "last4 must be the card number's last four digits and no more")
    rest = msgspec.structs.replace(customer, phones=[])
    if holds_card_number(_encoder.encode(rest).decode()):
        raise NoCustomer(None, "the record holds a clear card number")
    return customer


def phone_of(customer: Customer) -> str | None:
    """The number to call: the first mobile one, else the first."""
    mobile = [phone.number for phone in customer.phones if phone.kind == "mobile"]
    return next(iter(mobile or [phone.number for phone in customer.phones]), None)


def cannot_call(record: bytes | None) -> str | None:
    """In one word why the customer of this directory record cannot be called; None if they can."""
    if record is None:
        return "unknown_customer"
    customer = _decoder.decode(record)
    if CALL_CLASS in customer.stop:
        return "stopped"
    return None if phone_of(customer) else "no_phone"

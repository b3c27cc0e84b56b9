"""The customers' directory: whose card it is, which number to call, whether calling is allowed.

Phone numbers live here and in the request to the provider, nowhere else.
"""

import re
from hashlib import blake2b

import msgspec

from pipeline.core.masking import holds_card_number
from pipeline.core.records import Customer
from pipeline.ports import DirectoryEntry, Notes, Record

E164 = re.compile(r"\+[1-9]\d{6,14}")
LAST4 = re.compile(r"[0-9]{4}")
_decoder = msgspec.json.Decoder(Customer)
_encoder = msgspec.json.Encoder()
_CUSTOMER = "c:"


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
    return entry_of(_read(record.key, record.value))


def without_notes(record: bytes | None, notes: Notes) -> DirectoryEntry | None:
    """The entry to write again when a customer was written by a version that kept no notes on customers."""
    if record is None or any(key.startswith(_CUSTOMER) for key in notes):
        return None
    return entry_of(_decoder.decode(record))


def entry_of(customer: Customer) -> DirectoryEntry:
    """What the store keeps of a customer: the record, whose cards, and the keys of the notes on them."""
    digests = [address_digest(phone.number) for phone in customer.phones]
    notes = [customer_note(customer.customer), wishes_note(customer.customer)]
    notes += [note(digest) for digest in dict.fromkeys(digests) for note in (number_note, question_note)]
    return DirectoryEntry(customer.customer, _encoder.encode(customer), [held.card for held in customer.cards], notes)


def address_digest(address: str) -> str:
    """What stands for a number, an e-mail address or an app's id wherever it need not be readable."""
    return blake2b(address.encode(), digest_size=9).hexdigest()


def customer_note(customer: str) -> str:
    """Key of the note on what reached a customer."""
    return f"{_CUSTOMER}{customer}"


def wishes_note(customer: str) -> str:
    """Key of the note on what a customer told us."""
    return f"w:{customer}"


def number_note(digest: str) -> str:
    """Key of the note on what reached a number."""
    return f"n:{digest}"


def question_note(digest: str) -> str:
    """Key of the note on the question last sent to a number as a text message."""
    return f"q:{digest}"


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

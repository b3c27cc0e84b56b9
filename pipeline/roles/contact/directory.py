"""The customers' directory: whose card it is, which number to call, whether calling is allowed.

Phone numbers live here and in the request to the provider, nowhere else.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pipeline.core import wishes
from pipeline.core.contact_history import KEEP_MS
from pipeline.core.masking import holds_card_number
from pipeline.core.records import Customer
from pipeline.ports import Record
from pipeline.ports_contact import DirectoryEntry, Note, Notes
from pipeline.roles.contact.digests import Digests, is_unkeyed, unkeyed

E164 = re.compile(r"\+[1-9]\d{6,14}")
LAST4 = re.compile(r"[0-9]{4}")
_decoder = msgspec.json.Decoder(Customer)
_encoder = msgspec.json.Encoder()
_CUSTOMER = "c:"
AGENDA = "o:"
"""How the keys of agendas begin."""
_OF_NUMBERS = ("n:", "q:")


class NoCustomer(ValueError):
    """Why a record is no customer's: the field, if one is to blame, and what is wrong; no values."""

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class Renewal(NamedTuple):
    """A customer as this version writes them. ``notes`` go first: the entry no longer names the old ones."""

    entry: DirectoryEntry
    notes: Sequence[Note]


def read_entry(record: Record, digests: Digests) -> DirectoryEntry:
    """What a record of ``customers`` makes of the directory; a null value erases. Fields nobody here knows are not
    kept. Raises NoCustomer."""
    if record.value is None:
        return DirectoryEntry((record.key or b"").decode("utf-8", "replace"), None)
    return entry_of(_read(record.key, record.value), digests)


def renewal(record: bytes | None, notes: Notes, digests: Digests) -> Renewal | None:
    """What to write when a customer was written by a version that kept fewer notes on customers, or put digests without a
    key for their numbers; None: nothing."""
    earlier = any(key.startswith(_OF_NUMBERS) and is_unkeyed(key[2:]) for key in notes)
    complete = all(any(key.startswith(kind) for key in notes) for kind in (_CUSTOMER, AGENDA))
    if record is None or (complete and not earlier):
        return None
    customer = _decoder.decode(record)
    moved: list[Note] = []
    renamed = {unkeyed(phone.number): digests.of(phone.number) for phone in customer.phones}
    for old, new in renamed.items():
        for note in (number_note, question_note):
            if before := notes.get(note(old), b""):
                moved += [Note(note(old), before, b"", None), Note(note(new), b"", before, KEEP_MS)]
    key = wishes_note(customer.customer)
    known = wishes.read_wishes(notes.get(key, b""))
    named = msgspec.structs.replace(known, retired=tuple(renamed.get(digest, digest) for digest in known.retired))
    if named != known:
        moved.append(Note(key, notes[key], wishes.encode(named), None))
    return Renewal(entry_of(customer, digests), moved)


def entry_of(customer: Customer, digests: Digests) -> DirectoryEntry:
    """What the store keeps of a customer: the record, whose cards, and the keys of the notes on them."""
    of_numbers = [digests.of(phone.number) for phone in customer.phones]
    notes = [customer_note(customer.customer), wishes_note(customer.customer), agenda_note(customer.customer)]
    notes += [note(digest) for digest in dict.fromkeys(of_numbers) for note in (number_note, question_note)]
    return DirectoryEntry(customer.customer, _encoder.encode(customer), [held.card for held in customer.cards], notes)


def customer_note(customer: str) -> str:
    """Key of the note on what reached a customer."""
    return f"{_CUSTOMER}{customer}"


def wishes_note(customer: str) -> str:
    """Key of the note on what a customer told us."""
    return f"w:{customer}"


def agenda_note(customer: str) -> str:
    """Key of the note on what a customer is still to be told."""
    return f"{AGENDA}{customer}"


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

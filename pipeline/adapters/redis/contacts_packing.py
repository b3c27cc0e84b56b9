"""How conversations and dossiers are kept small: a million of them wait for their hour in one store.

A value is short JSON, full of words that are in every other one and of hashes and tokens in hexadecimal. Deflate alone
finds little to repeat in it. So what no dictionary can foresee is put in bytes beside the text (`contacts_shortening`),
and what all texts have in common is given to deflate beforehand, as its dictionary.

The first byte of a packed value is its form. `TEXTS` is written now, `ONE` for what is not JSON as the contact worker
writes it. A form needs its dictionary as it is, to the byte: a better one makes a new form, and the old one is read for
as long as the oldest dossier is kept. So is what stood here before: `MANY`, JSON as it is, and zlib's streams.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from pipeline.adapters.redis import contacts_dictionary_3
from pipeline.adapters.redis.contacts_dictionary import WORDS
from pipeline.adapters.redis.contacts_shortening import Short, can_be_shortened, lengthened, shortened

MANY, ONE, TEXTS = b"\x01", b"\x02", b"\x03"
"""Texts joined, runs of hexadecimal digits as bytes among them; one value as it is; texts shortened and joined, what is
spelled in bytes behind them."""
JSON, ZLIB = b"{", b"\x78"
_RUN, _NEXT = b"\x01", b"\x02"
"""Before a run (then its length in bytes), between two texts. No JSON text holds a character below a blank."""
_NAMES = ((b"<contact>", b"\x03"), (b"<card>", b"\x04"), (b"<customer>", b"\x05"))
_LONG_NAME = 6
"""Shorter ones might be anywhere, and save nothing."""
_TOKEN = re.compile(r"(.*?)((?:[0-9a-f]{2}){8,})", re.DOTALL)
_DIGITS = b"\xff"
"""Between a token's prefix and its digits. No text in UTF-8 holds such a byte."""
_CONTROL = re.compile(rb"[\x00-\x07]")
_LEVEL, _WINDOW_BITS, _MEMORY_LEVEL = 6, 14, 6
_HEAD = struct.Struct(">IdH")
_LENGTH2, _LENGTH4 = struct.Struct(">H"), struct.Struct(">I")
ENDED = -1.0


class Head(NamedTuple):
    """What stands before the dossier in a stored conversation, as the scripts take it apart. ``due_ms``: `ENDED` when
    there is nothing left to do. The hexadecimal digits that a card's token ends with are packed as bytes."""

    version: int
    due_ms: float
    card: str
    customer: str
    state: bytes

    def packed(self) -> bytes:
        card, customer = _packed_card(self.card), self.customer.encode()
        return b"".join(
            (
                _HEAD.pack(self.version, self.due_ms, len(card)), card,
                _LENGTH2.pack(len(customer)), customer,
                _LENGTH4.pack(len(self.state)), self.state,
            )
        )  # fmt: skip


def _packed_card(card: str) -> bytes:
    found = _TOKEN.fullmatch(card)
    return found[1].encode() + _DIGITS + bytes.fromhex(found[2]) if found else card.encode()


def unpacked_card(stored: bytes) -> str:
    """The card of a head."""
    prefix, mark, digits = stored.partition(_DIGITS)
    return prefix.decode() + digits.hex() if mark else stored.decode()


def _dictionary() -> bytes:
    text = WORDS
    for word, mark in _NAMES:
        text = text.replace(word, mark)
    return text


# Making one ready takes longer than packing; a copy takes 5 µs.
_DEFLATE_ONE = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL, zdict=_dictionary())
_INFLATE_OLD = zlib.decompressobj(-_WINDOW_BITS, zdict=_dictionary())
_DEFLATE = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL, zdict=contacts_dictionary_3.WORDS)
_INFLATE = zlib.decompressobj(-_WINDOW_BITS, zdict=contacts_dictionary_3.WORDS)


def packed_state(value: bytes, contact: str, card: str, customer: str) -> bytes:
    """A conversation's JSON."""
    return _packed([value], (contact, card, customer), sealed=True)[0]


def unpacked_state(stored: bytes, contact: str, card: str, customer: str) -> bytes:
    """What `packed_state` packed, or the forms before it. What is none of these is given back as it is: it can't be
    decoded, and one such conversation must not keep others from being read."""
    try:
        return _unpacked(stored, (contact, card, customer))[0]
    except (zlib.error, IndexError, ValueError):
        return stored


def packed_entries(entries: Sequence[bytes], contact: str, sealed: bool) -> bytes:
    """Entries of one dossier that are written together, each piece behind its length. ``sealed``: with the hash of the
    last of them, because the conversation may be forgotten before its dossier; else its state holds it to that hash."""
    return b"".join(_LENGTH4.pack(len(piece)) + piece for piece in _packed(entries, (contact,), sealed))


def unpacked_entries(piece: bytes, contact: str) -> list[bytes]:
    """The entries in one piece of a dossier; the piece itself when it was tampered with: whoever verifies it says so."""
    try:
        return _unpacked(piece, (contact,))
    except (zlib.error, IndexError, ValueError):
        return [piece]


def _packed(values: Sequence[bytes], names: Sequence[str], sealed: bool) -> list[bytes]:
    if not values:
        return []
    if not can_be_shortened(values):
        return [ONE + _deflated(value, _DEFLATE_ONE) for value in values]
    short = shortened(values, names, sealed)
    return [TEXTS + _deflated(short.text, _DEFLATE) + short.raw]


def _unpacked(stored: bytes, names: Sequence[str]) -> list[bytes]:
    form, packed = stored[:1], stored[1:]
    if form == TEXTS:
        return lengthened(Short(*_inflated(packed, _INFLATE)), names)
    if form == MANY:
        return _lengthened(_inflated(packed, _INFLATE_OLD)[0], names).split(_NEXT)
    if form == ONE:
        return [_inflated(packed, _INFLATE_OLD)[0]]
    if form == ZLIB:
        return [zlib.decompress(stored)]
    return [stored]


def _deflated(value: bytes, with_: Any) -> bytes:
    deflate = with_.copy()
    return cast(bytes, deflate.compress(value) + deflate.flush())


def _inflated(value: bytes, with_: Any) -> tuple[bytes, bytes]:
    """The text, and what stands behind it."""
    inflate = with_.copy()
    return inflate.decompress(value) + inflate.flush(), inflate.unused_data


def _lengthened(text: bytes, names: Sequence[str]) -> bytes:
    """Of form `MANY`: runs stand where they belong."""
    parts, at = [], 0
    while (run := text.find(_RUN, at)) >= 0:
        end = run + 2 + text[run + 1]
        parts += [text[at:run], text[run + 2 : end].hex().encode()]
        at = end
    text = b"".join([*parts, text[at:]])
    for name, (_, mark) in zip(names, _NAMES, strict=False):
        if len(name) >= _LONG_NAME and not _CONTROL.search(name.encode()):
            text = text.replace(mark, name.encode())
    return text

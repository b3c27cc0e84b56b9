"""How conversations and dossiers are kept small: a million of them wait for their hour in one store.

A value is short JSON, full of words that are in every other one and of hashes and tokens in hexadecimal. Deflate alone
finds little to repeat in it. So every run of hexadecimal digits is written as bytes, half as long; and what all values
have in common is given to deflate beforehand, as its dictionary. The names of the conversation stand beside the value
anyway, and are left out of it.

The first byte of a packed value is its form. Forms 1 and 2 need the dictionary as it is, to the byte: a better one
makes new forms and stands beside it for as long as the oldest dossier is kept. What earlier versions wrote has forms of
its own: JSON as it is, and zlib's streams.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.adapters.redis.contacts_dictionary import WORDS

MANY, ONE = b"\x01", b"\x02"
"""Texts joined, runs of hexadecimal digits as bytes; one value as it is."""
JSON, ZLIB = b"{", b"\x78"
_RUN, _NEXT = b"\x01", b"\x02"
"""Before a run (then its length in bytes), between two texts. No JSON text holds a character below a blank."""
_NAMES = ((b"<contact>", b"\x03"), (b"<card>", b"\x04"), (b"<customer>", b"\x05"))
_LONG_NAME = 6
"""Shorter ones might be anywhere, and save nothing."""
_HEX = re.compile(rb'"(tok_[a-z0-9]{1,8}_|SM|CA|)([0-9a-f]{16,510})"')
"""A hash, a token, an id of Twilio's: the whole of a string. (Quotes first: a search for digits alone takes ten times as
long.)"""
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
_DEFLATE = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL, zdict=_dictionary())
_INFLATE = zlib.decompressobj(-_WINDOW_BITS, zdict=_dictionary())


def packed_state(value: bytes, contact: str, card: str, customer: str) -> bytes:
    """A conversation's JSON."""
    return _packed([value], (contact, card, customer))[0]


def unpacked_state(stored: bytes, contact: str, card: str, customer: str) -> bytes:
    """What `packed_state` packed, or the form before it. What is neither is given back as it is: it can't be decoded,
    and one such conversation must not keep others from being read."""
    try:
        return _unpacked(stored, (contact, card, customer))[0]
    except (zlib.error, IndexError):
        return stored


def packed_entries(entries: Sequence[bytes], contact: str) -> bytes:
    """Entries of one dossier that are written together, each piece behind its length."""
    return b"".join(_LENGTH4.pack(len(piece)) + piece for piece in _packed(entries, (contact,)))


def unpacked_entries(piece: bytes, contact: str) -> list[bytes]:
    """The entries in one piece of a dossier; the piece itself when it was tampered with: whoever verifies it says so."""
    try:
        return _unpacked(piece, (contact,))
    except (zlib.error, IndexError):
        return [piece]


def _packed(values: Sequence[bytes], names: Sequence[str]) -> list[bytes]:
    if not values:
        return []
    if any(map(_CONTROL.search, values)):
        return [ONE + _deflated(value) for value in values]
    return [MANY + _deflated(_shortened(_NEXT.join(values), names))]


def _unpacked(stored: bytes, names: Sequence[str]) -> list[bytes]:
    form, packed = stored[:1], stored[1:]
    if form == MANY:
        return _lengthened(_inflated(packed), names).split(_NEXT)
    if form == ONE:
        return [_inflated(packed)]
    if form == ZLIB:
        return [zlib.decompress(stored)]
    return [stored]


def _deflated(value: bytes) -> bytes:
    deflate = _DEFLATE.copy()
    return deflate.compress(value) + deflate.flush()


def _inflated(value: bytes) -> bytes:
    inflate = _INFLATE.copy()
    return inflate.decompress(value) + inflate.flush()


def _marks(names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    marked = zip(names, _NAMES, strict=False)
    return [
        (name.encode(), mark)
        for name, (_, mark) in marked
        if len(name) >= _LONG_NAME and not _CONTROL.search(name.encode())
    ]


def _shortened(text: bytes, names: Sequence[str]) -> bytes:
    for name, mark in _marks(names):
        text = text.replace(name, mark)
    return _HEX.sub(_run, text)


def _run(found: re.Match[bytes]) -> bytes:
    prefix, digits = found.groups()
    if len(digits) % 2:
        return found[0]
    return b'"%s%s%c%s"' % (prefix, _RUN, len(digits) // 2, bytes.fromhex(digits.decode()))


def _lengthened(text: bytes, names: Sequence[str]) -> bytes:
    parts, at = [], 0
    while (run := text.find(_RUN, at)) >= 0:
        end = run + 2 + text[run + 1]
        parts += [text[at:run], text[run + 2 : end].hex().encode()]
        at = end
    text = b"".join([*parts, text[at:]])
    for name, mark in reversed(_marks(names)):
        text = text.replace(mark, name)
    return text

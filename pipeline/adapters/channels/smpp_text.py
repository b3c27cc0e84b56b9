"""Text as short messages carry it: the GSM 7-bit default alphabet or UCS-2, in one part or several.

SMPP carries the default alphabet one character an octet. A part has 160 characters of it (153 when there are several,
which a user data header then numbers) or 70 (67) UTF-16 units. (3GPP TS 23.038 §6.2.1, TS 23.040 §9.2.3.24.1)
"""

from collections.abc import Sequence
from typing import NamedTuple

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|"} | {
    0x65: "€"
}
_ESCAPE = 0x1B
_OCTETS = {character: bytes([code]) for code, character in enumerate(_BASIC) if code != _ESCAPE} | {
    character: bytes([_ESCAPE, code]) for code, character in _EXTENDED.items()
}

DEFAULT_ALPHABET = 0x00
UCS_2 = 0x08
WHOLE_OCTETS = {DEFAULT_ALPHABET: 160, UCS_2: 140}
PART_OCTETS = {DEFAULT_ALPHABET: 153, UCS_2: 134}
MAX_PARTS = 255


class Coded(NamedTuple):
    """A text's data_coding and its characters as octets, each in one piece."""

    data_coding: int
    characters: Sequence[bytes]


def coded(text: str) -> Coded:
    """In the default alphabet if it has every character, else in UCS-2. Raises ValueError for half a surrogate pair."""
    try:
        return Coded(DEFAULT_ALPHABET, [_OCTETS[character] for character in text])
    except KeyError:
        return Coded(UCS_2, [character.encode("utf-16-be") for character in text])


def parts(text: Coded) -> Sequence[bytes]:
    """The octets of each short message; no character is cut in two. Raises ValueError beyond MAX_PARTS."""
    whole = b"".join(text.characters)
    if len(whole) <= WHOLE_OCTETS[text.data_coding]:
        return [whole]
    limit = PART_OCTETS[text.data_coding]
    made = [bytearray()]
    for character in text.characters:
        if len(made[-1]) + len(character) > limit:
            made.append(bytearray())
        made[-1] += character
    if len(made) > MAX_PARTS:
        raise ValueError(f"the text needs {len(made)} short messages, {MAX_PARTS} is the most")
    return [bytes(part) for part in made]


def numbered(part: bytes, reference: int, total: int, number: int) -> bytes:
    """A part behind its user data header: concatenated short messages, 8-bit reference."""
    return bytes((5, 0, 3, reference & 0xFF, total, number)) + part


def without_header(octets: bytes) -> bytes:
    """What follows a user data header."""
    return octets[1 + octets[0] :] if octets else b""


def decoded(data_coding: int, octets: bytes) -> str:
    """A received text, unknown characters as �. Message classes and flags of the coding do not change the alphabet."""
    if data_coding & 0xF0 == 0xF0:  # message class: bit 2 says 8-bit data
        return octets.decode("latin-1") if data_coding & 0x04 else _from_default(octets)
    match data_coding & 0x0F:
        case 0x08:
            return octets.decode("utf-16-be", "replace")
        case 0x03:
            return octets.decode("latin-1")
        case 0x01:
            return octets.decode("ascii", "replace")
        case _:
            return _from_default(octets)


def _from_default(octets: bytes) -> str:
    text = []
    escaped = False
    for octet in octets:
        if escaped:
            text.append(_EXTENDED.get(octet, " "))
            escaped = False
        elif octet == _ESCAPE:
            escaped = True
        else:
            text.append(_BASIC[octet] if octet < len(_BASIC) else "�")
    return "".join(text)

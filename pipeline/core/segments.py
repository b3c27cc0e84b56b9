"""How many SMS segments a text costs: what an operator bills, and what a telephone puts together again.

A text all of whose characters stand in the GSM 7-bit alphabet goes out in septets (3GPP TS 23.038, 6.2.1; characters
of the extension table take two), any other as UTF-16. Of a text in several parts every part gives six octets to the
header that numbers it (3GPP TS 23.040, 9.2.3.24.1), and neither an extension character nor a surrogate pair is split.
"""

import string
from typing import Literal, NamedTuple

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà" + string.ascii_letters + string.digits
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
ROOM = {"gsm7": (160, 153), "ucs2": (70, 67)}
"""Units in a text of one segment, and in each segment of a longer one."""


class Segments(NamedTuple):
    """``units``: septets (gsm7) or UTF-16 units (ucs2) of the whole text; ``segments``: parts, at least 1."""

    encoding: Literal["gsm7", "ucs2"]
    units: int
    segments: int


def count_segments(text: str) -> Segments:
    """What ``text`` takes as an SMS, signature and all."""
    gsm = all(character in GSM_BASIC or character in GSM_EXTENSION for character in text)
    if gsm:
        widths = [2 if character in GSM_EXTENSION else 1 for character in text]
    else:
        widths = [2 if ord(character) > 0xFFFF else 1 for character in text]
    encoding: Literal["gsm7", "ucs2"] = "gsm7" if gsm else "ucs2"
    alone, together = ROOM[encoding]
    units = sum(widths)
    if units <= alone:
        return Segments(encoding, units, 1)
    count, room = 1, together
    for width in widths:
        if width > room:
            count, room = count + 1, together
        room -= width
    return Segments(encoding, units, count)

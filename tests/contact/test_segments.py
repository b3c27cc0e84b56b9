"""How many SMS segments a text takes, against a count that cuts the text up and weighs every part in octets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.segments import GSM_BASIC, GSM_EXTENSION, count_segments

# 3GPP TS 23.038, 6.2.1: the default alphabet by code, 0x00 to 0x7F; 0x1B is the escape to the extension table.
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40}
EXTENSION["€"] = 0x65
OCTETS = 140
HEADER = 6


def codes(text: str) -> list[bytes] | None:
    """The septets of each character, an octet each; None if one has none."""
    found = []
    for character in text:
        if character in EXTENSION:
            found.append(bytes([0x1B, EXTENSION[character]]))
        elif character in ALPHABET and character != "\x1b":
            found.append(bytes([ALPHABET.index(character)]))
        else:
            return None
    return found


def parts_of(text: str) -> int:
    """Cut ``text`` into parts, each as long as its octets allow."""
    septets = codes(text)
    pieces = septets if septets is not None else [character.encode("utf-16-be") for character in text]

    def octets(part: list[bytes]) -> int:
        length = len(b"".join(part))
        return -(-length * 7 // 8) if septets is not None else length

    if octets(pieces) <= OCTETS:
        return 1
    parts = 0
    while pieces:
        taken = len(pieces)
        while octets(pieces[:taken]) + HEADER > OCTETS:
            taken -= 1
        pieces, parts = pieces[taken:], parts + 1
    return parts


def test_the_alphabet_is_the_standards() -> None:
    assert len(ALPHABET) == 128
    assert frozenset(ALPHABET) - {"\x1b"} == GSM_BASIC
    assert frozenset(EXTENSION) == GSM_EXTENSION


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "gsm7", 0, 1),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" * 80, "gsm7", 160, 1),
        ("€" * 81, "gsm7", 162, 2),
        ("a" * 152 + "€" * 77, "gsm7", 306, 3),  # the escape and its character stay together
        ("银" * 70, "ucs2", 70, 1),
        ("银" * 71, "ucs2", 71, 2),
        ("银" * 134, "ucs2", 134, 2),
        ("银" * 135, "ucs2", 135, 3),
        ("【B】" + "a" * 67, "ucs2", 70, 1),
        ("【B】" + "a" * 68, "ucs2", 71, 2),
        ("😀" * 35, "ucs2", 70, 1),
        ("银" * 66 + "😀" * 34, "ucs2", 134, 3),  # a surrogate pair too
        ("ç", "ucs2", 1, 1),  # only the capital letter is in the alphabet
    ],
)
def test_the_limits_of_each_alphabet(text: str, encoding: str, units: int, segments: int) -> None:
    assert count_segments(text) == (encoding, units, segments)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(st.sampled_from(sorted(GSM_BASIC | GSM_EXTENSION)), max_size=700),
        st.text(st.sampled_from("a€[]1"), min_size=140, max_size=340),
        st.text(st.sampled_from("a银【】€😀"), max_size=300),
        st.text(max_size=300),
    )
)
def test_the_count_is_that_of_the_parts_themselves(text: str) -> None:
    text = text.encode("utf-16", "ignore").decode("utf-16")
    assert count_segments(text).segments == parts_of(text)

"""However a number is written or encoded in a message that can't be used, the masked beginning does not give it away."""

import json
import re
import unicodedata
from collections.abc import Callable

import pytest

from pipeline.core.masking import MAX_PAYLOAD_CHARACTERS, masked_payload

NUMBERS = ("4532120012424862", "374245000098765", "6230941234567890123", "12025550137")
SEPARATORS = ("", " ", "-", " - ", "\u00a0", ".", "/", "_", "\t")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

ENCODED: dict[str, Callable[[str], bytes]] = {
    "UTF-8": lambda text: text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, the other end": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "JSON, escaped": lambda text: json.dumps({"pan": text}).encode(),
    "JSON, all escaped": lambda text: "".join(f"\\u{ord(each):04x}" for each in text).encode(),
    "JSON, as it is": lambda text: json.dumps([text, {text: text}], ensure_ascii=False).encode(),
}


def digits_shown(text: str) -> str:
    read = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"[^0-9]", "", unicodedata.normalize("NFKC", read))


@pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED.keys())
@pytest.mark.parametrize("separator", SEPARATORS, ids=repr)
def test_no_form_of_a_number_can_be_read(separator: str, encode: Callable[[str], bytes]) -> None:
    for number in NUMBERS:
        grouped = separator.join(number[start : start + 4] for start in range(0, len(number), 4))
        for text in (grouped, grouped.translate(FULL_WIDTH)):
            shown = masked_payload(encode(f"call {text} now"))
            assert number[:-5] not in digits_shown(shown), shown


def test_a_lone_half_of_a_character_stays_an_escape() -> None:
    assert masked_payload(b'"\\ud83d"').encode() == b'"\\ud83d"'


def test_times_and_short_numbers_stay_readable() -> None:
    text = '{"time": "2026-11-23T08:30:00+08:00", "amount": 12300, "merchant": "m12"}'
    assert masked_payload(text.encode()) == text


def test_the_beginning_only() -> None:
    assert len(masked_payload(b"x" * 10_000)) == MAX_PAYLOAD_CHARACTERS

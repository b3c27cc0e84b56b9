"""No card or phone number can be read in what we show."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.masking import (
    MAX_PAYLOAD_CHARACTERS,
    is_card_number,
    luhn_valid,
    mask,
    mask_bytes,
    masked_payload,
    plausible_card_number,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("card 4111111111111111 declined", "card ************1111 declined"),
        ("4111 1111 1111 1111", "**** **** **** 1111"),
        ("4111-1111-1111-1112", "****-****-****-1112"),
        ("call +8613800138000 now", "call +***********00 now"),
        ("+1 202 555 0100", "+* *** *** **00"),
        ("+86 138 0013 8042", "+** *** **** **42"),
        ("+35312345", "+******45"),
        ("13800138000", "*********00"),
        ("138 0013 8000", "*** **** **00"),
        ("２０４１１１１１１１１１１１１１", "************１１１１"),
        ("2026-01-31T08:30:00+08:00 amount 1234567 offset 1234567890", None),
    ],
)
def test_mask(text: str, shown: str | None) -> None:
    assert mask(text) == (text if shown is None else shown)
    assert mask_bytes(text.encode()) == mask(text).encode()


@given(st.text("0123456789 -ab", max_size=80))
def test_no_thirteen_digits_survive_masking(text: str) -> None:
    assert not re.search(r"\d(?:[ -]{0,3}\d){12}", mask(text))


@given(st.binary(max_size=1500))
def test_a_payload_is_short_and_holds_no_long_run_of_digits(value: bytes) -> None:
    shown = masked_payload(value)
    assert len(shown) <= MAX_PAYLOAD_CHARACTERS
    assert not re.search(r"\d{7}", shown)


@given(st.text("0123456789", min_size=7, max_size=40), st.text('{}":, abc', max_size=700))
def test_digits_anywhere_in_a_payload_are_masked(digits: str, around: str) -> None:
    assert digits not in masked_payload(f"{around}{digits}{around}".encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
def test_a_card_number_in_another_encoding_is_masked_too(encoding: str) -> None:
    digits = re.sub(r"\D", "", masked_payload('{"pan":"4111222233334444"}'.encode(encoding)))
    assert digits == "4444"


def test_a_card_number_in_json_escapes_is_masked_too() -> None:
    escaped = "".join(f"\\u{ord(digit):04X}" for digit in "4111222233334444")
    assert masked_payload(escaped.encode()) == "************4444"


def test_a_card_number_across_the_end_of_the_payload_is_masked() -> None:
    assert masked_payload(b"x" * 490 + b"4111222233334444").endswith("x**********")


@pytest.mark.parametrize("number", ["4111111111111111", "5555555555554444", "378282246310005", "6200000000000005",
                                    "3530111333300000", "6011111111111117", "30569309025904", "2200000000000004"])  # fmt: skip
def test_test_numbers_of_the_schemes_are_plausible(number: str) -> None:
    assert plausible_card_number(number)
    assert is_card_number(f"{number[:4]} {number[4:]}")
    other = str((int(number[-1]) + 1) % 10)
    assert not luhn_valid(number[:-1] + other)

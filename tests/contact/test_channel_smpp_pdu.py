"""SMPP on the wire, octet by octet, and texts cut into short messages."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.channels import smpp_pdu as smpp
from pipeline.adapters.channels.smpp_ledger import Ledger
from pipeline.adapters.channels.smpp_pdu import Delivered, Endpoint, Malformed, Pdu, Receipt
from pipeline.adapters.channels.smpp_text import (
    DEFAULT_ALPHABET,
    UCS_2,
    coded,
    decoded,
    numbered,
    parts,
    without_header,
)
from pipeline.core.segments import count_segments

FROM = Endpoint(1, 1, "8613800138042")
TO = Endpoint(3, 1, "95588")


def test_a_bind_is_the_specifications_example_but_for_the_kind_of_bind() -> None:
    """Its bind_transmitter of SMPP3TEST, secret08, SUBMIT1; ours binds both ways, by version 3.4, for any address."""
    body = smpp.bind_transceiver("SMPP3TEST", "secret08", "SUBMIT1")
    example = "53 4D 50 50 33 54 45 53 54 00 73 65 63 72 65 74 30 38 00 53 55 42 4D 49 54 31 00"
    assert body == bytes.fromhex(example) + b"\x34\0\0\0"
    assert smpp.encode(Pdu(9, 0, 1, body))[:16] == bytes.fromhex("0000002F 00000009 00000000 00000001")


def test_a_message_is_written_field_by_field() -> None:
    body = smpp.submit_sm(smpp.sender("Bank"), smpp.subscriber("+8613800138042"), 0, b"Hi", 0x40, "000000010000000R")
    assert body == (
        b"\0"  # service_type
        b"\x05\x00Bank\0"  # source: alphanumeric
        b"\x01\x018613800138042\0"  # destination: international, ISDN
        b"\x40\x00\x00"  # esm_class, protocol_id, priority_flag
        b"\0"  # schedule_delivery_time
        b"000000010000000R\0"  # validity_period
        b"\x01\x00\x00\x00\x02Hi"  # registered_delivery, replace_if_present, data_coding, default message, length
    )


def test_a_message_too_long_for_its_field_goes_as_payload() -> None:
    short = smpp.submit_sm(TO, FROM, 8, b"x" * 254, 0, "")
    long = smpp.submit_sm(TO, FROM, 8, b"x" * 255, 0, "")
    assert short.endswith(b"\xfe" + b"x" * 254)
    assert long.endswith(b"\x08\x00\x00" + b"\x04\x24\x00\xff" + b"x" * 255)


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [("+8610955880", Endpoint(1, 1, "8610955880")), ("95588", TO), ("My Bank", Endpoint(5, 0, "My Bank"))],
)
def test_a_sender_is_what_it_looks_like(name: str, endpoint: Endpoint) -> None:
    assert smpp.sender(name) == endpoint


@pytest.mark.parametrize("name", ["", "银行", "a name too long", "1" * 21])
def test_a_sender_no_network_would_show_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="sender"):
        smpp.sender(name)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "000000000100000R"), (3_661, "000000010101000R"), (93_600, "000001020000000R"), (1e12, "000030000000000R")],
)
def test_a_validity_period_counts_from_now(seconds: float, written: str) -> None:
    assert smpp.relative_time(seconds) == written


def deliver(text: bytes, esm_class: int = 4, more: bytes = b"") -> bytes:
    return (
        b"\0\x01\x018613800138042\0\x03\x0195588\0"
        + bytes((esm_class, 0, 0))
        + b"\0\0\0\0\x08\0"
        + bytes((len(text),))
        + text
        + more
    )


def test_a_delivery_is_read_field_by_field() -> None:
    more = bytes.fromhex("001E 0003") + b"m1\0" + bytes.fromhex("0427 0001 02")
    assert smpp.deliver_sm(deliver(b"Hi", 0x44, more)) == Delivered(
        FROM, TO, 0x44, 8, b"Hi", {0x001E: b"m1\0", 0x0427: b"\x02"}
    )
    assert smpp.deliver_sm(deliver(b"", 0, bytes.fromhex("0424 0002") + b"Hi")).message == b"Hi"


@given(st.integers(0, 60))
def test_a_delivery_cut_short_is_no_delivery(length: int) -> None:
    whole = deliver(b"Hi", 4, bytes.fromhex("001E 0003") + b"m1\0")
    cut = whole[: min(length, len(whole) - 1)]
    if cut == deliver(b"Hi"):  # the optional parameter is gone altogether
        return
    with pytest.raises(Malformed):
        smpp.deliver_sm(cut)


@given(st.binary(max_size=80))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    for reading in (smpp.deliver_sm, smpp.message_id, smpp.queried, lambda found: smpp.receipt(smpp.deliver_sm(found))):
        with suppress(Malformed):
            reading(octets)


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_refused(length: int) -> None:
    with pytest.raises(Malformed, match="command_length"):
        smpp.body_length(smpp.HEADER.pack(length, 5, 0, 1))


@pytest.mark.parametrize("name", ["x" * 16, "a\0b"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        smpp.bind_transceiver(name, "p")


STANDARD = b"id:%s sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:%s err:%s text:Bank"


def read_receipt(text: bytes, esm_class: int = 4, more: bytes = b"") -> Receipt | None:
    return smpp.receipt(smpp.deliver_sm(deliver(text, esm_class, more)))


def test_a_receipt_is_read_from_its_text() -> None:
    assert read_receipt(STANDARD % (b"0a-7", b"DELIVRD", b"000")) == Receipt("0a-7", "delivered", "000")
    assert read_receipt(b"ID:7 Stat:undeliv") == Receipt("7", "undelivered", None)
    assert read_receipt(STANDARD % (b"7", b"ENROUTE", b"000"), 0x20) == Receipt("7", "sent", "000")


def test_the_optional_parameters_count_more_than_the_text() -> None:
    more = bytes.fromhex("001E 0003") + b"m1\0" + bytes.fromhex("0427 0001 08")
    assert read_receipt(STANDARD % (b"7", b"DELIVRD", b"000"), 4, more) == Receipt("m1", "failed", "000")
    assert read_receipt(b"", 4, more) == Receipt("m1", "failed", None)


def test_a_message_of_a_person_is_no_receipt_whatever_it_says() -> None:
    assert read_receipt(STANDARD % (b"7", b"DELIVRD", b"000"), 0) is None


@pytest.mark.parametrize("text", [b"", b"id:7", b"stat:DELIVRD", b"id:7 stat:HAPPY"])
def test_a_receipt_that_says_nothing_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        read_receipt(text)


def test_the_default_alphabet_has_its_places() -> None:
    """3GPP TS 23.038, table 6.2.1 and its extension."""
    assert coded("@£$_ A\n") == (DEFAULT_ALPHABET, [b"\x00", b"\x01", b"\x02", b"\x11", b" ", b"A", b"\n"])
    assert coded("€[]") == (DEFAULT_ALPHABET, [b"\x1b\x65", b"\x1b\x3c", b"\x1b\x3e"])
    assert coded("¡¿§ü") == (DEFAULT_ALPHABET, [b"\x40", b"\x60", b"\x5f", b"\x7e"])


def test_a_text_with_any_other_character_is_ucs_2() -> None:
    assert coded("A是") == (UCS_2, [b"\x00A", "是".encode("utf-16-be")])
    assert coded("\x1b").data_coding == UCS_2


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("x" * 160, [160]),
        ("x" * 161, [153, 8]),
        ("x" * 152 + "€" + "x" * 10, [152, 12]),
        ("是" * 70, [140]),
        ("是" * 71, [134, 8]),
        ("是" * 66 + "😀" + "是" * 3, [132, 10]),
        ("", [0]),
    ],
)
def test_a_text_is_cut_between_characters(text: str, lengths: list[int]) -> None:
    assert [len(part) for part in parts(coded(text))] == lengths


def test_a_text_of_more_than_255_parts_is_refused() -> None:
    assert len(parts(coded("x" * 153 * 255))) == 255
    with pytest.raises(ValueError, match="256"):
        parts(coded("x" * (153 * 255 + 1)))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600))
def test_what_is_cut_is_read_again(text: str) -> None:
    written = coded(text)
    cut = parts(written)
    assert "".join(decoded(written.data_coding, part) for part in cut) == text
    for part in cut:
        assert without_header(numbered(part, 300, len(cut), 1)) == part


@given(st.text(st.sampled_from("Aé€[是😀"), max_size=400))
def test_a_text_is_cut_into_as_many_as_were_counted_beforehand(text: str) -> None:
    assert len(parts(coded(text))) == count_segments(text).segments


def test_both_alphabets_are_one() -> None:
    for point in range(0x3000):
        assert (coded(chr(point)).data_coding == DEFAULT_ALPHABET) == (count_segments(chr(point)).encoding == "gsm7")


def test_a_part_is_numbered_as_the_network_reads_it() -> None:
    assert numbered(b"x", 0x1FF, 3, 2) == bytes.fromhex("05 00 03 FF 03 02") + b"x"


@pytest.mark.parametrize(
    ("coding", "octets", "text"),
    [
        (0x00, b"\x00\x1b\x65\x1b\x01", "@€ "),
        (0x10, b"Yes", "Yes"),
        (0x01, b"Yes\xff", "Yes�"),
        (0x03, b"\xe9", "é"),
        (0x18, b"\x66\x2f", "是"),
        (0xF0, b"\x00", "@"),
        (0xF4, b"\xe9", "é"),
        (0x00, b"\x80", "�"),
    ],
)
def test_a_reply_is_read_by_its_coding(coding: int, octets: bytes, text: str) -> None:
    assert decoded(coding, octets) == text


def test_the_ledger_forgets_the_oldest_orders() -> None:
    ledger = Ledger(kept=2)
    for number in range(3):
        ledger.took(ledger.open(f"k{number}", 1), 0, f"m{number}")

    async def known() -> list[object]:
        return [await ledger.of_key("k0"), *[await ledger.heard(f"m{number}", "delivered") for number in range(3)]]

    assert [found is None for found in asyncio.run(known())] == [True, True, False, False]

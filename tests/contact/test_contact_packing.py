"""What the contact store packs comes back to the byte, from this version's hand and from earlier ones'."""

import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.redis.contacts_dictionary import WORDS
from pipeline.adapters.redis.contacts_packing import (
    Head,
    packed_entries,
    packed_state,
    unpacked_card,
    unpacked_entries,
    unpacked_state,
)

CONTACT, CARD, CUSTOMER = "ct_0123456789abcdef01234567", "tok_k1_00112233445566778899aabbccddeeff", "cu_1"
NAMES = (CONTACT, CARD, CUSTOMER)
ENTRIES = [
    b'{"event":"alert","hash":"%064x","previous":"%s","state":"planned"}' % (7**90, CONTACT.encode()),
    b'{"event":"attempt","hash":"%064x","previous":"%064x"}' % (5**90, 7**90),
]


def pieces(packed: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(packed):
        length = int.from_bytes(packed[at : at + 4])
        found.append(packed[at + 4 : at + 4 + length])
        at += 4 + length
    return found


@given(st.one_of(st.binary(), st.text("0123456789abcdef\x01\x02{}").map(str.encode)))
def test_any_state_comes_back(value: bytes) -> None:
    assert unpacked_state(packed_state(value, *NAMES), *NAMES) == value


@given(st.sampled_from(["aa", "a\x01b", "abcdef", '"}"id\'']), st.text('abcdef"}id', max_size=60))
def test_a_name_that_looks_like_anything_comes_back(name: str, text: str) -> None:
    value = (name + text + name).encode()
    assert unpacked_state(packed_state(value, name, text, name), name, text, name) == value


@given(st.lists(st.one_of(st.binary(), st.text("0123456789abcdef\n{}", min_size=10).map(str.encode)), max_size=4))
def test_any_entries_come_back_in_their_order(values: list[bytes]) -> None:
    packed = pieces(packed_entries(values, CONTACT))
    assert [entry for piece in packed for entry in unpacked_entries(piece, CONTACT)] == values


def test_entries_written_together_share_what_they_have_in_common() -> None:
    (together,) = pieces(packed_entries(ENTRIES, CONTACT))
    apart = [piece for entry in ENTRIES for piece in pieces(packed_entries([entry], CONTACT))]
    assert len(together) < sum(map(len, apart)) - 30  # a hash less


def test_what_earlier_versions_wrote_is_read() -> None:
    assert unpacked_state(b'{"id":"ct_1"}', *NAMES) == b'{"id":"ct_1"}'
    assert unpacked_entries(zlib.compress(ENTRIES[0]), CONTACT) == [ENTRIES[0]]


@pytest.mark.parametrize("wrong", [b"", b"\x01", b"\x01\xff\xff\xff", b"\x02\xff", b"\x78\x9c tampered", b"something"])
def test_what_cannot_be_read_stops_nobody_from_reading_the_rest(wrong: bytes) -> None:
    assert isinstance(unpacked_state(wrong, *NAMES), bytes)
    assert len(unpacked_entries(wrong, CONTACT)) == 1


def test_the_dictionary_of_forms_one_and_two_is_what_it_was() -> None:
    """Change it and no stored conversation can be read."""
    assert sha256(WORDS).hexdigest() == "539f983708e8f477bc6516094e431c9b1b77ba43d1d42e1e8e35cdb25e3cbc78"
    stored = bytes.fromhex("01434ac0e86a6b01")
    assert unpacked_state(stored, *NAMES) == b'{"id":"ct_0123456789abcdef01234567","state":"planned"}'


@given(
    st.one_of(st.sampled_from([CARD, "tok_1", "ab" * 8, "\x01" + "ab" * 8, ""]), st.text("tok_0123456789abcdef\x01"))
)
def test_any_card_comes_back(card: str) -> None:
    packed = Head(1, 2.0, card, "cu_1", b"").packed()
    length = int.from_bytes(packed[12:14])
    assert unpacked_card(packed[14 : 14 + length]) == card

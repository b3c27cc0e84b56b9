"""What the contact store packs comes back to the byte, from this version's hand and from earlier ones'."""

import json
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.redis import contacts_dictionary_3
from pipeline.adapters.redis.contacts_dictionary import WORDS
from pipeline.adapters.redis.contacts_packing import (
    Head,
    packed_entries,
    packed_state,
    unpacked_card,
    unpacked_entries,
    unpacked_state,
)
from pipeline.core.dossier import chained, verify

CONTACT, CARD, CUSTOMER = "ct_0123456789abcdef01234567", "tok_k1_00112233445566778899aabbccddeeff", "cu_1"
NAMES = (CONTACT, CARD, CUSTOMER)
FIRST = chained(CONTACT, {"event": "alert", "state": "planned", "time": "2026-03-02T15:00:00.000Z"})
SECOND = chained(FIRST.hash, {"event": "attempt", "told": [{"text": 'Caf\u00e9 "hash": 1'}]})
ENTRIES = [FIRST.value, SECOND.value]
JSON_PARTS = st.recursive(
    st.one_of(
        st.none(), st.integers(0, 3 * 10**12), st.floats(allow_nan=False), st.text(max_size=8),
        st.integers(0, 2**64).map(lambda number: f"tok_k1_{number:032x}"),
        st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
        st.sampled_from(["hash", "previous", CONTACT, CARD, "0000000000000000", "k5eea67831aadcd15a3"]),
    ),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "hash", "previous", "zone"]), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


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
    packed = pieces(packed_entries(values, CONTACT, sealed=False))
    assert [entry for piece in packed for entry in unpacked_entries(piece, CONTACT)] == values


@given(st.lists(JSON_PARTS, max_size=3), st.booleans())
def test_any_json_comes_back(values: list[object], sealed: bool) -> None:
    texts = [json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() for value in values]
    packed = pieces(packed_entries(texts, CONTACT, sealed))
    assert [entry for piece in packed for entry in unpacked_entries(piece, CONTACT)] == texts
    for text in texts:
        assert unpacked_state(packed_state(text, *NAMES), *NAMES) == text


@given(
    st.lists(st.dictionaries(st.sampled_from(["event", "told", "zones"]), JSON_PARTS), min_size=1, max_size=4),
    st.booleans(),
)
def test_any_dossier_comes_back_and_holds(facts: list[dict[str, object]], sealed: bool) -> None:
    entries, last = [], CONTACT
    for fact in facts:
        value, last = chained(last, fact)
        entries.append(value)
    found = [
        entry
        for piece in pieces(packed_entries(entries, CONTACT, sealed))
        for entry in unpacked_entries(piece, CONTACT)
    ]
    assert found == entries
    assert verify(CONTACT, found, last) == []


@pytest.mark.parametrize(
    "text",
    [
        b'{"n":0.30000000000000004,"m":0.10000000000000001,"k":12345678901234567890.5}',
        b'{"at":"2026-02-30T00:00:00.000Z","was":"0001-01-01T00:00:00.000Z","is":"2026-03-02T15:00:00.001Z"}',
        b'{"ms":1772463599920,"early":1499999999999,"late":9999999999999,"zero":0000000000000}',
        b'{"id":"abcdef01","odd":"abcdef012","long":"' + b"ab" * 200 + b'","k":"SMa52083066c483ee7399fb1938c2e09d5"}',
        b'{"hash":"' + b"0" * 64 + b'","previous":"x","hash":"' + b"0" * 64 + b'",}',
    ],
)
def test_what_only_looks_like_a_number_a_moment_or_a_hash_comes_back(text: bytes) -> None:
    assert unpacked_state(packed_state(text, *NAMES), *NAMES) == text


def test_the_last_hash_of_an_open_dossier_is_left_to_its_conversation() -> None:
    (open_,), (ended,) = (pieces(packed_entries(ENTRIES, CONTACT, sealed)) for sealed in (False, True))
    assert bytes.fromhex(SECOND.hash) in ended
    assert bytes.fromhex(SECOND.hash) not in open_
    assert bytes.fromhex(FIRST.hash) not in ended


def test_a_piece_that_was_changed_is_found_out_by_what_follows_it() -> None:
    """Its own hashes are made anew from what it says now."""
    (ours,), (others,) = (
        pieces(packed_entries([chained(CONTACT, {"event": "alert", "state": state}).value], CONTACT, sealed=False))
        for state in ("planned", "blocked")
    )
    (right,), (wrong,) = unpacked_entries(ours, CONTACT), unpacked_entries(others, CONTACT)
    last = chained(CONTACT, {"event": "alert", "state": "planned"})
    following = chained(last.hash, {"event": "attempt"})
    assert verify(CONTACT, [right, following.value], following.hash) == []
    assert [broken.why for broken in verify(CONTACT, [wrong, following.value])] == ["unlinked"]
    assert [broken.why for broken in verify(CONTACT, [wrong], last.hash)] == ["cut_off"]


def test_what_earlier_versions_wrote_is_read() -> None:
    assert unpacked_state(b'{"id":"ct_1"}', *NAMES) == b'{"id":"ct_1"}'
    assert unpacked_entries(zlib.compress(ENTRIES[0]), CONTACT) == [ENTRIES[0]]


WRONG = [b"", b"\x01", b"\x01\xff\xff\xff", b"\x02\xff", b"\x03", b"\x03\xff\xff", b"\x78\x9c tampered", b"something"]


@pytest.mark.parametrize(
    "wrong", [*WRONG, packed_state(FIRST.value, *NAMES)[:-1], packed_state(FIRST.value, *NAMES)[:9]]
)
def test_what_cannot_be_read_stops_nobody_from_reading_the_rest(wrong: bytes) -> None:
    assert isinstance(unpacked_state(wrong, *NAMES), bytes)
    assert len(unpacked_entries(wrong, CONTACT)) == 1


def test_the_dictionary_of_form_three_is_what_it_was() -> None:
    """Change it, or a mark in it, and no stored conversation can be read."""
    expected = "c1cad9622d7eaee3cf3a61060ab7f4a7ae7bbd1c6b15158aea7f871499cc8606"
    assert sha256(contacts_dictionary_3.WORDS).hexdigest() == expected
    stored = bytes.fromhex("03c3ee7fb8e25a003f70189930")
    assert (
        unpacked_state(stored, *NAMES)
        == b'{"id":"ct_0123456789abcdef01234567","card":"%s","due_ms":1772463599920}' % CARD.encode()
    )


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

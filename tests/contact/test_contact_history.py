"""What has reached a customer: kept as long as a cap needs it, the same in bytes, noted twice without harm."""

import msgspec
import pytest
from gate_world import DAY_MS, PROOF
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contact_history import (
    IN_FLIGHT_MS,
    KEEP_MS,
    MAX_ENTRIES,
    NOTHING,
    Entry,
    History,
    Kind,
    decode,
    encode,
    in_flight,
    noted,
)


def entry(time_ms: int, kind: Kind = "dial", event: str = "a", class_: str = "fraud") -> Entry:
    return Entry(time_ms, class_, "voice", event, kind)


def history(*entries: Entry) -> History:
    made = NOTHING
    for each in entries:
        made = noted(made, each)
    return made


ENTRIES = st.builds(
    Entry,
    st.integers(0, 100 * DAY_MS),
    st.sampled_from(["fraud", "reminder"]),
    st.sampled_from(["voice", "sms"]),
    st.text(max_size=5),
    st.sampled_from(["dial", "missed", "effective", "message"]),
)


@settings(max_examples=50 * PROOF, deadline=None)
@given(st.lists(ENTRIES, max_size=12))
def test_entries_are_in_order_young_enough_and_the_same_in_bytes(entries: list[Entry]) -> None:
    made = history(*entries)
    times = [each.time_ms for each in made.entries]
    newest = max((each.time_ms for each in entries), default=0)
    assert times == sorted(times)
    assert {each for each in entries if each.time_ms > newest - KEEP_MS} == set(made.entries)
    assert decode(encode(made)) == made


def test_the_bytes_are_compact_json() -> None:
    assert encode(history(entry(5))) == b'[[5,"fraud","voice","a","dial"]]'
    assert decode(None) == decode(b"") == NOTHING
    with pytest.raises(msgspec.DecodeError):
        decode(b'[[5,"fraud","voice","a","shouted"]]')


def test_the_same_entry_noted_twice_counts_once() -> None:
    assert history(entry(5), entry(5)) == history(entry(5))
    assert len(history(entry(5), entry(5, event="b")).entries) == 2


def test_an_entry_is_kept_for_as_long_as_the_longest_cap_looks_back() -> None:
    assert history(entry(0), entry(KEEP_MS - 1)).entries == (entry(0), entry(KEEP_MS - 1))
    assert history(entry(0), entry(KEEP_MS)).entries == (entry(KEEP_MS),)


def test_a_history_has_a_limit() -> None:
    full = history(*(entry(number) for number in range(MAX_ENTRIES + 5)))
    assert len(full.entries) == MAX_ENTRIES
    assert full.entries[-1].time_ms == MAX_ENTRIES + 4


def test_a_dial_is_in_flight_until_its_end_is_noted_or_an_hour_is_over() -> None:
    assert in_flight(history(entry(0)), 10) == [entry(0)]
    assert in_flight(history(entry(0)), IN_FLIGHT_MS) == []
    assert in_flight(history(entry(0), entry(5, "missed")), 10) == []
    assert in_flight(history(entry(0), entry(5, "effective")), 10) == []
    assert in_flight(history(entry(0), entry(5, "missed"), entry(6)), 10) == [entry(6)]
    assert in_flight(history(entry(0), entry(5, "missed", event="b")), 10) == [entry(0)]
    # The end of a dial long over does not end the one after it.
    late = IN_FLIGHT_MS + 10
    assert in_flight(history(entry(0), entry(100), entry(200, "missed")), late) == [entry(100)]

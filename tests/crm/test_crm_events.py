"""What of a record is told to other systems, and what of it never leaves."""

from typing import Any, get_args

import msgspec
import pytest
from crm_world import CONTACT, Read, shipped, state, step

from pipeline.core.crm_event import CustomerTags, NotForOthers, read_state, read_step
from pipeline.core.crm_rows import rows_of
from pipeline.core.crm_words import ANSWERS, STEPS
from pipeline.core.records import AnswerWord, Step

CARD = "4111 1111 1111 1111"


def test_the_same_record_is_the_same_event_and_another_is_another() -> None:
    first, again = read_step(step(offset=3)), read_step(step(offset=9, partition=2))
    assert first.id == again.id
    assert first.id.startswith(f"{CONTACT}:answered:2:")
    others = [step("planned"), step(attempt=3), step(subject={"alert": "tx-78"}), step(time="2026-11-23T15:41:00Z")]
    assert len({first.id, *(read_step(other).id for other in others)}) == 5


def test_a_complaint_is_told_as_one() -> None:
    assert read_step(step(answer="complaint")).type == "contact.complaint"
    assert read_step(step(answer="no")).type == "contact.step"
    assert read_step(step("escalated", answer="complaint")).type == "contact.step", "it follows from the complaint"


def test_free_text_is_masked() -> None:
    told = read_step(step("failed", reason="+86 138 0013 8042 does not answer")).data
    assert "8042" not in msgspec.json.encode(told).decode()


@pytest.mark.parametrize(
    ("changed", "reason", "field"),
    [
        ({"contact": CARD}, "holds_card_number", "contact"),
        ({"customer": "+8613800138042"}, "holds_phone_number", "customer"),
        ({"subject": {"alert": "4111111111111111"}}, "holds_card_number", "subject alert"),
        ({"step": "sung"}, "not_a_contact_step", None),
        ({"time": "yesterday"}, "not_a_contact_step", "time"),
        ({"time": "2026-11-23T15:40:19"}, "not_a_contact_step", "time"),
    ],
)
def test_what_cannot_be_told_is_named_without_its_values(
    changed: dict[str, Any], reason: str, field: str | None
) -> None:
    with pytest.raises(NotForOthers) as refused:
        read_step(step(**changed))
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert "1111" not in refused.value.detail
    assert "8042" not in refused.value.detail


@pytest.mark.parametrize("value", [None, b"", b"[]", b'{"contact":"ct_1"}', b"\xff\xfe"])
def test_a_record_that_is_no_step_is_refused(value: bytes | None) -> None:
    with pytest.raises(NotForOthers):
        read_step(Read(value))


def test_of_a_customer_s_state_the_tags_are_told_and_the_risk_is_not() -> None:
    event = read_state(state(tags=["dormant", "travelling"], activity={"level": "dormant", "payments_30d": 0.2}))
    assert event.data == CustomerTags(
        customer="cu1", tags=["dormant", "travelling"], activity="dormant", as_of="2026-11-23T00:00:00Z"
    )
    assert b"risk" not in msgspec.json.encode(event.data)
    assert event.customer == "cu1"


def test_a_customer_who_is_erased_is_told_by_name_and_time_and_no_more() -> None:
    record = Read(None, b"cu1", offset=7, timestamp=1_764_000_000_123)
    event = read_state(record)
    assert (event.type, event.customer, event.time) == ("customer.erased", "cu1", "2025-11-24T16:00:00.123Z")
    assert msgspec.to_builtins(event.data) == {"customer": "cu1", "as_of": "2025-11-24T16:00:00.123Z"}
    assert event.id == read_state(Read(None, b"cu1", 3, 9, 1_764_000_000_123)).id
    assert event.id != read_state(Read(None, b"cu1", timestamp=1)).id
    assert rows_of(shipped().zoho, [event]) == []


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"4111111111111111", b"+8613800138042"])
def test_whom_a_null_record_does_not_name_nobody_is_told_of(key: bytes | None) -> None:
    with pytest.raises(NotForOthers):
        read_state(Read(None, key))


def test_a_state_without_a_moment_is_refused() -> None:
    with pytest.raises(NotForOthers) as refused:
        read_state(state(as_of="today"))
    assert refused.value.reason == "not_a_customer_state"


def test_every_step_and_answer_has_words_in_both_languages() -> None:
    assert STEPS.keys() == set(get_args(Step))
    assert ANSWERS.keys() == set(get_args(AnswerWord))
    assert all(english and chinese and english != chinese for english, chinese in [*STEPS.values(), *ANSWERS.values()])

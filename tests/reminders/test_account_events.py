"""Which records of ``accounts`` are used, and in which words the others are refused."""

from typing import Any

import msgspec
import pytest
from account_world import NAME, event, heard, instalment, moment, ms, paid, said, statement
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.account import MAX_BILLS, MAX_DISPUTES, Account, after
from pipeline.core.account_event import AccountEvent, BadAccountEvent, Repayment, Statement, read_event

STATEMENT: dict[str, Any] = {
    "type": "statement",
    "id": "S1",
    "account": NAME,
    "customer": "C1",
    "card": "tok_a_00112233",
    "product": "card",
    "statement_date": "2026-10-05",
    "due_date": "2026-10-25",
    "currency": "CNY",
    "balance": 500_000,
    "minimum_due": 50_000,
    "autopay": False,
}
REPAYMENT: dict[str, Any] = {"type": "repayment", "id": "P1", "time": "2026-10-20T09:00:00+08:00", "amount": 100}


def read(record: dict[str, Any], key: bytes | None = b"A1") -> AccountEvent:
    return read_event(key, msgspec.json.encode(record))


def test_a_statement_is_read_and_unknown_fields_are_passed_over() -> None:
    found = read(STATEMENT | {"points": 12})
    assert isinstance(found, Statement)
    assert (found.minimum_due, found.due_date.isoformat()) == (50_000, "2026-10-25")


def test_the_account_of_a_record_is_that_of_its_key() -> None:
    found = read(REPAYMENT)
    assert isinstance(found, Repayment)
    assert found.account == "A1"


@pytest.mark.parametrize(
    ("record", "field", "words"),
    [
        (STATEMENT | {"account": "A2"}, "account", "record's key"),
        (STATEMENT | {"card": "4111 1111 1111 1111"}, "card", "clear card number"),
        (STATEMENT | {"card": "1234"}, "card", "no token"),
        (STATEMENT | {"id": "4111111111111111"}, None, "clear card number"),
        (STATEMENT | {"currency": "XXQ"}, "currency", "ISO 4217"),
        (STATEMENT | {"minimum_due": 1.5}, "minimum_due", "int"),
        (STATEMENT | {"minimum_due": -1}, "minimum_due", ">= 0"),
        (STATEMENT | {"past_due": 50_001}, "past_due", "part of minimum_due"),
        (STATEMENT | {"due_date": "2026-10-04"}, "due_date", "before statement_date"),
        (STATEMENT | {"due_date": "0001-10-04"}, "due_date", "2000"),
        (STATEMENT | {"product": "boat"}, "product", "boat"),
        ({k: v for k, v in STATEMENT.items() if k != "balance"}, "balance", "balance"),
        (STATEMENT | {"type": "sonnet"}, "type", "sonnet"),
        (REPAYMENT | {"amount": 0}, "amount", ">= 1"),
        (REPAYMENT | {"time": "2026-10-20T09:00:00"}, "time", "timezone"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_field(record: dict[str, Any], field: str | None, words: str) -> None:
    with pytest.raises(BadAccountEvent) as refused:
        read(record)
    assert refused.value.field == field
    assert words in refused.value.detail
    assert "4111" not in refused.value.detail.replace("*", "")[:-4]


@pytest.mark.parametrize(("key", "value"), [(None, b"{}"), (b"", b"{}"), (b"A1", None), (b"A1", b""), (b"\xff", b"{}")])
def test_a_record_without_key_or_value_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(BadAccountEvent):
        read_event(key, value)


def test_a_key_that_is_a_card_number_is_refused() -> None:
    with pytest.raises(BadAccountEvent, match="clear card number"):
        read(REPAYMENT, b"4111111111111111")


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_whatever_the_bytes_nothing_else_is_raised(value: bytes, key: bytes) -> None:
    with pytest.raises(BadAccountEvent):
        read_event(key, value)


def test_a_payment_in_another_currency_is_refused_in_clear_words() -> None:
    account = heard([statement("S1", "2026-10-05", "2026-10-25", 50_000)])
    with pytest.raises(BadAccountEvent, match="currency is USD but this account's bills are in CNY") as refused:
        heard([paid("P1", "2026-10-20T09:00", 100, currency="USD")], account)
    assert refused.value.field == "currency"


def test_a_payment_in_another_currency_before_any_bill_pays_nothing() -> None:
    early = [paid("P1", "2026-10-20T09:00", 100, currency="USD"), paid("P2", "2026-10-20T10:00", 200, currency="CNY")]
    account = heard([*early, statement("S1", "2026-10-05", "2026-10-25", 50_000)])
    assert [each.id for each in account.payments] == ["P2"]


@pytest.mark.parametrize(("days", "words"), [(8, "days after"), (-401, "days before")])
def test_a_time_that_cannot_be_meant_is_refused(days: int, words: str) -> None:
    said_ms = ms("2026-10-20T09:00")
    late = event("repayment", id="P1", time=moment(said_ms + days * 86_400_000), amount=5)
    with pytest.raises(BadAccountEvent, match=words) as refused:
        after(None, late, said_ms, 0)
    assert refused.value.field == "time"


def test_a_promise_years_ahead_is_refused() -> None:
    with pytest.raises(BadAccountEvent, match="by is more than") as refused:
        heard([said("promise", "2026-10-20T09:00", amount=5, by="2029-01-01")])
    assert refused.value.field == "by"


def test_bills_and_disputes_without_end_are_refused() -> None:
    bills = [
        instalment(f"L{n}", f"{2027 + n // 12}-{n % 12 + 1:02}-20", 100, "2026-10-20T09:00") for n in range(MAX_BILLS)
    ]
    account = heard(bills)
    with pytest.raises(BadAccountEvent, match="64 unsettled bills"):
        heard([instalment("LX", "2039-01-20", 100, "2026-10-20T09:00")], account)
    disputes = [said("dispute", "2026-10-20T09:00", id=f"D{n}", amount=1, open=True) for n in range(MAX_DISPUTES + 1)]
    with pytest.raises(BadAccountEvent, match="16 disputes"):
        heard(disputes)


def test_an_account_moved_to_another_partition_says_so() -> None:
    first, at_ms = statement("S1", "2026-10-05", "2026-10-25", 50_000)
    account = after(None, first, at_ms, 1)
    assert isinstance(account, Account)
    assert after(account, first, at_ms, 2).partition == 2

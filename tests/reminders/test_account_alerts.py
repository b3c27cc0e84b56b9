"""Payments that come back, and an account run up by somebody who will not pay."""

from account_world import Said, heard, ms, paid, said, statement
from msgspec.structs import replace

from pipeline.core.account import Account, after
from pipeline.core.account_alerts import WORDS, RiskAlert, alerts_of, bust_out
from pipeline.core.account_alerts import said as in_words
from pipeline.core.crm_words import LANGUAGES

NOW = "2026-11-20T12:00"


def _raised(records: list[Said]) -> list[RiskAlert]:
    account: Account | None = None
    alerts: list[RiskAlert] = []
    for record, said_ms in records:
        changed = after(account, record, said_ms, 3)
        alerts += alerts_of(account, changed, said_ms)
        account = changed
    return alerts


def _months(last_balance: int, limit: int | None = None, paid_each: int = 5_000) -> list[Said]:
    more = {} if limit is None else {"credit_limit": limit}
    return [
        statement("S09", "2026-09-05", "2026-09-25", 5_000, 50_000, **more),
        paid("P1", "2026-09-20T09:00", paid_each),
        statement("S10", "2026-10-05", "2026-10-25", 5_000, 52_000, **more),
        paid("P2", "2026-10-20T09:00", paid_each),
        statement("S11", "2026-11-05", "2026-11-25", 40_000, last_balance, **more),
    ]


def test_a_payment_that_comes_back_is_told_once() -> None:
    back = said("repayment_reversed", "2026-10-27T09:00", original_id="P1")
    records = [statement("S10", "2026-10-05", "2026-10-25", 50_000), paid("P1", "2026-10-24T09:00", 50_000), back, back]
    (alert,) = _raised(records)
    assert (alert.kind, alert.id, alert.account, alert.customer) == (
        "returned_payment",
        "returned_payment:A1:P1",
        "A1",
        "C1",
    )
    assert in_words(dict(alert.reasons), "en") == "A payment of 500.00 CNY came back."
    assert in_words(dict(alert.reasons), "zh") == "一笔 500.00 CNY 的还款被退回。"


def test_a_return_heard_of_before_its_payment_is_told_with_the_payment() -> None:
    back = said("repayment_reversed", "2026-10-24T09:30", original_id="P1")
    assert not _raised([back])
    (alert,) = _raised([back, paid("P1", "2026-10-24T09:00", 50_000)])
    assert alert.id == "returned_payment:A1:P1"


def test_a_second_return_says_that_it_is_not_the_first() -> None:
    records = [paid("P1", "2026-10-20T09:00", 50), paid("P2", "2026-10-21T09:00", 50)]
    backs = [said("repayment_reversed", f"2026-10-2{n + 2}T09:00", original_id=f"P{n}") for n in (1, 2)]
    first, second = _raised([*records, *backs])
    assert [code for code, _ in first.reasons] == ["payment_returned"]
    assert [code for code, _ in second.reasons] == ["returned_again", "payment_returned"]


def test_sudden_full_use_after_months_of_minimum_payments_is_a_bust_out() -> None:
    (alert,) = _raised(_months(480_000, limit=500_000))
    assert (alert.kind, alert.id) == ("bust_out", "bust_out:A1:S11")
    assert alert.reasons == (("run_up_after_minimums", {"times": 9.2}), ("limit_full", {"percent": 96}))


def test_a_run_up_that_leaves_the_limit_free_is_a_large_purchase() -> None:
    assert not _raised(_months(480_000, limit=900_000))


def test_who_pays_more_than_the_minimum_is_no_bust_out() -> None:
    assert not _raised(_months(480_000, limit=500_000, paid_each=20_000))


def test_a_balance_as_before_is_no_bust_out() -> None:
    assert not _raised(_months(60_000, limit=61_000))


def test_payments_that_freed_the_limit_and_come_back_are_a_bust_out() -> None:
    records = [
        statement("S11", "2026-11-05", "2026-11-25", 40_000, 400_000, credit_limit=500_000),
        paid("P1", "2026-11-10T09:00", 200_000),
        paid("P2", "2026-11-11T09:00", 200_000),
        said("balance_changed", "2026-11-13T09:00", balance=450_000),
        said("repayment_reversed", "2026-11-14T09:00", original_id="P1"),
        said("repayment_reversed", "2026-11-15T09:00", original_id="P2"),
    ]
    alerts = _raised(records)
    assert [alert.kind for alert in alerts] == ["returned_payment", "returned_payment", "bust_out"]
    assert [code for code, _ in alerts[-1].reasons] == ["returned_after_run_up", "limit_full", "returned_again"]
    assert dict(alerts[-1].reasons)["limit_full"] == {"percent": 170}


def test_a_loan_has_no_limit_to_run_up() -> None:
    account = heard(_months(480_000, limit=500_000))
    assert bust_out(account, ms(NOW)) is not None
    assert bust_out(replace(account, product="loan"), ms(NOW)) is None


def test_every_reason_has_words_in_both_languages() -> None:
    assert all(len(words) == len(LANGUAGES) and all(words) for words in WORDS.values())

"""An account's record stays small, and what it forgot is not heard a second time."""

from datetime import date, timedelta

from account_world import Said, at, heard, instalment, ms, paid, said, statement
from msgspec.structs import replace

from pipeline.core.account import Account, Told, after, encode
from pipeline.core.account_facts import UNSEEN
from pipeline.core.account_folding import KEPT_PAYMENTS, MAX_PAYMENTS


def _month(number: int, minimum: int = 50_000) -> list[Said]:
    """A statement on the first of a month, paid in two parts before it is due."""
    first = date(2024 + number // 12, number % 12 + 1, 1)
    due = first + timedelta(days=20)
    return [
        statement(f"2024{number:012}", f"{first}", f"{due}", minimum),
        *(
            paid(f"P{part}2024{number:010}", f"{first + timedelta(days=8 + part)}T09:00", minimum // 2)
            for part in (0, 1)
        ),
    ]


def test_two_years_of_an_account_fit_into_a_thousand_bytes() -> None:
    account: Account | None = None
    for number in range(24):
        account = heard(_month(number), account)
        assert len(encode(account)) < 1_000
        assert at(account, f"{2024 + number // 12}-{number % 12 + 1:02}-15T12:00").owed == 0
    assert account is not None
    assert (len(account.bills), len(account.payments)) == (3, 6)


def test_a_typical_account_takes_no_more_than_six_hundred_bytes() -> None:
    assert len(encode(heard([*_month(0), *_month(1)]))) <= 600


def test_what_was_folded_is_not_heard_a_second_time() -> None:
    records = [record for number in range(12) for record in _month(number)]
    account = heard(records)
    again = heard(records, account)
    assert at(again, "2024-12-20T12:00") == at(account, "2024-12-20T12:00")
    assert again == account


def test_a_debt_is_never_folded_away() -> None:
    account = heard([statement("S0", "2024-01-01", "2024-01-21", 50_000)])
    for number in range(1, 12):
        account = heard(
            [statement(f"S{number}", f"2024-{number + 1:02}-01", f"2024-{number + 1:02}-21", 50_000, 900_000)], account
        )
    now = at(account, "2024-12-15T12:00")
    assert (now.owed, now.bill, now.days_past_due) == (600_000, "S0", 329)


def test_many_payments_in_a_month_are_folded_however_young() -> None:
    bill = statement("S1", "2026-10-01", "2026-10-21", 50_000, 90_000)
    many = [paid(f"P{n:03}", f"2026-10-{2 + n // 20:02}T{n % 20:02}:00", 200) for n in range(150)]
    account = heard([bill, *many])
    assert len(account.payments) == MAX_PAYMENTS
    now = at(account, "2026-10-15T12:00")
    assert (now.owed, now.balance) == (20_000, 60_000)


def test_a_return_of_what_was_folded_is_kept_but_pays_nothing_back() -> None:
    account = heard([record for number in range(12) for record in _month(number)])
    back = heard([said("repayment_reversed", "2024-12-12T09:00", original_id="P020240000000001")], account)
    assert back.payments[-1].state == UNSEEN
    assert at(back, "2024-12-15T12:00").owed == 0


def test_a_quiet_account_is_left_as_it_was_said() -> None:
    account = heard(_month(0))
    later = heard([said("closed", "2025-12-01T09:00")], account)
    assert later.payments == account.payments


def test_what_was_told_of_a_bill_goes_with_it() -> None:
    account = heard(_month(0))
    told = Told(account.bills[0].id, "due", account.seen_ms)
    account = replace(account, told=(told,))
    assert heard(_month(1), account).told == (told,)
    for number in range(1, 8):
        account = heard(_month(number), account)
    assert account.told == ()


def test_payments_since_an_open_promise_are_kept_for_it() -> None:
    start = ms("2024-01-10T09:00")
    account = heard([*_month(0)[:1], said("promise", "2024-01-05T09:00", amount=700, by="2024-03-30")])
    for number in range(7):
        late, said_ms = paid(f"Q{number}", "2024-01-10T09:00", 100)
        account = after(account, late, said_ms + number, 3)
    tail, _ = said("closed", "2024-04-20T09:00")
    account = after(account, tail, start + 101 * 86_400_000, 3)
    assert len(account.payments) == KEPT_PAYMENTS + 1
    assert at(account, "2024-04-21T09:00").promise == "kept"


def _loan(months: int, each: int) -> list[Said]:
    records: list[Said] = []
    for month in range(1, months + 1):
        records.append(instalment(f"L{month}", f"2024-{month:02}-20", 10_000, f"2024-{month:02}-01T09:00"))
        records.append(paid(f"P{month}", f"2024-{month:02}-10T09:00", each))
    return records


def test_what_a_loan_was_paid_ahead_outlives_the_payments() -> None:
    dues = [instalment(f"L{n}", f"2024-{n:02}-20", 10_000, f"2024-{n:02}-01T09:00") for n in range(1, 13)]
    account = heard([dues[0], paid("P1", "2024-01-10T09:00", 100_000), *dues[1:7]])
    assert (account.payments, account.credit) == ((), 30_000)
    account = heard(dues[7:], account)
    assert at(account, "2024-12-15T12:00").owed == 20_000
    assert at(account, "2024-12-25T12:00").bill == "L11"


def test_a_folded_payment_of_a_loan_is_not_credited_a_second_time() -> None:
    account = heard(_loan(8, 15_000))
    again = heard(_loan(8, 15_000), account)
    assert (again.credit, again.payments) == (account.credit, account.payments)


def test_an_instalment_sent_ahead_is_not_folded_before_it_is_out() -> None:
    account = heard([instalment("LX", "2025-06-20", 10_000, "2024-01-01T09:00"), *_loan(8, 10_000)])
    assert account.folded_ms
    assert at(account, "2025-06-19T12:00").bill == "LX"


def test_a_balance_is_less_by_what_was_folded_since() -> None:
    start = said("balance_changed", "2024-01-05T09:00", balance=100_000)
    account = heard([start, *(paid(f"P{month}", f"2024-{month:02}-10T09:00", 5_000) for month in range(1, 11))])
    assert len(account.payments) < 10
    assert at(account, "2024-11-01T12:00").balance == 50_000


def test_a_balance_of_zero_is_not_said_again_after_it_was_folded() -> None:
    account = heard([*_month(0), said("balance_changed", "2024-01-12T09:00", balance=0)])
    for number in range(1, 9):
        account = heard(_month(number), account)
    assert account.cleared_ms == 0


def test_a_minimum_repeated_from_a_bill_that_went_is_not_owed_again() -> None:
    records = [
        statement("S0", "2024-01-01", "2024-01-21", 50_000, 900_000),
        statement("S1", "2024-02-01", "2024-02-21", 90_000, 900_000, past_due=50_000),
        paid("P0", "2024-02-10T09:00", 50_000),
    ]
    for month in range(3, 9):
        records.append(statement(f"S{month}", f"2024-{month:02}-01", f"2024-{month:02}-21", 5_000, 900_000))
        records.append(paid(f"P{month}", f"2024-{month:02}-10T09:00", 5_000))
    account = heard(records)
    assert account.over_ms
    assert at(account, "2024-08-25T12:00").owed == 40_000


def test_what_came_back_is_in_the_balance_when_both_are_folded() -> None:
    records = [
        paid("P0", "2024-01-03T09:00", 20_000),
        said("balance_changed", "2024-01-05T09:00", balance=100_000),
        said("repayment_reversed", "2024-01-06T09:00", original_id="P0"),
        *(paid(f"P{month}", f"2024-{month:02}-10T09:00", 5_000) for month in range(1, 11)),
    ]
    account = heard(records)
    assert all(each.id != "P0" for each in account.payments)
    assert at(account, "2024-11-01T12:00").balance == 70_000


def _issued_again(*between: Said) -> Account:
    """A bill of January under two names, of which the second is in force and unpaid, and a quarter of others."""
    account = heard([statement("S0", "2024-01-01", "2024-01-21", 50_000, 900_000), *between])
    account = replace(account, told=(Told("S0", "due", ms("2024-01-21T10:00")),))
    account = heard([statement("S0b", "2024-01-01", "2024-01-21", 60_000, 900_000)], account)
    for number in range(1, 6):
        account = heard(
            [statement(f"S{number}", f"2024-{number + 1:02}-01", f"2024-{number + 1:02}-21", 50_000, 900_000)], account
        )
    assert "S0" not in {bill.id for bill in account.bills}, "its first name is folded away"
    return account


def test_what_names_a_bill_by_its_first_name_names_the_one_in_force_once_that_is_folded() -> None:
    account = _issued_again(
        said("dispute", "2024-01-10T09:00", id="D1", amount=20_000, open=True, statement="S0"),
        said("autopay_failed", "2024-01-21T09:00", statement="S0"),
    )
    assert account.told == (Told("S0b", "due", ms("2024-01-21T10:00")),)
    assert [each.bill for each in account.disputed] == ["S0b"]
    assert [each.bill for each in account.failed] == ["S0b"]
    assert at(account, "2024-06-15T12:00").owed == 60_000 - 20_000 + 5 * 50_000


def test_what_was_disputed_of_a_bill_stays_so_when_it_is_issued_again() -> None:
    first = statement("S0", "2024-01-01", "2024-01-21", 50_000, 900_000)
    dispute = said("dispute", "2024-01-10T09:00", id="D1", amount=20_000, open=True, statement="S0")
    again = statement("S0b", "2024-01-01", "2024-01-21", 60_000, 900_000)
    assert at(heard([first, dispute, again]), "2024-01-15T12:00").owed == 40_000

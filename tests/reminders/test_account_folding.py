"""An account's record stays small, and what it forgot is not heard a second time."""

from datetime import date, timedelta

from account_world import Said, at, heard, ms, paid, said, statement
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

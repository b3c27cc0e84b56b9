"""A promise to pay: open, then kept or broken; and what the other answers make of an account."""

import pytest
from account_world import at, event, heard, ms, paid, said, statement

from pipeline.core.account import Account, Promise, promised
from pipeline.core.account_answers import HARDSHIP_MS, PAUSE_MS, PROMISE_DAYS, answered
from pipeline.core.arrears import day_of

OCTOBER = statement("S10", "2026-10-05", "2026-10-25", 50_000)
PROMISE = said("promise", "2026-10-27T09:00", amount=30_000, by="2026-10-30")
ASKED = ms("2026-10-27T10:00")


def test_a_promise_is_open_until_its_day_and_the_posting_grace_are_over_then_broken() -> None:
    account = heard([OCTOBER, PROMISE])
    assert at(account, "2026-10-28T12:00").promise == "open"
    assert at(account, "2026-11-01T23:59").promise == "open"
    assert at(account, "2026-11-02T00:00").promise == "broken"
    assert at(account, "2026-10-28T12:00").promise_until_ms == ms("2026-11-02T00:00")


@pytest.mark.parametrize(
    ("when", "amount", "state"),
    [
        ("2026-10-30T23:00", 30_000, "kept"),
        ("2026-11-01T23:00", 30_000, "kept"),
        ("2026-11-02T00:00", 30_000, "broken"),
        ("2026-10-30T23:00", 29_999, "broken"),
        ("2026-10-27T08:59", 30_000, "broken"),
    ],
)
def test_a_promise_is_kept_by_paying_all_of_it_in_time(when: str, amount: int, state: str) -> None:
    account = heard([OCTOBER, PROMISE, paid("P1", when, amount)])
    assert at(account, "2026-11-03T12:00").promise == state


def test_a_promise_kept_by_a_payment_that_comes_back_is_broken() -> None:
    kept = [OCTOBER, PROMISE, paid("P1", "2026-10-29T09:00", 30_000)]
    account = heard([*kept, said("repayment_reversed", "2026-11-04T09:00", original_id="P1")])
    assert at(heard(kept), "2026-11-05T09:00").promise == "kept"
    assert at(account, "2026-11-05T09:00").promise == "broken"


def test_a_promise_is_kept_when_what_was_billed_is_settled_though_less_was_promised_open() -> None:
    dispute = said("dispute", "2026-10-28T09:00", amount=30_000, open=True)
    account = heard([OCTOBER, PROMISE, dispute, paid("P1", "2026-10-29T09:00", 20_000)])
    assert at(account, "2026-11-03T12:00").promise == "kept"


def test_a_promise_says_nothing_of_a_later_bill() -> None:
    settled = paid("P1", "2026-11-03T09:00", 50_000)
    november = statement("S11", "2026-11-05", "2026-11-25", 60_000)
    assert at(heard([OCTOBER, PROMISE, settled]), "2026-11-10T12:00").promise == "broken"
    assert at(heard([OCTOBER, PROMISE, settled, november]), "2026-11-10T12:00").promise == "none"


def test_a_later_promise_takes_the_place_of_an_earlier_one() -> None:
    later = said("promise", "2026-11-03T09:00", amount=40_000, by="2026-11-06")
    for records in ([OCTOBER, PROMISE, later], [OCTOBER, later, PROMISE]):
        account = heard(records)
        assert account.promise is not None
        assert account.promise.amount == 40_000
        assert at(account, "2026-11-04T12:00").promise == "open"


def _asked(word: str, **more: int) -> Account:
    account = heard([OCTOBER])
    return answered(account, word, ASKED, contact="K1", **more)  # type: ignore[arg-type]


def test_a_promise_by_a_key_press_is_of_all_that_is_owed_in_a_few_days() -> None:
    today = day_of(ASKED, "Asia/Shanghai")
    assert _asked("promise").promise == Promise(50_000, today + PROMISE_DAYS, ASKED, ASKED, "K1")
    assert _asked("promise", amount=10_000, by=today + 1).promise == Promise(10_000, today + 1, ASKED, ASKED, "K1")


def test_who_owes_nothing_promises_nothing() -> None:
    account = heard([OCTOBER, paid("P1", "2026-10-20T09:00", 50_000)])
    assert answered(account, "promise", ASKED, contact="K1") is account
    assert answered(account, "dispute", ASKED, contact="K1") is account


@pytest.mark.parametrize(("word", "lasts_ms"), [("already_paid", PAUSE_MS), ("hardship", HARDSHIP_MS)])
def test_already_paid_and_hardship_ask_for_silence_for_a_while(word: str, lasts_ms: int) -> None:
    account = _asked(word)
    assert (account.paused, account.paused_ms) == (word, ASKED + lasts_ms)
    now = at(account, "2026-10-28T10:00")
    assert (now.paused, now.paused_until_ms, now.owed) == (word, ASKED + lasts_ms, 50_000)
    assert at(account, "2027-10-28T10:00").paused == ""
    assert answered(account, word, ASKED, contact="K1") is account  # type: ignore[arg-type]


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    account = _asked("hardship")
    assert answered(account, "already_paid", ASKED + 1, contact="K2") is account


def test_a_dispute_by_answer_is_of_what_is_owed_until_people_decide() -> None:
    account = _asked("dispute")
    now = at(account, "2026-10-28T10:00")
    assert (now.owed, now.disputed, now.stage) == (0, 50_000, "none")
    record = event("dispute", id="K1", amount=50_000, open=False)
    decided = heard([(record, ASKED + 1_000)], account)
    assert at(decided, "2026-10-28T10:00").owed == 50_000


@pytest.mark.parametrize("word", ["yes", "no", "stop", "later", "agent", "wrong_person", "complaint", "none"])
def test_other_answers_say_nothing_of_the_account(word: str) -> None:
    account = heard([OCTOBER])
    assert answered(account, word, ASKED, contact="K1") is account  # type: ignore[arg-type]


def test_the_same_promise_again_is_nothing_new() -> None:
    account = _asked("promise")
    assert account.promise is not None
    assert promised(account, account.promise) is account

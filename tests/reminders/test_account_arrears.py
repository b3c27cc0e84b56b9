"""What an account owes, in the cases that dunning systems are known to get wrong."""

from account_world import TERMS, at, event, heard, instalment, moment, ms, paid, said, statement
from msgspec.structs import replace

from pipeline.core.account import Terms
from pipeline.core.arrears import day_of, of_bill, start_ms

OCTOBER = statement("S10", "2026-10-05", "2026-10-25", 50_000)
NOVEMBER = statement("S11", "2026-11-05", "2026-11-25", 60_000)


def test_stages_run_from_before_the_due_date_through_grace_to_m3_plus() -> None:
    account = heard([OCTOBER])
    stages = {
        now: (at(account, f"{now}T12:00").stage, at(account, f"{now}T12:00").days_past_due)
        for now in (
            "2026-10-18", "2026-10-25", "2026-10-26", "2026-10-28", "2026-10-29", "2026-11-24", "2026-11-25",
            "2026-12-24", "2026-12-25", "2027-01-23", "2027-01-24",
        )
    }  # fmt: skip
    assert stages == {
        "2026-10-18": ("before", -7),
        "2026-10-25": ("due", 0),
        "2026-10-26": ("grace", 1),
        "2026-10-28": ("grace", 3),
        "2026-10-29": ("m1", 4),
        "2026-11-24": ("m1", 30),
        "2026-11-25": ("m2", 31),
        "2026-12-24": ("m2", 60),
        "2026-12-25": ("m3", 61),
        "2027-01-23": ("m3", 90),
        "2027-01-24": ("m3+", 91),
    }


def test_a_statement_s_own_grace_days_count_before_the_policy_s() -> None:
    account = heard([statement("S10", "2026-10-05", "2026-10-25", 50_000, grace_days=10)])
    assert at(account, "2026-11-04T12:00").stage == "grace"
    assert at(account, "2026-11-05T12:00").stage == "m1"


def test_a_partial_payment_changes_the_amount_and_skips_no_stage() -> None:
    account = heard([OCTOBER, paid("P1", "2026-11-01T09:00", 20_000)])
    now = at(account, "2026-11-02T12:00")
    assert (now.owed, now.balance, now.stage, now.days_past_due) == (30_000, 480_000, "m1", 8)


def test_what_is_paid_clears_the_blocked_state_at_once() -> None:
    account = heard([OCTOBER, paid("P1", "2027-02-01T09:00", 50_000)])
    now = at(account, "2027-02-01T09:00")
    assert (now.owed, now.stage, now.days_past_due, now.balance) == (0, "none", 0, 450_000)
    assert at(heard([paid("P2", "2027-02-01T10:00", 450_000)], account), "2027-02-01T10:00").bill is None


def test_no_more_than_the_tolerance_unpaid_counts_as_paid() -> None:
    account = heard([OCTOBER, paid("P1", "2026-10-20T09:00", 49_000)])
    assert at(account, "2026-11-10T12:00").stage == "none"
    account = heard([OCTOBER, paid("P1", "2026-10-20T09:00", 48_999)])
    assert (at(account, "2026-11-10T12:00").stage, at(account, "2026-11-10T12:00").owed) == ("m1", 1_001)


def test_what_was_tolerated_takes_nothing_from_a_later_payment() -> None:
    account = heard([OCTOBER, paid("P1", "2026-10-20T09:00", 49_000), NOVEMBER, paid("P2", "2026-11-20T09:00", 59_000)])
    assert at(account, "2026-12-10T12:00").owed == 0


def test_minimum_paid_with_older_arrears_open_goes_to_the_oldest() -> None:
    account = heard([OCTOBER, NOVEMBER, paid("P1", "2026-11-20T09:00", 60_000)])
    now = at(account, "2026-11-26T12:00")
    assert (now.owed, now.bill, now.days_past_due, now.stage) == (50_000, "S11", 1, "grace")
    now = at(heard([paid("P2", "2026-11-26T13:00", 50_000)], account), "2026-11-29T12:00")
    assert (now.owed, now.stage) == (0, "none")


def test_paying_the_newest_minimum_alone_does_not_end_the_cycle() -> None:
    account = heard([OCTOBER, NOVEMBER, paid("P1", "2026-11-20T09:00", 40_000)])
    now = at(account, "2026-11-22T12:00")
    assert (now.owed, now.bill, now.days_past_due, now.stage) == (70_000, "S10", 28, "m1")


def test_two_statements_open_are_owed_together_and_counted_from_the_older() -> None:
    account = heard([OCTOBER, NOVEMBER])
    now = at(account, "2026-11-26T12:00")
    assert (now.owed, now.balance, now.bill, now.days_past_due, now.stage) == (110_000, 600_000, "S10", 32, "m2")
    newer = of_bill(account, "S11", ms("2026-11-26T12:00"))
    assert (newer.owed, newer.bill, newer.days_past_due, newer.stage) == (60_000, "S11", 1, "grace")


def test_a_minimum_that_repeats_older_ones_is_not_counted_twice() -> None:
    both = statement("S11", "2026-11-05", "2026-11-25", 110_000, 600_000, past_due=50_000)
    assert at(heard([OCTOBER, both]), "2026-11-26T12:00").owed == 110_000
    alone = at(heard([both]), "2026-11-26T12:00")
    assert alone.owed == 110_000  # of older bills that we were never sent


def test_a_reversed_repayment_restarts_where_it_stood() -> None:
    settled = [OCTOBER, paid("P1", "2026-10-24T09:00", 50_000)]
    back = said("repayment_reversed", "2026-10-30T09:00", original_id="P1")
    now = at(heard([*settled, back]), "2026-10-30T10:00")
    assert (now.owed, now.days_past_due, now.stage, now.balance) == (50_000, 5, "m1", 500_000)
    again = at(heard([*settled, back, paid("P2", "2026-10-31T09:00", 50_000)]), "2026-10-31T10:00")
    assert (again.owed, again.stage) == (0, "none")


def test_a_repayment_that_came_back_is_added_to_balances_that_were_net_of_it() -> None:
    november = statement("S11", "2026-11-05", "2026-11-25", 10_000, 90_000)
    account = heard(
        [
            OCTOBER,
            paid("P1", "2026-10-24T09:00", 450_000),
            november,
            said("repayment_reversed", "2026-11-08T09:00", original_id="P1"),
        ]
    )
    now = at(account, "2026-11-09T12:00")
    assert (now.owed, now.balance, now.bill) == (60_000, 540_000, "S10")


def test_a_reversal_is_final_though_it_came_before_its_repayment() -> None:
    back = said("repayment_reversed", "2026-10-24T09:30", original_id="P1")
    account = heard([OCTOBER, back, paid("P1", "2026-10-24T09:00", 50_000)])
    assert at(account, "2026-10-26T12:00").owed == 50_000
    assert account.payments[0].amount == 50_000


def test_a_pending_repayment_is_seen_for_a_bounded_time_then_ignored() -> None:
    account = heard([OCTOBER, paid("P1", "2026-10-25T09:00", 50_000, "repayment_pending")])
    assert at(account, "2026-10-30T08:59").pending == 50_000
    assert at(account, "2026-10-30T09:00").pending == 0
    assert at(account, "2026-10-26T09:00").owed == 50_000


def test_a_repayment_planned_for_later_is_not_pending_until_then() -> None:
    planned = event("repayment_pending", id="P1", time=moment(ms("2026-10-29T09:00")), amount=50_000)
    account = heard([OCTOBER, (planned, ms("2026-10-23T09:00"))])
    assert at(account, "2026-10-28T08:59").pending == 50_000
    assert at(account, "2026-10-28T09:01").pending == 0


def test_a_posted_repayment_ends_its_pending_form_whichever_is_said_last() -> None:
    posted, pending = (
        paid("P1", "2026-10-25T09:00", 50_000),
        paid("P1", "2026-10-25T10:00", 50_000, "repayment_pending"),
    )
    for records in ([OCTOBER, posted, pending], [OCTOBER, pending, posted]):
        now = at(heard(records), "2026-10-26T09:00")
        assert (now.owed, now.pending) == (0, 0)


def test_autopay_runs_unless_it_failed_or_has_not_paid_in_time() -> None:
    account = heard([statement("S10", "2026-10-05", "2026-10-25", 50_000, autopay=True)])
    assert at(account, "2026-10-25T12:00").autopay
    assert at(account, "2026-10-27T12:00").autopay
    assert not at(account, "2026-10-28T12:00").autopay, "two days after the due date it has evidently not paid"
    for named in ({"statement": "S10"}, {}):
        failed = heard([said("autopay_failed", "2026-10-25T06:00", **named)], account)
        assert not at(failed, "2026-10-25T12:00").autopay
    other = heard([said("autopay_failed", "2026-10-25T06:00", statement="S09")], account)
    assert at(other, "2026-10-25T12:00").autopay


def test_an_autopay_that_failed_runs_again_for_the_next_bill() -> None:
    auto = [statement(*of, autopay=True) for of in (
        ("S10", "2026-10-05", "2026-10-25", 50_000), ("S11", "2026-11-05", "2026-11-25", 60_000))]  # fmt: skip
    account = heard(
        [auto[0], said("autopay_failed", "2026-10-25T06:00"), paid("P1", "2026-10-26T09:00", 50_000), auto[1]]
    )
    assert at(account, "2026-11-20T12:00").autopay


def test_a_dispute_of_part_takes_its_amount_out_until_it_is_closed() -> None:
    account = heard([OCTOBER, said("dispute", "2026-10-20T09:00", id="D1", amount=20_000, open=True)])
    now = at(account, "2026-10-26T12:00")
    assert (now.owed, now.disputed, now.stage, now.balance) == (30_000, 20_000, "grace", 500_000)
    account = heard([paid("P1", "2026-10-26T13:00", 30_000)], account)
    assert at(account, "2026-11-26T12:00").stage == "none"
    account = heard([said("dispute", "2026-11-27T09:00", id="D1", amount=20_000, open=False)], account)
    now = at(account, "2026-11-27T12:00")
    assert (now.owed, now.disputed, now.stage) == (20_000, 0, "m2")


def test_a_dispute_about_one_bill_leaves_the_others_alone() -> None:
    account = heard([OCTOBER, NOVEMBER, said("dispute", "2026-11-20T09:00", amount=90_000, open=True, statement="S11")])
    now = at(account, "2026-11-26T12:00")
    assert (now.owed, now.bill) == (50_000, "S10")


def test_the_clock_a_day_off_changes_no_date_of_the_bank() -> None:
    account = heard([OCTOBER])
    for hour in ("00:00", "12:00", "23:59"):
        assert at(account, f"2026-10-24T{hour}").days_past_due == -1
        assert at(account, f"2026-10-25T{hour}").days_past_due == 0
        assert at(account, f"2026-10-26T{hour}").days_past_due == 1
    ahead = heard([paid("P1", "2026-10-26T09:00", 50_000)], account)
    assert at(ahead, "2026-10-25T09:00").owed == 0, "posted is posted, though its time is tomorrow's"


def test_a_statement_that_comes_twice_is_nothing_new() -> None:
    account = heard([OCTOBER])
    assert heard([OCTOBER], account) is account


def test_a_statement_said_again_under_its_id_corrects_it() -> None:
    record, said_ms = statement("S10", "2026-10-05", "2026-10-27", 30_000)
    corrected = heard([OCTOBER, (record, said_ms + 1), OCTOBER])
    now = at(corrected, "2026-10-26T12:00")
    assert (now.owed, now.days_past_due) == (30_000, -1)


def test_a_statement_issued_again_under_a_new_id_takes_the_place_of_the_old() -> None:
    record, said_ms = statement("S10b", "2026-10-05", "2026-10-25", 30_000, 400_000)
    again = heard([OCTOBER, (record, said_ms + 1), paid("P1", "2026-10-20T09:00", 10_000)])
    now = at(again, "2026-10-26T12:00")
    assert (now.owed, now.bill, now.balance) == (20_000, "S10b", 390_000)
    old = of_bill(again, "S10", ms("2026-10-26T12:00"))
    assert (old.bill, old.owed, old.stage) == (None, 0, "none")


def test_a_due_date_on_a_holiday_stays_what_the_statement_says() -> None:
    account = heard([statement("S9", "2026-09-11", "2026-10-01", 50_000)])  # National Day
    assert at(account, "2026-10-01T12:00").stage == "due"
    assert at(account, "2026-10-08T12:00").days_past_due == 7


def test_a_daylight_saving_night_is_one_day_like_any_other() -> None:
    terms = Terms(zone="America/New_York")
    account = heard([statement("S10", "2026-10-10", "2026-10-31", 50_000)], terms=terms)
    for hour in ("00:00", "00:59", "01:30", "03:00", "23:59"):  # 1 November has 25 hours
        assert at(account, f"2026-11-01T{hour}").days_past_due == 1
    assert at(account, "2026-11-02T00:00").days_past_due == 2
    for zone in ("America/New_York", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Santiago"):
        for day in range(739_600, 740_000):  # midnights that do not exist, or twice
            start = start_ms(day, zone)
            assert (day_of(start, zone), day_of(start - 1, zone)) == (day, day - 1)


def test_a_repayment_before_its_statement_arrived_counts_by_its_own_time() -> None:
    late, _ = OCTOBER
    account = heard([paid("P1", "2026-10-06T00:00", 50_000), (late, ms("2026-10-09T09:00"))])
    assert at(account, "2026-10-20T12:00").owed == 0
    account = heard([paid("P1", "2026-10-05T23:59", 50_000), (late, ms("2026-10-09T09:00"))])
    assert at(account, "2026-10-20T12:00").owed == 50_000, "the statement is net of what was paid before it was cut"


def test_a_statement_that_says_when_it_was_cut_counts_payments_from_then() -> None:
    cut = moment(ms("2026-10-05T02:00"))
    account = heard(
        [statement("S10", "2026-10-05", "2026-10-25", 50_000, time=cut), paid("P1", "2026-10-05T20:00", 50_000)]
    )
    assert at(account, "2026-10-20T12:00").owed == 0


def test_an_overpaid_card_has_a_credit_that_the_next_statement_is_net_of() -> None:
    account = heard([OCTOBER, paid("P1", "2026-10-20T09:00", 700_000)])
    now = at(account, "2026-10-26T12:00")
    assert (now.owed, now.balance, now.bill) == (0, 0, None)
    covered = heard([statement("S11", "2026-11-05", "2026-11-25", 0, -150_000)], account)
    assert (at(covered, "2026-11-20T12:00").owed, at(covered, "2026-11-20T12:00").bill) == (0, None)
    spent = heard([statement("S11", "2026-11-05", "2026-11-25", 10_000, 100_000)], account)
    assert at(spent, "2026-11-20T12:00").owed == 10_000


def test_loan_instalments_are_filled_in_order_and_what_is_paid_ahead_carries_on() -> None:
    loan = [
        instalment(f"L{month}", f"2026-{month}-20", 100_000, f"2026-{month}-01T09:00") for month in ("09", "10", "11")
    ]
    account = heard([loan[0], paid("P1", "2026-09-15T09:00", 250_000), loan[1]])
    assert at(account, "2026-10-25T12:00").owed == 0
    account = heard([loan[2]], account)
    now = at(account, "2026-11-21T12:00")
    assert (now.owed, now.bill, now.stage, now.balance) == (50_000, "L11", "grace", 50_000)


def test_an_instalment_sent_ahead_is_owed_from_a_month_before_it_is_due() -> None:
    account = heard([instalment("L12", "2026-12-20", 100_000, "2026-09-01T09:00")])
    assert at(account, "2026-11-18T12:00").owed == 0
    assert at(account, "2026-11-19T12:00").owed == 100_000


def test_a_closed_account_with_a_debt_left_still_owes_it() -> None:
    account = heard([OCTOBER, said("closed", "2026-10-30T09:00")])
    now = at(account, "2026-10-30T10:00")
    assert (now.closed, now.owed, now.stage) == (True, 50_000, "m1")
    assert not at(account, "2026-10-29T10:00").closed


def test_nobody_owes_a_minimum_of_more_than_all_they_owe() -> None:
    refunded = heard([OCTOBER, said("balance_changed", "2026-10-20T09:00", balance=30_000)])
    now = at(refunded, "2026-10-26T12:00")
    assert (now.owed, now.balance) == (30_000, 30_000)
    account = heard([OCTOBER, statement("S11", "2026-11-05", "2026-11-25", 2_000, 20_000)])
    assert at(account, "2026-11-26T12:00").owed == 20_000


def test_a_balance_of_zero_settles_what_was_billed_though_more_is_spent_later() -> None:
    account = heard(
        [
            OCTOBER,
            said("balance_changed", "2026-10-20T09:00", balance=0),
            said("balance_changed", "2026-11-01T09:00", balance=80_000),
        ]
    )
    now = at(account, "2026-11-10T12:00")
    assert (now.owed, now.stage, now.balance) == (0, "none", 80_000)


def test_another_zone_is_another_today() -> None:
    account = heard([OCTOBER])
    west = replace(account, terms=replace(TERMS, zone="America/Los_Angeles"))
    now_ms = ms("2026-10-25T00:30")
    assert day_of(now_ms, "Asia/Shanghai") == day_of(now_ms, "America/Los_Angeles") + 1
    assert of_bill(west, "S10", now_ms).days_past_due == of_bill(account, "S10", now_ms).days_past_due - 1

"""What is told of an account next: the cascade, each hard case by its name, and what holds whatever happens."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace
from plan_world import (
    ALMANAC,
    DELIVERED,
    FILE,
    TERMS,
    autopay_failed,
    cascade,
    disputed,
    heard,
    marks,
    ms,
    paid,
    pending,
    plan,
    promised,
    returned,
    statement,
    worked,
)

from pipeline.adapters.almanac import world_almanac
from pipeline.core.account_event import AccountEvent, Closed, RepaymentReversed
from pipeline.core.account_facts import Account, Told
from pipeline.core.contact_hours import DAY_MS
from pipeline.core.dunning import Tell, may_tell
from pipeline.core.reminder_plan import (
    Planner,
    changed_steps,
    next_step,
    noted,
    request_of,
    returned_stage,
    thanks_of,
    withdrawal_of,
)
from pipeline.core.reminder_policy import ReminderPolicy
from pipeline.core.requests import read_request, wanted
from pipeline.roles.contact.profile import read_profile

PLANNER = Planner(plan(), ALMANAC)
FIRST, LAST = ms("2026-11-02T00:00"), ms("2027-06-01T00:00")
EVERY = ["due_in_7", "due_in_3", "due_in_1", "due", "grace", "m1", "m1_again", "m2", "m3", "m3_plus"]


def told(account: Account, until: str, since: str = "2026-11-02T00:00") -> list[tuple[str, str | None]]:
    """What a worker does that looks whenever something is due."""
    return marks(cascade(account, PLANNER, ms(since), ms(until))[1])


def test_whoever_never_pays_is_told_each_stage_once_at_its_hour() -> None:
    _, done = cascade(heard(None, statement()), PLANNER, FIRST, LAST)
    assert marks(done) == [(name, None) for name in EVERY]
    days = [-7, -3, -1, 0, 1, 4, 15, 31, 61, 91]
    assert [each.at_ms for each in done] == [ms("2026-11-25T10:00") + day * DAY_MS for day in days]
    assert done[3].until_ms == ms("2026-11-26T00:00")
    assert {each.bill for each in done} == {"s1"}


def test_whoever_owes_nothing_is_told_nothing() -> None:
    account = heard(None, statement(), paid(10_000, "2026-11-10T09:00"))
    assert next_step(account, plan(), (), FIRST + 20 * DAY_MS, ALMANAC) is None
    assert next_step(Account(id="a1"), plan(), (), FIRST, ALMANAC) is None


def test_ten_yuan_missing_counts_as_paid() -> None:
    left = heard(None, statement(), paid(9_000, "2026-11-10T09:00"))
    assert told(left, "2027-01-01") == []
    more = heard(None, statement(), paid(8_999, "2026-11-10T09:00"))
    assert told(more, "2026-11-19") == [("due_in_7", None)]


def test_a_closed_account_is_left_alone() -> None:
    closed = Closed(account="a1", time=datetime(2026, 11, 20, tzinfo=UTC))
    assert told(heard(None, statement(), closed), "2027-01-01", "2026-11-21T00:00") == []


def test_a_partial_payment_skips_no_stage() -> None:
    account, before = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-24T12:00"))
    account = heard(account, paid(5_000, "2026-11-24T12:00"))
    _, after = cascade(account, PLANNER, ms("2026-11-24T12:00"), LAST)
    assert marks(before + after) == [(name, None) for name in EVERY]
    assert request_of(account, after[0], after[0].at_ms).variables["minimum"] == 5_000


def test_paid_ends_it_and_a_reversed_payment_starts_it_again() -> None:
    account, before = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-20T00:00"))
    account = heard(account, paid(10_000, "2026-11-20T09:00"))
    assert next_step(account, plan(), (), ms("2026-11-22T00:00"), ALMANAC) is None
    account = heard(account, returned())
    _, after = cascade(account, PLANNER, ms("2026-11-26T15:00"), ms("2026-12-01T00:00"))
    assert marks(before) == [("due_in_7", None)]
    late = [(name, "too_late") for name in (returned_stage("p1"), "due_in_3", "due_in_1", "due")]
    assert marks(after) == [*late, ("grace", None), ("m1", None)]


def test_a_stage_that_was_told_is_told_once_more_for_each_payment_that_comes_back() -> None:
    """The debt was paid on the day of its fifth notice and is owed again: nobody waits eleven days for the next stage."""
    account, _ = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-30T00:00"))
    account = heard(account, paid(10_000, "2026-11-30T09:00"), returned())
    back_ms = account.payments[0].reversed_ms
    account, after = cascade(account, PLANNER, back_ms, ms("2026-12-02T00:00"))
    (again,) = after
    assert again.stage == returned_stage("p1")
    assert (again.template, again.class_, again.at_ms, again.skipped) == ("overdue", "collection", back_ms, None)
    assert request_of(account, again, back_ms).id != request_of(account, again._replace(stage="m1"), back_ms).id
    account = heard(account, paid(10_000, "2026-12-02T09:00", "p2"), returned("p2"))
    account, second = cascade(account, PLANNER, ms("2026-12-02T09:01"), ms("2027-01-01T00:00"))
    assert marks(second) == [(returned_stage("p2"), None), ("m1_again", None), ("m2", None)]


def test_a_reminder_taken_back_as_paid_is_asked_for_under_another_id_when_the_payment_comes_back() -> None:
    account, before = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-22T10:01"))
    assert marks(before)[-1] == ("due_in_3", None)
    account = heard(account, paid(10_000, "2026-11-22T10:05"), returned())
    account, after = worked(account, PLANNER, ms("2026-11-22T11:00"))
    (again,) = after
    assert again.template == "due_soon"
    taken_back = withdrawal_of(account, "s1", "due_in_3", "paid").id
    assert request_of(account, again, again.at_ms).id != taken_back
    assert isinstance(may_tell(account, "s1", again.stage, again.template, ms("2026-11-22T11:00"), again.class_), Tell)


@pytest.mark.parametrize(
    ("events", "until", "stages"),
    [
        ([paid(4_000, "2026-11-30T09:00"), returned()], "2026-12-09", []),
        (
            [paid(4_000, "2026-11-30T09:00"), returned(), paid(6_000, "2026-12-01T09:00", "p2")], "2026-12-09", [],
        ),
        ([pending(10_000, "2026-11-30T09:00"), returned()], "2026-12-09", []),
        ([paid(10_000, "2026-11-30T09:00"), returned(), disputed(10_000)], "2026-12-09", []),
    ],
    ids=["of part", "of part, and another paid since", "never booked", "of what is disputed now"],
)  # fmt: skip
def test_a_return_that_made_nothing_owed_again_is_followed_by_no_stage(
    events: list[AccountEvent], until: str, stages: list[tuple[str, str | None]]
) -> None:
    account, _ = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-30T00:00"))
    _, after = cascade(heard(account, *events), PLANNER, ms("2026-11-30T10:00"), ms(until))
    assert marks(after) == stages


def test_what_the_cascade_told_after_the_return_is_not_told_once_more() -> None:
    """Heard of late: meanwhile the next stage spoke."""
    account, _ = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-12-11T00:00"))
    late = RepaymentReversed(account="a1", original_id="p1", time=datetime(2026, 12, 3, tzinfo=UTC))
    account = heard(account, paid(10_000, "2026-12-01T09:00"), late)
    assert worked(account, PLANNER, ms("2026-12-11T00:00"))[1] == []


def test_minimum_of_the_new_bill_paid_with_older_arrears_open_is_no_end() -> None:
    """What is paid fills the oldest minimum first; what is missing then is the newer bill's."""
    bills = [statement("s1", "2026-10-01", "2026-10-25"), statement("s2", "2026-11-01", "2026-11-25")]
    both = heard(None, *bills)
    step = next_step(both, plan(), (), ms("2026-11-11T12:00"), ALMANAC)
    assert step is not None
    assert step.bill == "s1"
    half = heard(both, paid(10_000, "2026-11-12T09:00"))
    step = next_step(half, plan(), (), ms("2026-11-13T12:00"), ALMANAC)
    assert step is not None
    assert (step.bill, step.stage) == ("s2", "due_in_7")
    none = heard(half, paid(10_000, "2026-11-13T09:00", "p2"))
    assert next_step(none, plan(), (), ms("2026-11-13T12:00"), ALMANAC) is None


def test_of_two_open_bills_the_older_one_leads() -> None:
    bills = [statement("s1", "2026-10-01", "2026-10-25"), statement("s2", "2026-11-01", "2026-11-25")]
    _, done = cascade(heard(None, *bills), PLANNER, ms("2026-11-02T00:00"), ms("2027-01-01"))
    assert {each.bill for each in done} == {"s1"}
    assert [each.stage for each in done if not each.skipped] == ["m1", "m1_again", "m2", "m3"]


def test_autopay_is_trusted_until_it_fails() -> None:
    account, before = cascade(heard(None, statement(autopay=True)), PLANNER, FIRST, ms("2026-11-25T09:00"))
    assert marks(before) == [("due_in_7", "autopay"), ("due_in_3", "autopay"), ("due_in_1", "autopay")]
    account = heard(account, autopay_failed("2026-11-25T09:00"))
    _, after = cascade(account, PLANNER, ms("2026-11-25T09:00"), ms("2026-12-01T00:00"))
    assert marks(after) == [("due", None), ("grace", None), ("m1", None)]


def test_a_promise_pauses_until_its_day_and_the_days_of_posting() -> None:
    account = heard(None, statement(), promised(10_000, "2026-11-23", "2026-11-19T09:00"))
    step = next_step(account, plan(), (), ms("2026-11-20T00:00"), ALMANAC)
    assert step is not None
    assert step.at_ms == ms("2026-11-25T00:00"), "the 23rd, and one day in which it may be posted"


def test_a_broken_promise_is_followed_once_by_what_the_stage_tells() -> None:
    account, before = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-19T00:00"))
    account = heard(account, promised(10_000, "2026-11-23", "2026-11-19T09:00"))
    _, after = cascade(account, PLANNER, ms("2026-11-19T10:00"), ms("2026-11-27T00:00"))
    assert marks(before) == [("due_in_7", None)]
    assert marks(after) == [
        ("due_in_3", "promise"),
        ("due_in_1", "promise"),
        ("broken_20261123", None),
        ("due", None),
        ("grace", None),
    ]
    broken = after[2]
    assert (broken.class_, broken.template, broken.at_ms) == ("reminder", "due_soon", ms("2026-11-25T00:00"))


def test_a_plan_may_leave_broken_promises_to_the_next_stage() -> None:
    quiet = Planner(plan(DELIVERED.replace("remind = true", "remind = false")), ALMANAC)
    account = heard(None, statement(), promised(10_000, "2026-11-23", "2026-11-02T09:00"))
    _, done = cascade(account, quiet, FIRST, ms("2026-11-26T00:00"))
    assert marks(done) == [("due_in_7", "promise"), ("due_in_3", "promise"), ("due_in_1", "promise"), ("due", None)]


def test_a_kept_promise_is_followed_by_nothing() -> None:
    promise = promised(10_000, "2026-11-23", "2026-11-19T09:00")
    account = heard(None, statement(), promise, paid(10_000, "2026-11-22T09:00"))
    assert told(account, "2027-01-01", "2026-11-22T10:00") == []


def test_a_kept_promise_of_part_leaves_the_rest_to_the_stages() -> None:
    promise = promised(4_000, "2026-11-23", "2026-11-19T09:00")
    account = heard(None, statement(), promise, paid(4_000, "2026-11-22T09:00"))
    assert told(account, "2026-11-26", "2026-11-22T09:30") == [
        ("due_in_7", "too_late"),
        ("due_in_3", None),
        ("due_in_1", None),
        ("due", None),
    ]


def test_silence_that_an_answer_asked_for_is_kept() -> None:
    account = replace(heard(None, statement()), paused="already_paid", paused_ms=ms("2026-11-24T00:00"))
    assert told(account, "2026-11-25") == [
        ("due_in_7", "already_paid"),
        ("due_in_3", "already_paid"),
        ("due_in_1", None),
    ]


def test_what_is_disputed_is_not_reminded_of() -> None:
    whole = heard(None, statement(), disputed(10_000))
    assert told(whole, "2027-01-01") == []
    settled = heard(whole, disputed(10_000, open=False))
    assert told(settled, "2026-11-19") == [("due_in_7", None)]
    part = heard(None, statement(), disputed(6_000))
    step = next_step(part, plan(), (), ms("2026-11-18T10:00"), ALMANAC)
    assert step is not None
    assert request_of(part, step, step.at_ms).variables["minimum"] == 4_000


def test_a_worker_down_over_a_due_moment_catches_up_once() -> None:
    account, done = worked(heard(None, statement()), PLANNER, ms("2026-11-26T15:00"))
    early = [(name, "too_late") for name in EVERY[:4]]
    assert marks(done) == [*early, ("grace", None)]
    assert worked(account, PLANNER, ms("2026-11-26T16:00"))[1] == []


def test_of_several_missed_that_are_still_worth_telling_the_latest_is_told() -> None:
    text = DELIVERED.replace("until_day = -4", "until_day = 0").replace("until_day = -2", "until_day = 0")
    _, done = worked(heard(None, statement()), Planner(plan(text), ALMANAC), ms("2026-11-23T15:00"))
    assert marks(done) == [("due_in_7", "missed"), ("due_in_3", None)]


def test_what_is_told_leaves_its_mark_after_what_is_skipped() -> None:
    """A later mark means that a later stage spoke, and what waits for its hour is not told any more."""
    text = DELIVERED.replace("until_day = -4", "until_day = 2")
    account, done = worked(heard(None, statement()), Planner(plan(text), ALMANAC), ms("2026-11-26T09:00"))
    early = [("due_in_3", "too_late"), ("due_in_1", "too_late"), ("due", "too_late")]
    assert marks(done) == [*early, ("due_in_7", None)]
    step = done[-1]
    assert isinstance(may_tell(account, step.bill, step.stage, step.template, ms("2026-11-26T09:00")), Tell)


def test_a_stage_that_is_left_out_says_why_even_if_it_was_missed() -> None:
    _, done = worked(heard(None, statement(autopay=True)), PLANNER, ms("2026-11-26T15:00"))
    assert marks(done)[-1] == ("grace", "autopay")


def test_a_statement_delivered_twice_or_issued_again_is_one_bill() -> None:
    account, before = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-19T00:00"))
    again = heard(account, statement(), statement("s1b", minimum=12_000))
    _, after = cascade(again, PLANNER, ms("2026-11-19T00:00"), ms("2026-11-23T00:00"))
    assert marks(before + after) == [("due_in_7", None), ("due_in_3", None)]
    assert after[0].bill == "s1b"


def moved(to: str) -> ReminderPolicy:
    text = DELIVERED.replace('until_day = -4\nclass = "reminder"', 'until_day = -4\nat = "11:00"\nclass = "reminder"')
    return plan(text.replace('on_holiday = "before"', f'on_holiday = "{to}"'))


@pytest.mark.parametrize(
    ("to", "at", "until"),
    [
        ("keep", "2026-10-05T11:00", "2026-10-09T00:00"),
        ("before", "2026-09-30T11:00", "2026-10-09T00:00"),
        ("after", "2026-10-08T11:00", "2026-10-09T00:00"),
    ],
)
def test_a_moment_on_a_holiday_moves_as_the_plan_says(to: str, at: str, until: str) -> None:
    account = heard(None, statement(stated="2026-09-10", due="2026-10-12"))
    step = next_step(account, moved(to), (), ms("2026-09-11T00:00"), ALMANAC)
    assert step is not None
    assert (step.stage, step.at_ms, step.until_ms) == ("due_in_7", ms(at), ms(until))


def test_what_moves_over_a_holiday_overtakes_no_other_stage() -> None:
    """The seventh day before moves to the 8th, beyond the third day before: that one is told, once."""
    account = heard(None, statement(stated="2026-09-10", due="2026-10-10"))
    planner = Planner(moved("after"), ALMANAC)
    _, done = cascade(account, planner, ms("2026-09-11T00:00"), ms("2026-10-09T00:00"))
    assert marks(done) == [("due_in_7", "missed"), ("due_in_3", None)]
    assert {each.at_ms for each in done} == {ms("2026-10-07T10:00")}


def test_what_moves_before_a_holiday_does_not_come_before_the_stage_before_it() -> None:
    text = (
        DELIVERED.replace(
            'name = "due_in_3"\nday = -3\nuntil_day = -2\n',
            'name = "due_in_3"\nday = -3\nuntil_day = -2\non_holiday = "before"\n',
        )
        .replace("day = -7\n", "day = -5\n")
        .replace('on_holiday = "before"\n\n', "\n", 1)
    )
    account = heard(None, statement(stated="2026-09-10", due="2026-10-07"))
    _, done = cascade(account, Planner(plan(text), ALMANAC), ms("2026-09-11T00:00"), ms("2026-10-06T00:00"))
    assert [(each.at_ms, each.stage, each.skipped) for each in done] == [
        (ms("2026-10-02T10:00"), "due_in_7", "missed"),
        (ms("2026-10-02T10:00"), "due_in_3", None),
    ]


def test_a_stage_that_moved_beyond_its_days_is_worth_telling_on_the_day_it_moved_to() -> None:
    text = DELIVERED.replace("until_day = -4", "until_day = -7").replace(
        'on_holiday = "before"', 'on_holiday = "after"'
    )
    account = heard(None, statement(stated="2026-09-10", due="2026-10-12"))
    step = next_step(account, plan(text), (), ms("2026-09-11T00:00"), ALMANAC)
    assert step is not None
    assert (step.at_ms, step.until_ms) == (ms("2026-10-08T10:00"), ms("2026-10-09T00:00"))


def test_a_due_date_on_a_holiday_is_told_before_it() -> None:
    account = heard(None, statement(stated="2026-09-10", due="2026-10-07"))
    _, done = cascade(account, PLANNER, ms("2026-09-11T00:00"), ms("2026-10-08T00:00"))
    assert [(each.stage, each.at_ms) for each in done] == [
        ("due_in_7", ms("2026-09-30T10:00")),
        ("due_in_3", ms("2026-10-04T10:00")),
        ("due_in_1", ms("2026-10-06T10:00")),
        ("due", ms("2026-10-07T10:00")),
    ]


def test_on_the_days_the_clock_is_changed_it_is_ten_o_clock_all_the_same() -> None:
    policy = plan(DELIVERED.replace('zone = "Asia/Shanghai"', 'zone = "Europe/London"'))
    account = heard(None, statement(stated="2027-03-01", due="2027-03-31"))
    account = replace(account, terms=policy.terms("card"))
    _, done = cascade(account, Planner(policy, ALMANAC), ms("2027-03-02T00:00"), ms("2027-04-01T00:00"))
    clocks = ["2027-03-24T10:00", "2027-03-28T10:00", "2027-03-30T10:00", "2027-03-31T10:00"]
    assert [each.at_ms for each in done] == [ms(clock, "Europe/London") for clock in clocks]
    assert done[1].until_ms == ms("2027-03-30T00:00", "Europe/London")


@pytest.mark.parametrize("stated", ["2026-11-17", "2026-11-18", "2026-11-19"])
def test_a_billing_clock_a_day_off_loses_no_stage(stated: str) -> None:
    account = heard(None, statement(stated=stated))
    assert told(account, "2026-11-26", "2026-11-18T00:00") == [(name, None) for name in EVERY[:4]]


def test_a_bill_of_tomorrow_is_looked_at_tomorrow() -> None:
    account = heard(None, statement(stated="2026-11-20"))
    step = next_step(account, plan(), (), ms("2026-11-18T11:00"), ALMANAC)
    assert step is not None
    assert (step.stage, step.at_ms) == ("due_in_7", ms("2026-11-20T00:00"))


TWO_WAYS = DELIVERED.replace(
    'name = "due_in_3"\n', "name = \"due_in_3\"\nwhen = \"not has_tag('vip') and product = 'card'\"\n"
) + (
    '[[stage]]\nname = "vip_in_3"\nday = -3\nuntil_day = -2\nclass = "reminder"\ntemplate = "due_soon"\n'
    'channels = ["wechat"]\nwhen = "has_tag(\'vip\')"\n'
)


def test_stages_differ_by_tag() -> None:
    planner = Planner(plan(TWO_WAYS), ALMANAC)
    account = heard(None, statement())
    for tags, stage in (((), "due_in_3"), (("vip",), "vip_in_3")):
        _, done = cascade(account, planner, ms("2026-11-22T00:00"), ms("2026-11-22T12:00"), tags)
        assert marks(done) == [("due_in_7", "too_late"), (stage, None)]


def test_stages_differ_by_product() -> None:
    text = DELIVERED.replace('name = "due_in_3"\n', 'name = "due_in_3"\nproducts = ["loan"]\n')
    _, done = cascade(heard(None, statement()), Planner(plan(text), ALMANAC), FIRST, ms("2026-11-25T00:00"))
    assert [each.stage for each in done] == ["due_in_7", "due_in_1"]


def test_a_condition_that_time_alone_makes_true_is_waited_for() -> None:
    text = DELIVERED.replace('name = "m2"\n', 'name = "m2"\nwhen = "days_past_due > 30 and stage = \'m2\'"\n')
    _, done = cascade(heard(None, statement()), Planner(plan(text), ALMANAC), FIRST, LAST)
    assert [each.stage for each in done] == EVERY


def test_a_broken_promise_is_followed_in_the_way_of_the_customer_s_own_stage() -> None:
    account = heard(None, statement(), promised(10_000, "2026-11-22", "2026-11-19T09:00"))
    planner = Planner(plan(TWO_WAYS), ALMANAC)
    _, done = cascade(account, planner, ms("2026-11-19T10:00"), ms("2026-11-24T05:00"), ("vip",))
    assert [(each.stage, each.channels) for each in done if not each.skipped] == [("broken_20261122", ("wechat",))]
    _, done = cascade(account, planner, ms("2026-11-19T10:00"), ms("2026-11-24T05:00"))
    told = [each for each in done if not each.skipped]
    assert [each.stage for each in told] == ["broken_20261122"]
    assert told[0].channels != ("wechat",)


def test_what_is_left_out_is_left_out_of_the_stages_that_are_named() -> None:
    text = DELIVERED.replace('stages = ["due_in_7", "due_in_3", "due_in_1", "due", "grace"]', 'stages = ["due_in_3"]')
    planner = Planner(plan(text), ALMANAC)
    _, done = cascade(heard(None, statement(autopay=True)), planner, FIRST, ms("2026-11-25T00:00"))
    assert marks(done) == [("due_in_7", None), ("due_in_3", "autopay"), ("due_in_1", None)]


def test_what_lies_ahead_is_not_left_out_yet() -> None:
    """Of a bill of tomorrow, and of what follows a promise: conditions are looked at when it comes."""
    account = heard(None, statement(stated="2026-11-20", autopay=True))
    step = next_step(account, plan(), (), ms("2026-11-18T11:00"), ALMANAC)
    assert step is not None
    assert (step.stage, step.skipped) == ("due_in_7", None)


def test_a_changed_plan_tells_how_many_next_steps_it_changed() -> None:
    accounts = [heard(None, statement(due=f"2026-11-{day}")) for day in (20, 22, 25)]
    text = DELIVERED.replace("day = -7\n", "day = -9\n")
    now_ms, tags = ms("2026-11-14T00:00"), [()] * 3
    before = PLANNER.next_steps(accounts, tags, now_ms)
    assert changed_steps(before, Planner(plan(text), ALMANAC).next_steps(accounts, tags, now_ms)) == 3
    assert changed_steps(before, Planner(plan(DELIVERED + "\n"), ALMANAC).next_steps(accounts, tags, now_ms)) == 0


def test_a_request_can_be_read_and_told() -> None:
    account, _ = cascade(heard(None, statement()), PLANNER, FIRST, ms("2026-11-19T00:00"))
    step = next_step(heard(None, statement()), plan(), (), ms("2026-11-18T10:00"), ALMANAC)
    assert step is not None
    request = request_of(account, step, step.at_ms)
    assert request.id == "s1/due_in_7"
    assert (request.customer, request.class_, request.template) == ("c1", "reminder", "due_soon")
    assert request.variables == {
        "amount": 100_000,
        "minimum": 10_000,
        "currency": "CNY",
        "due": "2026-11-25",
        "days": 0,
        "card": "tok_1_ab",
    }
    assert (request.not_before, request.expires_at) == ("2026-11-18T02:00:00.000Z", "2026-11-21T16:00:00.000Z")
    assert request.bill is not None
    assert (request.bill.account, request.bill.statement, request.bill.stage) == ("a1", "s1", "due_in_7")
    plans = read_profile(FILE.parents[1], "cn", world_almanac()).plans
    wish = wanted(read_request(json.encode(request)), step.at_ms, step.at_ms, plans)
    assert (wish.matter.from_ms, wish.matter.until_ms, wish.channels) == (step.at_ms, step.until_ms, ("sms",))
    assert withdrawal_of(account, "s1", "due_in_7", "paid").id == request.id
    assert withdrawal_of(account, "s1", "due_in_7", "paid").withdrawn == "paid"


def test_a_bill_with_a_long_name_keeps_its_request_s_id_short_and_its_own() -> None:
    account = heard(None, statement("s" * 64))
    step = next_step(account, plan(), (), ms("2026-11-18T10:00"), ALMANAC)
    assert step is not None
    request = request_of(account, step, step.at_ms)
    assert len(request.id) <= 64
    assert request.id.endswith("/due_in_7")
    assert withdrawal_of(account, "t" * 64, "due_in_7", "paid").id != request.id


def test_thanks_are_for_the_payment_that_came_last_and_once_for_each() -> None:
    account = heard(None, statement(), paid(4_000, "2026-11-20T09:00"), paid(6_000, "2026-11-21T09:00", "p2"))
    now_ms = ms("2026-11-21T09:00")
    thanks = thanks_of(account, "s1", now_ms, ("sms",))
    assert (thanks.class_, thanks.template, thanks.channels) == ("reminder", "thanks", ["sms"])
    assert thanks.variables == {"amount": 6_000, "currency": "CNY", "card": "tok_1_ab"}
    assert thanks.id == thanks_of(account, "s1", now_ms + DAY_MS).id
    earlier = heard(None, statement(), paid(4_000, "2026-11-20T09:00"))
    assert thanks_of(earlier, "s1", now_ms).id != thanks.id


# --- whatever happens

DAYS = st.integers(-3, 130)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), DAYS, st.sampled_from([500, 4_000, 9_500, 10_000, 20_000, 100_000])),
        st.tuples(st.just("pending"), DAYS, st.just(10_000)),
        st.tuples(st.just("reverse"), DAYS, st.integers(0, 5)),
        st.tuples(st.just("promise"), DAYS, st.integers(0, 10)),
        st.tuples(st.just("dispute"), DAYS, st.sampled_from([0, 3_000, 10_000])),
        st.tuples(st.just("failed"), DAYS, st.just(0)),
        st.tuples(st.just("bill"), st.sampled_from([30, 60]), st.booleans()),
        st.tuples(st.just("again"), DAYS, st.just(0)),
    ),
    max_size=8,
)
BEGIN = date(2026, 11, 1)


def happening(kind: str, day: int, what: int, number: int) -> AccountEvent:
    moment = date.fromordinal(BEGIN.toordinal() + day).isoformat()
    at = f"{moment}T{8 + number:02d}:30"
    match kind:
        case "pay":
            return paid(what, at, f"p{number}")
        case "pending":
            return pending(what, at, f"p{number}")
        case "reverse":
            return returned(f"p{what}")
        case "promise":
            by = date.fromordinal(BEGIN.toordinal() + day + what).isoformat()
            return promised(10_000, by, at)
        case "dispute":
            return disputed(what, open=what > 0)
        case "failed":
            return autopay_failed(at)
        case "bill":
            stated = date.fromordinal(BEGIN.toordinal() + day)
            due = date.fromordinal(stated.toordinal() + 24)
            return statement(f"s{day}", stated.isoformat(), due.isoformat(), autopay=bool(what))
    return statement("s1x", minimum=11_000)


def lived(
    events: Sequence[tuple[str, int, int]], looks: Sequence[int], autopay: bool
) -> tuple[Account, list[tuple[int, str, str, str | None]]]:
    """A worker that hears each event when it happens, looks at the account whenever it is due and after each event, and at
    ``looks`` (hours) besides. What it did: when, bill, stage, why not."""
    account = heard(None, statement(autopay=autopay))
    timeline = sorted(
        [(ms("2026-11-01T00:00") + day * DAY_MS + 1, 0, number) for number, (_, day, _) in enumerate(events)]
        + [(ms("2026-11-01T00:00") + hours * 3_600_000, 1, 0) for hours in looks]
    )
    done = []
    now_ms = ms("2026-11-01T00:00")
    for moment_ms, look, number in [*timeline, (LAST, 1, 0)]:
        moment_ms = max(moment_ms, now_ms)
        account, steps = _until(account, now_ms, moment_ms)
        done += steps
        if not look:
            kind, day, what = events[number]
            account = heard(account, happening(kind, day, what, number))
        now_ms = moment_ms
    return account, done


def _until(account: Account, now_ms: int, end_ms: int) -> tuple[Account, list[tuple[int, str, str, str | None]]]:
    done = []
    while True:
        account, steps = worked(account, PLANNER, now_ms)
        done += [(now_ms, each.bill, each.stage, each.skipped) for each in steps]
        (step,) = PLANNER.next_steps([account], [()], now_ms)
        if step is None or step.at_ms > end_ms:
            return account, done
        now_ms = step.at_ms


@settings(max_examples=120, deadline=None)
@given(EVENTS, st.booleans())
def test_a_stage_is_told_or_skipped_once_and_skipped_for_a_reason(
    events: list[tuple[str, int, int]], autopay: bool
) -> None:
    account, done = lived(events, (), autopay)
    pairs = [(bill, stage) for _, bill, stage, _ in done]
    assert len(set(pairs)) == len(pairs)
    assert all(skipped is None or skipped for _, _, _, skipped in done)
    slots = {"s1x": "s1"}
    of_bill = [(slots.get(bill, bill), stage) for bill, stage in pairs]
    assert len(set(of_bill)) == len(of_bill), "issued again it is the same bill"
    known = {slots.get(bill.id, bill.id) for bill in account.bills}
    kept = [(slots.get(each.bill, each.bill), each.stage) for each in account.told]
    assert [pair for pair in kept if pair[0] in known] == [pair for pair in of_bill if pair[0] in known]
    assert set(kept) <= set(of_bill)


@settings(max_examples=50, deadline=None)
@given(EVENTS, st.lists(st.integers(0, 24 * 150), max_size=12), st.booleans())
def test_looking_more_often_in_any_order_asks_for_nothing_else(
    events: list[tuple[str, int, int]], looks: list[int], autopay: bool
) -> None:
    assert lived(events, looks, autopay)[1] == lived(events, (), autopay)[1]


@settings(max_examples=50, deadline=None)
@given(EVENTS, st.booleans(), st.integers(0, 24 * 200))
def test_whoever_is_overdue_is_told_every_stage_but_for_a_reason(
    events: list[tuple[str, int, int]], autopay: bool, hours: int
) -> None:
    """A worker that comes back after ``hours`` has a mark for every stage that has come of the bill it looks at."""
    account = heard(None, statement(autopay=autopay))
    for number, (kind, day, what) in enumerate(events):
        account = heard(account, happening(kind, day, what, number))
    now_ms = ms("2026-11-01T00:00") + hours * 3_600_000
    after, done = worked(account, PLANNER, now_ms)
    (step,) = PLANNER.next_steps([after], [()], now_ms)
    assert step is None or step.at_ms > now_ms
    assert sum(each.skipped is None for each in done) <= 1, "of what was missed one thing is told"
    assert all(each.skipped for each in done[:-1])
    if done:
        came = ms("2026-11-25T10:00") <= now_ms
        assert all(each.at_ms <= now_ms for each in done)
        assert not came or done[-1].bill != "s1" or "due" in [each.stage for each in done if each.bill == "s1"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.booleans(), st.booleans()), min_size=1, max_size=6), st.integers(-2, 140))
def test_many_accounts_at_a_time_are_told_what_each_alone_is(
    given: list[tuple[list[tuple[str, int, int]], bool, bool]], day: int
) -> None:
    policy = plan(TWO_WAYS)
    accounts, tags = [], []
    for events, autopay, vip in given:
        account = heard(None, statement(autopay=autopay))
        for number, (kind, when, what) in enumerate(events):
            account = heard(account, happening(kind, when, what, number))
        accounts.append(account)
        tags.append(("vip",) if vip else ())
    now_ms = ms("2026-11-01T12:00") + day * DAY_MS
    together = Planner(policy, ALMANAC).next_steps(accounts, tags, now_ms)
    assert together == [
        next_step(account, policy, each, now_ms, ALMANAC) for account, each in zip(accounts, tags, strict=True)
    ]


def test_what_is_noted_twice_leaves_one_mark() -> None:
    account = heard(None, statement())
    step = next_step(account, plan(), (), ms("2026-11-18T10:00"), ALMANAC)
    assert step is not None
    once = noted(account, step, 5)
    assert once.told == (Told("s1", "due_in_7", 5),)
    assert noted(once, step, 6) is once
    assert TERMS.grace_days == plan().terms("card").grace_days


@pytest.mark.parametrize(
    "condition",
    [
        "product = 'card' and currency = 'CNY'",
        "stage = 'before' and days_past_due = -3",
        "owed = 5500 and minimum = 10000",
        "balance = 96000 and pending = 700",
        "disputed and promise = 'kept'",
        "autopay and autopay_failed",
    ],
)
def test_conditions_speak_of_the_account_as_it_stands(condition: str) -> None:
    account = heard(
        None,
        statement(autopay=True),
        promised(4_000, "2026-11-20", "2026-11-19T09:00"),
        paid(4_000, "2026-11-20T09:00"),
        autopay_failed("2026-11-20T10:00"),
        pending(700, "2026-11-21T09:00", "p2"),
        disputed(500),
    )
    text = DELIVERED + f'[[skip]]\nreason = "so"\nwhen = "{condition}"\n'
    _, done = worked(account, Planner(plan(text), ALMANAC), ms("2026-11-22T10:00"))
    assert marks(done)[-1] == ("due_in_3", "so")
    text = DELIVERED + f'[[skip]]\nreason = "so"\nwhen = "not ({condition})"\n'
    _, done = worked(account, Planner(plan(text), ALMANAC), ms("2026-11-22T10:00"))
    assert marks(done)[-1] == ("due_in_3", None)

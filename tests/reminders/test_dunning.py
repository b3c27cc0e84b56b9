"""Whether a bill may be told of at the moment of the claim, and with which amounts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from plan_world import autopay_failed, disputed, heard, ms, paid, pending, promised, returned, statement

from pipeline.core.account_event import AccountEvent, Closed
from pipeline.core.account_facts import Account, Told
from pipeline.core.arrears import standing
from pipeline.core.contact_hours import DAY_MS
from pipeline.core.dunning import PENDING_AGAIN_MS, Later, Nothing, Tell, may_tell, thanks_stage
from pipeline.core.texts_facts import plain_facts

BEFORE, ON, LATE, VERY = (ms(f"2026-{day}T11:00") for day in ("11-22", "11-25", "11-27", "12-05"))


def asked(
    account: Account, now_ms: int, template: str = "due_soon", class_: str | None = None
) -> Tell | Nothing | Later:
    return may_tell(account, "s1", "due_in_3", template, now_ms, class_)


def test_what_is_told_is_what_is_owed_now() -> None:
    account = heard(None, statement(), paid(4_000, "2026-11-20T09:00"))
    facts = {"amount": 96_000, "minimum": 6_000, "currency": "CNY", "due": "2026-11-25", "days": 0}
    assert asked(account, BEFORE) == Tell(facts, "due_soon")
    assert len(plain_facts(facts)) == len(facts), "all of them are facts that messages may have"


@pytest.mark.parametrize(
    ("now_ms", "template", "days"), [(BEFORE, "due_soon", 0), (ON, "due", 0), (LATE, "overdue", 2)]
)
def test_the_words_are_those_of_the_day_on_which_it_is_told(now_ms: int, template: str, days: int) -> None:
    found = asked(heard(None, statement()), now_ms)
    assert isinstance(found, Tell)
    assert (found.template, found.variables["days"]) == (template, days)


def test_of_what_is_overdue_only_that_is_asked_for() -> None:
    bills = [statement("s1", "2026-10-25", "2026-11-25"), statement("s2", "2026-11-26", "2026-12-26", balance=200_000)]
    found = asked(heard(None, *bills), LATE, "overdue")
    assert isinstance(found, Tell)
    assert (found.variables["amount"], found.variables["minimum"]) == (10_000, 10_000)
    assert standing(heard(None, *bills), LATE).owed == 20_000


def test_a_paid_bill_is_not_told_of() -> None:
    assert asked(heard(None, statement(), paid(10_000, "2026-11-20T09:00")), BEFORE) == Nothing("paid")
    assert asked(heard(None, statement(), paid(9_000, "2026-11-20T09:00")), BEFORE) == Nothing("paid"), "tolerance"
    back = heard(None, statement(), paid(10_000, "2026-11-20T09:00"), returned())
    assert isinstance(asked(back, BEFORE), Tell), "a payment that came back is none"


def test_a_closed_account_is_not_told_of() -> None:
    assert asked(heard(None, statement(), Closed(account="a1")), BEFORE) == Nothing("closed")


def test_a_disputed_bill_is_not_told_of_and_one_disputed_in_part_with_the_rest() -> None:
    assert asked(heard(None, statement(), disputed(10_000)), BEFORE) == Nothing("disputed")
    part = asked(heard(None, statement(), disputed(3_000)), BEFORE)
    assert isinstance(part, Tell)
    assert part.variables["minimum"] == 7_000


def test_autopay_is_trusted_until_it_must_have_been_booked_or_it_failed() -> None:
    account = heard(None, statement(autopay=True))
    assert asked(account, BEFORE) == Nothing("autopay")
    assert asked(account, ON) == Nothing("autopay")
    assert asked(account, ON + DAY_MS) == Nothing("autopay"), "it may be booked a day later"
    assert isinstance(asked(account, LATE), Tell)
    assert isinstance(asked(heard(account, autopay_failed("2026-11-21T09:00")), BEFORE), Tell)


def test_a_promise_is_believed_and_its_posting_waited_for() -> None:
    account = heard(None, statement(), promised(10_000, "2026-11-23", "2026-11-20T09:00"))
    assert asked(account, BEFORE) == Nothing("promise")
    assert asked(account, ms("2026-11-24T11:00")) == Later(ms("2026-11-25T00:00"), "posting")
    assert isinstance(asked(account, ON), Tell), "broken"


def test_a_payment_on_its_way_is_waited_for() -> None:
    account = heard(None, statement(), pending(10_000, "2026-11-22T10:00"))
    assert asked(account, BEFORE) == Later(BEFORE + PENDING_AGAIN_MS, "pending")
    assert isinstance(asked(account, VERY), Tell), "not for ever"
    assert asked(heard(account, paid(10_000, "2026-11-22T10:00")), BEFORE) == Nothing("paid")


def test_silence_that_an_answer_asked_for_is_kept() -> None:
    account = replace(heard(None, statement()), paused="already_paid", paused_ms=ON)
    assert asked(account, BEFORE) == Later(ON, "already_paid")
    assert isinstance(asked(account, ON), Tell)


def test_of_two_bills_only_the_leading_one_is_told_of() -> None:
    bills = [statement("s0", "2026-10-01", "2026-10-25"), statement("s1")]
    account = heard(None, *bills)
    assert asked(account, BEFORE) == Nothing("superseded")
    assert isinstance(may_tell(account, "s0", "m1", "overdue", BEFORE), Tell)
    cured = heard(account, paid(10_000, "2026-11-20T09:00"))
    assert may_tell(cured, "s0", "m1", "overdue", BEFORE) == Nothing("paid")
    assert isinstance(asked(cured, BEFORE), Tell)


def test_a_bill_issued_again_under_another_name_is_told_with_its_new_amounts() -> None:
    account = heard(None, statement(), statement("s1b", minimum=12_000))
    found = asked(account, BEFORE)
    assert isinstance(found, Tell)
    assert found.variables["minimum"] == 12_000


def test_an_unknown_bill_is_not_told_of() -> None:
    assert may_tell(heard(None, statement()), "s9", "due", "due", ON) == Nothing("superseded")
    assert may_tell(Account(id="a1"), "s9", "due", "due", ON) == Nothing("paid")


def test_what_waited_until_a_later_stage_was_asked_for_is_not_told_as_well() -> None:
    marks = (Told("s1", "due_in_7", 1), Told("s1", "due_in_3", 2))
    account = replace(heard(None, statement()), told=marks)
    assert may_tell(account, "s1", "due_in_7", "due_soon", BEFORE) == Nothing("superseded")
    assert isinstance(may_tell(account, "s1", "due_in_3", "due_soon", BEFORE), Tell)


def test_nothing_is_called_overdue_or_collected_that_is_not() -> None:
    account = heard(None, statement())
    assert asked(account, BEFORE, "overdue") == Nothing("superseded")
    assert asked(account, LATE, "overdue", "collection") == Nothing("superseded"), "two days late are within the grace"
    assert isinstance(asked(account, LATE, "overdue", "reminder"), Tell)
    assert isinstance(asked(account, VERY, "overdue", "collection"), Tell)


def test_thanks_are_for_a_payment_that_has_not_come_back() -> None:
    account = heard(None, statement(), paid(10_000, "2026-11-20T09:00"))
    stage = thanks_stage("p1")
    assert may_tell(account, "s1", stage, "thanks", ON) == Tell({"amount": 10_000, "currency": "CNY"}, "thanks")
    assert may_tell(heard(account, returned()), "s1", stage, "thanks", ON) == Nothing("returned")
    assert may_tell(replace(account, payments=()), "s1", stage, "thanks", ON) == Tell({}, "thanks"), "counted in"


DAYS = st.integers(0, 40)


def event(kind: str, day: int, amount: int, number: int) -> AccountEvent:
    at = f"2026-11-{1 + day % 30:02d}T09:{number:02d}"
    match kind:
        case "paid":
            return paid(amount, at, f"p{number}")
        case "pending":
            return pending(amount, at, f"p{number}")
        case "returned":
            return returned(f"p{day % 6}")
        case "disputed":
            return disputed(amount, open=day % 3 > 0)
        case "promised":
            return promised(amount, f"2026-11-{1 + day % 30:02d}", at)
    return statement("s2", "2026-11-20", "2026-12-15", minimum=amount, balance=100_000 + amount)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["paid", "pending", "returned", "disputed", "promised", "bill"]),
            DAYS,
            st.sampled_from([500, 3_000, 10_000, 100_000]),
        ),
        max_size=8,
    ),
    st.sampled_from(["s1", "s2"]),
    st.sampled_from(["due_soon", "due", "overdue"]),
    st.integers(0, 100),
)
def test_it_never_asks_for_more_than_is_owed(
    events: list[tuple[str, int, int]], bill: str, template: str, day: int
) -> None:
    account = heard(None, statement())
    for number, (kind, when, amount) in enumerate(events):
        account = heard(account, event(kind, when, amount, number))
    now_ms = ms("2026-11-02T12:00") + day * DAY_MS
    now = standing(account, now_ms)
    found = may_tell(account, bill, "stage", template, now_ms)
    if isinstance(found, Tell):
        assert 0 < found.variables["minimum"] <= now.owed
        assert found.variables["minimum"] <= found.variables["amount"] <= now.balance
        assert now.promise != "open"
        assert now.pending == 0
        assert (found.template == "overdue") == (now.days_past_due > 0)
    elif isinstance(found, Later):
        assert found.until_ms > now_ms
        assert now.owed > 0
    else:
        assert found.reason
    if now.owed == 0:
        assert isinstance(found, Nothing)

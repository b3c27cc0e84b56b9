"""What the desk makes of requests, contacts and accounts: who waits, who was told, who paid, who promised."""

from collections.abc import Callable

import pytest
from desk_story import record
from reminding_story import DAY_MS, HOUR_MS, NOW_MS, asked, projection, repayment, statement, told

from pipeline.desk import owing, reminding
from pipeline.desk.owing import Cure
from pipeline.desk.projection import Projection
from pipeline.desk.reminding import Tally


def cures(desk: Projection, now_ms: int = NOW_MS) -> dict[tuple[str, str, int], Cure]:
    return desk.reminding.owing.cures(now_ms)


def promises(desk: Projection, now_ms: int) -> list[tuple[int, str]]:
    return [(each.amount, each.state) for each in desk.reminding.owing.promises(now_ms)]


def test_a_request_waits_goes_out_and_says_why() -> None:
    desk = projection()
    desk.apply_request(asked())
    assert desk.reminding.day(NOW_MS).total == Tally(asked=1, waiting=1)
    desk.apply_contact(told("deferred", reason="outside_hours"))
    assert desk.reminding.day(NOW_MS).waiting == [("outside_hours", 1)]
    desk.apply_contact(told("sending", channel="sms", attempt=1))
    desk.apply_contact(told("delivered", channel="sms", attempt=1))
    (reminder,) = desk.reminding.newest(5)
    assert (reminder.state, reminder.channel, reminder.amount) == ("told", "sms", 50_000)
    day = desk.reminding.day(NOW_MS)
    assert day.stages == {"grace": Tally(asked=1, told=1)}
    assert desk.reminding.day(NOW_MS + DAY_MS).total == Tally()


def test_a_payment_stops_it_and_a_late_report_starts_it_no_more() -> None:
    desk = projection()
    desk.apply_request(asked())
    desk.apply_request(asked(withdrawn="paid"))
    desk.apply_contact(told("deferred", reason="pending"))
    day = desk.reminding.day(NOW_MS)
    assert (day.total, day.stopped) == (Tally(asked=1, stopped=1), [("paid", 1)])


def test_what_the_plan_left_out_was_never_asked_for() -> None:
    desk = projection()
    desk.apply_request(asked(withdrawn="autopay"))
    day = desk.reminding.day(NOW_MS)
    assert (day.total, day.skipped, day.stopped) == (Tally(skipped=1), [("autopay", 1)], [])


def test_a_step_may_come_before_its_request() -> None:
    desk = projection()
    desk.apply_contact(told("delivered", channel="sms"))
    desk.apply_request(asked())
    assert desk.reminding.day(NOW_MS).total == Tally(asked=1, told=1)


def test_who_pays_within_seven_days_is_cured_whatever_order_the_topics_come_in() -> None:
    pays = repayment(49_500, NOW_MS + 3 * DAY_MS)  # 5.00 are missing: within the plan's tolerance
    parts: list[Callable[[Projection], None]] = [
        lambda desk: desk.apply_account(statement()),
        lambda desk: desk.apply_contact(told("delivered", channel="sms")),
        lambda desk: desk.apply_account(pays),
    ]
    for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
        desk = projection()
        for number in order:
            parts[number](desk)
        assert cures(desk, NOW_MS + 8 * DAY_MS) == {("grace", "sms", 16): Cure(told=1, cured=1)}, order


@pytest.mark.parametrize(
    ("amount", "after_ms", "cure"),
    [
        (30_000, HOUR_MS, Cure(told=1)),
        (50_000, 8 * DAY_MS, Cure(told=1)),
        (50_000, -HOUR_MS, Cure(unjudged=1)),
    ],
    ids=["in part", "too late", "before"],
)
def test_what_is_no_cure(amount: int, after_ms: int, cure: Cure) -> None:
    desk = projection()
    desk.apply_account(statement())
    desk.apply_account(repayment(amount, NOW_MS + after_ms))
    desk.apply_contact(told("delivered", channel="sms"))
    assert cures(desk, NOW_MS + 9 * DAY_MS) == {("grace", "sms", 16): cure}


def test_while_the_days_run_a_bill_is_neither_paid_nor_unpaid_for_good() -> None:
    desk = projection()
    desk.apply_account(statement())
    desk.apply_contact(told("delivered", channel="sms"))
    assert cures(desk, NOW_MS + DAY_MS) == {("grace", "sms", 16): Cure(told=1, running=1)}


def test_a_bill_whose_statement_is_not_known_is_not_judged() -> None:
    desk = projection()
    desk.apply_contact(told("delivered", channel="sms"))
    assert cures(desk) == {("grace", "sms", 16): Cure(unjudged=1)}


def test_thanks_are_no_reminder() -> None:
    desk = projection()
    desk.apply_account(statement())
    desk.apply_contact(told("delivered", stage="thanks_0a1b2c3d", channel="sms"))
    assert cures(desk) == {}
    assert desk.reminding.newest(1)[0].stage == "thanks"


def test_a_promise_is_open_then_broken_or_kept() -> None:
    desk = projection()
    desk.apply_contact(told("answered", answer="promise", by="2025-10-11", channel="voice"))
    assert promises(desk, NOW_MS) == []  # of an account that is not known yet, nobody knows how much
    desk.apply_account(statement())
    assert promises(desk, NOW_MS) == [(50_000, "open")]
    assert promises(desk, NOW_MS + 4 * DAY_MS) == [(50_000, "broken")]
    desk.apply_account(repayment(50_000, NOW_MS + 3 * DAY_MS))  # the day after, within what posting takes
    assert promises(desk, NOW_MS + 4 * DAY_MS) == [(50_000, "kept")]


def test_a_later_promise_takes_the_place_of_an_open_one() -> None:
    desk = projection()
    desk.apply_account(statement())
    desk.apply_contact(told("answered", answer="promise", by="2025-10-11", channel="voice"))
    said = {"type": "promise", "account": "A1", "amount": 20_000, "by": "2025-10-20"}
    desk.apply_account(record(said, NOW_MS + HOUR_MS)._replace(key=b"A1"))
    assert promises(desk, NOW_MS + 2 * HOUR_MS) == [(20_000, "open"), (50_000, "replaced")]


def test_everything_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminding, "REMINDERS_KEPT", 3)
    monkeypatch.setattr(reminding, "CUSTOMERS_KEPT", 2)
    monkeypatch.setattr(reminding, "STEPS_OF_ONE", 2)
    monkeypatch.setattr(owing, "FOLLOWED_KEPT", 2)
    monkeypatch.setattr(owing, "QUIET_KEPT", 2)
    desk = projection()
    for number in range(6):
        customer = f"c{number}"
        desk.apply_account(statement(f"Q{number}", customer=customer))
        desk.apply_account(statement(f"A{number}", customer=customer))
        desk.apply_request(asked(account=f"A{number}", customer=customer))
        for step in ("sending", "accepted", "delivered"):
            desk.apply_contact(told(step, account=f"A{number}", customer=customer, channel="sms"))
    kept = desk.reminding
    assert len(kept) == 3
    assert len(kept.owing) == 2
    assert sum(cure.told for cure in cures(desk).values()) == 2
    assert [len(kept.of_customer(f"c{number}")) for number in range(6)] == [0, 0, 0, 0, 2, 2]
    assert list(kept.owing.payments("c0")) == []


def test_what_cannot_be_read_is_counted() -> None:
    desk = projection()
    desk.apply_account(record({"type": "statement"}))
    desk.apply_request(record({"id": ""}))
    assert (desk.unusable["accounts"], desk.unusable["contact-requests"]) == (1, 1)


def test_a_log_that_began_anew_is_forgotten() -> None:
    desk = projection()
    desk.apply_account(statement())
    desk.apply_request(asked())
    desk.apply_contact(told("answered", answer="promise", channel="voice"))
    for topic in ("contact-requests", "contacts", "accounts"):
        desk.log_began_anew(topic)
    assert len(desk.reminding) == 0
    assert desk.reminding.of_customer("c1") == ()
    assert promises(desk, NOW_MS) == []

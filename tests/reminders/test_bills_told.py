"""What the contact role does about a bill: nothing is said of what is paid, and what is said is what is owed now."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from bill_world import BALANCE, MINIMUM, Bills, account, request_config, until_done
from msgspec.structs import replace

from pipeline.core.account_facts import Promise
from pipeline.ports_channels import CallOrder
from pipeline.ports_contact import account_note
from pipeline.roles.contact.profile import read_texts

NIGHT_S = 12 * 3600
"""From ten in the morning until all windows are closed."""
Story = Callable[[Bills], Awaitable[None]]


@pytest.fixture(scope="module", autouse=True)
def _texts_read_once() -> Iterator[None]:
    known: dict[Path, Any] = {}

    def read(config: Path) -> Any:
        directory = (config / "messages").resolve()
        return known.get(directory) or known.setdefault(directory, read_texts(config))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", read)
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request_config(tmp_path_factory.mktemp("bills") / "config")


def told(config: Path, story: Story, **customer: Any) -> Bills:
    bills = Bills(config, **customer)

    async def run() -> None:
        await story(bills)

    asyncio.run(run())
    return bills


def test_the_steps_of_a_bill_name_statement_account_stage_and_request(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind()

    bills = told(config, story)
    assert bills.told() == ["planned", "sending", "accepted"]
    for step in bills.records():
        assert step["subject"] == {"statement": "st1"}
        assert (step["account"], step["stage"], step["request"]) == ("ac1", "before_3", "st1/before_3")
    assert bills.texts_sent() == [
        "Cardwatch Bank: card 4242, at least CNY 200.00 is due on 5 Mar. If you have already paid, thank you."
    ]


def test_stages_of_one_bill_are_contacts_of_their_own(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind("before_3")
        first = bills.contact
        await bills.remind("before_1")
        assert bills.contact != first
        assert [step["reason"] for step in bills.records("planned") if "reason" in step] == [], "not joined"

    told(config, story)


def test_what_is_said_is_what_is_owed_when_the_attempt_is_made(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind()
        bills.pay(5_000)
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert bills.told() == ["planned", "deferred: outside_hours", "sending", "accepted"]
    assert "at least CNY 150.00 is due on 5 Mar" in bills.texts_sent()[0]


def test_what_waited_past_the_due_date_speaks_of_it_in_other_words(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind(not_before="2026-03-06T10:00:00+08:00")
        await bills.wait(4 * 86_400)

    assert "was due on 5 Mar and has not reached us" in told(config, story).texts_sent()[0]


def test_what_is_paid_in_the_store_is_not_told_though_nobody_withdrew_it(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind()
        bills.pay(MINIMUM)
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert (bills.made, bills.told()[-1]) == ([], "cancelled: paid")


def test_a_payment_after_the_text_stops_the_call(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind()
        bills.pay(MINIMUM)
        await bills.do_receipt("undelivered")
        await until_done(bills.role)

    bills = told(config, story)
    assert bills.attempts() == ["sms"]
    assert bills.told()[-3:] == ["failed: undelivered", "planned: next_channel", "cancelled: paid"]


def test_a_payment_stored_between_reading_and_claiming_makes_the_claim_fail(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        store = bills.world.store
        read = store.note

        async def paid_after_reading(key: str) -> bytes:
            found = await read(key)
            if key == account_note("ac1") and not bills.accounts["ac1"].payments:
                bills.pay(MINIMUM)
            return bytes(found)

        store.note = paid_after_reading
        await bills.remind()

    bills = told(config, story)
    assert (bills.made, bills.told()) == ([], ["planned", "cancelled: paid"])


def test_a_payment_under_way_puts_it_off(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        bills.under_way(MINIMUM)
        await bills.remind()
        assert (bills.made, bills.told()[-1]) == ([], "deferred: pending")
        bills.pay(MINIMUM, payment="p1")
        await bills.wait(3600)

    assert told(config, story).told()[-1] == "cancelled: paid"


def test_an_open_promise_keeps_it_quiet_even_if_nobody_withdrew_it(config: Path) -> None:
    async def story(bills: Bills) -> None:
        promise = Promise(MINIMUM, date(2026, 3, 6).toordinal(), bills.now_ms, bills.now_ms)
        await bills.ready(replace(account(), promise=promise))
        await bills.remind()

    bills = told(config, story)
    assert (bills.made, bills.told()) == ([], ["planned", "cancelled: promise"])


def test_an_account_whose_events_lag_behind_waits(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.wait(61, read=False)
        await bills.remind()
        assert (bills.made, bills.told()[-1]) == ([], "deferred: accounts_lag")
        await bills.wait(60)

    bills = told(config, story)
    assert bills.told()[-2:] == ["sending", "accepted"]
    assert bills.world.sample("contacts_deferred_total", **{"class": "reminder", "reason": "accounts_lag"}) == 1


def test_where_nobody_reads_accounts_nobody_is_reminded(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        bills.world.store.notes.pop("f:3")
        await bills.remind()

    bills = told(config, story)
    assert (bills.made, bills.told()[-1]) == ([], "deferred: accounts_unread")
    assert bills.world.sample("contacts_deferred_total", **{"class": "reminder", "reason": "accounts_unread"}) == 1


@pytest.mark.parametrize("record", [b"", b"{not an account"])
def test_a_bill_without_an_account_waits_and_expires_with_the_reason(config: Path, record: bytes) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        bills.world.store.notes["a:ac1"] = record
        await bills.remind(expires_at="2026-03-02T11:00:00+08:00")
        for _ in range(20):
            await bills.wait(300)

    bills = told(config, story)
    assert bills.told()[:2] == ["planned", "deferred: no_account"]
    assert (bills.made, bills.told()[-1]) == ([], "expired: expired by no_account")


def test_a_text_its_provider_never_had_is_not_sent_again_once_it_is_paid(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        bills.texts.trouble = "drops"
        await bills.remind()
        bills.texts.trouble = "works"
        bills.pay(MINIMUM)
        await bills.wait(600)
        await bills.wait(600)

    bills = told(config, story)
    assert bills.attempts() == ["sms"]
    assert bills.told()[-1] == "cancelled: paid"


@pytest.mark.parametrize("times", [1, 2])
def test_a_withdrawal_ends_what_is_planned(config: Path, times: int) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind()
        for _ in range(times):
            await bills.withdraw("paid")
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert (bills.made, bills.told()) == ([], ["planned", "deferred: outside_hours", "cancelled: paid"])


def test_a_withdrawal_while_the_telephone_rings_ends_the_call(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind()
        await bills.do_receipt("undelivered")
        await until_done(bills.role)
        await bills.withdraw("paid")
        await bills.wait(3600)

    bills = told(config, story)
    assert bills.attempts() == ["sms", "mobile"]
    assert bills.told()[-1] == "cancelled: paid"
    assert [key for key, _ in bills.calls.cancelled] == [bills.last_call()]


def test_a_withdrawal_that_comes_before_its_request_is_remembered(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.withdraw("paid")
        await bills.remind()
        await bills.wait(3600)
        await bills.withdraw("paid")

    bills = told(config, story)
    assert (bills.made, bills.told()) == ([], ["cancelled: paid"])
    assert bills.records()[0]["request"] == "st1/before_3"


def test_a_withdrawal_after_the_end_changes_nothing(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind()
        await bills.do_receipt("delivered")
        await until_done(bills.role)
        await bills.withdraw("paid")

    assert told(config, story).told()[-2:] == ["delivered", "completed: delivered"]


TWO = (account(), account("ac2", "st2", date(2026, 3, 1), product="loan"))


def test_two_products_are_told_in_one_contact_in_the_words_of_the_most_urgent(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready(*TWO)
        await bills.wait(NIGHT_S)
        await bills.remind("before_3")
        first = bills.contact
        await bills.remind("overdue_1", "overdue", name="ac2", bill="st2")
        bills.contact = first
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert bills.texts_sent() == [
        "Cardwatch Bank: 2 payments have not reached us yet or are due soon, the first was due on 1 Mar. You find them in"
        " the app. If you have already paid, thank you."
    ]
    assert [(step["account"], step.get("reason")) for step in bills.records("planned")] == [
        ("ac1", None),
        ("ac2", "joined"),
    ]


def test_of_two_products_only_the_unpaid_one_is_told_with_its_amount(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready(*TWO)
        await bills.wait(NIGHT_S)
        await bills.remind("before_3")
        first = bills.contact
        await bills.remind("overdue_1", "overdue", name="ac2", bill="st2")
        bills.contact = first
        bills.pay(MINIMUM, "ac2")
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert len(bills.made) == 1
    assert "at least CNY 200.00 is due on 5 Mar" in bills.texts_sent()[0]
    assert [(step["account"], step["reason"]) for step in bills.records("cancelled")] == [("ac2", "paid")]


def test_two_debts_are_collected_in_one_contact_that_names_neither(config: Path) -> None:
    late = date(2026, 1, 20)

    async def story(bills: Bills) -> None:
        await bills.ready(account(due=late), account("ac2", "st2", late))
        await bills.wait(NIGHT_S)
        facts = {"class": "collection", "variables": {}}
        await bills.remind("m2", "overdue", **facts)
        await bills.remind("m2", "overdue", name="ac2", bill="st2", **facts)
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert bills.texts_sent() == ["Cardwatch Bank: please call us on the number on your card."]


def test_one_of_two_that_has_to_wait_for_days_is_left_out(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready(*TWO)
        await bills.wait(NIGHT_S)
        await bills.remind("before_3")
        first = bills.contact
        await bills.remind("overdue_1", "overdue", name="ac2", bill="st2")
        bills.contact = first
        bills.under_way(MINIMUM, "ac2")
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert len(bills.made) == 1
    assert "due on 5 Mar" in bills.texts_sent()[0]
    assert [(step["account"], step["reason"]) for step in bills.records("cancelled")] == [("ac2", "pending")]


def test_a_reply_with_a_day_is_a_promise_by_that_day_for_each_bill_that_was_told(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready(*TWO)
        await bills.wait(NIGHT_S)
        await bills.remind("before_3")
        first = bills.contact
        await bills.remind("overdue_1", "overdue", name="ac2", bill="st2")
        bills.contact = first
        await bills.wait(NIGHT_S)
        await bills.do_reply("I'll pay on Friday")
        await until_done(bills.role)

    bills = told(config, story)
    answers = [(step["account"], step["answer"], step["by"]) for step in bills.records("answered")]
    assert answers == [("ac1", "promise", "2026-03-06"), ("ac2", "promise", "2026-03-06")]
    assert bills.world.log.values("answers")[-1]["by"] == "2026-03-06"
    assert bills.told()[-1] == "completed: answer_promise"


def test_a_key_promises_without_a_day(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind()
        await bills.do_receipt("undelivered")
        await until_done(bills.role)
        await bills.do_key("1")
        await until_done(bills.role)

    bills = told(config, story)
    (answer,) = bills.records("answered")
    assert (answer["answer"], "by" in answer, isinstance(bills.made[-1], CallOrder)) == ("promise", False, True)


def test_nothing_but_what_is_owed_is_asked_of_an_account_that_is_paid_in_full(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        bills.pay(BALANCE)
        await bills.remind()

    assert told(config, story).made == []


def test_a_text_its_provider_never_had_is_not_sent_again_with_a_bill_that_was_withdrawn_meanwhile(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready(*TWO)
        await bills.wait(NIGHT_S)
        await bills.remind("before_3")
        first = bills.contact
        await bills.remind("overdue_1", "overdue", name="ac2", bill="st2")
        bills.contact = first
        bills.texts.trouble = "drops"
        await bills.wait(NIGHT_S)
        bills.texts.trouble = "works"
        bills.pay(MINIMUM, "ac2")
        await bills.withdraw("paid", "overdue_1", name="ac2", bill="st2")
        for _ in range(3):
            await bills.wait(600)

    bills = told(config, story)
    assert "2 payments" in bills.texts_sent()[0]
    assert [order.reference for order in bills.made] == [("st1/before_3", "st2/overdue_1"), ("st1/before_3",)]
    assert bills.told()[3:7] == ["sending", "unknown: provider_silent", "cancelled: paid", "failed: lost"]


def test_a_complaint_stays_with_people_though_the_bill_is_paid(config: Path) -> None:
    async def story(bills: Bills) -> None:
        await bills.ready()
        await bills.remind()
        await bills.do_reply("complaint")
        await until_done(bills.role)
        await bills.withdraw("paid")

    bills = told(config, story)
    assert bills.told()[-2:] == ["answered: complaint", "escalated: answer_complaint"]
    assert bills.state == "escalated"

"""The reminder role's story: a bill comes, stages are told, answers and payments change what follows."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from reminder_world import (
    ACCOUNT,
    BILL,
    BILLED,
    DUE_DAY,
    LATE,
    PLAN,
    SOON,
    Read,
    World,
    event,
    ms,
    numbered,
    own,
    plan,
    repayment,
    rfc,
    statement,
    step,
    tagged,
    until_done,
)

from pipeline.core.records import ContactStep
from pipeline.core.reminder_plan import returned_stage
from pipeline.ports_reminder import NOTHING_DUE_MS, Scheduled
from pipeline.roles.reminder.role import ReminderRole


class Story:
    """One worker that reads records as they come."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.role: ReminderRole = self.world.worker()
        self.next = 0

    async def begin(self) -> "Story":
        await own(self.role)
        return self

    async def hear(self, *records: Read) -> None:
        """Records of ``accounts``."""
        await self.role.polled({0: numbered(records, self.next)})
        self.next += len(records)

    async def at(self, moment: str) -> list[str]:
        """What was said in all, once that moment has come."""
        self.world.clock.set(moment)
        await until_done(self.role)
        return self.world.log.told()


def test_each_stage_is_asked_for_when_it_comes_and_not_before() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        assert await one.at(rfc(ms(SOON) - 1)) == []
        assert await one.at(SOON) == ["st1/soon"]
        assert await one.at("2026-03-19T23:00:00Z") == ["st1/soon"]
        assert await one.at(DUE_DAY) == ["st1/soon", "st1/due"]
        assert await one.at(LATE) == ["st1/soon", "st1/due", "st1/late"]
        first = one.world.log.requests()[0]
        assert first["bill"] == {"account": ACCOUNT, "statement": BILL, "stage": "soon"}
        assert (first["class"], first["template"], first["customer"]) == ("reminder", "due_soon", "cu1")
        assert one.world.sample("reminder_requests_total", **{"class": "collection"}, stage="m1") == 1
        assert one.world.sample("reminder_due_late_seconds_count") == 3

    asyncio.run(story())


def test_a_payment_takes_back_what_was_asked_for_before_the_poll_ends() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at(SOON)
        await one.hear(repayment("2026-03-17T03:00:00Z"))
        assert one.world.log.told() == ["st1/soon", "-st1/soon:paid"]
        assert await one.at(LATE) == ["st1/soon", "-st1/soon:paid"]
        assert one.world.sample("reminders_withdrawn_total", reason="paid") == 1

    asyncio.run(story())


def test_what_was_taken_back_as_paid_is_asked_for_anew_when_the_payment_comes_back() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at(SOON)
        await one.hear(repayment("2026-03-17T03:00:00Z"))
        one.world.clock.set("2026-03-17T05:00:00Z")
        await one.hear(event("repayment_reversed", "2026-03-17T05:00:00Z", original_id="pay1"))
        again = returned_stage("pay1")
        so_far = ["st1/soon", "-st1/soon:paid", f"st1/{again}"]
        assert await one.at("2026-03-17T05:00:01Z") == so_far
        assert await one.at("2026-03-18T02:00:00Z") == so_far
        await one.hear(repayment("2026-03-18T03:00:00Z", name="pay2"))
        assert one.world.log.told() == [*so_far, f"-st1/{again}:paid"]

    asyncio.run(story())


def test_a_payment_after_something_was_told_is_thanked_for_once() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at(SOON)
        await one.role.contacts([step("completed", "2026-03-17T02:00:30Z")])
        for _ in range(2):
            await one.hear(repayment("2026-03-18T03:00:00Z"))
        told = one.world.log.told()
        assert told[:2] == ["st1/soon", "-st1/soon:paid"]
        (thanks,) = told[2:]
        assert thanks.startswith("st1/thanks")
        assert one.world.sample("reminder_thanks_total") == 1

    asyncio.run(story())


def test_a_promise_is_waited_for_and_followed_when_it_is_broken() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at(DUE_DAY)
        answer = step("answered", "2026-03-20T03:00:00Z", "due", answer="promise", by="2026-03-23")
        for _ in range(2):
            await one.role.contacts([answer])
        assert one.world.sample("reminder_promises_total", state="open") == 1
        waiting = ["st1/due", "-st1/due:promise"]
        assert await one.at("2026-03-24T15:59:59Z") == waiting, "its day, and one for posting"
        assert (await one.at("2026-03-24T16:00:00Z"))[2:] == ["-st1/late:promise", "st1/broken_20260323"]
        assert one.world.sample("reminder_promises_total", state="broken") == 1

    asyncio.run(story())


def test_a_kept_promise_is_counted() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at(DUE_DAY)
        await one.role.contacts([step("answered", "2026-03-20T03:00:00Z", "due", answer="promise", by="2026-03-23")])
        await one.hear(repayment("2026-03-22T03:00:00Z"))
        assert one.world.sample("reminder_promises_total", state="kept") == 1

    asyncio.run(story())


def test_a_worker_down_over_due_moments_catches_up_once_and_says_what_it_left_out() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        said = await one.at("2026-03-24T05:00:00Z")
        assert [word for word in said if not word.startswith("-")] == ["st1/late"]
        left_out = {word.split(":")[0] for word in said if word.startswith("-")}
        assert left_out == {"-st1/soon", "-st1/due"}
        assert await one.at("2026-03-24T06:00:00Z") == said

    asyncio.run(story())


def test_a_customer_with_a_tag_is_spared_with_the_plans_reason() -> None:
    async def story() -> None:
        one = await Story().begin()
        one.role.tags.take([tagged("cu1", "vip"), tagged("cu2", "vip"), Read(None, b"cu2"), Read(b"?", b"cu3")])
        assert len(one.role.tags) == 1
        await one.hear(statement())
        assert await one.at("2026-03-20T03:00:00Z") == []
        assert await one.at(LATE) == ["-st1/late:spared"]

    asyncio.run(story())


def test_nothing_is_sent_before_the_tags_are_read() -> None:
    async def story() -> None:
        one = await Story().begin()
        one.role.tags.whole = False
        await one.hear(statement())
        assert await one.at(SOON) == []
        one.role.tags.whole = True
        assert await one.at(SOON) == ["st1/soon"]

    asyncio.run(story())


@pytest.mark.parametrize("answer", ["already_paid", "hardship", "dispute"])
def test_an_answer_pauses_what_follows(answer: str) -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at(SOON)
        await one.role.contacts([step("answered", "2026-03-17T03:00:00Z", answer=answer)])
        assert "st1/due" not in await one.at("2026-03-20T02:00:01Z")

    asyncio.run(story())


def test_what_cannot_be_used_goes_to_the_dead_letters_and_the_rest_goes_on() -> None:
    async def story() -> None:
        one = await Story().begin()
        broken = event("statement", id="st9")
        other = repayment(BILLED, name="pay9")
        other.value = (other.value or b"").replace(b"}", b',"currency":"USD"}')
        await one.hear(broken, statement(), Read(b"{", b"ac2", timestamp=ms(BILLED)), other)
        await one.role.contacts(
            [Read(b'{"account":1}', b"cu1"), Read(b"{}", b"cu1"), step("answered", BILLED, by="never")]
        )
        assert [(topic, offset, reason) for topic, offset, reason, _ in one.world.dead] == [
            ("accounts", 0, "not_an_account_event"),
            ("accounts", 2, "not_an_account_event"),
            ("accounts", 3, "not_an_account_event"),
            ("contacts", 0, "not_a_contact_step"),
            ("contacts", 0, "not_a_contact_step"),
        ]
        assert await one.at(SOON) == ["st1/soon"]
        assert await one.world.store.position(0) == 4
        assert one.world.sample("dead_letters_total", reason="not_an_account_event") == 3

    asyncio.run(story())


def test_an_account_that_owes_but_has_nothing_planned_waits_at_the_schedules_end() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        await one.at("2026-04-20T00:00:00Z")
        assert await one.world.store.day(0, NOTHING_DUE_MS, NOTHING_DUE_MS + 1, None, 9) == [
            Scheduled(ACCOUNT, NOTHING_DUE_MS)
        ]
        await one.hear(repayment("2026-04-20T00:00:00Z"))
        assert await one.world.store.day(0, 0, NOTHING_DUE_MS + 1, None, 9) == []

    asyncio.run(story())


def test_the_mark_says_up_to_when_a_partition_is_taken_in() -> None:
    async def story() -> None:
        one = await Story().begin()
        await own(one.role, 1)
        await one.hear(statement())
        now = ms(BILLED) + 5_000
        await one.role.measured({0: 3, 1: 4, 2: 0}, now / 1000)
        assert one.world.store.notes.get("f:0") == b"%d" % ms(BILLED)
        assert "f:1" not in one.world.store.notes, "nothing was read of it, and it is behind"
        assert "f:2" not in one.world.store.notes, "it is another worker's"
        await one.role.measured({0: 0, 1: 0}, now / 1000)
        assert one.world.store.notes["f:0"] == one.world.store.notes["f:1"] == b"%d" % now

    asyncio.run(story())


def test_two_workers_at_the_same_account_ask_once() -> None:
    """One that lost its partition does not know it yet."""

    async def story() -> None:
        one = await Story().begin()
        other = Story(one.world)
        await own(other.role)
        await one.hear(statement())
        one.world.clock.set(SOON)
        await asyncio.gather(one.role.tick(), other.role.tick())
        assert one.world.log.told() == ["st1/soon"]
        assert len(one.world.log.sent["contact-requests"]) == 1

    asyncio.run(story())


def test_a_position_moved_by_another_worker_gives_the_partition_up() -> None:
    async def story() -> None:
        one = await Story().begin()
        other = await Story(one.world).begin()
        await one.hear(statement())
        await other.hear(repayment(BILLED), repayment(BILLED, name="pay2"))
        assert await other.role.boundary() == [0]
        assert await other.role.boundary() == []
        assert one.world.account().payments == ()
        assert await own(other.role) == 1
        other.next = 1
        await other.hear(repayment(BILLED))
        assert len(one.world.account().payments) == 1

    asyncio.run(story())


def test_a_changed_plan_finds_every_open_account_and_gives_it_its_new_terms_and_moment() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(*(statement(account=f"ac{number}", id=f"st{number}") for number in range(5)))
        await one.hear(repayment(BILLED, account="ac4"))
        await one.role.plan_day()
        one.world.plan = plan(PLAN.replace("day = -3", "day = -5").replace("tolerance = 1000", "tolerance = 500"))
        await one.role.plan_day()
        due: Sequence[Scheduled] = await one.world.store.day(0, 0, NOTHING_DUE_MS + 1, None, 9)
        assert due == [Scheduled(f"ac{number}", ms("2026-03-15T02:00:00Z")) for number in range(4)]
        assert {one.world.account(f"ac{number}").terms.tolerance for number in range(4)} == {500}
        assert one.world.store.plans[0].endswith(one.world.plan.version)

    asyncio.run(story())


def test_a_days_load_is_spread_to_the_channels_capacity_once_a_day() -> None:
    async def story() -> None:
        text = PLAN + '\n[spread]\nstart = "09:00"\nend = "12:00"\n\n[spread.per_hour]\nsms = 4\n'
        one = await Story(World(plan=plan(text))).begin()
        bills = [statement(account=f"ac{number}", id=f"st{number}", customer=f"cu{number}") for number in range(12)]
        await one.hear(*bills)
        one.world.clock.set("2026-03-16T17:00:00Z")  # 01:00 of the day of the first stage
        await one.role.plan_day()
        due = [each.due_ms for each in await one.world.store.day(0, 0, NOTHING_DUE_MS, None, 99)]
        hours = [(at - ms("2026-03-17T01:00:00Z")) // 3_600_000 for at in due]
        assert hours == [1] * 4 + [2] * 0 + [2] * 4 + [24] * 4 or hours.count(24) == 4
        assert sum(hour in (1, 2) for hour in hours) == 8, "the stage comes at ten: two hours are left"
        await one.role.plan_day()
        assert [each.due_ms for each in await one.world.store.day(0, 0, NOTHING_DUE_MS, None, 99)] == due
        assert one.world.sample("reminder_plan_seconds_count") == 1
        assert one.world.sample("reminders_planned_total") == 12
        assert one.world.sample("reminders_spread_total", reason="capacity") >= 4
        await one.role.plan_day()
        assert one.world.sample("reminder_accounts", stage="before") == 12
        assert len(await one.at("2026-03-17T04:00:00Z")) == 8

    asyncio.run(story())


def test_a_payment_of_part_leaves_the_moment_that_the_days_plan_has_given() -> None:
    async def story() -> None:
        text = PLAN + '\n[spread]\nstart = "09:00"\nend = "12:00"\n\n[spread.per_hour]\nsms = 4\n'
        one = await Story(World(plan=plan(text))).begin()
        await one.hear(
            *(statement(account=f"ac{number}", id=f"st{number}", customer=f"cu{number}") for number in range(8))
        )
        one.world.clock.set("2026-03-16T17:00:00Z")
        await one.role.plan_day()
        late = (await one.world.store.day(0, 0, NOTHING_DUE_MS, None, 99))[-1]
        number = late.account.removeprefix("ac")
        await one.hear(repayment("2026-03-16T17:00:00Z", 100, f"pay{number}", late.account))
        assert late in await one.world.store.day(0, 0, NOTHING_DUE_MS, None, 99)
        await one.hear(repayment("2026-03-16T17:00:01Z", 1_000_000, f"rest{number}", late.account))
        assert late not in await one.world.store.day(0, 0, NOTHING_DUE_MS, None, 99)

    asyncio.run(story())


def test_an_account_that_changed_while_it_was_claimed_is_looked_at_again_at_once() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement())
        store = one.world.store
        claim = store.claim

        async def and_then_a_payment(*asked: Any) -> Any:
            found = await claim(*asked)
            if found:
                store.claim = claim  # type: ignore[method-assign] # once
                await one.hear(repayment(SOON, 100))
            return found

        store.claim = and_then_a_payment  # type: ignore[method-assign] # somebody else was faster
        one.world.clock.set(SOON)
        await one.role.tick()
        assert one.world.log.told() == []
        await one.role.tick()
        assert one.world.log.told() == ["st1/soon"]

    asyncio.run(story())


def test_a_payment_that_comes_back_is_told_to_the_risk_team_and_the_bill_is_owed_again() -> None:
    async def story() -> None:
        one = await Story().begin()
        await one.hear(statement(), repayment("2026-03-02T00:00:00Z"))
        assert await one.at(SOON) == []
        await one.hear(event("repayment_reversed", SOON, original_id="pay1", time=SOON))
        assert one.world.sample("account_alerts_total", kind="returned_payment") == 1
        (told,) = one.world.log.sent["contacts"]
        step = msgspec.json.decode(told.value, type=ContactStep)
        assert (told.key, step.contact[:5], step.subject) == (b"cu1", "risk_", {"account": ACCOUNT})
        assert (step.step, step.reason, step.class_) == ("escalated", "returned_payment", "collection")
        assert step.why == {"payment_returned": {"amount": 100_000, "currency": "CNY"}}
        read = Read(told.value, told.key, timestamp=ms(SOON), headers=told.headers)
        before = one.world.account()
        await one.role.contacts([read])
        assert one.world.account() == before, "it is read again by the role itself, and is none of its answers"
        assert not one.world.dead
        assert await one.at(DUE_DAY) == ["st1/due"]

    asyncio.run(story())

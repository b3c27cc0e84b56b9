"""Rows in Fxiaoke, on a mock made from its public documentation (unverified)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from crm_world import CONTACT, SetClock, shipped, state, step, told_of, using
from fxiaoke_mock import APP, USER, FxiaokeMock

from pipeline.adapters.crm.fxiaoke import BURST, Fxiaoke, Login
from pipeline.core.crm_outcome import NOT_TRIED, TAKEN, Told
from pipeline.core.crm_rows import Rule

TABLE = "cardwatch_contact__c"
SET_UP = {20014, 20022, 15003}
PRESET = Rule("contact", "AccountObj", "cardwatch_id__c", {"cardwatch_id__c": "{contact}", "step__c": "{step}"})
Story = Callable[[FxiaokeMock, Fxiaoke, SetClock], Awaitable[None]]


def run(story: Story, rules: tuple[Rule, ...] | None = None, rate_s: float = 1_000.0) -> FxiaokeMock:
    async def go() -> FxiaokeMock:
        async with FxiaokeMock().running() as mock, asyncio.timeout(10):
            clock = SetClock()

            async def sleep(seconds: float) -> None:
                clock.at += seconds

            login = Login(APP["appId"], APP["appSecret"], APP["permanentCode"])
            chosen = shipped().fxiaoke if rules is None else rules
            system = Fxiaoke(chosen, login, USER, mock.url, clock, rate_s, sleep)
            await using(system, lambda: story(mock, system, clock))
            return mock

    mock = asyncio.run(go())
    assert mock.violations == []
    return mock


def test_the_steps_of_a_contact_are_one_row() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        assert await system.tell(told_of(step("planned", channel=None), step("sending"))) == [TAKEN, TAKEN]
        assert await system.tell(told_of(step("answered", answer="no"))) == [TAKEN]
        assert await system.tell(told_of(step("completed"))) == [TAKEN]

    mock = run(story)
    (row,) = mock.rows[TABLE].values()
    assert (row["cardwatch_id__c"], row["last_step__c"], row["answer__c"]) == (CONTACT, "已结束", "非本人交易")
    assert mock.calls == ["query", "create", "query", "update", "update"], "once found, a row is not looked for again"
    assert mock.grants == 1


def test_objects_of_fxiaoke_s_own_have_their_own_paths_and_answer_with_an_id() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        assert await system.tell(told_of(step("planned"))) == [TAKEN]
        assert await system.tell(told_of(step("sending"))) == [TAKEN]

    assert run(story, (PRESET,)).calls == ["query", "create", "update"]


def test_complaints_and_tags_have_rows_of_their_own() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        events = told_of(step("answered", answer="complaint"), state(tags=["休眠", "vip"]))
        assert await system.tell(events) == [TAKEN, TAKEN]

    mock = run(story)
    assert {name: len(rows) for name, rows in mock.rows.items()} == {
        TABLE: 1,
        "cardwatch_complaint__c": 1,
        "cardwatch_customer__c": 1,
    }
    assert next(iter(mock.rows["cardwatch_customer__c"].values()))["tags__c"] == "休眠, vip"


def test_a_row_whose_answer_was_lost_is_not_made_twice() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        mock.lost = {"create"}
        assert await system.tell(told_of(step("planned"))) == [Told("later", "ServerDisconnectedError")]
        mock.lost.clear()
        assert await system.tell(told_of(step("planned"))) == [TAKEN]

    assert len(run(story).rows[TABLE]) == 1


def test_a_row_that_somebody_deleted_there_is_made_anew() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        for what in ("planned", "sending"):
            await system.tell(told_of(step(what)))
        mock.rows.clear()
        assert await system.tell(told_of(step("answered"))) == [TAKEN]

    assert len(run(story).rows[TABLE]) == 1


def test_a_token_that_is_over_is_renewed_and_the_request_made_again() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        await system.tell(told_of(step("planned")))
        clock.at += 61
        mock.token = "another"
        assert await system.tell(told_of(step("sending"))) == [TAKEN]

    assert run(story).grants == 2


@pytest.mark.parametrize("code", [-1, 14001, 30002, 30003, 30004, 50009, 20014, 20022, 10013, 15003])
def test_what_is_about_us_or_the_moment_waits(code: int) -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        mock.codes["query"] = [code]
        events = told_of(step("planned"), step("planned", contact="ct_2"))
        assert await system.tell(events) == [Told("later", f"errorCode {code}", code in SET_UP), NOT_TRIED]
        assert await system.tell(events) == [TAKEN, TAKEN]

    run(story)


def test_any_other_code_refuses_the_row_and_the_rest_goes_on() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        mock.codes["create"] = [32000]
        events = told_of(step("planned"), step("planned", contact="ct_2"))
        assert await system.tell(events) == [Told("rejected", "errorCode 32000"), TAKEN]

    run(story)


def test_each_interface_is_asked_no_more_often_than_allowed() -> None:
    async def story(mock: FxiaokeMock, system: Fxiaoke, clock: SetClock) -> None:
        before = clock.at
        events = told_of(*(step("planned", contact=f"ct_{number}") for number in range(100)))
        assert set(await system.tell(events)) == {TAKEN}
        assert clock.at - before == pytest.approx((100 - BURST) / 5.0, abs=1.0)

    run(story, rate_s=5.0)


def test_an_application_that_is_not_known_waits_for_its_administrator() -> None:
    async def go() -> FxiaokeMock:
        async with FxiaokeMock().running() as mock, asyncio.timeout(10):
            login = Login(APP["appId"], "wrong", APP["permanentCode"])
            system = Fxiaoke(shipped().fxiaoke, login, USER, mock.url, SetClock(), 5.0)
            told = await using(system, lambda: system.tell(told_of(step())))
            assert told == [Told("later", "no_token")]
            return mock

    assert asyncio.run(go()).calls == []

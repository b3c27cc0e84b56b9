"""Rows in Zoho CRM, on a mock that holds every request to Zoho's published OpenAPI."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from crm_world import CONTACT, SetClock, shipped, state, step, told_of, using
from zoho_mock import GRANT, ZohoMock

from pipeline.adapters.crm.zoho import ZohoCrm, ZohoLogin
from pipeline.core.crm_outcome import NOT_TRIED, NOT_WANTED, TAKEN, Told
from pipeline.core.crm_rows import Rule

CUSTOMERS = Rule(
    "customer",
    "Contacts",
    "Cardwatch_Id",
    {"Cardwatch_Id": "{customer}"},
    known_tags=frozenset({"dormant", "frequent"}),
)
SET_UP = {"INVALID_MODULE", "AUTHORIZATION_FAILED", "NO_PERMISSION", "INVALID_URL_PATTERN"}
Story = Callable[[ZohoMock, ZohoCrm, SetClock], Awaitable[None]]


def run(story: Story, rules: Sequence[Rule] | None = None) -> ZohoMock:
    async def go() -> ZohoMock:
        async with ZohoMock().running() as mock, asyncio.timeout(10):
            clock = SetClock()
            login = ZohoLogin(mock.url, GRANT["client_id"], GRANT["client_secret"], GRANT["refresh_token"])
            zoho = ZohoCrm(shipped().zoho if rules is None else rules, login, mock.url, clock)
            await using(zoho, lambda: story(mock, zoho, clock))
            return mock

    mock = asyncio.run(go())
    assert mock.violations == []
    return mock


def error(code: str, **details: Any) -> dict[str, Any]:
    return {"code": code, "details": details, "message": "…", "status": "error"}


def test_steps_are_one_row_that_is_found_again() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        assert await zoho.tell(told_of(step("planned", channel=None), step("sending"))) == [TAKEN, TAKEN]
        assert await zoho.tell(told_of(step("answered", answer="yes"))) == [TAKEN]

    mock = run(story)
    assert mock.upserts() == [[CONTACT], [CONTACT]]
    row = mock.rows["Cardwatch_Contacts"][CONTACT]
    assert (row["Last_Step"], row["Channel"], row["Answer"]) == ("answered", "telephone", "yes, it was them")
    assert mock.grants == 1


def test_no_more_than_a_hundred_rows_go_in_one_call() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        events = told_of(*(step(contact=f"ct_{number}") for number in range(250)))
        assert set(await zoho.tell(events)) == {TAKEN}

    assert [len(rows) for rows in run(story).upserts()] == [100, 100, 50]


def test_a_row_refused_for_good_does_not_hold_up_the_others() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        mock.refused["ct_1"] = error("INVALID_DATA", api_name="Reason", json_path="$.data[1].Reason")
        told = await zoho.tell(told_of(*(step(contact=f"ct_{number}") for number in range(3))))
        assert told == [TAKEN, Told("rejected", "INVALID_DATA Reason"), TAKEN]

    assert run(story).upserts() == [["ct_0", "ct_1", "ct_2"]]


def test_rows_that_are_all_refused_are_refused_each_for_itself() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        mock.refused = {"ct_0": error("DUPLICATE_DATA"), "ct_1": error("MANDATORY_NOT_FOUND", api_name="Name")}
        told = await zoho.tell(told_of(step(contact="ct_0"), step(contact="ct_1")))
        assert told == [Told("rejected", "DUPLICATE_DATA"), Told("rejected", "MANDATORY_NOT_FOUND Name")]

    run(story)


def test_a_call_refused_for_one_row_s_data_is_made_again_row_by_row() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        mock.whole = "ct_1"
        told = await zoho.tell(told_of(*(step(contact=f"ct_{number}") for number in range(3))))
        assert told == [TAKEN, Told("rejected", "INVALID_DATA"), TAKEN]

    assert run(story).upserts() == [["ct_0", "ct_1", "ct_2"], ["ct_0"], ["ct_1"], ["ct_2"]]


@pytest.mark.parametrize("code", ["DEPENDENT_SERVICE_ERROR", "INVALID_MODULE", "AUTHORIZATION_FAILED", "RECORD_LOCKED"])
def test_a_row_refused_for_the_moment_or_for_our_set_up_comes_again(code: str) -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        mock.refused["ct_1"] = error(code)
        told = await zoho.tell(told_of(step(contact="ct_0"), step(contact="ct_1")))
        assert told == [TAKEN, Told("later", code, code in SET_UP)]
        mock.refused.clear()
        assert await zoho.tell(told_of(step(contact="ct_1"))) == [TAKEN]

    run(story)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("429", "http_429"),
        ("500", "http_500"),
        ("403", "NO_PERMISSION"),
        ("404", "INVALID_URL_PATTERN"),
        ("cut", "ServerDisconnectedError"),
    ],
)
def test_a_call_refused_as_a_whole_waits_and_no_further_call_is_made(fault: str, reason: str) -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        mock.fault = fault
        events = told_of(*(step(contact=f"ct_{number}") for number in range(150)))
        told = await zoho.tell(events)
        assert told == [Told("later", reason, reason in SET_UP)] * 100 + [NOT_TRIED] * 50
        mock.fault = None
        clock.at += 1
        assert set(await zoho.tell(events)) == {TAKEN}

    assert len(run(story).rows["Cardwatch_Contacts"]) == 150


@pytest.mark.parametrize(
    ("asked", "rest_s"), [("40", 40), ("Mon, 02 Mar 2026 02:00:40 GMT", None), ("soon", 1), (None, 1)]
)
def test_after_too_many_calls_none_is_made_for_as_long_as_zoho_says(asked: str | None, rest_s: int | None) -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        if rest_s is None:
            clock.at = datetime(2026, 3, 2, 2, tzinfo=UTC).timestamp()
        mock.fault, mock.retry_after = "429", asked
        assert await zoho.tell(told_of(step())) == [Told("later", "http_429")]
        mock.fault = None
        clock.at += (rest_s or 40) - 0.5
        assert await zoho.tell(told_of(step())) == [Told("later", "rate_limited")]
        assert mock.asked == 1
        clock.at += 0.5
        assert await zoho.tell(told_of(step())) == [TAKEN]

    run(story)


def test_a_token_that_is_over_is_renewed_and_the_call_made_again() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        assert await zoho.tell(told_of(step())) == [TAKEN]
        clock.at += 61
        mock.expire()
        assert await zoho.tell(told_of(step("completed"))) == [TAKEN]

    assert run(story).grants == 2


def test_a_token_is_renewed_before_it_is_over() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        await zoho.tell(told_of(step()))
        clock.at += 3_500
        assert await zoho.tell(told_of(step("completed"))) == [TAKEN]

    mock = run(story)
    assert mock.grants == 2
    assert mock.token == "1000.access-2"


def test_tokens_are_not_asked_for_more_often_than_zoho_allows() -> None:
    """Ten in ten minutes for one refresh token; then it gives none for the rest of them."""

    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        mock.refuses_grants = True
        for _ in range(600):
            assert await zoho.tell(told_of(step())) == [Told("later", "no_token")]
            clock.at += 1

    assert run(story).grants == 10


def test_tags_of_ours_are_added_and_taken_away_and_others_left() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        assert await zoho.tell(told_of(state(tags=["dormant", "frequent", "a", "b", "c"]))) == [TAKEN]
        mock.rows["Contacts"]["cu1"]["tags"].append("set by sales")
        assert await zoho.tell(told_of(state(tags=["a"]))) == [TAKEN]

    mock = run(story, [CUSTOMERS])
    assert mock.rows["Contacts"]["cu1"]["tags"] == ["a", "b", "c", "set by sales"]


def test_steps_that_no_rule_is_about_are_not_wanted() -> None:
    async def story(mock: ZohoMock, zoho: ZohoCrm, clock: SetClock) -> None:
        assert await zoho.tell(told_of(step(), state())) == [NOT_WANTED, TAKEN]

    assert run(story, [CUSTOMERS]).upserts() == [["cu1"]]


def test_a_tag_that_zoho_cannot_hold_is_refused_for_good() -> None:
    async def go() -> ZohoMock:
        async with ZohoMock().running() as mock, asyncio.timeout(10):
            login = ZohoLogin(mock.url, GRANT["client_id"], GRANT["client_secret"], GRANT["refresh_token"])
            zoho = ZohoCrm([CUSTOMERS], login, mock.url, SetClock())
            (told,) = await using(zoho, lambda: zoho.tell(told_of(state(tags=["x" * 26]))))
            assert told == Told("rejected", "add_tags INVALID_DATA")
            return mock

    assert len(asyncio.run(go()).violations) == 1

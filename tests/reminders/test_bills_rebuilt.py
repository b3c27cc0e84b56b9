"""The contact store is lost while bills are to be told: requests and withdrawals are found again on their topic."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from bill_world import MINIMUM, Bills, request_config, until_done
from rebuild_world import Losing

from pipeline.core.account_facts import encode
from pipeline.ports_contact import account_note

NIGHT_S = 12 * 3600


class LosingBills(Losing, Bills):
    """The reminder role writes its accounts again after the store was made again."""

    async def lose_all(self, accounts_too: bool = True) -> None:
        await self.lose()
        if accounts_too:
            self.world.store.notes |= {account_note(name): encode(kept) for name, kept in self.accounts.items()}
            self.read_until_now()
        await until_done(self.role)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request_config(tmp_path_factory.mktemp("bills-lost") / "config")


def told(config: Path, story: Callable[[LosingBills], Awaitable[None]]) -> LosingBills:
    bills = LosingBills(config)

    async def run() -> None:
        await story(bills)

    asyncio.run(run())
    return bills


def test_a_reminder_that_waited_is_told_from_the_store_made_again(config: Path) -> None:
    async def story(bills: LosingBills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind()
        await bills.lose_all()
        bills.pay(5_000)
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert bills.told() == ["planned", "deferred: outside_hours", "sending", "accepted"]
    assert "at least CNY 150.00 is due" in bills.texts_sent()[0]
    assert {step["request"] for step in bills.records()} == {"st1/before_3"}


def test_nobody_is_reminded_while_the_accounts_are_not_back(config: Path) -> None:
    async def story(bills: LosingBills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind()
        await bills.lose_all(accounts_too=False)
        await bills.wait(NIGHT_S, read=False)

    bills = told(config, story)
    assert (bills.made, bills.told()[-1]) == ([], "deferred: no_account")


@pytest.mark.parametrize("before_the_loss", [True, False])
def test_a_withdrawal_counts_whether_it_came_before_the_loss_or_while_the_store_was_away(
    config: Path, before_the_loss: bool
) -> None:
    async def story(bills: LosingBills) -> None:
        await bills.ready()
        await bills.wait(NIGHT_S)
        await bills.remind()
        if before_the_loss:
            await bills.withdraw()
        else:
            bills.given["contact-requests"].append(bills.request(withdrawn="paid"))
        await bills.lose_all()
        await bills.wait(NIGHT_S)

    bills = told(config, story)
    assert (bills.made, bills.told()[-1]) == ([], "cancelled: paid")


def test_what_was_withdrawn_before_it_came_is_not_told_after_the_loss_either(config: Path) -> None:
    async def story(bills: LosingBills) -> None:
        await bills.ready()
        await bills.withdraw()
        await bills.lose_all()
        await bills.remind()

    bills = told(config, story)
    assert (bills.made, bills.told()) == ([], ["cancelled: paid"])


def test_a_stage_that_was_told_is_not_told_again(config: Path) -> None:
    async def story(bills: LosingBills) -> None:
        await bills.ready()
        await bills.remind()
        await bills.do_receipt("delivered")
        await until_done(bills.role)
        await bills.lose_all()
        await bills.role.requests([bills.request()])
        await bills.wait(3600)

    bills = told(config, story)
    assert len(bills.made) == 1
    assert bills.told()[-1] == "completed: delivered"


def test_a_call_that_rang_when_the_store_was_lost_is_not_followed_once_it_is_paid(config: Path) -> None:
    async def story(bills: LosingBills) -> None:
        await bills.ready()
        await bills.remind()
        await bills.lose_all()
        bills.pay(MINIMUM)
        await bills.do_receipt("undelivered")
        await until_done(bills.role)

    bills = told(config, story)
    assert bills.attempts() == ["sms"]
    assert bills.told()[-1] == "cancelled: paid"

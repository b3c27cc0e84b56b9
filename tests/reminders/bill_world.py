"""Accounts in the contact store and requests to remind of their bills, in simulated time."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1] / "contact"))  # the world of the contact role

from contact_world import Read, until_done
from request_world import CARD, Requests, request_config

from pipeline.core.account_facts import PAID, PENDING, Account, Bill, Payment, PaymentState, encode
from pipeline.core.requests import contact_of
from pipeline.ports_contact import account_note, read_up_to_note

PARTITION = 3
DUE = date(2026, 3, 5)
"""Three days after the morning on which the stories begin."""
MINIMUM, BALANCE = 20_000, 150_000

__all__ = ["CARD", "Bills", "request_config", "until_done"]


def account(name: str = "ac1", bill: str = "st1", due: date = DUE, **more: Any) -> Account:
    """A card's account with one bill."""
    stated = due.toordinal() - 20
    bills = (
        Bill(
            id=bill,
            stated_on=stated,
            due_on=due.toordinal(),
            balance=BALANCE,
            minimum=MINIMUM,
            past_due=0,
            autopay=False,
            grace_days=-1,
            cut_ms=0,
            said_ms=1,
        ),
    )
    usual = {"customer": "cu1", "currency": "CNY", "card": CARD, "partition": PARTITION, "bills": bills, "named_ms": 1}
    return Account(**{"id": name, **usual, **more})


class Bills(Requests):
    """A worker with accounts in its store. What the reminder role would write is written by hand."""

    def __init__(self, config: Path, **more: Any) -> None:
        super().__init__(config, **more)
        self.accounts: dict[str, Account] = {}

    @property
    def now_ms(self) -> int:
        return int(self.world.clock.now() * 1000)

    def keep(self, kept: Account) -> None:
        self.accounts[kept.id] = kept
        self.world.store.notes[account_note(kept.id)] = encode(kept)

    def read_until_now(self) -> None:
        """All events of the accounts are read."""
        self.world.store.notes[read_up_to_note(PARTITION)] = b"%d" % self.now_ms

    def pay(self, amount: int, name: str = "ac1", state: PaymentState = PAID, payment: str = "") -> None:
        """A repayment is in the store; nobody has withdrawn a reminder yet."""
        known = self.accounts[name]
        identity = payment or f"p{len(known.payments) + 1}"
        made = Payment(identity, self.now_ms, amount, state, self.now_ms)
        others = [each for each in known.payments if each.id != identity]
        self.keep(replace(known, payments=(*others, made)))

    def under_way(self, amount: int, name: str = "ac1") -> None:
        self.pay(amount, name, PENDING)

    def request(
        self, stage: str = "before_3", template: str = "due_soon", name: str = "ac1", bill: str = "st1", **more: Any
    ) -> Read:
        value = {
            "id": f"{bill}/{stage}",
            "customer": "cu1",
            "class": "reminder",
            "template": template,
            "variables": {"card": CARD, "due": DUE.isoformat(), "minimum": MINIMUM, "currency": "CNY"},
            "bill": {"account": name, "statement": bill, "stage": stage},
            "expires_at": "2026-03-06T22:00:00+08:00",
            **more,
        }
        return Read(msgspec.json.encode(value), b"cu1", timestamp=self.now_ms)

    async def remind(self, stage: str = "before_3", template: str = "due_soon", **more: Any) -> None:
        """The reminder role asks for a stage of a bill."""
        self.contact = contact_of("cu1", f"{more.get('bill', 'st1')}/{stage}")
        await self.role.requests([self.request(stage, template, **more)])
        await until_done(self.role)

    async def withdraw(self, reason: str = "paid", stage: str = "before_3", **more: Any) -> None:
        await self.role.requests([self.request(stage, withdrawn=reason, **more)])
        await until_done(self.role)

    async def wait(self, seconds: float, read: bool = True) -> None:
        self.world.clock.pass_s(seconds)
        if read:
            self.read_until_now()
        await until_done(self.role)

    async def ready(self, *accounts: Account) -> None:
        await self.begin()
        for each in accounts or [account()]:
            self.keep(each)
        self.read_until_now()

    def records(self, step: str = "") -> Sequence[dict[str, Any]]:
        """Of the contact told about."""
        every = [each for each in self.world.log.values("contacts") if each["contact"] == self.contact]
        return [each for each in every if step in ("", each["step"])]

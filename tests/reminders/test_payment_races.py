"""Payments race with reminders: whatever comes between two steps, nobody is reminded of what they have paid.

Two workers share a store. Payments (booked, under way, come back), disputes, promises, due moments, providers' reports,
time, withdrawals that come late, twice or before their requests, and workers that die between any two steps come in
whatever order hypothesis thinks of. What is owed is reckoned here a second time, by addition.
"""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bill_world import BALANCE, DUE, MINIMUM, PARTITION, Bills, request_config  # noqa: F401 - finds the contact role's world
from contact_world import Read
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace
from race_world import CARD, Means, Races, account, means_of

from pipeline.core.account_facts import PAID, PENDING, Account, Dispute, Payment, Promise, Told
from pipeline.core.conversation import OPEN, Conversation, attempt_key, decode
from pipeline.core.matters import waiting
from pipeline.core.requests import contact_of
from pipeline.ports_channels import CallOrder
from pipeline.roles.contact.profile import read_profile, read_texts

STAGES = ("before_3", "before_1", "due", "overdue_1", "again_1", "again_2")
AMOUNTS = (5_000, 12_000, MINIMUM, BALANCE)
KINDS = ("booked", "under_way", "posted", "returned", "disputed", "promised")
ACCOUNTS = st.sampled_from(("ac1", "ac2"))
RUNS = int(os.environ.get("CARDWATCH_TEST_RACES", "400"))
"""Set it to thousands for a proof of an hour: each run is some 40 choices."""
INTERLEAVINGS = 1_000
"""At least so often something has to come between two steps of a worker, over all runs."""


class Owed:
    """One account as its events tell it, in plain figures."""

    def __init__(self, kept: Account) -> None:
        self.kept = kept
        self.paid: dict[str, int] = {}
        self.under_way: dict[str, int] = {}
        self.disputed = 0
        self.promised = False
        self.asked: list[str] = []

    @property
    def left(self) -> int:
        return max(MINIMUM - sum(self.paid.values()) - self.disputed, 0)

    @property
    def quiet(self) -> bool:
        """Whether nothing may be said about it now."""
        return self.left == 0 or bool(self.under_way) or self.promised


class PaymentRaces(RuleBasedStateMachine):
    means: Means
    interleavings = 0
    """How often something happened while a worker was between two steps, in all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.races = Races(self.means, self.committed)
        self.owed = {name: Owed(account(name, f"st_{name}")) for name in ("ac1", "ac2")}
        self.bills = {f"st_{name}": owed for name, owed in self.owed.items()}
        self.topic: list[Read] = []
        self.arriving: list[tuple[int, Read, asyncio.Task[Any]]] = []
        self.withdrawn: set[str] = set()
        self.claimed: dict[str, tuple[str, ...]] = {}
        self.told: dict[str, str] = {}
        self.broken: list[str] = []
        for owed in self.owed.values():
            self.races.write(owed.kept)

    def _happens(self) -> None:
        PaymentRaces.interleavings += bool(self.races.gate.waiting)

    # --- what must hold in the very step that stores it

    def committed(self, before: Conversation | None, after: Conversation) -> None:
        """A worker takes every failure for its own and goes on: what is broken is said at the next step."""
        try:
            self._holds(before, after)
        except AssertionError as error:
            self.broken.append(str(error).splitlines()[0])

    @invariant()
    def nothing_is_broken(self) -> None:
        assert self.broken == []

    def _holds(self, before: Conversation | None, after: Conversation) -> None:
        again = before is not None and before.state in ("sending", "unknown") and after.attempt == before.attempt
        if after.state == "sending" and (not again or (before and after.asks > before.asks)):
            for name in after.attempts[-1].covers:
                self._claims(name, after, again)
            if not again:
                key = attempt_key(after.id, after.attempt)
                assert key not in self.claimed, "an attempt is claimed once"
                self.claimed[key] = after.attempts[-1].covers
        if after.state == "completed" and (before is None or before.state != "completed"):
            for matter in waiting(after.matters):
                assert self.told.setdefault(matter.id, after.id) == after.id, "a stage is told once"

    def _claims(self, name: str, after: Conversation, again: bool) -> None:
        bill, _, stage = name.partition("/")
        owed = self.bills[bill]
        assert again or name not in self.told, f"{name} was told before"
        if stage == "thanks":
            return
        assert not owed.quiet, f"{name} is claimed though {owed.left} is left, {owed.under_way}, {owed.promised}"
        matter = next(each for each in after.matters if each.id == name)
        assert matter.variables["minimum"] == owed.left, "what is said is what is owed"

    @invariant()
    def orders_are_claimed_attempts_and_each_is_made_once(self) -> None:
        keys = [order.key for order in self.races.made]
        assert len(keys) == len(set(keys))
        assert set(keys) <= set(self.claimed)

    # --- accounts

    def _write(self, owed: Owed, **facts: Any) -> None:
        """One step of the reminder role: the record, and what has to be said about it."""
        owed.kept = replace(owed.kept, **facts)
        self.races.write(owed.kept)

    def _pays(self, owed: Owed, made: Payment) -> None:
        others = [each for each in owed.kept.payments if each.id != made.id]
        self._write(owed, payments=(*others, made))

    def _settled(self, owed: Owed) -> None:
        """Requests that need not be told any more."""
        if owed.left == 0 or owed.promised:
            reason = "promise" if owed.promised and owed.left else "paid"
            for stage in owed.asked:
                self._ask(owed, stage, withdrawn=reason)

    @rule(name=ACCOUNTS, kind=st.sampled_from(KINDS), amount=st.sampled_from(AMOUNTS))
    def account_event(self, name: str, kind: str, amount: int) -> None:
        self._happens()
        owed, now_ms = self.owed[name], self.races.now_ms
        payments = {each.id: each for each in owed.kept.payments}
        new = f"p{len(payments)}"
        match kind:
            case "booked":
                owed.paid[new] = amount
                self._pays(owed, Payment(new, now_ms, amount, PAID, now_ms))
            case "under_way":
                owed.under_way[new] = amount
                self._pays(owed, Payment(new, now_ms, amount, PENDING, now_ms))
            case "posted" if owed.under_way:
                payment, amount = owed.under_way.popitem()
                owed.paid[payment] = amount
                self._pays(owed, Payment(payment, now_ms, amount, PAID, now_ms))
            case "returned" if owed.paid:
                payment, _ = owed.paid.popitem()
                self._pays(owed, replace(payments[payment], reversed_ms=now_ms))
            case "disputed":
                owed.disputed = 0 if owed.disputed else amount
                dispute = Dispute("d1", amount, owed.disputed > 0, "", now_ms)
                self._write(owed, disputed=(dispute,))
            case "promised" if owed.left and not owed.paid:
                owed.promised = True
                promise = Promise(BALANCE * 9, DUE.toordinal() + 30, now_ms, now_ms)
                self._write(owed, promise=promise)
        self._settled(owed)

    # --- the topic

    def _ask(self, owed: Owed, stage: str, **more: Any) -> None:
        (bill,) = owed.kept.bills
        template = "thanks" if stage == "thanks" else "due_soon"
        facts = {} if stage == "thanks" else {"due": DUE.isoformat(), "minimum": MINIMUM, "currency": "CNY"}
        until = datetime.fromtimestamp(self.races.now_ms / 1000 + 3 * 86_400, UTC).isoformat()
        value = {
            "id": f"{bill.id}/{stage}",
            "customer": "cu1",
            "class": "reminder",
            "template": template,
            "variables": {"card": CARD, **facts},
            "bill": {"account": owed.kept.id, "statement": bill.id, "stage": stage},
            "expires_at": until,
            **more,
        }
        self.topic.append(Read(msgspec.json.encode(value), b"cu1", timestamp=self.races.now_ms))

    @initialize(both=st.booleans(), planned=st.booleans())
    def begins(self, both: bool, planned: bool) -> None:
        """One bill is to be told, or two in one contact."""
        for name in ("ac1", "ac2")[: 1 + both]:
            self.stage_is_due(name, at_once=True)
            if planned:
                self.races.all_go_on()

    @rule(name=ACCOUNTS, at_once=st.booleans())
    def stage_is_due(self, name: str, at_once: bool) -> None:
        owed = self.owed[name]
        left = [stage for stage in STAGES if stage not in owed.asked]
        if left and not owed.quiet:
            owed.asked.append(left[0])
            (bill,) = owed.kept.bills
            self._write(owed, told=(*owed.kept.told, Told(bill.id, left[0], self.races.now_ms)))
            self._ask(owed, left[0])
            if at_once:
                self.record_arrives(-1, 0, keeps=False)

    @rule(name=ACCOUNTS)
    def thanks_are_due(self, name: str) -> None:
        owed = self.owed[name]
        if owed.left == 0 and owed.asked and "thanks" not in owed.asked:
            owed.asked.append("thanks")
            self._ask(owed, "thanks")

    @precondition(lambda self: self.topic)
    @rule(number=st.integers(-1, 9), worker=st.integers(0, 1), keeps=st.booleans())
    def record_arrives(self, number: int, worker: int, keeps: bool) -> None:
        """In any order; ``keeps``: it comes once more."""
        self._happens()
        number %= len(self.topic)
        record = self.topic[number] if keeps else self.topic.pop(number)
        task = self.races.begin(worker, self.races.workers[worker].requests([record]))
        self.arriving = [each for each in self.arriving if not each[2].done()]
        self.arriving.append((worker, record, task))

    # --- workers, carriers, time

    @rule(worker=st.integers(0, 1), steps=st.integers(0, 6))
    def worker_looks(self, worker: int, steps: int) -> None:
        """At what is due, and comes so far."""
        self.races.begin(worker, self.races.workers[worker].tick())
        for _ in range(steps):
            self.races.go_on(-1)

    @rule(
        worker=st.integers(0, 1),
        steps=st.integers(1, 5),
        name=ACCOUNTS,
        kind=st.sampled_from(KINDS),
        goes_on=st.booleans(),
    )
    def worker_looks_and_meanwhile(self, worker: int, steps: int, name: str, kind: str, goes_on: bool) -> None:
        """The race itself: something is heard of an account while a worker is on its way to say something."""
        self.races.all_go_on()
        self.time_passes(60, True)
        self.worker_looks(worker, steps)
        self.account_event(name, kind, MINIMUM)
        if goes_on:
            self.races.all_go_on()

    @precondition(lambda self: self.races.gate.waiting)
    @rule(numbers=st.lists(st.integers(0, 7), min_size=1, max_size=4))
    def some_go_on(self, numbers: list[int]) -> None:
        for number in numbers:
            self.races.go_on(number)

    @precondition(lambda self: self.races.gate.waiting)
    @rule()
    def all_go_on(self) -> None:
        self.races.all_go_on()

    @rule(worker=st.integers(0, 1))
    def worker_dies(self, worker: int) -> None:
        """What it was reading is read again by who comes after it."""
        self._happens()
        self.topic += [record for reader, record, taken in self.arriving if reader == worker and not taken.done()]
        self.arriving = [each for each in self.arriving if each[0] != worker]
        self.races.crash(worker)

    @precondition(lambda self: self.races.made)
    @rule(
        number=st.integers(0, 9), word=st.sampled_from(("delivered", "undelivered", "no_answer", "busy", "key", "late"))
    )
    def provider_reports(self, number: int, word: str) -> None:
        self._happens()
        order = self.races.made[number % len(self.races.made)]
        carrier = self.races.calls if isinstance(order, CallOrder) else self.races.texts
        status = {"key": "completed", "late": "completed"}.get(word, word)
        report = carrier.reports[order.key]._replace(status=status, digits="1" if word == "key" else None)
        if isinstance(order, CallOrder):
            carrier.reports[order.key] = report
        self.races.begin(number % 2, self.races.workers[number % 2].reported(report))

    @rule(seconds=st.sampled_from((1, 20, 60, 300, 3_600, 43_200)), read=st.booleans())
    def time_passes(self, seconds: int, read: bool) -> None:
        self.races.clock.pass_s(seconds)
        if read:
            for owed in self.owed.values():
                self.races.write(owed.kept)

    def teardown(self) -> None:
        """Everything arrives and everybody works: nothing is left that was paid for and is still being told."""
        try:
            self._drain()
        finally:
            self.races.close()

    def _drain(self) -> None:
        self.races.finish(self.topic, 3)
        self.nothing_is_broken()
        for owed in self.owed.values():
            if owed.left == 0:
                for stage in owed.asked:
                    self._is_over(f"{owed.kept.bills[0].id}/{stage}", stage)

    def _is_over(self, name: str, stage: str) -> None:
        kept = self.races.store.kept.get(contact_of("cu1", name))
        assert kept is not None, f"{name} was asked for and is known"
        conversation = decode(kept.value)
        matters = [each for each in conversation.matters if each.id == name and not each.over]
        planned = conversation.state in OPEN and conversation.state != "escalated" and bool(matters)
        assert stage == "thanks" or not planned, f"{name} is paid and still {conversation.state}"


@pytest.fixture(scope="module", autouse=True)
def _read_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    config = request_config(tmp_path_factory.mktemp("races") / "config")
    PaymentRaces.means = means_of(config)
    texts = read_texts(config)
    profiles: dict[str, Any] = {}

    def profile(config: Path, name: str, almanac: Any) -> Any:
        return profiles.get(name) or profiles.setdefault(name, read_profile(config, name, almanac))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
        patch.setattr("pipeline.roles.contact.role.read_profile", profile)
        yield


def test_a_thousand_interleavings_of_payments_and_reminders() -> None:
    PaymentRaces.interleavings = 0
    run_state_machine_as_test(
        PaymentRaces,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=(Phase.generate,),
        ),
    )
    assert PaymentRaces.interleavings >= INTERLEAVINGS

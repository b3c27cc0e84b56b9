"""What is to be done about an account next, by the plan: which stage of which bill, when, and if not, why not.

A pure function of the account's facts, the plan and the moment. Every stage that has come leaves exactly one mark with the
account (`noted`): it was told, or skipped for a reason. Of several that have come and left no mark, because nobody was
there to act on them, the latest one still worth telling is told and the others are skipped; so what was missed is caught
up once. Many accounts are planned at a time, for conditions are worked out in columns; one alone gets the same answer.
"""

from collections.abc import Collection, Sequence
from datetime import date
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from pipeline.core.account_facts import DEFAULT_TERMS, Account, Told
from pipeline.core.arrears import Standing, standing, start_ms
from pipeline.core.contact_hours import DAY_MS, Almanac
from pipeline.core.conversation import Channel
from pipeline.core.dunning import THANKS, last_payment, marked_stages, owes, same_bill, thanks_stage, variables_of
from pipeline.core.moments import rfc3339
from pipeline.core.records import Bill, ContactRequest
from pipeline.core.reminder_conditions import Held, held
from pipeline.core.reminder_moments import StageMoment, Timetable
from pipeline.core.reminder_stages import ReminderClass, ReminderPolicy
from pipeline.core.restarts import restarts

BROKEN: Final = "broken"
"""Begins the name of the stage that follows a broken promise: ``broken_`` and the day by which it was to be kept, so that
each promise that is broken is followed once."""
RETURNED: Final = "returned"
"""Begins the name of the stage that follows a payment that came back after the bill had been paid by it: ``returned_`` and
a digest of the payment's id, so that each is followed once, under a request's id that nobody has taken back."""
AGAIN_WORTH_MS: Final = 3 * DAY_MS
"""What follows a broken promise or a returned payment is worth telling for so long at least."""
MISSED: Final = "missed"
"""Skipped: a later stage had come too when somebody looked."""
TOO_LATE: Final = "too_late"
"""Skipped: no longer worth telling when somebody looked."""
PROMISE: Final = "promise"
"""Skipped: a promise to pay was open when it would have been told."""
BY_TIME: Final = frozenset({"stage", "days_past_due", "promise"})
"""Columns of conditions that change without anything happening to the account."""
THANKS_WORTH_MS: Final = DAY_MS
MAX_ID: Final = 64
"""Characters of a request's id."""


class Planned(NamedTuple):
    """From ``at_ms`` on and before ``until_ms``, ``stage`` of ``bill`` is to be told; ``skipped``: it is not told, and why.
    One that lies ahead is a plan only: its conditions are looked at when it comes."""

    at_ms: int
    bill: str
    stage: str
    class_: ReminderClass
    template: str
    channels: tuple[Channel, ...]
    until_ms: int
    skipped: str | None = None


class Planner:
    """One plan at work. Remembers the moments of its stages, nothing else."""

    def __init__(self, policy: ReminderPolicy, almanac: Almanac) -> None:
        """Raises LookupError for a plan whose time zone the almanac does not know."""
        self.policy = policy
        self._timetable = Timetable(policy, almanac)
        self._wanted = frozenset[str]().union(*(rule.columns for rule in policy.conditions))
        self._by_time = frozenset(
            number for number, each in enumerate(policy.stages) if each.when is not None and each.when.columns & BY_TIME
        )

    def next_steps(
        self, accounts: Sequence[Account], tags: Sequence[Collection[str]], now_ms: int
    ) -> list[Planned | None]:
        """The next thing to do about each account, None where there is nothing. ``tags``: of the customer of each."""
        found: list[Planned | None] = [None] * len(accounts)
        standings = [standing(account, now_ms) for account in accounts]
        rows = [row for row, each in enumerate(standings) if owes(each)]
        if rows:
            asked, now = [accounts[row] for row in rows], [standings[row] for row in rows]
            holds = held(self.policy, self._wanted, asked, now, [tags[row] for row in rows])
            for number, row in enumerate(rows):
                if not _silent_ms(now[number], now_ms):
                    found[row] = self._next(asked[number], now[number], now_ms, number, holds)
        for row, step in enumerate(found):
            if step is None and (again_ms := self._changes_ms(accounts[row], standings[row], now_ms)):
                found[row] = self._from_then(accounts[row], tags[row], again_ms)
        return found

    def _changes_ms(self, account: Account, now: Standing, now_ms: int) -> int:
        """When an account about which nothing is to be done becomes another by time alone; 0: it does not."""
        silent_ms = _silent_ms(now, now_ms)
        if silent_ms and owes(now):
            return silent_ms
        zone = (account.terms or DEFAULT_TERMS).zone
        ahead = [
            start for bill in account.bills if bill.stated_on and (start := start_ms(bill.stated_on, zone)) > now_ms
        ]
        return min(ahead, default=0)

    def _from_then(self, account: Account, tags: Collection[str], from_ms: int) -> Planned | None:
        """What will be next at ``from_ms``, if nothing happens until then."""
        (step,) = self.next_steps([account], [tags], from_ms)
        return None if step is None else step._replace(at_ms=max(step.at_ms, from_ms), skipped=None)

    def _next(self, account: Account, now: Standing, now_ms: int, row: int, holds: Held) -> Planned | None:
        bill = now.bill or ""
        marked = marked_stages(account, bill)
        come: list[StageMoment] = []
        told = None
        for each in self._stages(account, now, row, holds):
            ahead = each.at_ms > now_ms
            if each.name in marked or not self._concerns(each, ahead, row, holds):
                continue
            if ahead:
                if not come:
                    return self._planned(bill, each)
                break
            come.append(each)
            if each.until_ms > now_ms:
                told = each
        if not come:
            return None
        over = next((each for each in come if each is not told), None)  # first: the last mark is of what is told
        if over is None:
            return self._planned(bill, come[0], self._left_out(come[0], row, holds))
        missed = MISSED if over.until_ms > now_ms else TOO_LATE
        return self._planned(bill, over, _quiet_at(account, now, over.at_ms) or missed)

    def _stages(self, account: Account, now: Standing, row: int, holds: Held) -> Sequence[StageMoment]:
        """Those of the bill, in time's order, and what follows a broken promise or a payment that came back: in the way of
        the account's stage then."""
        stages = self._timetable.of(account.product, now.due_on)
        again = []
        if now.promise == "broken" and self.policy.promises.remind and account.promise is not None:
            name = f"{BROKEN}_{date.fromordinal(account.promise.by):%Y%m%d}"
            speaks = self._speaks(stages, now.promise_until_ms, row, holds)
            again += [_once_more(speaks, now.promise_until_ms, name)] if speaks is not None else []
        for payment in restarts(account, now.bill or ""):
            speaks = self._speaks(stages, payment.reversed_ms, row, holds)
            if speaks is not None and _spoke_before(account, now.bill or "", speaks, stages, payment.reversed_ms):
                again.append(_once_more(speaks, payment.reversed_ms, returned_stage(payment.id)))
        return sorted((*stages, *again), key=lambda each: each.at_ms) if again else stages

    def _speaks(self, stages: Sequence[StageMoment], at_ms: int, row: int, holds: Held) -> StageMoment | None:
        """The account's stage at a moment; None before the first."""
        before = (each for each in reversed(stages) if each.at_ms <= at_ms)
        return next((each for each in before if self._concerns(each, False, row, holds)), None)

    def _concerns(self, moment: StageMoment, ahead: bool, row: int, holds: Held) -> bool:
        """Whether the stage is for this account; one that lies ahead is, if time alone may make it so."""
        mask = holds.stages[moment.stage]
        return mask is None or bool(mask[row]) or (ahead and moment.stage in self._by_time)

    def _planned(self, bill: str, come: StageMoment, skipped: str | None = None) -> Planned:
        stage = self.policy.stages[come.stage]
        return Planned(
            come.at_ms, bill, come.name, stage.class_, stage.template, stage.channels, come.until_ms, skipped
        )

    def _left_out(self, come: StageMoment, row: int, holds: Held) -> str | None:
        """The reason of the first of the plan's skips that holds."""
        stage = self.policy.stages[come.stage].name
        for skip, mask in zip(self.policy.skips, holds.skips, strict=True):
            if mask[row] and (not skip.stages or stage in skip.stages):
                return skip.reason
        return None


def _once_more(speaks: StageMoment, at_ms: int, name: str) -> StageMoment:
    return StageMoment(at_ms, max(speaks.until_ms, at_ms + AGAIN_WORTH_MS), speaks.stage, name)


def _spoke_before(account: Account, bill: str, speaks: StageMoment, stages: Sequence[StageMoment], at_ms: int) -> bool:
    """Whether the stage that ``speaks`` at a moment left its mark before it, and none of ``stages`` after: else they tell by
    themselves that the bill is owed again."""
    mates, names = same_bill(account, bill), {each.name for each in stages}
    own = [each for each in account.told if each.bill in mates and each.stage in names]
    return any(each.stage == speaks.name for each in own) and all(each.at_ms < at_ms for each in own)


def _silent_ms(now: Standing, now_ms: int) -> int:
    """Until when nothing is told because of what the customer said; 0: it may be."""
    until_ms = max(now.promise_until_ms if now.promise == "open" else 0, now.paused_until_ms)
    return until_ms if until_ms > now_ms else 0


def _quiet_at(account: Account, now: Standing, at_ms: int) -> str | None:
    """Why nothing was told then, if the customer had said something; None: nobody was there to tell it."""
    if now.promise == "broken" and account.promise and account.promise.made_ms <= at_ms < now.promise_until_ms:
        return PROMISE
    return account.paused if account.paused and at_ms < account.paused_ms else None


def next_step(
    account: Account, policy: ReminderPolicy, tags: Collection[str], now_ms: int, almanac: Almanac
) -> Planned | None:
    """The next thing to do about this account; None: nothing, as it stands. Who plans many keeps a `Planner`."""
    return Planner(policy, almanac).next_steps([account], [tags], now_ms)[0]


def next_steps(
    accounts: Sequence[Account],
    policy: ReminderPolicy,
    tags: Sequence[Collection[str]],
    now_ms: int,
    almanac: Almanac,
) -> list[Planned | None]:
    """`next_step` of each; ``tags``: of the customer of each."""
    return Planner(policy, almanac).next_steps(accounts, tags, now_ms)


def changed_steps(before: Sequence[Planned | None], after: Sequence[Planned | None]) -> int:
    """Of how many accounts the next step is another: what a changed plan is told to have done. Both in the same order."""
    return sum(one != other for one, other in zip(before, after, strict=True))


def noted(account: Account, planned: Planned, now_ms: int) -> Account:
    """The account once ``planned`` was requested or skipped: it is not asked for again."""
    if any((each.bill, each.stage) == (planned.bill, planned.stage) for each in account.told):
        return account
    return replace(account, told=(*account.told, Told(planned.bill, planned.stage, now_ms)))


def request_of(account: Account, planned: Planned, now_ms: int) -> ContactRequest:
    """What the contact role is asked to tell, with what is owed now; it tells what is owed when it does."""
    now = standing(account, now_ms)
    facts = variables_of(account, now, planned.template, now_ms)
    return ContactRequest(
        id=request_id(planned.bill, planned.stage),
        customer=account.customer,
        class_=planned.class_,
        template=planned.template,
        variables={**facts, "card": account.card} if account.card else facts,
        not_before=rfc3339(planned.at_ms / 1000),
        expires_at=rfc3339(planned.until_ms / 1000),
        channels=list(planned.channels),
        bill=Bill(account.id, planned.bill, planned.stage),
    )


def withdrawal_of(account: Account, bill: str, stage: str, reason: str) -> ContactRequest:
    """That the request of this stage need not be told any more. Its class and template are of no account."""
    return ContactRequest(
        id=request_id(bill, stage),
        customer=account.customer,
        class_="reminder",
        template=THANKS if stage.startswith(THANKS) else "due",
        bill=Bill(account.id, bill, stage),
        withdrawn=reason,
    )


def thanks_of(
    account: Account, bill: str, now_ms: int, channels: Sequence[Channel] = (), worth_ms: int = THANKS_WORTH_MS
) -> ContactRequest:
    """Thanks for the payment that came last, which a customer had been told to make: once for each payment."""
    payment = last_payment(account)
    stage = thanks_stage("" if payment is None else payment.id)
    facts: dict[str, Any] = {} if payment is None else {"amount": payment.amount, "currency": account.currency}
    return ContactRequest(
        id=request_id(bill, stage),
        customer=account.customer,
        class_="reminder",
        template=THANKS,
        variables={**facts, "card": account.card} if account.card else facts,
        expires_at=rfc3339((now_ms + worth_ms) / 1000),
        channels=list(channels),
        bill=Bill(account.id, bill, stage),
    )


def returned_stage(payment: str) -> str:
    """The stage that follows the return of that payment."""
    return f"{RETURNED}_{blake2b(payment.encode(), digest_size=4).hexdigest()}"


def request_id(bill: str, stage: str) -> str:
    """The same however often it is asked for; a bill with a long name goes by a digest of it."""
    plain = f"{bill}/{stage}"
    return plain if len(plain) <= MAX_ID else f"{blake2b(bill.encode(), digest_size=16).hexdigest()}/{stage}"

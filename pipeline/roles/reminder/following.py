"""What follows when an account has changed: when it is looked at next, which reminders need not be told any more, and whether
a payment is thanked for.

Pure but for counting: the same change at the same moment gives the same records, so a step made again after a crash says
nothing new.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.core.account import Account, Told
from pipeline.core.arrears import of_bill, standing
from pipeline.core.contact_hours import Almanac
from pipeline.core.dunning import Nothing, may_tell
from pipeline.core.records import ContactRequest
from pipeline.core.reminder_plan import BROKEN, RETURNED, Planned, Planner, thanks_of, withdrawal_of
from pipeline.core.reminder_policy import ReminderPolicy
from pipeline.ports_reminder import NOTHING_DUE_MS

HEARD = "heard"
"""Stands among the stages of a bill that were asked for, once something of it reached the customer."""
TagsOf = Callable[[str], Collection[str]]
"""The tags of a customer."""


class Followed(NamedTuple):
    """``due_ms``: when the account is looked at next; None: never; ``stays``: the same as before the change, so a moment that
    the day's plan has given it holds. ``withdrawn``: the requests that take back, ``thanks``
    those that thank; ``kept``: a promise was kept by this."""

    account: Account
    due_ms: int | None
    withdrawn: Sequence[ContactRequest] = ()
    thanks: Sequence[ContactRequest] = ()
    kept: bool = False
    stays: bool = False

    @property
    def requests(self) -> Sequence[ContactRequest]:
        return (*self.withdrawn, *self.thanks)


class Following:
    """By one plan at a time; `use` gives it another."""

    def __init__(self, policy: ReminderPolicy, almanac: Almanac, tags_of: TagsOf) -> None:
        """Raises LookupError for a plan whose time zone the almanac does not know."""
        self._almanac = almanac
        self._tags_of = tags_of
        self.use(policy)

    def use(self, policy: ReminderPolicy) -> None:
        """Raises LookupError as when made."""
        self._planner = Planner(policy, self._almanac)
        self.policy = policy
        self._spoken = {stage.name: (stage.template, stage.class_) for stage in policy.stages}

    def termed(self, account: Account) -> Account:
        """The account under the plan's terms of its product."""
        terms = self.policy.products.get(account.product)
        return account if terms is None or terms == account.terms else replace(account, terms=terms)

    def next_steps(self, accounts: Sequence[Account], now_ms: int) -> Sequence[Planned | None]:
        return self._planner.next_steps(accounts, [self._tags_of(one.customer) for one in accounts], now_ms)

    def due_ms(self, account: Account, planned: Planned | None, now_ms: int) -> int | None:
        """What came before it was heard of is due now. An account with a bill and nothing planned stays in the schedule, for
        another plan to find it."""
        if planned is not None:
            return max(planned.at_ms, now_ms)
        return NOTHING_DUE_MS if account.bills and standing(account, now_ms).balance > 0 else None

    def of(self, changes: Sequence[tuple[Account | None, Account]], now_ms: int) -> Sequence[Followed]:
        """For each account before (None: it is new) and after a change."""
        steps = self.next_steps([after for _, after in changes], now_ms)
        earlier = iter(self.next_steps([before for before, _ in changes if before is not None], now_ms))
        found = []
        for (before, after), planned in zip(changes, steps, strict=True):
            stays = before is not None and next(earlier) == planned and planned is not None
            withdrawn = self._withdrawn(before, after, now_ms) if before is not None else []
            thanks = self._thanks(before, after, now_ms) if before is not None else []
            kept = before is not None and _kept(before, after, now_ms)
            found.append(Followed(after, self.due_ms(after, planned, now_ms), withdrawn, thanks, kept, stays))
        return found

    def _withdrawn(self, before: Account, after: Account, now_ms: int) -> list[ContactRequest]:
        """Of the stages asked for, those that this change made idle: of each bill the last can be, for the others it has
        spoken already."""
        last = {told.bill: told for told in after.told if told.stage != HEARD}
        found = []
        for told in last.values():
            words = self._words(before, told, now_ms)
            now_idle = _idle(after, told, words, now_ms)
            if now_idle is not None and _idle(before, told, words, now_ms) is None:
                found.append(withdrawal_of(after, told.bill, told.stage, now_idle))
        return found

    def _words(self, before: Account, told: Told, now_ms: int) -> tuple[str, str | None]:
        """Template and class of a stage that was asked for: what followed a promise or a returned payment spoke in the words
        of the day."""
        if told.stage.startswith((BROKEN, RETURNED)):
            return "overdue" if standing(before, now_ms).days_past_due > 0 else "due", None
        return self._spoken.get(told.stage, ("due", None))

    def _thanks(self, before: Account, after: Account, now_ms: int) -> list[ContactRequest]:
        """For every bill that the customer was told of and that this change left paid."""
        if not self.policy.thanks.send or len(after.payments) == 0:
            return []
        bills = dict.fromkeys(told.bill for told in after.told if told.stage == HEARD)
        return [
            thanks_of(after, bill, now_ms, self.policy.thanks.channels)
            for bill in bills
            if of_bill(before, bill, now_ms).owed > 0 and of_bill(after, bill, now_ms).owed <= 0
        ]


def _idle(account: Account, told: Told, words: tuple[str, str | None], now_ms: int) -> str | None:
    """Why that stage need not be told any more; None: it still may have to be."""
    template, class_ = words
    verdict = may_tell(account, told.bill, told.stage, template, now_ms, class_)
    return verdict.reason if isinstance(verdict, Nothing) else None


def _kept(before: Account, after: Account, now_ms: int) -> bool:
    if after.promise is None or before.promise is None:
        return False
    return standing(before, now_ms).promise != "kept" and standing(after, now_ms).promise == "kept"


def heard(account: Account, bill: str, at_ms: int) -> Account:
    """The account once something of ``bill`` reached the customer; the same object if that is known. (It stands before
    the stages: the last of them is the one that spoke last.)"""
    if any(told.bill == bill and told.stage == HEARD for told in account.told):
        return account
    return replace(account, told=(Told(bill, HEARD, at_ms), *account.told))


def ordinal(day: str) -> int:
    """The proleptic ordinal of a date like 2026-11-27. Raises ValueError."""
    return date.fromisoformat(day).toordinal()

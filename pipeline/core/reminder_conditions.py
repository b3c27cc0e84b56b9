"""The conditions of a reminders' plan over many accounts at once: accounts as columns, rules as masks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.account_facts import Account, Bill
from pipeline.core.arrears import Standing
from pipeline.core.reminder_stages import ACCOUNT_SCHEMA, ReminderPolicy
from pipeline.core.tag_use import tag_use

_VALUES: Final[Mapping[str, Callable[[Account, Standing], Any]]] = {
    "product": lambda account, now: account.product,
    "currency": lambda account, now: account.currency,
    "stage": lambda account, now: now.stage,
    "promise": lambda account, now: now.promise,
    "days_past_due": lambda account, now: now.days_past_due,
    "owed": lambda account, now: now.owed,
    "minimum": lambda account, now: _bill(account, now).minimum,
    "balance": lambda account, now: now.balance,
    "pending": lambda account, now: now.pending,
    "disputed": lambda account, now: now.disputed > 0,
    "autopay": lambda account, now: _bill(account, now).autopay,
    "autopay_failed": lambda account, now: _bill(account, now).autopay and not now.autopay,
}
"""Of each column of `ACCOUNT_SCHEMA`; of accounts that owe something, so there is a bill."""


def _bill(account: Account, now: Standing) -> Bill:
    return next(bill for bill in account.bills if bill.id == now.bill)


class Held(NamedTuple):
    """Which conditions hold, a row per account. ``stages``: by number in the plan, None: it has none; ``skips``: the same
    of the plan's skips."""

    stages: tuple[NDArray[np.bool_] | None, ...]
    skips: tuple[NDArray[np.bool_], ...]


def held(
    policy: ReminderPolicy,
    wanted: Collection[str],
    accounts: Sequence[Account],
    standings: Sequence[Standing],
    tags: Sequence[Collection[str]],
) -> Held:
    """``wanted``: the columns that the plan's conditions look at; the sequences are of one length n."""
    n = len(accounts)
    columns = {name: _column(name, accounts, standings, tags) for name in wanted}
    return Held(
        tuple(None if each.when is None else each.when.hits(columns, n) for each in policy.stages),
        tuple(each.when.hits(columns, n) for each in policy.skips),
    )


def _column(
    name: str, accounts: Sequence[Account], standings: Sequence[Standing], tags: Sequence[Collection[str]]
) -> NDArray[Any]:
    """As rules want it: float64, or object where it is text."""
    use = tag_use(name)
    if use is not None:
        return np.array([use.name in each for each in tags], dtype=np.float64)
    of = _VALUES[name]
    values = [of(account, now) for account, now in zip(accounts, standings, strict=True)]
    return np.array(values, dtype=np.object_ if ACCOUNT_SCHEMA[name] == "text" else np.float64)

"""Was a bill's minimum paid by a given moment? What a reminder is measured by: whether money came in the days after it."""

from typing import Final

from pipeline.core.account_facts import DEFAULT_TERMS, Account
from pipeline.core.arrears import DAY_MS, out, settle
from pipeline.core.dunning import same_bill

CURE_MS: Final = 7 * DAY_MS
"""A bill paid within so long of being told counts as cured by it: the same window for every stage and channel, so that
their shares can be set beside each other. (Who would have paid anyway is among them.)"""


def paid_by(account: Account, bill: str, until_ms: int) -> bool | None:
    """Whether ``bill`` has no more than the tolerance unpaid by what was paid before ``until_ms`` (unix ms); what is
    disputed is not paid. None: the account's facts do not hold the bill."""
    tolerance = (account.terms or DEFAULT_TERMS).tolerance
    mates = same_bill(account, bill)
    bills = out(account, until_ms)
    left, _ = settle(account, bills, until_ms)
    return next((each <= tolerance for known, each in zip(bills, left, strict=True) if known.id in mates), None)

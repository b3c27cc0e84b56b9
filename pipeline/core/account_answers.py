"""What an answer to a reminder makes of the account: a promise, a pause, a dispute."""

import msgspec

from pipeline.core.account import disputing, promised
from pipeline.core.account_facts import DEFAULT_TERMS, Account, Dispute, Promise
from pipeline.core.arrears import day_of, standing
from pipeline.core.records import AnswerWord

PROMISE_DAYS = 3
"""By when a promise without a day is to be kept."""
PAUSE_MS = 3 * 86_400_000
"""How long "already paid" is believed without a payment."""
HARDSHIP_MS = 30 * 86_400_000
"""How long nobody is reminded who says they can't pay, unless the bank's people decide sooner."""


def answered(
    account: Account,
    word: AnswerWord,
    now_ms: int,
    *,
    amount: int | None = None,
    by: int | None = None,
    contact: str,
    promise_days: int = PROMISE_DAYS,
    pause_ms: int = PAUSE_MS,
) -> Account:
    """The account after ``word``; the same object if the answer says nothing of it. ``amount`` in minor units, default
    all that is owed; ``by``: ordinal of the day."""
    owes = standing(account, now_ms)
    if word == "promise":
        terms = account.terms or DEFAULT_TERMS
        by = day_of(now_ms, terms.zone) + promise_days if by is None else by
        sum_ = owes.owed if amount is None else amount
        return promised(account, Promise(sum_, by, now_ms, now_ms, contact)) if sum_ > 0 else account
    if word == "dispute":
        sum_ = owes.owed if amount is None else amount
        said = Dispute(contact, sum_, True, owes.bill or "", now_ms)
        return disputing(account, said) if sum_ > 0 else account
    if word in ("already_paid", "hardship"):
        until_ms = now_ms + (pause_ms if word == "already_paid" else HARDSHIP_MS)
        if until_ms <= account.paused_ms:
            return account
        return msgspec.structs.replace(account, paused=word, paused_ms=until_ms)
    return account

"""What an account owes at a moment, and for how long: the facts of `account` summed up, and nothing remembered.

Payments fill the oldest unpaid minimum first, each payment only bills that were cut before it (a later statement is
already net of it); what a loan is paid ahead carries to its next instalment. Days are dates of the bank's zone, so a
night of 23 or 25 hours is one day like any other.
"""

from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from pipeline.core.account import DEFAULT_TERMS, PAID, PENDING, Account, Bill, Payment, Promise, Terms

Stage = Literal["none", "before", "due", "grace", "m1", "m2", "m3", "m3+"]
PromiseState = Literal["none", "open", "kept", "broken"]
MONTH_DAYS = 30
"""M1 is 1–30 days past due, M2 31–60, M3 61–90."""
DAY_MS = 86_400_000


class Standing(NamedTuple):
    """Amounts in minor units. ``owed``: unpaid minimums of bills that are out, less what is disputed; ``balance``: all
    that is unpaid; ``bill``: the oldest with an unpaid minimum beyond the tolerance, else the newest while a balance is
    unpaid; ``due_on``: its due date's ordinal, 0 without a bill; ``days_past_due``: of that bill, negative before its
    due date, never above 0 when no minimum is unpaid; ``pending``: payments under way; ``promise_until_ms``: until when
    an open promise may still be kept; ``autopay``: runs for that bill and has not failed."""

    owed: int
    balance: int
    bill: str | None
    due_on: int
    days_past_due: int
    stage: Stage
    pending: int
    promise: PromiseState
    promise_until_ms: int
    disputed: int
    autopay: bool
    closed: bool
    paused: str
    paused_until_ms: int


class Due(NamedTuple):
    """A bill and what of its own minimum is unpaid, ``disputed`` of it taken out already. Both 0 where no more than the
    tolerance is left."""

    bill: Bill
    unpaid: int
    disputed: int


def standing(account: Account, now_ms: int) -> Standing:
    dues = unpaid(account, now_ms)
    first = next((due for due in dues if due.unpaid), None)
    return _standing(account, dues, first or (dues[-1] if dues else None), sum(due.unpaid for due in dues), now_ms)


def of_bill(account: Account, bill: str, now_ms: int) -> Standing:
    """Standing of one bill; of one that is not known, or that another has taken the place of, nothing is owed and
    ``bill`` is None."""
    dues = unpaid(account, now_ms)
    own = next((due for due in dues if due.bill.id == bill), None)
    return _standing(account, dues, own, own.unpaid if own else 0, now_ms)


def _standing(account: Account, dues: list[Due], due: Due | None, owed: int, now_ms: int) -> Standing:
    terms = account.terms or DEFAULT_TERMS
    balance = max(balance_of(account, now_ms), sum(each.unpaid for each in dues))
    if due is not None and not due.unpaid and not balance:
        due = None
    days = 0 if due is None else day_of(now_ms, terms.zone) - due.bill.due_on
    state, until_ms = promise_state(account, balance, now_ms)
    bill = None if due is None else due.bill
    return Standing(
        owed=owed,
        balance=balance,
        bill=None if bill is None else bill.id,
        due_on=0 if bill is None else bill.due_on,
        days_past_due=days if due is not None and due.unpaid else min(days, 0),
        stage=stage_of(days, terms.grace_days if bill is None or bill.grace_days < 0 else bill.grace_days)
        if due is not None and due.unpaid
        else "none",
        pending=sum(each.amount for each in account.payments if _under_way(each, terms, now_ms)),
        promise=state,
        promise_until_ms=until_ms,
        disputed=sum(each.amount for each in account.disputed if each.open),
        autopay=bill is not None and bill.autopay and not _failed(account, bill, terms.zone),
        closed=0 < account.closed_ms <= now_ms,
        paused=account.paused if now_ms < account.paused_ms else "",
        paused_until_ms=account.paused_ms if now_ms < account.paused_ms else 0,
    )


def unpaid(account: Account, now_ms: int) -> list[Due]:
    """The bills that are out, oldest due date first, with what of their minimums is unpaid."""
    terms = account.terms or DEFAULT_TERMS
    today = day_of(now_ms, terms.zone)
    bills = [bill for bill in in_force(account.bills) if bill.stated_on <= today]
    left = [max(bill.minimum - bill.paid, 0) for bill in bills]
    fill(account, bills, left, now_ms)
    if account.balance_ms and (not bills or account.balance_ms > max(_cut_ms(bill, terms.zone) for bill in bills)):
        spare = sum(left) - max(balance_of(account, now_ms), 0)  # nobody owes a minimum of more than all they owe
        _take(left, spare, 0)
    taken = [0] * len(bills)
    for dispute in account.disputed:
        if dispute.open:
            amount = dispute.amount
            for n, bill in enumerate(bills):
                if not dispute.bill or dispute.bill == bill.id:
                    part = min(amount, left[n])
                    left[n] -= part
                    taken[n] += part
                    amount -= part
    return [Due(bill, left[n] if left[n] > terms.tolerance else 0, taken[n]) for n, bill in enumerate(bills)]


def in_force(bills: tuple[Bill, ...]) -> list[Bill]:
    """``bills`` without those that another took the place of: of several for the same statement and due date the one
    said last. Oldest due date first."""
    if len(bills) < 2:
        return list(bills)
    newest: dict[tuple[int, int], Bill] = {}
    for bill in bills:
        slot = (bill.stated_on, bill.due_on)
        known = newest.get(slot)
        if known is None or (bill.said_ms, bill.id) > (known.said_ms, known.id):
            newest[slot] = bill
    return sorted(newest.values(), key=lambda bill: (bill.due_on, bill.stated_on, bill.id))


def fill(account: Account, bills: list[Bill], left: list[int], now_ms: int) -> None:
    """Takes from ``left``, what is unpaid of each of ``bills``, the payments up to now: in the order of their times,
    each filling the oldest first. A bill with no more than the tolerance left is passed by, for the bank adds that to
    its next bill."""
    terms = account.terms or DEFAULT_TERMS
    loan = account.product == "loan"
    credit = account.credit
    for payment in account.payments:
        if payment.state != PAID or payment.reversed or payment.currency not in ("", account.currency):
            continue
        amount = payment.amount
        day = 0 if loan else day_of(payment.at_ms, terms.zone)
        for n, bill in enumerate(bills):
            if left[n] > terms.tolerance and (loan or counts(payment, day, bill)):
                part = min(amount, left[n])
                left[n] -= part
                amount -= part
                if not amount:
                    break
        credit += amount
    if loan:
        _take(left, credit, terms.tolerance)


def counts(payment: Payment, day: int, bill: Bill) -> bool:
    """Whether a card's payment, made on ``day`` of the bank's zone, came after ``bill`` was cut."""
    return payment.at_ms > bill.cut_ms if bill.cut_ms else day > bill.stated_on


def _take(left: list[int], amount: int, tolerance: int) -> None:
    for n, part in enumerate(left):
        if amount <= 0:
            return
        if part > tolerance:
            left[n] -= min(part, amount)
            amount -= min(part, amount)


def balance_of(account: Account, now_ms: int) -> int:
    """What the newest bill or balance_changed says is owed in all, less what was paid since."""
    terms = account.terms or DEFAULT_TERMS
    today = day_of(now_ms, terms.zone)
    bills = [bill for bill in in_force(account.bills) if bill.stated_on <= today]
    bill = bills[-1] if bills else None
    good = [
        each
        for each in account.payments
        if each.state == PAID and not each.reversed and each.currency in ("", account.currency)
    ]
    if account.balance_ms and (bill is None or account.balance_ms > _cut_ms(bill, terms.zone)):
        since = sum(each.amount for each in good if each.at_ms > account.balance_ms)
        return max(account.balance - since, 0)
    if bill is None:
        return 0
    since = sum(each.amount for each in good if counts(each, day_of(each.at_ms, terms.zone), bill))
    return max(bill.balance - bill.received - since, 0)


def stage_of(days_past_due: int, grace_days: int) -> Stage:
    """Of an unpaid minimum."""
    if days_past_due <= 0:
        return "due" if days_past_due == 0 else "before"
    if days_past_due <= grace_days:
        return "grace"
    months: tuple[Stage, ...] = ("m1", "m2", "m3", "m3+")
    return months[min((days_past_due - 1) // MONTH_DAYS, 3)]


def promise_state(account: Account, balance: int, now_ms: int) -> tuple[PromiseState, int]:
    """Of the last promise, and until when it may be kept: the end of its day and of the days posting may take."""
    promise = account.promise
    if promise is None:
        return "none", 0
    terms = account.terms or DEFAULT_TERMS
    until_ms = start_ms(promise.by + terms.posting_grace_days + 1, terms.zone)
    if balance <= 0 or _paid_since(account, promise, until_ms) >= promise.amount:
        return "kept", until_ms
    return ("open" if now_ms < until_ms else "broken"), until_ms


def _paid_since(account: Account, promise: Promise, until_ms: int) -> int:
    return sum(
        each.amount
        for each in account.payments
        if each.state == PAID and not each.reversed and promise.made_ms <= each.at_ms < until_ms
    )


def _under_way(payment: Payment, terms: Terms, now_ms: int) -> bool:
    return payment.state == PENDING and not payment.reversed and now_ms < payment.at_ms + terms.pending_days * DAY_MS


def _failed(account: Account, bill: Bill, zone: str) -> bool:
    return any(
        failure.bill == bill.id if failure.bill else failure.at_ms > _cut_ms(bill, zone) for failure in account.failed
    )


def _cut_ms(bill: Bill, zone: str) -> int:
    return bill.cut_ms or (start_ms(bill.stated_on + 1, zone) if bill.stated_on else 0)


def day_of(ms: int, zone: str) -> int:
    """The ordinal of the date in ``zone``, IANA."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).toordinal()


@lru_cache(maxsize=4096)
def start_ms(day: int, zone: str) -> int:
    """When the day with this ordinal begins in ``zone``."""
    return round(datetime.fromordinal(day).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)

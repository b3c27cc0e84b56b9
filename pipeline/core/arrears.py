"""What an account owes at a moment, and for how long: the facts of an account summed up, and nothing remembered.

The facts are gone through in the order of their times. A payment fills the oldest unpaid minimum first, of a card only
of bills cut before it, for a later statement is net of it already; what a loan is paid ahead carries to its next
instalment. Whenever the bank says a balance, nobody owes minimums of more than that. Days are dates of the bank's zone,
so a night of 23 or 25 hours is one day like any other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from pipeline.core.account_facts import DEFAULT_TERMS, PAID, PENDING, Account, Bill, Payment, Promise, Terms

Stage = Literal["none", "before", "due", "grace", "m1", "m2", "m3", "m3+"]
PromiseState = Literal["none", "open", "kept", "broken"]
MONTH_DAYS = 30
"""M1 is 1–30 days past due, M2 31–60, M3 61–90."""
DAY_MS = 86_400_000
PROMISE_SHOWN_DAYS = 60
"""How long after its last day a promise is called kept or broken."""
NEVER_MS = 1 << 62


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
    """A bill, what of its own minimum is unpaid (0 where no more than the tolerance is left), and what is disputed of it
    and therefore not in ``unpaid``."""

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
    least = sum(each.unpaid for each in dues)
    balance = max(balance_of(account, dues[-1].bill if dues else None) or 0, least)
    if due is not None and not due.unpaid and not balance:
        due = None
    bill = None if due is None else due.bill
    today = day_of(now_ms, terms.zone)
    days, autopay = 0, False
    stage: Stage = "none"
    if bill is not None and due is not None:
        days = today - bill.due_on
        if due.unpaid:
            stage = stage_of(days, terms.grace_days if bill.grace_days < 0 else bill.grace_days)
        autopay = bill.autopay and days <= terms.posting_grace_days and not _failed(account, bill, terms.zone)
    promise, until_ms = promise_state(account, bill, now_ms)
    quiet = now_ms < account.paused_ms
    return Standing(
        owed=owed,
        balance=balance,
        bill=None if bill is None else bill.id,
        due_on=0 if bill is None else bill.due_on,
        days_past_due=days if due is not None and due.unpaid else min(days, 0),
        stage=stage,
        pending=sum(each.amount for each in account.payments if _under_way(each, terms, now_ms)),
        promise=promise,
        promise_until_ms=until_ms,
        disputed=sum(each.amount for each in account.disputed if each.open),
        autopay=autopay,
        closed=0 < account.closed_ms <= now_ms,
        paused=account.paused if quiet else "",
        paused_until_ms=account.paused_ms if quiet else 0,
    )


def unpaid(account: Account, now_ms: int) -> list[Due]:
    """The bills that are out, the oldest first, with what of their minimums is unpaid."""
    terms = account.terms or DEFAULT_TERMS
    bills = out(account, now_ms)
    left, _ = settle(account, bills, NEVER_MS)
    taken = _disputed(account, bills, left)
    return [Due(bill, left[n] if left[n] > terms.tolerance else 0, taken[n]) for n, bill in enumerate(bills)]


def out(account: Account, now_ms: int) -> list[Bill]:
    """The bills that are out, in the order in which they were cut, without those that another took the place of: of
    several for one statement date and due date the one said last counts."""
    zone = (account.terms or DEFAULT_TERMS).zone
    today = day_of(now_ms, zone)
    newest: dict[tuple[int, int], Bill] = {}
    for bill in account.bills:
        if bill.stated_on > today:
            continue
        slot = bill.stated_on, bill.due_on
        known = newest.get(slot)
        if known is None:
            newest[slot] = bill
            continue
        kept = max(known, bill, key=lambda each: (each.said_ms, each.id))
        paid, received = max(known.paid, bill.paid), max(known.received, bill.received)
        newest[slot] = replace(kept, paid=paid, received=received)
    if len(newest) < 2:
        return list(newest.values())
    return sorted(newest.values(), key=lambda bill: (cut_of(bill, zone), bill.due_on, bill.id))


def in_force(account: Account, bills: Sequence[Bill]) -> Mapping[str, str]:
    """By the name of a bill that another took the place of, that other's name, among ``bills`` (as `out` gives them)."""
    if len(bills) == len(account.bills):
        return {}
    now = {(bill.stated_on, bill.due_on): bill.id for bill in bills}
    slots = {bill.id: (bill.stated_on, bill.due_on) for bill in account.bills}
    return {name: now[slot] for name, slot in slots.items() if slot in now and now[slot] != name}


_CUT, _PAYMENT, _BALANCE = 0, 1, 2
"""What comes first at one moment: a payment at the very cut is not in the bill; one at the moment of a balance is."""


def settle(account: Account, bills: list[Bill], until_ms: int) -> tuple[list[int], int]:
    """What of the minimum of each of ``bills`` (as `out` gives them) is unpaid by all that happened before ``until_ms``,
    and what of a loan's payments is left over. A bill with no more than the tolerance left takes nothing from a
    payment, for the bank adds that to its next bill."""
    terms = account.terms or DEFAULT_TERMS
    loan = account.product == "loan"
    payments = account.payments
    left = [max(bill.minimum - bill.paid, 0) for bill in bills]
    if bills and bills[0].past_due:  # of older bills than any we know
        left[0] = max(bills[0].minimum + bills[0].past_due - bills[0].paid, 0)
    moments = [(0 if loan else cut_of(bill, terms.zone), _CUT, n) for n, bill in enumerate(bills)]
    moments += [(each.at_ms, _PAYMENT, n) for n, each in enumerate(payments) if booked(account, each)]
    if account.balance_ms:
        moments.append((account.balance_ms, _BALANCE, account.balance))
    if account.cleared_ms:
        moments.append((account.cleared_ms, _BALANCE, 0))
    moments.sort()
    cut = 0
    over = _fill(left, len(left), account.credit, terms.tolerance) if loan else 0
    for at_ms, kind, n in moments:
        if at_ms >= until_ms:
            break
        if kind == _PAYMENT:
            over += _fill(left, cut, payments[n].amount, terms.tolerance)
        elif kind == _BALANCE:
            _cap(left, cut, _come_back(account, n, at_ms))
        else:
            cut += 1
            balance = bills[n].balance
            if not loan and balance is not None:
                _cap(left, cut, _come_back(account, balance, at_ms - 1))
    return left, over


def booked(account: Account, payment: Payment) -> bool:
    """Whether it is posted, was not returned and is in the account's currency."""
    return payment.state == PAID and not payment.reversed_ms and payment.currency in ("", account.currency)


def _fill(left: list[int], count: int, amount: int, tolerance: int) -> int:
    """Pays ``amount`` to the first ``count``, the oldest first; what is left over."""
    for n in range(count):
        if amount <= 0:
            break
        if left[n] > tolerance:
            part = min(left[n], amount)
            left[n] -= part
            amount -= part
    return amount


def _cap(left: list[int], count: int, balance: int) -> None:
    _fill(left, count, sum(left[:count]) - max(balance, 0), 0)


def _come_back(account: Account, balance: int, at_ms: int) -> int:
    """A ``balance`` said at a moment, and the payments that it was net of and that came back after."""
    for each in account.payments:
        if each.at_ms <= at_ms < each.reversed_ms and each.state == PAID:
            balance += each.amount
    return balance


def _disputed(account: Account, bills: list[Bill], left: list[int]) -> list[int]:
    """Takes what is disputed from ``left``: from the bill it is about, else the oldest first. What was taken from each."""
    taken = [0] * len(bills)
    if not account.disputed:
        return taken
    names = in_force(account, bills)
    for dispute in account.disputed:
        amount = dispute.amount if dispute.open else 0
        about = names.get(dispute.bill, dispute.bill)
        for n, bill in enumerate(bills):
            if amount and (not about or about == bill.id):
                part = min(amount, left[n])
                left[n] -= part
                taken[n] += part
                amount -= part
    return taken


def balance_of(account: Account, bill: Bill | None) -> int | None:
    """What ``bill``, the newest, or a later balance_changed says is owed in all, less what was paid since; None: nobody
    said. May be below zero: a credit."""
    zone = (account.terms or DEFAULT_TERMS).zone
    cut_ms = cut_of(bill, zone) if bill is not None else 0
    if account.balance_ms and account.balance_ms >= cut_ms:
        since = sum(
            each.amount for each in account.payments if each.at_ms > account.balance_ms and booked(account, each)
        )
        return _come_back(account, account.balance, account.balance_ms) - since
    if bill is None or bill.balance is None:
        return None
    since = sum(each.amount for each in account.payments if each.at_ms >= cut_ms and booked(account, each))
    return _come_back(account, bill.balance, cut_ms - 1) - bill.received - since


def stage_of(days_past_due: int, grace_days: int) -> Stage:
    """Of an unpaid minimum."""
    if days_past_due <= 0:
        return "due" if days_past_due == 0 else "before"
    if days_past_due <= grace_days:
        return "grace"
    months: tuple[Stage, ...] = ("m1", "m2", "m3", "m3+")
    return months[min((days_past_due - 1) // MONTH_DAYS, 3)]


def promise_state(account: Account, bill: Bill | None, now_ms: int) -> tuple[PromiseState, int]:
    """Of the last promise, unless ``bill`` was cut after it, and until when it may be kept: the end of its day and of
    the days that posting may take. It is kept by paying what was promised, or by all bills of then being settled."""
    promise = account.promise
    if promise is None:
        return "none", 0
    terms = account.terms or DEFAULT_TERMS
    until_ms = start_ms(promise.by + terms.posting_grace_days + 1, terms.zone)
    if now_ms >= until_ms + PROMISE_SHOWN_DAYS * DAY_MS or (bill and cut_of(bill, terms.zone) > promise.made_ms):
        return "none", 0
    if _kept(account, promise, until_ms, now_ms):
        return "kept", until_ms
    return ("open" if now_ms < until_ms else "broken"), until_ms


def _kept(account: Account, promise: Promise, until_ms: int, now_ms: int) -> bool:
    terms = account.terms or DEFAULT_TERMS
    in_time = (each for each in account.payments if promise.made_ms <= each.at_ms < until_ms and booked(account, each))
    if sum(each.amount for each in in_time) >= promise.amount:
        return True
    bills = [bill for bill in out(account, now_ms) if cut_of(bill, terms.zone) <= promise.made_ms]
    left, _ = settle(account, bills, until_ms)
    _disputed(account, bills, left)
    return bool(bills or account.over_ms) and max(left, default=0) <= terms.tolerance


def _under_way(payment: Payment, terms: Terms, now_ms: int) -> bool:
    begun_ms = min(payment.at_ms, payment.said_ms)
    return payment.state == PENDING and not payment.reversed_ms and now_ms < begun_ms + terms.pending_days * DAY_MS


def _failed(account: Account, bill: Bill, zone: str) -> bool:
    if not account.failed:
        return False
    slot = bill.stated_on, bill.due_on
    names = {bill.id, *(each.id for each in account.bills if (each.stated_on, each.due_on) == slot)}
    return any(
        failure.bill in names if failure.bill else failure.at_ms >= cut_of(bill, zone) for failure in account.failed
    )


def cut_of(bill: Bill, zone: str) -> int:
    """From when on (unix ms) payments count for ``bill``."""
    return bill.cut_ms or start_ms(bill.stated_on + 1, zone)


def day_of(ms: int, zone: str) -> int:
    """The ordinal of the date in ``zone``, IANA."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).toordinal()


@lru_cache(maxsize=4096)
def start_ms(day: int, zone: str) -> int:
    """When the day with this ordinal begins in ``zone``."""
    return round(datetime.fromordinal(day).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)

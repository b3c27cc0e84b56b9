"""An account's record stays small: what is settled and old is folded into what stays, and no figure changes.

A payment is folded by going through the facts up to its time once and for all: what it filled of each bill is kept with
that bill, what it took from a balance is taken, what a loan was paid ahead is its credit. A bill goes when what it asked
for is paid by folded payments, or when another took its place: what names it then names the one in force.
"""

from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from pipeline.core.account_facts import DEFAULT_TERMS, PAID, Account, Bill, Dispute, Failure, Payment, Told
from pipeline.core.arrears import DAY_MS, PROMISE_SHOWN_DAYS, booked, cut_of, day_of, in_force, out, settle, start_ms

REMEMBERED_DAYS = 75
"""For so long after a payment its return, a correction or a duplicate is understood: direct debits come back for 8
weeks (SEPA core, no questions asked) or 60 days (ACH, unauthorised). What is older is ignored, for it is folded."""
KEPT_BILLS = 3
KEPT_PAYMENTS = 6
"""What is never folded, however old: a quiet account stays as it was said."""
MAX_PAYMENTS = 64
"""The oldest beyond these are folded, however young."""
Named = TypeVar("Named", Told, Failure, Dispute)


def folded(account: Account) -> Account:
    """The account without what is older than `REMEMBERED_DAYS` before the newest thing said, if it has grown."""
    if len(account.bills) <= KEPT_BILLS and len(account.payments) <= KEPT_PAYMENTS:
        return account
    floor_ms = account.seen_ms - REMEMBERED_DAYS * DAY_MS
    promise = account.promise
    if promise is not None:
        zone, grace = (terms := account.terms or DEFAULT_TERMS).zone, terms.posting_grace_days
        if account.seen_ms < start_ms(promise.by + grace + 1, zone) + PROMISE_SHOWN_DAYS * DAY_MS:
            floor_ms = min(floor_ms, promise.made_ms - 1)  # what has been paid since says whether it is kept
    if len(account.payments) > MAX_PAYMENTS:
        floor_ms = max(floor_ms, account.payments[-MAX_PAYMENTS - 1].at_ms)
    return _folded(account, floor_ms)


def _folded(account: Account, floor_ms: int) -> Account:
    terms = account.terms or DEFAULT_TERMS
    bills = out(account, account.seen_ms)
    left, over = settle(account, bills, floor_ms + 1)
    going = [each for each in account.payments if max(each.at_ms, each.reversed_ms) <= floor_ms]
    asked = [bill.minimum + (0 if n else bill.past_due) for n, bill in enumerate(bills)]
    kept: list[Bill] = []
    gone: set[str] = set()
    over_ms, first_went = account.over_ms, False
    floor_day = day_of(floor_ms, terms.zone)
    for n, bill in enumerate(bills):
        cut_ms = cut_of(bill, terms.zone)
        if left[n] <= terms.tolerance and bill.due_on < floor_day and n < len(bills) - 1:
            over_ms, first_went = max(over_ms, cut_ms), first_went or not n
            gone.add(bill.id)
            continue
        past_due = 0 if first_went else bill.past_due
        kept.append(_told(replace(bill, past_due=past_due, paid=max(asked[n] - left[n], 0)), cut_ms, going, account))
    names = in_force(account, bills)
    today = day_of(account.seen_ms, terms.zone)
    ids = {bill.id for bill in bills} | {name for name, now in names.items() if now in gone}
    others = tuple(
        bill for bill in account.bills if bill.id not in ids and (bill.stated_on > today or bill.said_ms > floor_ms)
    )
    balance = account.balance
    for each in going:
        balance -= each.amount if each.at_ms > account.balance_ms and booked(account, each) else 0
        balance += each.amount if each.state == PAID and each.at_ms <= account.balance_ms < each.reversed_ms else 0
    staying = tuple(each for each in account.payments if each not in going)
    known = {bill.id for bill in (*kept, *others)}
    renamed = {name: now for name, now in names.items() if name not in known and now in known}
    return replace(
        account,
        bills=tuple(sorted((*kept, *others), key=lambda bill: (bill.due_on, bill.id))),
        payments=staying,
        balance=balance if account.balance_ms else 0,
        cleared_ms=account.cleared_ms if account.cleared_ms > floor_ms else 0,
        credit=over if account.product == "loan" else 0,
        folded_ms=max((each.at_ms for each in going), default=account.folded_ms),
        over_ms=over_ms,
        disputed=tuple(_of(each, renamed) for each in account.disputed if each.open or each.said_ms > floor_ms),
        failed=_failed(account, renamed, known, floor_ms),
        told=_marks(account, renamed, known, floor_ms),
    )


def _of(one: Named, renamed: Mapping[str, str]) -> Named:
    """``one``, of the bill that took the place of the one it names."""
    return replace(one, bill=renamed[one.bill]) if one.bill in renamed else one


def _failed(account: Account, renamed: Mapping[str, str], known: set[str], floor_ms: int) -> tuple[Failure, ...]:
    """One for a bill, the latest."""
    last: dict[str, Failure] = {}
    for each in sorted((_of(each, renamed) for each in account.failed), key=lambda each: each.at_ms):
        if each.at_ms > floor_ms or each.bill in known:
            last[each.bill] = each
    return tuple(sorted(last.values(), key=lambda each: each.bill))


def _marks(account: Account, renamed: Mapping[str, str], known: set[str], floor_ms: int) -> tuple[Told, ...]:
    """One for a stage of a bill, the first, in their order."""
    first: dict[tuple[str, str], Told] = {}
    for each in (_of(each, renamed) for each in account.told):
        if each.at_ms > floor_ms or each.bill in known:
            first.setdefault((each.bill, each.stage), each)
    return tuple(first.values())


def _told(bill: Bill, cut_ms: int, going: list[Payment], account: Account) -> Bill:
    """``bill`` with what the payments that go took from its balance."""
    received, balance = bill.received, bill.balance
    for each in going:
        if each.at_ms >= cut_ms and booked(account, each):
            received += each.amount
        elif balance is not None and each.state == PAID and each.at_ms < cut_ms <= each.reversed_ms:
            balance += each.amount
    return replace(bill, received=received, balance=balance)

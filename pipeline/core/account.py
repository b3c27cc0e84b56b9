"""What is known of an account: a set of facts, each the newest that was said of it, and how events change it.

Nothing is summed up here: bills, payments, disputes and a promise stay facts, each under its own id, so the order in
which events come and how often does not matter. Of one id the record with the latest log timestamp counts; a repayment
takes the place of its pending form whenever that was said; a reversal is final. What is owed is computed from the facts
and a moment (`arrears`). Facts that can change no figure any more are folded into those that stay (`account_folding`).
"""

from datetime import date, datetime

from msgspec.structs import replace

from pipeline.core.account_event import (
    AccountEvent,
    AutopayFailed,
    BadAccountEvent,
    BalanceChanged,
    Closed,
    Disputed,
    InstalmentDue,
    Promised,
    Repayment,
    RepaymentPending,
    RepaymentReversed,
    Statement,
)
from pipeline.core.account_facts import (
    DEFAULT_TERMS,
    PAID,
    PENDING,
    UNSEEN,
    Account,
    Bill,
    Dispute,
    Failure,
    Payment,
    Promise,
    Terms,
    Told,
    decode,
    encode,
)
from pipeline.core.account_folding import folded
from pipeline.core.arrears import DAY_MS, cut_of

__all__ = [
    "DEFAULT_TERMS", "PAID", "PENDING", "UNSEEN", "Account", "Bill", "Dispute", "Failure", "Payment", "Promise",
    "Terms", "Told", "after", "decode", "disputing", "encode", "promised",
]  # fmt: skip

MAX_AHEAD_DAYS = 7
"""A payment may count from a few days after its record on: value dates fall on the next working day."""
MAX_BEHIND_DAYS = 400
MAX_PROMISE_DAYS = 400
MAX_BILLS = 64
"""Five years of unpaid statements. An account has two or three that matter."""
MAX_DISPUTES = 16
MAX_FAILURES = 16
INSTALMENT_DAYS = 31
"""An instalment that does not say since when it is out has been so for this long when it falls due."""


def after(account: Account | None, event: AccountEvent, said_ms: int, partition: int) -> Account:
    """The account once ``event``, a record with log timestamp ``said_ms``, is known; the same object if that is nothing
    new. Raises BadAccountEvent where the event can't be about this account."""
    if account is None:
        account = Account(id=event.account)
    _check(account, event, said_ms)
    if isinstance(event, Statement | InstalmentDue):
        changed = _billed(account, event, said_ms)
    else:
        changed = _changed(account, event, said_ms)
    if changed is account and partition == account.partition:
        return account
    return folded(replace(changed, partition=partition, seen_ms=max(said_ms, account.seen_ms)))


def _check(account: Account, event: AccountEvent, said_ms: int) -> None:
    currency: str | None = getattr(event, "currency", None)
    if currency is not None and account.currency and currency != account.currency:
        raise BadAccountEvent(
            "currency",
            f"currency is {currency} but this account's bills are in {account.currency}: amounts of two currencies can't"
            " be set against each other; send it in the account's, or under the account that is kept in this currency",
        )
    moment: datetime | None = getattr(event, "time", None)
    if moment is not None:
        days = (_ms(moment, 0) - said_ms) / DAY_MS
        if days > MAX_AHEAD_DAYS:
            raise BadAccountEvent("time", f"time is more than {MAX_AHEAD_DAYS} days after the record's own")
        if days < -MAX_BEHIND_DAYS:
            raise BadAccountEvent("time", f"time is more than {MAX_BEHIND_DAYS} days before the record's own")


def _billed(account: Account, event: Statement | InstalmentDue, said_ms: int) -> Account:
    bill = _bill(event, said_ms)
    known = next((each for each in account.bills if each.id == bill.id), None)
    if known is None:
        if account.over_ms and cut_of(bill, (account.terms or DEFAULT_TERMS).zone) <= account.over_ms:
            return account  # settled and folded long ago
        if len(account.bills) >= MAX_BILLS:
            raise BadAccountEvent(
                None,
                f"the account has {MAX_BILLS} unsettled bills: send an instalment when it falls due, not years ahead",
            )
    else:
        past_due = min(bill.past_due, known.past_due) if account.over_ms else bill.past_due  # older bills may be folded
        bill = replace(bill, paid=known.paid, received=known.received, past_due=past_due)
        if known.said_ms > said_ms or bill == known:
            return account
    changed = replace(account, bills=_with(account.bills, bill))
    if not account.currency:
        fitting = (each for each in account.payments if each.currency in ("", event.currency))
        changed = replace(
            changed, currency=event.currency, payments=tuple(replace(each, currency="") for each in fitting)
        )
    if said_ms >= account.named_ms:
        card, limit = (event.card, event.credit_limit) if isinstance(event, Statement) else (None, None)
        changed = replace(
            changed,
            customer=event.customer,
            card=card or "",
            product=event.product,
            limit=limit or 0,
            named_ms=said_ms,
        )
    return changed


def _with(bills: tuple[Bill, ...], bill: Bill) -> tuple[Bill, ...]:
    others = (each for each in bills if each.id != bill.id)
    return tuple(sorted((*others, bill), key=lambda each: (each.due_on, each.id)))


def _bill(event: Statement | InstalmentDue, said_ms: int) -> Bill:
    due_on = event.due_date.toordinal()
    if isinstance(event, Statement):
        minimum, past_due, stated_on = event.minimum_due - event.past_due, event.past_due, due_on
    else:
        minimum, past_due, stated_on = event.amount, 0, due_on - INSTALMENT_DAYS
    return Bill(
        id=event.id,
        stated_on=event.statement_date.toordinal() if event.statement_date else stated_on,
        due_on=due_on,
        balance=event.balance,
        minimum=minimum,
        past_due=past_due,
        autopay=event.autopay,
        grace_days=-1 if event.grace_days is None else event.grace_days,
        cut_ms=_ms(event.time, 0),
        said_ms=said_ms,
    )


def _changed(account: Account, event: AccountEvent, said_ms: int) -> Account:
    at_ms = _ms(getattr(event, "time", None), said_ms)
    match event:
        case Repayment() | RepaymentPending():
            state = PAID if isinstance(event, Repayment) else PENDING
            currency = "" if account.currency else event.currency or ""
            return _paid(account, Payment(event.id, at_ms, event.amount, state, said_ms, currency=currency))
        case RepaymentReversed():
            return _paid(account, Payment(event.original_id, at_ms, 0, UNSEEN, said_ms, reversed_ms=at_ms))
        case AutopayFailed():
            return _failed(account, Failure(event.statement or "", at_ms))
        case Promised():
            if event.by.toordinal() > (said_ms // DAY_MS) + MAX_PROMISE_DAYS + _EPOCH_DAY:
                raise BadAccountEvent("by", f"by is more than {MAX_PROMISE_DAYS} days ahead")
            return promised(account, Promise(event.amount, event.by.toordinal(), at_ms, said_ms))
        case Disputed():
            return disputing(account, Dispute(event.id, event.amount, event.open, event.statement or "", said_ms))
        case BalanceChanged():
            if event.balance <= 0 and at_ms > account.cleared_ms:
                account = replace(account, cleared_ms=at_ms)
            if (at_ms, event.balance) <= (account.balance_ms, account.balance):
                return account
            return replace(account, balance=event.balance, balance_ms=at_ms)
        case Closed():
            known = account.closed_ms
            return account if known and known <= at_ms else replace(account, closed_ms=at_ms)
    raise BadAccountEvent("type", "no such event of an account")


_EPOCH_DAY = date(1970, 1, 1).toordinal()


def _paid(account: Account, payment: Payment) -> Account:
    known = next((each for each in account.payments if each.id == payment.id), None)
    if known is not None:
        payment = _newer(known, payment)
        if payment == known:
            return account
    elif payment.at_ms <= account.folded_ms:
        return account  # folded long ago
    others = (each for each in account.payments if each.id != payment.id)
    return replace(account, payments=tuple(sorted((*others, payment), key=lambda each: (each.at_ms, each.id))))


def _newer(known: Payment, said: Payment) -> Payment:
    """Of two things said of one payment: the posted form before the pending one before none, then the later; and
    reversed if either says so, when that was first said to be."""
    kept = said if (-said.state, said.said_ms) >= (-known.state, known.said_ms) else known
    back_ms = min(filter(None, (known.reversed_ms, said.reversed_ms)), default=0)
    return kept if kept.reversed_ms == back_ms else replace(kept, reversed_ms=back_ms)


def promised(account: Account, promise: Promise) -> Account:
    """The later promise counts."""
    known = account.promise
    if known is not None and ((known.said_ms, known.made_ms) > (promise.said_ms, promise.made_ms) or known == promise):
        return account
    return replace(account, promise=promise)


def disputing(account: Account, dispute: Dispute) -> Account:
    """The latest word on each dispute counts. Raises BadAccountEvent where there are too many."""
    known = next((each for each in account.disputed if each.id == dispute.id), None)
    if known is not None and (known.said_ms > dispute.said_ms or known == dispute):
        return account
    if known is None and len(account.disputed) >= MAX_DISPUTES:
        raise BadAccountEvent(
            None, f"the account has {MAX_DISPUTES} disputes: close some, under the id they were opened"
        )
    others = (each for each in account.disputed if each.id != dispute.id)
    return replace(account, disputed=tuple(sorted((*others, dispute), key=lambda each: each.id)))


def _failed(account: Account, failure: Failure) -> Account:
    known = next((each for each in account.failed if each.bill == failure.bill), None)
    if known is not None and known.at_ms >= failure.at_ms:
        return account
    every = (*(each for each in account.failed if each.bill != failure.bill), failure)
    newest = sorted(every, key=lambda each: (each.at_ms, each.bill))[-MAX_FAILURES:]
    return replace(account, failed=tuple(sorted(newest, key=lambda each: each.bill)))


def _ms(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else round(moment.timestamp() * 1000)

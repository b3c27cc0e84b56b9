"""What is known of an account: a set of facts, each the newest that was said of it, and how events change it.

Nothing is summed up here: bills, payments, disputes and a promise stay facts, each under its own id, so the order in
which events come and how often does not matter. Of one id the record with the latest log timestamp counts; a repayment
takes the place of its pending form whenever that was said; a reversal is final. What is owed is computed from the facts
and a moment (`arrears`).
"""

from datetime import datetime
from typing import Literal

import msgspec

from pipeline.core.account_event import (
    AccountEvent,
    AutopayFailed,
    BadAccountEvent,
    BalanceChanged,
    Closed,
    Disputed,
    InstalmentDue,
    Product,
    Promised,
    Repayment,
    RepaymentPending,
    RepaymentReversed,
    Statement,
)

PaymentState = Literal[0, 1, 2]
PAID: PaymentState = 0
PENDING: PaymentState = 1
UNSEEN: PaymentState = 2
"""Reversed before it was heard of."""


class Terms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the bank counts. ``tolerance``: minor units; a minimum with no more than that unpaid counts as paid.
    ``grace_days`` after the due date in which nobody is overdue (a statement may say its own); ``posting_grace_days``
    that a promised payment may take to be posted; ``zone``: IANA, whose date is today; ``pending_days``: how long a
    payment under way is believed."""

    tolerance: int = 0
    grace_days: int = 3
    posting_grace_days: int = 2
    zone: str = "Asia/Shanghai"
    pending_days: int = 5


DEFAULT_TERMS = Terms()


class Bill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A statement or an instalment. Days are proleptic ordinals (``stated_on`` 0: not said), amounts minor units,
    ``minimum`` this bill's own, without older ones. ``grace_days`` −1: the terms'. ``cut_ms`` 0: the end of
    ``stated_on``. ``paid``: what folded payments have filled of the minimum; ``received``: of all folded payments since
    the cut."""

    id: str
    stated_on: int
    due_on: int
    balance: int
    minimum: int
    autopay: bool
    grace_days: int
    cut_ms: int
    said_ms: int
    paid: int = 0
    received: int = 0


class Payment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``at_ms``: from when on it counts. ``currency``: only while no bill has said the account's."""

    id: str
    at_ms: int
    amount: int
    state: PaymentState
    said_ms: int
    reversed: bool = False
    currency: str = ""


class Promise(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``by``: the day's ordinal. ``contact``: where it was given; empty: the bank's own systems said so."""

    amount: int
    by: int
    made_ms: int
    said_ms: int
    contact: str = ""


class Dispute(msgspec.Struct, frozen=True, array_like=True, gc=False):
    id: str
    amount: int
    open: bool
    bill: str
    said_ms: int


class Failure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An autopay that failed, for a bill; ``bill`` empty: for those cut before."""

    bill: str
    at_ms: int


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stage of a bill whose reminder was requested."""

    bill: str
    stage: str
    at_ms: int


class Account(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """``named_ms``: log timestamp of the bill that named customer, card and product; ``credit``: of a loan, what folded
    payments have left over; ``balance``: what balance_changed said at ``balance_ms``; ``closed_ms`` 0: not closed;
    ``paused_ms``: until when an answer (``paused``: already_paid, hardship …) asks for silence; ``seen_ms``: the latest
    log timestamp; ``folded_ms``: payments up to here are folded, and bills cut before it that are not there are over."""

    id: str
    customer: str = ""
    product: Product = "card"
    currency: str = ""
    card: str = ""
    partition: int = -1
    terms: Terms | None = None
    bills: tuple[Bill, ...] = ()
    payments: tuple[Payment, ...] = ()
    promise: Promise | None = None
    disputed: tuple[Dispute, ...] = ()
    failed: tuple[Failure, ...] = ()
    told: tuple[Told, ...] = ()
    named_ms: int = 0
    balance: int = 0
    balance_ms: int = 0
    closed_ms: int = 0
    paused: str = ""
    paused_ms: int = 0
    credit: int = 0
    seen_ms: int = 0
    folded_ms: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Account)


def encode(account: Account) -> bytes:
    """UTF-8 JSON."""
    return _encoder.encode(account)


def decode(value: bytes) -> Account:
    """Raises msgspec.DecodeError, of which the caller knows whose record it was."""
    return _decoder.decode(value)


def after(account: Account | None, event: AccountEvent, said_ms: int, partition: int) -> Account:
    """The account once ``event``, a record with log timestamp ``said_ms``, is known; the same object if that is nothing
    new. Raises BadAccountEvent where the event can't be about this account."""
    if account is None:
        account = Account(id=event.account)
    if isinstance(event, Statement | InstalmentDue):
        changed = _billed(account, event, said_ms)
    else:
        _check_currency(account, getattr(event, "currency", None))
        changed = _changed(account, event, said_ms)
    if changed is account and partition == account.partition:
        return account
    return msgspec.structs.replace(changed, partition=partition, seen_ms=max(said_ms, account.seen_ms))


def _billed(account: Account, event: Statement | InstalmentDue, said_ms: int) -> Account:
    _check_currency(account, event.currency)
    bill = _bill(event, said_ms)
    known = next((each for each in account.bills if each.id == bill.id), None)
    if known is not None:
        bill = msgspec.structs.replace(bill, paid=known.paid, received=known.received)
        if known.said_ms > said_ms or bill == known:
            return account
    bills = sorted((*(each for each in account.bills if each.id != bill.id), bill), key=lambda b: (b.due_on, b.id))
    changed = msgspec.structs.replace(account, bills=tuple(bills))
    if not account.currency:
        fitting = tuple(
            msgspec.structs.replace(each, currency="")
            for each in account.payments
            if each.currency in ("", event.currency)
        )
        changed = msgspec.structs.replace(changed, currency=event.currency, payments=fitting)
    if said_ms >= account.named_ms:
        card = (event.card if isinstance(event, Statement) else None) or ""
        changed = msgspec.structs.replace(
            changed, customer=event.customer, card=card, product=event.product, named_ms=said_ms
        )
    return changed


def _bill(event: Statement | InstalmentDue, said_ms: int) -> Bill:
    if isinstance(event, Statement):
        minimum, balance = event.minimum_due - event.past_due, event.balance
    else:
        minimum, balance = event.amount, event.amount if event.balance is None else event.balance
    return Bill(
        id=event.id,
        stated_on=event.statement_date.toordinal() if event.statement_date else 0,
        due_on=event.due_date.toordinal(),
        balance=balance,
        minimum=minimum,
        autopay=event.autopay,
        grace_days=-1 if event.grace_days is None else event.grace_days,
        cut_ms=_ms(event.time, 0),
        said_ms=said_ms,
    )


def _changed(account: Account, event: AccountEvent, said_ms: int) -> Account:
    match event:
        case Repayment() | RepaymentPending():
            state = PAID if isinstance(event, Repayment) else PENDING
            known = account.currency or event.currency is None
            currency = "" if known else event.currency or ""
            return _paid(
                account, Payment(event.id, _ms(event.time, said_ms), event.amount, state, said_ms, currency=currency)
            )
        case RepaymentReversed():
            at_ms = _ms(event.time, said_ms)
            return _paid(account, Payment(event.original_id, at_ms, 0, UNSEEN, said_ms, reversed=True))
        case AutopayFailed():
            return _failed(account, Failure(event.statement or "", _ms(event.time, said_ms)))
        case Promised():
            made = Promise(event.amount, event.by.toordinal(), _ms(event.time, said_ms), said_ms)
            return promised(account, made)
        case Disputed():
            return disputing(account, Dispute(event.id, event.amount, event.open, event.statement or "", said_ms))
        case BalanceChanged():
            at_ms = _ms(event.time, said_ms)
            if (at_ms, event.balance) <= (account.balance_ms, account.balance):
                return account
            return msgspec.structs.replace(account, balance=event.balance, balance_ms=at_ms)
        case Closed():
            at_ms = _ms(event.time, said_ms)
            if account.closed_ms and account.closed_ms <= at_ms:
                return account
            return msgspec.structs.replace(account, closed_ms=at_ms)
    raise BadAccountEvent("type", "no such event of an account")


def _paid(account: Account, payment: Payment) -> Account:
    known = next((each for each in account.payments if each.id == payment.id), None)
    if known is not None:
        payment = _newer(known, payment)
        if payment == known:
            return account
    payments = sorted(
        (*(each for each in account.payments if each.id != payment.id), payment), key=lambda p: (p.at_ms, p.id)
    )
    return msgspec.structs.replace(account, payments=tuple(payments))


def _newer(known: Payment, said: Payment) -> Payment:
    """Of two things said of one payment: the posted form before the pending one before none, then the later; and
    reversed if either says so."""
    first, second = (-known.state, known.said_ms), (-said.state, said.said_ms)
    kept = said if second >= first else known
    back = known.reversed or said.reversed
    return kept if kept.reversed == back else msgspec.structs.replace(kept, reversed=back)


def promised(account: Account, promise: Promise) -> Account:
    """The later promise counts."""
    known = account.promise
    if known is not None and ((known.said_ms, known.made_ms) > (promise.said_ms, promise.made_ms) or known == promise):
        return account
    return msgspec.structs.replace(account, promise=promise)


def disputing(account: Account, dispute: Dispute) -> Account:
    """The latest word on each dispute counts."""
    known = next((each for each in account.disputed if each.id == dispute.id), None)
    if known is not None and (known.said_ms > dispute.said_ms or known == dispute):
        return account
    others = (each for each in account.disputed if each.id != dispute.id)
    return msgspec.structs.replace(account, disputed=tuple(sorted((*others, dispute), key=lambda d: d.id)))


def _failed(account: Account, failure: Failure) -> Account:
    known = next((each for each in account.failed if each.bill == failure.bill), None)
    if known is not None and known.at_ms >= failure.at_ms:
        return account
    others = (each for each in account.failed if each.bill != failure.bill)
    return msgspec.structs.replace(account, failed=tuple(sorted((*others, failure), key=lambda f: f.bill)))


def _check_currency(account: Account, currency: str | None) -> None:
    if currency is not None and account.currency and currency != account.currency:
        raise BadAccountEvent("currency", "currency is not the one this account's bills are in; amounts don't mix")


def _ms(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else round(moment.timestamp() * 1000)

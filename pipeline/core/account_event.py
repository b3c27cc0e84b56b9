"""What a billing system says of an account: one record of ``accounts`` (key account), held to what can be used.

A record that can't be used is refused as a whole, with the field to blame and a sentence that never repeats its value.
"""

import re
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.core.currencies import EXPONENTS
from pipeline.core.masking import holds_card_number, is_card_number, mask
from pipeline.core.transaction import (
    MAX_AMOUNT,
    MAX_MESSAGE_BYTES,
    Currency,
    Id,
    MinorUnits,
    Reference,
    Token,
    is_token,
)

Product = Literal["card", "loan"]
Moment = Annotated[datetime, Meta(tz=True)]
Owed = Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
"""Minor units; below zero the customer has a credit."""
Paid = Annotated[int, Meta(gt=0, le=MAX_AMOUNT)]
Account = Annotated[str, Meta(max_length=64)]
"""Empty: the one of the record's key."""
GraceDays = Annotated[int, Meta(ge=0, le=60)]

_AT = re.compile(r" - at `\$\.(?:\.\.\.)?(\w+)")
_MISSING = re.compile(r"required field `(\w+)`")


class BadAccountEvent(ValueError):
    """Why a record of ``accounts`` can't be used: the field, if one is to blame, and what is wrong; no values."""

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    account: Account = ""


class Statement(_Event, tag="statement", frozen=True, kw_only=True, omit_defaults=True):
    """A bill of a card: ``balance`` in all, of it ``minimum_due`` by ``due_date``. ``past_due``: the part of
    ``minimum_due`` that repeats unpaid minimums of older bills, where the billing system adds them in. ``time``: when
    the bill was cut; what is paid from then on counts for this bill. Not given: the end of ``statement_date``."""

    id: Id
    customer: Reference
    card: Token | None = None
    product: Product = "card"
    statement_date: date
    due_date: date
    grace_days: GraceDays | None = None
    currency: Currency
    balance: Owed
    minimum_due: MinorUnits
    past_due: MinorUnits = 0
    autopay: bool = False
    credit_limit: MinorUnits | None = None
    time: Moment | None = None


class InstalmentDue(_Event, tag="instalment_due", frozen=True, kw_only=True, omit_defaults=True):
    """One instalment of a loan. ``balance``: all that is owed on the loan, this instalment included. It is out from
    ``statement_date`` on; not given, from 31 days before it is due."""

    id: Id
    customer: Reference
    product: Product = "loan"
    statement_date: date | None = None
    due_date: date
    grace_days: GraceDays | None = None
    currency: Currency
    amount: MinorUnits
    balance: Owed | None = None
    autopay: bool = False
    time: Moment | None = None


class Repayment(_Event, tag="repayment", frozen=True, kw_only=True, omit_defaults=True):
    """A payment the bank has posted. ``time``: from when on it counts."""

    id: Id
    time: Moment
    amount: Paid
    currency: Currency | None = None


class RepaymentPending(_Event, tag="repayment_pending", frozen=True, kw_only=True, omit_defaults=True):
    """A payment under way; the repayment with the same ``id`` ends it."""

    id: Id
    time: Moment
    amount: Paid
    currency: Currency | None = None


class RepaymentReversed(_Event, tag="repayment_reversed", frozen=True, kw_only=True, omit_defaults=True):
    """The repayment ``original_id`` came back. That is final: what is paid again has an id of its own."""

    original_id: Id
    time: Moment | None = None


class AutopayFailed(_Event, tag="autopay_failed", frozen=True, kw_only=True, omit_defaults=True):
    """The direct debit for bill ``statement`` failed; none named: for every bill cut before ``time``."""

    statement: Id | None = None
    time: Moment | None = None


class Promised(_Event, tag="promise", frozen=True, kw_only=True, omit_defaults=True):
    """The customer will pay ``amount`` by the day ``by``; a later promise takes the place of an earlier one."""

    amount: Paid
    by: date
    time: Moment | None = None
    currency: Currency | None = None


class Disputed(_Event, tag="dispute", frozen=True, kw_only=True, omit_defaults=True):
    """``amount`` of what is owed is disputed (of bill ``statement``, where one is named) as long as it is ``open``."""

    id: Annotated[str, Meta(max_length=64)] = ""
    amount: MinorUnits
    open: bool
    statement: Id | None = None
    currency: Currency | None = None


class BalanceChanged(_Event, tag="balance_changed", frozen=True, kw_only=True, omit_defaults=True):
    """What the customer owes in all at ``time``, whatever changed it."""

    balance: Owed
    time: Moment | None = None
    currency: Currency | None = None


class Closed(_Event, tag="closed", frozen=True, kw_only=True, omit_defaults=True):
    """No more business on this account; what is owed stays owed."""

    time: Moment | None = None


AccountEvent = (
    Statement
    | InstalmentDue
    | Repayment
    | RepaymentPending
    | RepaymentReversed
    | AutopayFailed
    | Promised
    | Disputed
    | BalanceChanged
    | Closed
)
_decoder: msgspec.json.Decoder[AccountEvent] = msgspec.json.Decoder(AccountEvent)


def read_event(key: bytes | None, value: bytes | None) -> AccountEvent:
    """The event, its ``account`` filled in from the key. Raises `BadAccountEvent`, and nothing else."""
    if not value:
        raise BadAccountEvent(None, "the record has no value")
    if len(value) > MAX_MESSAGE_BYTES:
        raise BadAccountEvent(None, f"{len(value)} bytes; a record of an account has at most {MAX_MESSAGE_BYTES}")
    try:
        account = (key or b"").decode()
        text = value.decode()
        event = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        named = _AT.search(str(error)) or _MISSING.search(str(error))
        raise BadAccountEvent(named[1] if named else None, mask(f"not an event of an account: {error}")) from None
    if not account:
        raise BadAccountEvent("account", "the record's key must be the account")
    if event.account and event.account != account:
        raise BadAccountEvent("account", "account is not the one of the record's key")
    if holds_card_number(account):
        raise BadAccountEvent("account", "account holds a clear card number")
    _check(event)
    if holds_card_number(text):
        raise BadAccountEvent(None, "the record holds a clear card number")
    return event if event.account else msgspec.structs.replace(event, account=account)


_FIRST, _LAST = 2000, 2199
"""Years in which a day of an account may lie."""


def _check(event: AccountEvent) -> None:
    currency = getattr(event, "currency", None)
    if currency is not None and currency not in EXPONENTS:
        raise BadAccountEvent("currency", "currency is not an ISO 4217 code")
    for field in ("time", "statement_date", "due_date", "by"):
        day: date | None = getattr(event, field, None)
        if day is not None and not _FIRST <= day.year <= _LAST:
            raise BadAccountEvent(field, f"{field} is not a day of the years {_FIRST} to {_LAST}")
    if isinstance(event, Statement):
        if event.card is not None and not is_token(event.card):
            clear = is_card_number(event.card)
            raise BadAccountEvent("card", "card holds a clear card number" if clear else "card is no token")
        if event.past_due > event.minimum_due:
            raise BadAccountEvent("past_due", "past_due is part of minimum_due, so it can't be more")
    if isinstance(event, Statement | InstalmentDue) and event.statement_date and event.due_date < event.statement_date:
        raise BadAccountEvent("due_date", "due_date is before statement_date")

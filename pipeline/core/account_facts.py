"""The facts of an account as they are kept: what each means, its units, and the one text form they are stored in."""

from typing import Literal

import msgspec

from pipeline.core.account_event import Product

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
    """A statement or an instalment. Days are proleptic ordinals, amounts minor units; ``minimum`` is this bill's own,
    ``past_due`` what it repeats of older ones; ``balance`` None: not said. ``grace_days`` −1: the terms'. ``cut_ms`` 0:
    the end of ``stated_on``. ``paid``: what folded payments have filled of the minimum; ``received``: all that was
    folded of what was paid since the cut."""

    id: str
    stated_on: int
    due_on: int
    balance: int | None
    minimum: int
    past_due: int
    autopay: bool
    grace_days: int
    cut_ms: int
    said_ms: int
    paid: int = 0
    received: int = 0


class Payment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``at_ms``: from when on it counts; ``reversed_ms``: when it came back, 0: it did not. ``currency``: only while no
    bill has said the account's."""

    id: str
    at_ms: int
    amount: int
    state: PaymentState
    said_ms: int
    reversed_ms: int = 0
    currency: str = ""

    @property
    def reversed(self) -> bool:
        return self.reversed_ms != 0


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


_SHORT = {
    "customer": "who",
    "currency": "cur",
    "partition": "part",
    "payments": "paid",
    "named_ms": "named",
    "seen_ms": "seen",
}
"""Names that every stored account has: a million of them are 24 MB smaller."""


class Account(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False, rename=_SHORT):
    """``named_ms``: log timestamp of the bill that named customer, card, product and credit limit (0: not said);
    ``balance``: what balance_changed said last, at ``balance_ms``, and ``cleared_ms`` when it last said that nothing is
    owed; ``closed_ms`` 0: not closed; ``paused_ms``: until when an answer (``paused``: already_paid, hardship …) asks
    for silence; ``seen_ms``: the latest log timestamp. Of what is folded: ``credit``, what a loan was paid ahead;
    ``folded_ms`` and ``over_ms``, up to when payments and bills that are not there are known and over."""

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
    limit: int = 0
    cleared_ms: int = 0
    credit: int = 0
    seen_ms: int = 0
    folded_ms: int = 0
    over_ms: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Account)


def encode(account: Account) -> bytes:
    """UTF-8 JSON."""
    return _encoder.encode(account)


def decode(value: bytes) -> Account:
    """Raises msgspec.DecodeError, of which the caller knows whose record it was."""
    return _decoder.decode(value)

"""One attempt to pay, as the switch reports it (a record of ``transactions``), and beside it the truth about it."""

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.draws import Draws
from pipeline.lab.simulate.merchants import Merchant
from pipeline.lab.simulate.places import FEN_PER_MINOR_UNIT, HOME_COUNTRY, HOME_CURRENCY, HOME_UTC_OFFSET_H

if TYPE_CHECKING:
    from pipeline.lab.simulate.customer_events import Happened

BANK_CLOCK = timezone(timedelta(hours=HOME_UTC_OFFSET_H))
APPROVED = "00"
_encoder = msgspec.json.Encoder()


class Transaction(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The fields of a ``transactions`` record that this bank fills in. Amounts in minor units, ``time`` RFC 3339."""

    id: str
    card: str
    time: str
    amount: int
    currency: str
    type: str = "authorisation"
    original_id: str | None = None
    customer: str | None = None
    account: str | None = None
    billing_amount: int | None = None
    billing_currency: str | None = None
    kind: str | None = None
    entry_mode: str | None = None
    initiator: str | None = None
    recurring: bool | None = None
    wallet: str | None = None
    device: str | None = None
    three_ds: str | None = None
    eci: str | None = None
    cvv_result: str | None = None
    pin_result: str | None = None
    merchant: str | None = None
    merchant_name: str | None = None
    terminal: str | None = None
    mcc: str | None = None
    country: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    home_country: str | None = None
    response_code: str | None = None
    previous_card: str | None = None


class Truth(NamedTuple):
    """What a transaction really was: never part of the transaction. ``kind`` names the population or occasion,
    ``point`` the compromised merchant where it exposed its card, or that its fraud came from."""

    id: str
    fraud: bool
    kind: str
    point: str | None = None


class Episode:
    """What ties a thief's attempts together: after ``patience`` refusals by a restricted card he gives it up."""

    __slots__ = ("card", "kind", "patience")

    def __init__(self, card: int, kind: str, patience: int) -> None:
        self.card = card
        self.kind = kind
        self.patience = patience


class Attempt(NamedTuple):
    """``time`` unix seconds. ``episode`` None: the cardholder's own. ``events``: what happened to the customer before
    this first attempt of an episode."""

    time: float
    card: int
    transaction: Transaction
    truth: Truth
    episode: Episode | None = None
    events: "tuple[Happened, ...]" = ()

    def key(self) -> bytes:
        return self.transaction.card.encode()

    def value(self) -> bytes:
        """The record as it goes on the topic: JSON, UTF-8."""
        return _encoder.encode(self.transaction)


def moment(time: float) -> str:
    """RFC 3339 on the bank's clock, to the millisecond."""
    return datetime.fromtimestamp(time, BANK_CLOCK).isoformat(timespec="milliseconds")


def pay(
    card: Cardholder,
    merchant: Merchant,
    time: float,
    fen: float,
    draws: Draws,
    *,
    entry_mode: str,
    response: str = APPROVED,
    kind: str = "purchase",
) -> Transaction:
    """An authorisation of ``fen`` (hundredths of a yuan) at ``merchant``, in the currency of the place; abroad the
    billing amount says what it is in the bank's own."""
    city = merchant.city
    currency = city.currency
    amount = max(0, round(fen / FEN_PER_MINOR_UNIT[currency]))
    abroad = currency != HOME_CURRENCY
    return Transaction(
        id=draws.identifier(),
        card=card.token,
        time=moment(time),
        amount=amount,
        currency=currency,
        customer=card.customer,
        account=card.account,
        billing_amount=round(amount * FEN_PER_MINOR_UNIT[currency]) if abroad else None,
        billing_currency=HOME_CURRENCY if abroad else None,
        kind=kind,
        entry_mode=entry_mode,
        merchant=merchant.id,
        merchant_name=merchant.name,
        terminal=f"{merchant.id[1:7]}{draws.integer(1, merchant.terminals):02d}" if merchant.terminals else None,
        mcc=merchant.category.mcc,
        country=city.country,
        city=city.name,
        latitude=merchant.latitude,
        longitude=merchant.longitude,
        home_country=HOME_COUNTRY,
        response_code=response,
    )


def withdraw(
    card: Cardholder, merchant: Merchant, time: float, fen: float, draws: Draws, response: str = APPROVED
) -> Transaction:
    """Cash at a machine, mostly by chip: whole hundreds at home, whatever the machine gives abroad."""
    entry = "chip" if draws.chance(0.9) else "magstripe"
    return pay(card, merchant, time, fen, draws, entry_mode=entry, response=response, kind="cash")


def online(card: Cardholder, transaction: Transaction, device: str | None, draws: Draws) -> Transaction:
    """Fills in what an internet payment carries besides: device, security code, strong authentication."""
    transaction.device = device
    if transaction.entry_mode == "ecommerce":
        transaction.cvv_result = "M" if draws.chance(0.96) else "N"
        strong = draws.chance(0.55)
        transaction.three_ds = "Y" if strong else "N"
        transaction.eci = "05" if strong else "07"
    return transaction

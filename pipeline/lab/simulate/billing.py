"""What cardholders owe and how they pay: records of ``accounts`` of a simulated bank.

A card's statement is cut on the same day of each month and due twenty days later; some customers have a loan besides,
due on the same day of each month. Who pays how is the customer's own: most have it debited or pay in time, some pay the
minimum, some pay late, a few not at all. All of it follows from the numbers of the account and the month, so a month can
be told without those before. A live stream shows in minutes what takes weeks: it opens the books of the last
`OPENED_MONTHS` months, then somebody who owes pays every few seconds.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from heapq import merge
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from pipeline.lab.simulate.attempt import moment
from pipeline.lab.simulate.calendar import DAY_S, Calendar
from pipeline.lab.simulate.cardholders import Cardholder, Cardholders
from pipeline.lab.simulate.draws import Draws, Source

OPENED_MONTHS = 3
DUE_DAYS = 20
"""From a card's statement to its due date."""
CURRENCY = "CNY"
_encoder = msgspec.json.Encoder()


class Booked(NamedTuple):
    """One record of ``accounts``. ``time`` unix seconds."""

    time: float
    account: str
    record: dict[str, Any]

    def key(self) -> bytes:
        return self.account.encode()

    def value(self) -> bytes:
        """The record as it goes on the topic: JSON, UTF-8."""
        return _encoder.encode(self.record)


@dataclass(frozen=True)
class BillingParameters:
    """Shares of accounts, 0–1: ``autopay`` (of these, ``autopay_fails`` a month), ``in_time``, ``minimum`` only, ``late``;
    the rest does not pay by itself. ``returned``: of payments. ``loans``: of customers' first cards.
    ``paid_every_s``: live, between two who pay."""

    autopay: float = 0.35
    autopay_fails: float = 0.04
    in_time: float = 0.33
    minimum: float = 0.14
    late: float = 0.13
    returned: float = 0.01
    loans: float = 0.15
    paid_every_s: float = 12.0


class _Bill(NamedTuple):
    """One bill and what its holder does about it: ``paid_on`` the day since 1970, None: nothing."""

    record: dict[str, Any]
    account: str
    cut_on: int
    due_on: int
    balance: int
    minimum: int
    way: str
    paid_on: int | None
    draws: Draws


class Billing:
    """The books of a world's accounts, whichever day is asked for."""

    def __init__(self, seed: int, cardholders: Cardholders, calendar: Calendar, parameters: BillingParameters) -> None:
        self._accounts = Source(seed, "accounts")
        self._bills = Source(seed, "bills")
        self._payers = Source(seed, "payers")
        self._cardholders = cardholders
        self._calendar = calendar
        self._p = parameters

    def books(self, now: float, cards: int) -> tuple[list[Booked], Iterator[Booked]]:
        """What was booked up to unix time ``now`` of the bills since `OPENED_MONTHS`, and without end what is booked after
        it, somebody who hurries among the rest; both in order of time."""
        coming = self._in_order(_months_back(self._calendar.date(self._calendar.day(now)), OPENED_MONTHS), cards)
        opened = []
        for booked in coming:
            if booked.time > now:
                following = chain([booked], coming)
                break
            opened.append(booked)
        return opened, merge(following, self._hurrying(now, cards), key=lambda booked: booked.time)

    def _in_order(self, month: date, cards: int) -> Iterator[Booked]:
        """Without end, of the bills cut from ``month`` on. Of a month all is worked out when it begins."""
        under_way: list[Booked] = []
        while True:
            bills = (bill for index in range(cards) for bill in self._of_month(self._cardholders.get(index), month))
            under_way += (booked for bill in bills for booked in self._booked(bill))
            under_way.sort(key=lambda booked: booked.time)
            month = _months_back(month, -1)
            ends = self._calendar.midnight(_since_1970(month) - DUE_DAYS - 1)  # before it no later bill books anything
            ripe = bisect_right(under_way, ends, key=lambda booked: booked.time)
            yield from under_way[:ripe]
            under_way = under_way[ripe:]

    def _hurrying(self, now: float, cards: int) -> Iterator[Booked]:
        """Somebody with an unpaid bill pays, after `paid_every_s` on average."""
        number, time = 0, now
        while True:
            number += 1
            draws = self._payers.at(int(now), 0, number)
            time += draws.exponential(self._p.paid_every_s)
            card = self._cardholders.get(draws.integer(0, cards - 1))
            day = self._calendar.day(time)
            owed = [
                bill
                for back in (2, 1, 0)
                for bill in self._of_month(card, _months_back(self._calendar.date(day), back))
                if bill.cut_on < day and (bill.paid_on is None or bill.paid_on > day)
            ]
            if owed:
                bill = owed[0]
                amount = bill.minimum if draws.chance(0.5) else max(bill.balance, bill.minimum)
                amount = amount if draws.chance(0.85) else max(amount // 3, 1)
                yield _repayment(bill, f"{bill.record['id']}-live{number}-{int(now)}", amount, time)

    def _of_month(self, card: Cardholder, month: date) -> Iterator[_Bill]:
        """The bills of a card's account and loan that are cut, or due, in ``month``."""
        if card.customer is None:
            return
        settled = self._accounts.at(card.number, 0)
        on, way, has_loan = (
            date(month.year, month.month, settled.integer(1, 28)),
            self._way(settled),
            settled.chance(self._p.loans),
        )
        yield self._statement(card, on, way)
        if has_loan:
            yield self._instalment(card, on, way)

    def _way(self, draws: Draws) -> str:
        p, place = self._p, draws.uniform()
        for name in ("autopay", "in_time", "minimum", "late"):
            place -= getattr(p, name)
            if place < 0:
                return name
        return "not"

    def _statement(self, card: Cardholder, cut: date, way: str) -> _Bill:
        draws = self._bills.at(card.number, cut.toordinal())
        balance = round(draws.lognormal(250_000, 0.8) * card.level)
        minimum = max(balance // 10, min(balance, 10_000))
        due = cut + timedelta(days=DUE_DAYS)
        record = {
            "type": "statement",
            "id": f"S{card.number:06d}-{cut:%Y%m}",
            "account": card.account,
            "customer": card.customer,
            "card": card.token,
            "product": "card",
            "statement_date": cut.isoformat(),
            "due_date": due.isoformat(),
            "currency": CURRENCY,
            "balance": balance,
            "minimum_due": minimum,
            "autopay": way == "autopay",
        }
        return self._bill(record, card.account, cut, due, balance, minimum, way, draws)

    def _instalment(self, card: Cardholder, due: date, way: str) -> _Bill:
        draws = self._bills.at(card.number, due.toordinal(), 1)
        amount = round(draws.lognormal(180_000, 0.5))
        account = f"{card.account}-loan"
        record = {
            "type": "instalment_due",
            "id": f"L{card.number:06d}-{due:%Y%m}",
            "account": account,
            "customer": card.customer,
            "statement_date": (due - timedelta(days=DUE_DAYS)).isoformat(),
            "due_date": due.isoformat(),
            "currency": CURRENCY,
            "amount": amount,
            "autopay": way == "autopay",
        }
        return self._bill(record, account, due - timedelta(days=DUE_DAYS), due, amount, amount, way, draws)

    def _bill(
        self,
        record: dict[str, Any],
        account: str,
        cut: date,
        due: date,
        balance: int,
        minimum: int,
        way: str,
        draws: Draws,
    ) -> _Bill:
        cut_on, due_on = _since_1970(cut), _since_1970(due)
        if way == "autopay" and draws.chance(self._p.autopay_fails):
            way = "autopay failed"
        days = {
            "autopay": 0,
            "autopay failed": draws.integer(2, 12),
            "in_time": -draws.integer(0, 12),
            "minimum": draws.integer(-4, 2),
            "late": draws.integer(1, 45),
        }
        paid_on = due_on + days[way] if way in days else None
        return _Bill(record, account, cut_on, due_on, balance, minimum, way, paid_on, draws)

    def _booked(self, bill: _Bill) -> Iterator[Booked]:
        """All that is booked of a bill, in no order."""
        cut = self._calendar.midnight(bill.cut_on) + 2 * 3_600
        yield Booked(cut, bill.account, bill.record)
        if bill.way == "autopay failed":
            time = self._calendar.midnight(bill.due_on) + 6 * 3_600
            failed = {"type": "autopay_failed", "statement": bill.record["id"], "time": moment(time)}
            yield Booked(time, bill.account, failed)
        if bill.paid_on is not None:
            yield from self._paid(bill, self._calendar.midnight(bill.paid_on) + bill.draws.between(8, 21) * 3_600)

    def _paid(self, bill: _Bill, time: float) -> Iterator[Booked]:
        """Under way for a day from some banks, and back after two where the money was not there."""
        name = f"{bill.record['id']}-paid"
        amount = bill.minimum if bill.way in ("minimum", "late") else max(bill.balance, bill.minimum)
        if bill.draws.chance(0.2):
            pending = {"type": "repayment_pending", "id": name, "time": moment(time), "amount": amount}
            yield Booked(time, bill.account, pending)
            time += DAY_S
        yield _repayment(bill, name, amount, time)
        if bill.draws.chance(self._p.returned):
            back = {"type": "repayment_reversed", "original_id": name, "time": moment(time + 2 * DAY_S)}
            yield Booked(time + 2 * DAY_S, bill.account, back)


def _repayment(bill: _Bill, name: str, amount: int, time: float) -> Booked:
    record = {"type": "repayment", "id": name, "time": moment(time), "amount": amount, "currency": CURRENCY}
    return Booked(time, bill.account, record)


def _months_back(day: date, months: int) -> date:
    """The first day of the month so many before that of ``day``."""
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def _since_1970(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()

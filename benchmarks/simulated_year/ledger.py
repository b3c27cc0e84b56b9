"""What an account owes, by plain arithmetic over what was said of it, gone through in the order of time.

The simulated bank's books and the judge reckon with it; nothing of the product's own arithmetic is used. The written
rules: of one bill or payment the record written last counts, a posted payment before a pending one, a return is final; a
payment fills the oldest unpaid minimum of the bills cut before it; what is no more than the tolerance counts as paid; when
a bill says the balance, nobody owes older minimums of more than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000


@cache
def place(zone: str) -> ZoneInfo:
    return ZoneInfo(zone)


def local_day(zone: str, at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, place(zone)).date()


@cache
def begins_ms(zone: str, day: date) -> int:
    """When a day begins there."""
    return round(datetime.combine(day, time.min, place(zone)).timestamp() * 1000)


def moment_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@dataclass
class Billed:
    """``own``: the minimum without ``past_due``, what it repeats of older bills; ``said``: log timestamp."""

    id: str
    said: int
    stated: date
    due: date
    own: int
    past_due: int
    balance: int | None
    autopay: bool
    cut_ms: int


@dataclass
class Paid:
    said: int
    at_ms: int
    amount: int
    posted: bool
    back_ms: int = 0


class Owing(NamedTuple):
    """``bills``: those that are out, the oldest first, with what of each is unpaid; ``pending``: under way."""

    bills: tuple[tuple[Billed, int], ...]
    balance: int
    pending: int

    @property
    def owed(self) -> int:
        return sum(left for _, left in self.bills)

    @property
    def oldest(self) -> Billed | None:
        return next((bill for bill, left in self.bills if left), None)

    def overdue(self, today: date) -> int:
        return sum(left for bill, left in self.bills if bill.due < today)


@dataclass
class Ledger:
    """One account, as far as was said. ``promises``: (amount, day, made ms, said ms) of the last one."""

    zone: str
    tolerance: int
    loan: bool = False
    customer: str = ""
    currency: str = ""
    bills: dict[str, Billed] = field(default_factory=dict)
    paid: dict[str, Paid] = field(default_factory=dict)
    disputes: dict[str, tuple[int, int, bool, str | None]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    closed_ms: int = 0

    def hears(self, event: Mapping[str, Any], said: int) -> None:
        """A record of ``accounts`` with its log timestamp."""
        at_ms = moment_ms(event["time"]) if event.get("time") else said
        match event["type"]:
            case "statement" | "instalment_due":
                self._bill(event, said)
            case "repayment" | "repayment_pending":
                posted = event["type"] == "repayment"
                known = self.paid.get(event["id"])
                back_ms = known.back_ms if known else 0
                if known is None or (posted, said) >= (known.posted, known.said):
                    self.paid[event["id"]] = Paid(said, at_ms, event["amount"], posted, back_ms)
            case "repayment_reversed":
                one = self.paid.setdefault(event["original_id"], Paid(0, at_ms, 0, False))
                one.back_ms = min(filter(None, (one.back_ms, at_ms)))
            case "autopay_failed":
                self.failed[event["statement"]] = at_ms
            case "dispute":
                known_dispute = self.disputes.get(event["id"])
                if known_dispute is None or known_dispute[0] <= said:
                    self.disputes[event["id"]] = (said, event["amount"], event["open"], event.get("statement"))
            case "closed":
                self.closed_ms = min(filter(None, (self.closed_ms, at_ms)))

    def _bill(self, event: Mapping[str, Any], said: int) -> None:
        known = self.bills.get(event["id"])
        self.customer, self.currency = event["customer"], event["currency"]
        self.loan = event["type"] == "instalment_due"
        if known is not None and known.said > said:
            return
        stated = date.fromisoformat(event["statement_date"])
        past_due = event.get("past_due", 0)
        own = event["amount"] if self.loan else event["minimum_due"] - past_due
        cut_ms = moment_ms(event["time"]) if event.get("time") else begins_ms(self.zone, stated + timedelta(days=1))
        due = date.fromisoformat(event["due_date"])
        self.bills[event["id"]] = Billed(
            event["id"], said, stated, due, own, past_due, event.get("balance"), event["autopay"], cut_ms
        )

    def out(self, now_ms: int) -> list[Billed]:
        """The bills that are out; of two for one period the one said last."""
        today = local_day(self.zone, now_ms)
        newest: dict[tuple[date, date], Billed] = {}
        for bill in self.bills.values():
            known = newest.get((bill.stated, bill.due))
            if bill.stated <= today and (known is None or (bill.said, bill.id) > (known.said, known.id)):
                newest[bill.stated, bill.due] = bill
        return sorted(newest.values(), key=lambda bill: (bill.cut_ms, bill.due, bill.id))

    def owing(self, now_ms: int) -> Owing:
        bills = self.out(now_ms)
        left = [bill.own for bill in bills]
        if bills:
            left[0] += bills[0].past_due
        good = [one for one in self.paid.values() if one.posted and not one.back_ms]
        happened = [(0 if self.loan else bill.cut_ms, 0, n) for n, bill in enumerate(bills)]
        happened += [(one.at_ms, 1, one.amount) for one in good]
        happened.sort()
        cut = over = 0
        if self.loan:
            cut = len(bills)
        for at_ms, kind, what in happened:
            if kind == 1:
                over += self._fills(left, cut, what, self.tolerance)
            elif not self.loan:
                cut += 1
                balance = bills[what].balance
                if balance is not None:
                    balance += self._come_back(at_ms - 1)
                    self._fills(left, cut, sum(left[:cut]) - max(balance, 0), 0)
        for _, amount, is_open, of in self.disputes.values():
            for n, bill in enumerate(bills if is_open else ()):
                if of in (None, bill.id):
                    part = min(amount, left[n])
                    left[n] -= part
                    amount -= part
        unpaid = tuple((bill, part if part > self.tolerance else 0) for bill, part in zip(bills, left, strict=True))
        return Owing(unpaid, self._balance(bills, good, unpaid), self._pending(now_ms))

    def _balance(self, bills: list[Billed], good: list[Paid], unpaid: tuple[tuple[Billed, int], ...]) -> int:
        balance = 0
        if bills and bills[-1].balance is not None:
            newest = bills[-1]
            since = sum(one.amount for one in good if one.at_ms >= newest.cut_ms)
            balance = (newest.balance or 0) + self._come_back(newest.cut_ms - 1) - since
        return max(balance, sum(part for _, part in unpaid))

    def _pending(self, now_ms: int) -> int:
        return sum(
            one.amount
            for one in self.paid.values()
            if not one.posted and not one.back_ms and now_ms < min(one.at_ms, one.said) + 5 * DAY_MS
        )

    def _come_back(self, at_ms: int) -> int:
        """Of payments a balance was net of, those that came back after."""
        return sum(one.amount for one in self.paid.values() if one.posted and one.at_ms <= at_ms < one.back_ms)

    @staticmethod
    def _fills(left: list[int], count: int, amount: int, tolerance: int) -> int:
        for n in range(count):
            if amount > 0 and left[n] > tolerance:
                part = min(left[n], amount)
                left[n] -= part
                amount -= part
        return max(amount, 0)

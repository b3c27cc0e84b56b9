"""The billing side of a simulated bank: statements of cards, instalments of loans, and how each customer pays them.

Everything that happens is written to the topic ``accounts`` and kept in the bank's own books, from which the next bill
is made. How somebody pays is a trait of theirs; what reminders change is in `debtors`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulated_year.accounts_log import AccountsLog
from simulated_year.agenda import Agenda
from simulated_year.dunning_evidence import DunningEvidence
from simulated_year.ledger import DAY_MS, Ledger, begins_ms
from simulated_year.people import Person

DUE_DAYS = 20
PAYERS: Mapping[str, float] = {
    "autopay": 0.36, "full": 0.30, "minimum": 0.08, "reminded": 0.09, "partial": 0.04, "late": 0.06, "promiser": 0.03,
    "says_paid": 0.015, "disputer": 0.01, "never": 0.015,
}  # fmt: skip
"""Traits and their shares. reminded: pays when told; promiser: says when, and keeps it or not; says_paid: claims to have."""
LOANS = 0.12
AUTOPAY_FAILS = 0.05
RETURNED = 0.012
PENDING = 0.15
CLOSED = 0.004
CURRENCIES = {"cn": "CNY", "us": "USD", "uk": "GBP", "eu": "EUR", "in": "INR"}
BANK_ZONES = {
    "cn": "Asia/Shanghai", "us": "America/New_York", "uk": "Europe/London", "eu": "Europe/Berlin", "in": "Asia/Kolkata",
}  # fmt: skip


@dataclass
class Book:
    """One account as the bank knows it: ``balance`` all that is owed, ``day`` of the month on which it is billed;
    ``plain``: its bills do not say the moment of their cut; ``adds``: its minimum repeats older arrears."""

    name: str
    person: Person
    loan: bool
    trait: str
    day: int
    plain: bool
    adds: bool
    ledger: Ledger
    balance: int = 0
    numbers: int = 0
    closed: bool = False
    instalment: int = 0


class Lender:
    """Bills and is paid. ``books``: by account; ``of``: a customer's accounts."""

    def __init__(
        self,
        profile: str,
        agenda: Agenda,
        rng: random.Random,
        evidence: DunningEvidence,
        log: AccountsLog,
        tolerance: int,
    ) -> None:
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self._log = log
        self._tolerance = tolerance
        self.zone, self.currency = BANK_ZONES[profile], CURRENCIES[profile]
        self.books: dict[str, Book] = {}

    def opens(self, people: Sequence[Person], first: date, days: int) -> None:
        """Give everybody their accounts, and bill them for so many days."""
        for person in people:
            trait = self._rng.choices(list(PAYERS), list(PAYERS.values()))[0]
            self._open(person, f"ac_{person.name}", False, trait, first, days)
            if self._rng.random() < LOANS:
                self._open(person, f"ln_{person.name}", True, trait, first, days)

    def _open(self, person: Person, name: str, loan: bool, trait: str, first: date, days: int) -> None:
        rng = self._rng
        ledger = Ledger(self.zone, self._tolerance, loan)
        book = Book(name, person, loan, trait, rng.randrange(1, 29), rng.random() < 0.2, rng.random() < 0.4, ledger)
        if loan:
            book.instalment = round(rng.lognormvariate(10.6, 0.5))
            book.balance = book.instalment * 30
        self.books[name] = book
        day, end = first, first + timedelta(days=days)
        while day < end:
            if day.day == book.day:
                at_ms = begins_ms(self.zone, day) + rng.randrange(20 * 3_600_000)
                self._agenda.at(at_ms, lambda day=day: self._bills(book, day))
            day += timedelta(days=1)
        if rng.random() < CLOSED * days / 365:
            at_ms = begins_ms(self.zone, first) + rng.randrange(days * DAY_MS)
            self._agenda.at(at_ms, lambda: self._closes(book))
        if trait == "disputer":
            at_ms = begins_ms(self.zone, first) + rng.randrange(days * DAY_MS)
            self._agenda.at(at_ms, lambda: self._disputes(book))

    # --- what the bank says

    def _says(self, book: Book, event: Mapping[str, Any]) -> None:
        book.ledger.hears(event, self._agenda.now_ms)
        self._log.writes(book.name, event)

    def _number(self, book: Book) -> int:
        book.numbers += 1
        return book.numbers

    async def _bills(self, book: Book, day: date) -> None:
        if book.closed:
            return
        rng, now_ms = self._rng, self._agenda.now_ms
        due = day + timedelta(days=DUE_DAYS)
        common = {
            "id": f"{book.name}-{day:%y%m}", "customer": book.person.name, "currency": self.currency,
            "statement_date": day.isoformat(), "due_date": due.isoformat(), "autopay": book.trait == "autopay",
        }  # fmt: skip
        if not book.plain:
            common["time"] = _rfc(now_ms)
        if book.loan:
            common |= {"type": "instalment_due", "amount": book.instalment, "balance": book.balance}
        else:
            book.balance += round(rng.lognormvariate(11.3, 0.7))
            unpaid = book.ledger.owing(now_ms).owed
            own = min(max(5_000, book.balance // 10), max(book.balance - unpaid, 0))
            past_due = unpaid if book.adds and unpaid else 0
            common |= {"type": "statement", "card": book.person.cards[0], "balance": book.balance}
            common |= {"minimum_due": own + past_due, "past_due": past_due}
        self._says(book, common)
        if rng.random() < 0.004:  # issued again, under another name
            self._evidence.fault("a bill issued again")
            again = {**common, "id": f"{common['id']}r"}
            self._agenda.after(rng.choice([3600.0, 200_000.0]), lambda: self._again(book, again))
        self._will_pay(book, due)

    async def _again(self, book: Book, event: Mapping[str, Any]) -> None:
        self._says(book, event)

    async def _closes(self, book: Book) -> None:
        await self._pays(book, book.balance)
        book.closed = True
        self._says(book, {"type": "closed", "time": _rfc(self._agenda.now_ms)})

    async def _disputes(self, book: Book) -> None:
        owing = book.ledger.owing(self._agenda.now_ms)
        if not owing.owed or owing.oldest is None:
            self._agenda.after(15 * 86_400.0, lambda: self._disputes(book))
            return
        amount = max(1, round(owing.owed * self._rng.choice([0.3, 1.0])))
        event = {"type": "dispute", "id": f"d{self._number(book)}", "amount": amount, "open": True}
        if self._rng.random() < 0.5:
            event["statement"] = owing.oldest.id
        self._says(book, event)
        self._agenda.after(25 * 86_400.0, lambda: self._again(book, {**event, "open": False}))

    # --- how they pay by themselves

    def _will_pay(self, book: Book, due: date) -> None:
        rng, due_ms = self._rng, begins_ms(self.zone, due)
        bought_ms = due_ms - DUE_DAYS * DAY_MS

        def at(days: float, share: float | None) -> None:
            moment_ms = max(self._agenda.now_ms, bought_ms + round(days * DAY_MS))
            self._agenda.at(moment_ms, lambda: self._pays_share(book, share))

        match book.trait:
            case "autopay":
                self._agenda.at(due_ms + 6 * 3_600_000, lambda: self._debits(book))
            case "full":
                at(rng.uniform(1, 12) if rng.random() < 0.8 else rng.uniform(12, 20), 1.0)
            case "minimum":
                at(rng.uniform(8, 22), None)
            case "partial":
                at(rng.uniform(10, 19), -rng.uniform(0.3, 0.8))
            case "late":
                at(DUE_DAYS + rng.uniform(1, 40), rng.choice([1.0, None]))
            case "reminded" | "promiser" | "says_paid" | "disputer":
                if rng.random() < 0.5:
                    at(DUE_DAYS + rng.uniform(5, 60), None)
            case "never":
                if rng.random() < 0.1:
                    at(DUE_DAYS + rng.uniform(30, 120), None)

    async def _debits(self, book: Book) -> None:
        if book.closed or book.balance <= 0:
            return
        if self._rng.random() < AUTOPAY_FAILS:
            owing = book.ledger.owing(self._agenda.now_ms)
            if owing.oldest is not None:
                moment = _rfc(self._agenda.now_ms)
                self._says(book, {"type": "autopay_failed", "statement": owing.oldest.id, "time": moment})
            if self._rng.random() < 0.5:
                self._agenda.after(self._rng.uniform(2, 20) * 86_400, lambda: self._pays_share(book, None))
            return
        await self._pays_share(book, 1.0)

    async def _pays_share(self, book: Book, share: float | None) -> None:
        """``share``: 1 of all, below 0 of what is due; None: what is due."""
        owing = book.ledger.owing(self._agenda.now_ms)
        part = -share if share is not None and share < 0 else 1.0
        amount = book.balance if share == 1.0 and not book.loan else round(owing.owed * part)
        await self._pays(book, amount)

    async def _pays(self, book: Book, amount: int) -> None:
        if amount <= 0 or book.closed:
            return
        rng, now_ms = self._rng, self._agenda.now_ms
        event: dict[str, Any] = {
            "type": "repayment", "id": f"p{self._number(book)}", "time": _rfc(now_ms), "amount": amount,
            "currency": self.currency,
        }  # fmt: skip
        if rng.random() < PENDING:
            self._log.writes(book.name, {**event, "type": "repayment_pending"})
            self._agenda.after(rng.uniform(0.3, 2.5) * 86_400, lambda: self._posts(book, event))
        else:
            await self._posts(book, event)

    async def _posts(self, book: Book, event: Mapping[str, Any]) -> None:
        """What was paid while it was under way counts from when it was made, unless a bill was cut meanwhile."""
        if book.closed:
            return
        event = {**event, "time": _rfc(self._agenda.now_ms)}
        book.balance -= event["amount"]
        self._says(book, event)
        if self._rng.random() < RETURNED:
            self._agenda.after(self._rng.uniform(1, 12) * 86_400, lambda: self._returns(book, event))

    async def _returns(self, book: Book, event: Mapping[str, Any]) -> None:
        if book.closed:
            return
        self._evidence.fault("a payment returned")
        book.balance += event["amount"]
        self._says(book, {"type": "repayment_reversed", "original_id": event["id"], "time": _rfc(self._agenda.now_ms)})

    # --- what reminders lead to

    def owed(self, account: str) -> int:
        return self.books[account].ledger.owing(self._agenda.now_ms).owed

    def pays_after(self, account: str, seconds: float, share: float = -1.0) -> None:
        """A customer decided to pay that share of what is due."""
        book = self.books[account]
        self._agenda.after(seconds, lambda: self._pays_share(book, share))


def _rfc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()

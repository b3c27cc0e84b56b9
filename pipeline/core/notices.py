"""What customers have themselves told of their own money: payments as they chose, and what the bank always tells.

Of payments a customer hears only after choosing to (``notices`` of their record): those of ``above_amount`` and more
(minor units of the bank's currency; 0: all), those ``abroad``, those ``online``. A payment that did not go through is
told as the same one would have been that did. What is told of statements, limits and cards that end needs no choice,
and a choice of False ends it. Each notice is a contact request with a name made from what it tells, so that what is read
twice is told once.
"""

from datetime import datetime, time, timedelta, tzinfo
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.account import Account
from pipeline.core.account_event import AccountEvent, BalanceChanged, Statement
from pipeline.core.contact_hours import Almanac, clock_minutes, local
from pipeline.core.moments import rfc3339
from pipeline.core.records import ContactRequest, Customer
from pipeline.core.transaction import Event

MAX_ID: Final = 64
APPROVED: Final = frozenset({None, "00", "000", "08", "10", "11"})
"""Response codes of a payment that went through (ISO 8583 DE39: approved; with identification; in part; VIP). None: the
switch said nothing, and so nothing against it."""
TOLD_KINDS: Final = frozenset({None, "purchase", "cash", "transfer", "payment"})
TOGETHER: Final = ("transaction_done",)
"""Templates of which several can be told in one message."""
ONLINE: Final = frozenset({"ecommerce", "stored"})


class NoticeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Table ``[notices]`` of the reminders' plan. Notices of the templates in ``digest`` wait until ``digest_at`` by the
    customer's clock and are told together; an empty list: each at once. After ``worth_hours`` nobody wants to know. Balances that
    change by less than ``balance_from`` (minor units) are not told."""

    digest: tuple[str, ...] = ()
    digest_at: str = "18:00"
    worth_hours: int = 24
    balance_from: int = 0


class Choice(NamedTuple):
    """What one customer wants. ``above`` in minor units of the bank's currency, None: no payment because of its amount;
    ``digest`` None: as the rules say; ``never``: templates the customer does not want."""

    customer: str
    above: float | None
    abroad: bool
    online: bool
    digest: bool | None
    never: frozenset[str]
    zone: str | None
    country: str | None

    @property
    def of_payments(self) -> bool:
        return self.above is not None or self.abroad or self.online


_NEVER: Final = {
    "balance": "balance_changed", "statement": "statement_ready", "limit": "limit_changed", "card": "card_ending"
}  # fmt: skip
"""Name in ``notices`` → the template that False there ends."""


def choice_of(customer: Customer) -> Choice:
    """What the customer's record says; a value of another type than it should have counts for nothing."""
    given = customer.notices
    above = given.get("above_amount")
    digest = given.get("digest")
    return Choice(
        customer.customer,
        float(above) if isinstance(above, int | float) and not isinstance(above, bool) and above >= 0 else None,
        given.get("abroad") is True,
        given.get("online") is True,
        digest if isinstance(digest, bool) else None,
        frozenset(template for name, template in _NEVER.items() if given.get(name) is False),
        customer.time_zone,
        customer.country,
    )


class Told(NamedTuple):
    """One thing of an account that its holder may want to be told: ``name`` of it, ``at_ms`` when it happened."""

    template: str
    name: str
    card: str
    customer: str
    at_ms: float
    facts: dict[str, object]


def told_of(before: Account | None, now: Account, event: AccountEvent, rules: NoticeRules) -> Told | None:
    """What ``event``, which made ``now`` of ``before``, has to tell; nothing where no card can be named."""
    if not now.card:
        return None
    match event:
        case Statement():
            facts = {"amount": max(event.balance, 0), "minimum": event.minimum_due, "due": event.due_date.isoformat()}
            return _of(now, "statement_ready", event.id, now.seen_ms, facts)
        case BalanceChanged():
            known = before.balance if before is not None else 0
            if abs(event.balance - known) < rules.balance_from or event.balance < 0:
                return None
            name = f"{now.id}/{now.balance_ms}"
            return _of(now, "balance_changed", name, now.balance_ms, {"balance": event.balance})
    return None


def _of(account: Account, template: str, name: str, at_ms: int, facts: dict[str, Any]) -> Told:
    facts = {**facts, "currency": account.currency}
    return Told(template, name, account.card, account.customer, at_ms, facts)


class Teller(NamedTuple):
    """How notices become requests. ``bank_zone``: whose clock holds for customers of unknown zone."""

    rules: NoticeRules
    almanac: Almanac
    bank_zone: tzinfo

    def payment(self, event: Event, choice: Choice, now_ms: int) -> ContactRequest | None:
        """The notice of this payment; None: it is none this customer wants."""
        paid = event.transaction
        if paid.type != "authorisation" or paid.kind not in TOLD_KINDS or not paid.amount:
            return None
        home = paid.home_country or choice.country
        abroad = choice.abroad and None not in (paid.country, home) and paid.country != home
        online = choice.online and paid.entry_mode in ONLINE
        if not (abroad or online or (choice.above is not None and event.amount >= choice.above)):
            return None
        went_through = paid.response_code in APPROVED
        facts = {
            "amount": paid.amount,
            "currency": paid.currency,
            "card": paid.card,
            "time": self._clock(choice, event.at * 1000).isoformat(timespec="seconds"),
            **({"merchant": paid.merchant_name} if paid.merchant_name else {}),
        }
        template = "transaction_done" if went_through else "transaction_failed"
        return self._request(template, paid.id, choice, facts, event.at * 1000, now_ms)

    def about_card(
        self, template: str, name: str, card: str, choice: Choice, at_ms: float, now_ms: int, **facts: Any
    ) -> ContactRequest | None:
        """What happened to a card at ``at_ms``: its limit, its balance, its statement, its end. ``name``: of what is told."""
        if template in choice.never:
            return None
        if template == "balance_changed":
            facts["time"] = self._clock(choice, at_ms).isoformat(timespec="seconds")
        return self._request(template, name, choice, {"card": card, **facts}, at_ms, now_ms)

    def _request(
        self, template: str, name: str, choice: Choice, facts: dict[str, Any], at_ms: float, now_ms: int
    ) -> ContactRequest | None:
        digest = template in self.rules.digest if choice.digest is None else choice.digest
        waits = digest and template in TOGETHER
        from_ms = self._next_digest(choice, max(now_ms, round(at_ms))) if waits else None
        until_ms = (from_ms or round(at_ms)) + self.rules.worth_hours * 3_600_000
        if until_ms <= now_ms:
            return None
        return ContactRequest(
            id=_short(f"{template}/{name}"),
            customer=choice.customer,
            class_="service",
            template=template,
            variables=facts,
            not_before=None if from_ms is None else rfc3339(from_ms / 1000),
            expires_at=rfc3339(until_ms / 1000),
        )

    def _zone(self, choice: Choice) -> tzinfo:
        return (self.almanac.zone(choice.zone) if choice.zone else None) or self.bank_zone

    def _clock(self, choice: Choice, moment_ms: float) -> datetime:
        return local(round(moment_ms), self._zone(choice))

    def _next_digest(self, choice: Choice, now_ms: int) -> int:
        zone = self._zone(choice)
        minutes = clock_minutes(self.rules.digest_at) or 0
        at = time(minutes // 60 % 24, minutes % 60)
        now = local(now_ms, zone)
        day = now.date() if now.time() < at else now.date() + timedelta(days=1)
        return int(datetime.combine(day, at, zone).timestamp() * 1000)


def _short(name: str) -> str:
    """``name``, or if that is too long a digest of it that is as good a name."""
    return name if len(name) <= MAX_ID else f"notice/{blake2b(name.encode(), digest_size=20).hexdigest()}"

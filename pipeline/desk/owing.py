"""What accounts say after customers were told: who paid within the days that count, who promised and kept it.

Bounded: the newest accounts that somebody was told of or that promised, and as many again of whom only the bank spoke,
for a statement comes before its reminder. What is owed and kept is asked of the same functions that plan reminders.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from msgspec.structs import replace

from pipeline.core.account import Account, Payment, Promise, Terms, after
from pipeline.core.account_answers import PROMISE_DAYS, answered
from pipeline.core.account_event import AccountEvent
from pipeline.core.arrears import promise_state
from pipeline.core.cure import CURE_MS, paid_by

FOLLOWED_KEPT = 20_000
"""Accounts that somebody was told of, or that promised."""
QUIET_KEPT = 20_000
"""Accounts that have only sent events."""
HEARD_KEPT = 40
"""Tellings of one account."""
PAST_PROMISES_KEPT = 2_000
"""Promises whose place a later one took."""
ACCOUNTS_OF_ONE = 20
"""Accounts of one customer."""

PromiseWord = Literal["open", "kept", "broken", "replaced"]
TermsOf = Callable[[str], Terms | None]


class Heard(NamedTuple):
    """A bill's stage reached the customer at ``at_ms``. ``cured``: paid in the window; None: can't be said, for the
    account's statement is not known here or was paid before."""

    bill: str
    stage: str
    channel: str
    hour: int
    at_ms: int
    cured: bool | None = None


class Cure(NamedTuple):
    """``told``: bills that can be judged; ``cured`` of them were paid within the window; of ``running`` it is not over
    and they are not paid yet. ``unjudged`` ones are in none of these."""

    told: int = 0
    cured: int = 0
    running: int = 0
    unjudged: int = 0

    def plus(self, heard: Heard, now_ms: int) -> "Cure":
        if heard.cured is None:
            return self._replace(unjudged=self.unjudged + 1)
        runs = not heard.cured and now_ms < heard.at_ms + CURE_MS
        return self._replace(told=self.told + 1, cured=self.cured + heard.cured, running=self.running + runs)


class Promised(NamedTuple):
    """``by``: the day's ordinal; ``state`` as of the moment that was asked about."""

    account: str
    customer: str
    amount: int
    currency: str
    by: int
    made_ms: int
    state: PromiseWord


class _Answer(NamedTuple):
    """A promise that was given in a contact, until the account that it is about is known."""

    at_ms: int
    amount: int | None
    by: int | None
    contact: str


class _Followed:
    __slots__ = ("account", "answer", "heard")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.heard: list[Heard] = []
        self.answer: _Answer | None = None


class Owing:
    """``terms_of`` a product: tolerance, grace and zone by the bank's plan; None: it has none of its own."""

    def __init__(self, terms_of: TermsOf = lambda product: None, promise_days: int = PROMISE_DAYS) -> None:
        self._terms_of = terms_of
        self._promise_days = promise_days
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._quiet: OrderedDict[str, Account] = OrderedDict()
        self._of_customer: dict[str, set[str]] = {}
        self._past: deque[Promised] = deque(maxlen=PAST_PROMISES_KEPT)

    # what comes in

    def said(self, event: AccountEvent, said_ms: int, partition: int) -> None:
        """Raises BadAccountEvent for what can't be about this account."""
        followed = self._followed.get(event.account)
        before = followed.account if followed else self._quiet.get(event.account)
        account = self._termed(after(before, event, said_ms, partition))
        if account.promise is not None and followed is None:
            followed = self._follow(event.account)
        if followed is None:
            self._quiet[event.account] = account
            self._quiet.move_to_end(event.account)
            if len(self._quiet) > QUIET_KEPT:
                self._quiet.popitem(last=False)
        else:
            self._followed.move_to_end(event.account)
            self._becomes(followed, account, said_ms)

    def heard(self, name: str, customer: str, heard: Heard) -> None:
        """That stage of a bill reached the customer; the first channel that reached them counts."""
        followed = self._follow(name, customer)
        if all((known.bill, known.stage) != (heard.bill, heard.stage) for known in followed.heard):
            followed.heard = [*followed.heard, heard][-HEARD_KEPT:]
            self._becomes(followed, followed.account, heard.at_ms)

    def promised(self, name: str, customer: str, at_ms: int, amount: int | None, by: int | None, contact: str) -> None:
        """The customer said in a contact that they will pay."""
        followed = self._follow(name, customer)
        followed.answer = _Answer(at_ms, amount, by, contact)
        self._becomes(followed, followed.account, at_ms)

    def began_anew(self) -> None:
        """The broker forgot all accounts."""
        self._followed.clear()
        self._quiet.clear()
        self._of_customer.clear()
        self._past.clear()

    def _follow(self, name: str, customer: str = "") -> _Followed:
        followed = self._followed.get(name)
        if followed is None:
            account = self._quiet.pop(name, None) or self._termed(Account(id=name, customer=customer))
            followed = self._followed[name] = _Followed(account)
            self._index(account)
            if len(self._followed) > FOLLOWED_KEPT:
                self._forget(self._followed.popitem(last=False)[1].account)
        self._followed.move_to_end(name)
        return followed

    def _becomes(self, followed: _Followed, account: Account, now_ms: int) -> None:
        old = followed.account.promise
        answer = followed.answer
        if answer is not None:
            promising = answered(
                account, "promise", answer.at_ms, amount=answer.amount, by=answer.by, contact=answer.contact,
                promise_days=self._promise_days,
            )  # fmt: skip
            if promising.promise is not None and promising.promise.made_ms >= answer.at_ms:
                followed.answer = None
            account = promising
        if old is not None and account.promise is not None and account.promise.made_ms > old.made_ms:
            past = _promised(followed.account, old, now_ms)
            self._past.append(past._replace(state="replaced") if past.state == "open" else past)
        followed.account = account
        self._index(account)
        followed.heard = [_judged(account, each) for each in followed.heard]

    def _index(self, account: Account) -> None:
        if account.customer:
            accounts = self._of_customer.setdefault(account.customer, set())
            if len(accounts) < ACCOUNTS_OF_ONE:
                accounts.add(account.id)

    def _forget(self, account: Account) -> None:
        accounts = self._of_customer.get(account.customer, set())
        accounts.discard(account.id)
        if not accounts:
            self._of_customer.pop(account.customer, None)

    def _termed(self, account: Account) -> Account:
        terms = self._terms_of(account.product)
        return account if terms is None or terms == account.terms else replace(account, terms=terms)

    # what is asked

    def cures(self, now_ms: int) -> dict[tuple[str, str, int], Cure]:
        """By stage, channel and hour."""
        found: dict[tuple[str, str, int], Cure] = {}
        for followed in self._followed.values():
            for heard in followed.heard:
                key = heard.stage, heard.channel, heard.hour
                found[key] = found.get(key, _NONE).plus(heard, now_ms)
        return found

    def promises(self, now_ms: int) -> list[Promised]:
        """The newest first."""
        found = [*self._past]
        for followed in self._followed.values():
            if followed.account.promise is not None:
                found.append(_promised(followed.account, followed.account.promise, now_ms))
        return sorted(found, key=lambda each: (each.made_ms, each.account), reverse=True)

    def promises_of(self, customer: str, now_ms: int) -> list[Promised]:
        """The newest first."""
        found = [each for each in self._past if each.customer == customer]
        for account in self._accounts(customer):
            if account.promise is not None:
                found.append(_promised(account, account.promise, now_ms))
        return sorted(found, key=lambda each: (each.made_ms, each.account), reverse=True)

    def payments(self, customer: str) -> Iterator[tuple[Account, Payment]]:
        """Those of the accounts that are followed."""
        for account in self._accounts(customer):
            for payment in account.payments:
                yield account, payment

    def __len__(self) -> int:
        """Accounts followed."""
        return len(self._followed)

    def _accounts(self, customer: str) -> Iterable[Account]:
        names = sorted(self._of_customer.get(customer, ()))
        return [self._followed[name].account for name in names if name in self._followed]


_NONE = Cure()


def _judged(account: Account, heard: Heard) -> Heard:
    """What was said before stays where the account has counted the bill in and keeps it no longer."""
    cured = paid_by(account, heard.bill, heard.at_ms + CURE_MS)
    if cured is None:
        return heard
    if cured and paid_by(account, heard.bill, heard.at_ms):
        return heard._replace(cured=None)
    return heard._replace(cured=cured)


def _promised(account: Account, promise: Promise, now_ms: int) -> Promised:
    state, _ = promise_state(replace(account, promise=promise), None, now_ms)
    word: PromiseWord = "broken" if state == "none" else state
    return Promised(account.id, account.customer, promise.amount, account.currency, promise.by, promise.made_ms, word)

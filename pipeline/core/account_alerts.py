"""What an account's own figures say that the risk team should hear: payments that came back, and a bust-out.

A bust-out is an account run up to its limit by somebody who will not pay: months of small, punctual payments to win a
limit, then all of it at once; or payments that free the limit, are spent again, and come back. Both are said of an
account as values; no customer is contacted and nothing is blocked by them.
"""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from pipeline.core.account_facts import DEFAULT_TERMS, PAID, Account, Bill, Payment
from pipeline.core.arrears import DAY_MS, balance_of, cut_of, out
from pipeline.core.crm_words import LANGUAGES, Language
from pipeline.core.messages import decimal
from pipeline.core.moments import rfc3339
from pipeline.core.records import ContactStep

AlertKind = Literal["returned_payment", "bust_out"]
AlertReason = Literal[
    "payment_returned", "returned_again", "returned_after_run_up", "limit_full", "run_up_after_minimums"
]

RETURNS_DAYS = 60
"""How far back returned payments are counted together."""
MANY_RETURNS = 2
RETURNED_SHARE = 0.25
"""Of the balance: returns of less say nothing of a bust-out."""
FULL_SHARE = 0.9
"""Of the credit limit, where statements say one: that much used is full use."""
RUN_UP = 3.0
"""Times the balance of the bill before: a run-up."""
MINIMUM_SHARE = 1.5
"""Times the minimum: who pays no more than this pays the minimum."""

SUBJECT = "account"
"""What such a step is about: no conversation."""
CONTACT = "risk_"
"""Begins the contact ids of alerts: no conversation's begins so."""

WORDS: Mapping[str, tuple[str, str]] = {
    "payment_returned": ("A payment of {amount} {currency} came back.", "一笔 {amount} {currency} 的还款被退回。"),
    "returned_again": ("{count} payments came back within {days} days.", "{days} 天内共有 {count} 笔还款被退回。"),
    "returned_after_run_up": (
        "What came back is {percent}% of all that is owed.", "退回的金额占欠款总额的 {percent}%。",
    ),
    "limit_full": ("{percent}% of the credit limit is used.", "已用信用额度的 {percent}%。"),
    "run_up_after_minimums": (
        "The balance is {times} times the last bill's, after only minimum payments.",
        "此前仅还最低还款额，现欠款为上期账单的 {times} 倍。",
    ),
}  # fmt: skip
"""By `AlertReason`."""


class RiskAlert(NamedTuple):
    """``id``: the same however often it is found. ``reasons``: strongest first, each with its figures."""

    id: str
    kind: AlertKind
    account: str
    customer: str
    card: str
    at_ms: int
    reasons: tuple[tuple[AlertReason, Mapping[str, Any]], ...]


def alerts_of(before: Account | None, account: Account, now_ms: int) -> tuple[RiskAlert, ...]:
    """What is new to the risk team between two states of one account, the later being that of ``now_ms``. Found again
    after a crash, an alert has the same id."""
    if before is account:
        return ()
    known = {each.id for each in returned(before)} if before is not None else set()
    fresh = [each for each in returned(account) if each.id not in known]
    alerts = [_returned_alert(account, each) for each in fresh]
    earlier = bust_out(before, now_ms) if before is not None else None
    found = bust_out(account, now_ms)
    if found is not None and (earlier is None or earlier.id != found.id):
        alerts.append(found)
    return tuple(alerts)


def returned(account: Account) -> list[Payment]:
    """The posted payments of an account that came back, as far as it remembers them."""
    return [each for each in account.payments if each.state == PAID and each.reversed_ms]


def bust_out(account: Account, now_ms: int) -> RiskAlert | None:
    """Whether the account looks like a bust-out: full use or a run-up, and behind it only minimum payments or payments
    that came back. One alert for a bill: its id names the newest."""
    bills = [bill for bill in out(account, now_ms) if bill.balance is not None]
    if not bills or account.product != "card":
        return None
    balance = max(balance_of(account, bills[-1]) or 0, 0)
    reasons: list[tuple[AlertReason, Mapping[str, Any]]] = []
    back = [each for each in returned(account) if each.reversed_ms > now_ms - RETURNS_DAYS * DAY_MS]
    gone = sum(each.amount for each in back)
    if len(back) >= MANY_RETURNS and balance and gone >= RETURNED_SHARE * balance:
        reasons.append(("returned_after_run_up", {"percent": round(100 * gone / balance)}))
    times = _run_up(account, bills, balance)
    if times is not None:
        reasons.append(("run_up_after_minimums", {"times": times}))
    if not reasons:
        return None
    used = balance / account.limit if account.limit else None
    if used is not None and used < FULL_SHARE:
        return None  # a run-up that leaves the limit free is somebody's large purchase
    if used is not None:
        reasons.append(("limit_full", {"percent": round(100 * used)}))
    if len(back) >= MANY_RETURNS:
        reasons.append(("returned_again", {"count": len(back), "days": RETURNS_DAYS}))
    return _alert("bust_out", account, bills[-1].id, now_ms, reasons)


def _run_up(account: Account, bills: list[Bill], balance: int) -> float | None:
    """How many times the bill before's the balance is, where that is a run-up after bills of which each was paid little
    more than its minimum; two such bills at least."""
    if len(bills) < 3:
        return None
    zone = (account.terms or DEFAULT_TERMS).zone
    cuts = [cut_of(bill, zone) for bill in bills]
    for n, bill in enumerate(bills[:-1]):
        paid = bill.paid + sum(
            each.amount
            for each in account.payments
            if each.state == PAID and not each.reversed_ms and cuts[n] <= each.at_ms < cuts[n + 1]
        )
        if not 0 < paid <= MINIMUM_SHARE * bill.minimum:
            return None
    last = bills[-2].balance or 0
    return round(balance / last, 1) if last > 0 and balance >= RUN_UP * last else None


def _returned_alert(account: Account, payment: Payment) -> RiskAlert:
    at_ms = payment.reversed_ms
    back = [each for each in returned(account) if at_ms - RETURNS_DAYS * DAY_MS < each.reversed_ms <= at_ms]
    reasons: list[tuple[AlertReason, Mapping[str, Any]]] = [
        ("payment_returned", {"amount": payment.amount, "currency": account.currency})
    ]
    if len(back) >= MANY_RETURNS:
        reasons.insert(0, ("returned_again", {"count": len(back), "days": RETURNS_DAYS}))
    return _alert("returned_payment", account, payment.id, at_ms, reasons)


def _alert(
    kind: AlertKind, account: Account, about: str, at_ms: int, reasons: list[tuple[AlertReason, Mapping[str, Any]]]
) -> RiskAlert:
    name = f"{kind}:{account.id}:{about}"
    return RiskAlert(name, kind, account.id, account.customer, account.card, at_ms, tuple(reasons))


def step_of(alert: RiskAlert) -> ContactStep:
    """The record of ``contacts`` that tells the risk team, under a contact's id that is the same however often it is found.
    A bust-out is a fraud, a payment that came back a matter of what is owed."""
    return ContactStep(
        contact=f"{CONTACT}{blake2b(alert.id.encode(), digest_size=12).hexdigest()}",
        subject={SUBJECT: alert.account},
        customer=alert.customer or None,
        class_="fraud" if alert.kind == "bust_out" else "collection",
        step="escalated",
        time=rfc3339(alert.at_ms / 1000),
        reason=alert.kind,
        account=alert.account,
        why={code: dict(figures) for code, figures in alert.reasons},
    )


def said(why: Mapping[str, Mapping[str, Any]], language: Language) -> str:
    """Reasons with their figures in words: no name, no number, no card. One that has no words, of a later version, or
    lacks a figure, is left out."""
    column = LANGUAGES.index(language)
    sentences = []
    for code, figures in why.items():
        if code in WORDS:
            shown = dict(figures)
            if "amount" in shown:
                shown["amount"] = decimal(shown["amount"], str(shown.get("currency", "")))
            with suppress(KeyError):
                sentences.append(WORDS[code][column].format(**shown))
    return (" " if language == "en" else "").join(sentences)

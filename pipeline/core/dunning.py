"""May a bill be told of, at the very moment in which somebody claims the attempt? And with which amounts?

The contact role asks while it claims, with the account's record as it stands, and the claim holds only if that record is
still the same: so nobody is reminded of what they have paid. What is told is what is owed now, in the words of now: a
reminder that waited over midnight speaks of a due date that has passed.
"""

from datetime import date
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from pipeline.core.account_facts import DEFAULT_TERMS, Account, Payment
from pipeline.core.arrears import Standing, booked, day_of, standing, unpaid

PENDING_AGAIN_MS: Final = 3_600_000
"""A payment that is on its way is asked after again this much later; booked before that, it says so itself."""
THANKS: Final = "thanks"
SPOKEN: Final = ("due_soon", "due", "overdue")
"""Templates that follow the days: before the due date, on it, past it."""
LATE: Final = frozenset({"m1", "m2", "m3", "m3+"})
"""Stages at which a debt may be collected."""


class Tell(NamedTuple):
    """Tell it, with these facts (`texts_facts.KINDS`; amounts in minor units) in these words."""

    variables: dict[str, Any]
    template: str


class Nothing(NamedTuple):
    """It need not be told any more: paid, closed, disputed, promise, autopay, superseded (another bill or stage speaks),
    returned (the payment to thank for)."""

    reason: str


class Later(NamedTuple):
    """Ask again at ``until_ms``: pending (a payment is on its way), posting (a promised one may still be), or what the
    customer said (already_paid, hardship …), after which there is silence for a while."""

    until_ms: int
    reason: str


def may_tell(
    account: Account, bill: str, stage: str, template: str, now_ms: int, class_: str | None = None
) -> Tell | Nothing | Later:
    """What to do about the request that asked to tell ``stage`` of ``bill`` in the words of ``template``. ``class_``: of the
    request, if it is known: what is not past its grace is not collected."""
    if template == THANKS:
        return _thank(account, stage)
    now = standing(account, now_ms)
    over = _over(account, now, bill, stage, now_ms)
    if over is None and not _fits(now, template, class_):
        over = "superseded"
    if over is not None:
        return Nothing(over)
    if now.promise == "open":
        assert account.promise is not None
        posting = day_of(now_ms, (account.terms or DEFAULT_TERMS).zone) > account.promise.by
        return Later(now.promise_until_ms, "posting") if posting else Nothing("promise")
    if now.paused:
        return Later(now.paused_until_ms, now.paused)
    if now.pending > 0:
        return Later(now_ms + PENDING_AGAIN_MS, "pending")
    words = _words(template, now.days_past_due)
    return Tell(variables_of(account, now, words, now_ms), words)


def owes(now: Standing) -> bool:
    """Whether anything may be asked for at all: beyond the tolerance, undisputed, of an open account."""
    return now.owed > 0 and now.bill is not None and now.stage != "none" and not now.closed


def variables_of(account: Account, now: Standing, template: str, now_ms: int) -> dict[str, Any]:
    """The facts of a message (`texts_facts.KINDS`): ``minimum`` is what has to be paid now, ``amount`` all that is unpaid,
    but of what is overdue only that; ``days``: past the due date."""
    late = template == SPOKEN[-1]
    amount = _overdue(account, now_ms) if late else now.balance
    return {
        "amount": amount,
        "minimum": amount if late else now.owed,
        "currency": account.currency,
        "due": date.fromordinal(now.due_on).isoformat(),
        "days": max(now.days_past_due, 0),
    }


def thanks_stage(payment: str) -> str:
    """The stage under which a payment is thanked for."""
    return f"{THANKS}_{blake2b(payment.encode(), digest_size=4).hexdigest()}"


def last_payment(account: Account) -> Payment | None:
    """Of those that are booked and have not come back, the one heard of last."""
    good = [each for each in account.payments if booked(account, each)]
    return max(good, key=lambda each: (each.said_ms, each.at_ms, each.id), default=None)


def _over(account: Account, now: Standing, bill: str, stage: str, now_ms: int) -> str | None:
    """Why nothing of that bill need be told any more; None: it still has to be."""
    if now.closed:
        return "closed"
    mates = same_bill(account, bill)
    own = next((due for due in unpaid(account, now_ms) if due.bill.id in mates), None)
    if own is None:
        return "superseded" if owes(now) else "paid"
    if not own.unpaid:
        return "disputed" if own.disputed else "paid"
    if now.bill not in mates or _later_spoke(account, bill, stage):
        return "superseded"
    return "autopay" if now.autopay else None


def _later_spoke(account: Account, bill: str, stage: str) -> bool:
    """Whether a stage that came after this one has been asked for already."""
    order = marked_stages(account, bill)
    return stage in order and order[-1] != stage


def marked_stages(account: Account, bill: str) -> list[str]:
    """The stages of a bill that were requested or skipped, the first of them first; under whatever name it was issued."""
    if not account.told:
        return []
    mates = same_bill(account, bill)
    return [each.stage for each in account.told if each.bill in mates]


def same_bill(account: Account, bill: str) -> frozenset[str]:
    """The names under which a bill was issued: those of the same statement and due date are one bill (`in_force`)."""
    slots = {(each.stated_on, each.due_on) for each in account.bills if each.id == bill}
    return frozenset({bill}.union(each.id for each in account.bills if (each.stated_on, each.due_on) in slots))


def _fits(now: Standing, template: str, class_: str | None) -> bool:
    """Whether these words can still be true: what was overdue may be due in days, once older arrears are cured."""
    if class_ == "collection" and now.stage not in LATE:
        return False
    return template != SPOKEN[-1] or now.days_past_due > 0


def _words(template: str, days_past_due: int) -> str:
    """What waited over midnight speaks of a day that has passed."""
    if template not in SPOKEN:
        return template
    return SPOKEN[0] if days_past_due < 0 else SPOKEN[1] if days_past_due == 0 else SPOKEN[2]


def _overdue(account: Account, now_ms: int) -> int:
    """What is unpaid of bills whose due date has passed."""
    today = day_of(now_ms, (account.terms or DEFAULT_TERMS).zone)
    return sum(due.unpaid for due in unpaid(account, now_ms) if due.bill.due_on < today)


def _thank(account: Account, stage: str) -> Tell | Nothing:
    payment = next((each for each in account.payments if thanks_stage(each.id) == stage), None)
    if payment is None:
        return Tell({}, THANKS)  # so long ago that it is counted in, and no longer kept by itself
    if payment.reversed_ms:
        return Nothing("returned")
    return Tell({"amount": payment.amount, "currency": account.currency}, THANKS)

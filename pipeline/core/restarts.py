"""Which payments that came back made a bill owed again: the reminders of it begin anew."""

from msgspec.structs import replace

from pipeline.core.account_facts import PAID, Account, Payment
from pipeline.core.arrears import unpaid


def restarts(account: Account, bill: str) -> list[Payment]:
    """The payments whose return made ``bill`` owed again: by what was paid then, and had not come back yet, it was paid."""
    return [
        each for each in account.payments if each.state == PAID and each.reversed_ms and _paid_by(account, bill, each)
    ]


def _paid_by(account: Account, bill: str, payment: Payment) -> bool:
    """Whether ``bill`` was paid just before ``payment`` came back."""
    back_ms = payment.reversed_ms
    then = tuple(
        replace(each, reversed_ms=0) if each.reversed_ms >= back_ms else each
        for each in account.payments
        if each.at_ms <= back_ms
    )
    dues = unpaid(replace(account, payments=then), back_ms)
    return any(due.bill.id == bill and not due.unpaid and not due.disputed for due in dues)

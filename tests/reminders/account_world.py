"""Records of ``accounts`` as a billing system writes them, and an account that hears of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pipeline.core.account import Account, Terms, after
from pipeline.core.account_event import AccountEvent, read_event
from pipeline.core.arrears import Standing, standing

ZONE = "Asia/Shanghai"
TERMS = Terms(tolerance=1_000, grace_days=3, posting_grace_days=2, zone=ZONE)
NAME = "A1"

Said = tuple[AccountEvent, int]
"""An event and its log timestamp."""


def ms(text: str, zone: str = ZONE) -> int:
    """A moment of the bank's own clock."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo("UTC")).isoformat()


def event(type_: str, account: str = NAME, **fields: Any) -> AccountEvent:
    return read_event(account.encode(), msgspec.json.encode({"type": type_, **fields}))


def statement(id_: str, stated: str, due: str, minimum: int, balance: int | None = None, **fields: Any) -> Said:
    """Said at noon of the day after its date."""
    record = {
        "id": id_,
        "account": NAME,
        "customer": "C1",
        "card": "tok_a_00112233",
        "product": "card",
        "statement_date": stated,
        "due_date": due,
        "currency": "CNY",
        "balance": minimum * 10 if balance is None else balance,
        "minimum_due": minimum,
        "autopay": False,
    }
    return event("statement", **record | fields), ms(f"{stated}T12:00") + 86_400_000


def instalment(id_: str, due: str, amount: int, said: str, **fields: Any) -> Said:
    record = {"id": id_, "customer": "C1", "due_date": due, "currency": "CNY", "amount": amount}
    return event("instalment_due", **record | fields), ms(said)


def paid(id_: str, at: str, amount: int, type_: str = "repayment", **fields: Any) -> Said:
    """Said a minute after it was made."""
    return event(type_, id=id_, time=moment(ms(at)), amount=amount, **fields), ms(at) + 60_000


def said(type_: str, at: str, **fields: Any) -> Said:
    return event(type_, time=moment(ms(at)), **fields), ms(at) + 1_000


def heard(records: Iterable[Said], account: Account | None = None, terms: Terms = TERMS) -> Account:
    for record, said_ms in records:
        account = after(account, record, said_ms, 3)
        if account.terms is None:
            account = msgspec.structs.replace(account, terms=terms)
    assert account is not None
    return account


def at(account: Account, now: str) -> Standing:
    return standing(account, ms(now, (account.terms or TERMS).zone))

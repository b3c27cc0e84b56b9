"""Records about reminders as a log would hand them over, and a desk that knows the bank's terms."""

from typing import Any
from zoneinfo import ZoneInfo

from desk_story import Written, record

from pipeline.core.account import Terms
from pipeline.core.moments import rfc3339
from pipeline.desk.owing import Owing
from pipeline.desk.projection import Projection
from pipeline.desk.reminding import Reminding

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_760_000_000_000  # 2025-10-09 16:53:20 in Shanghai
CARD = "tok_1_00000000feedbeef"
TERMS = Terms(tolerance=1_000, posting_grace_days=1)


def projection() -> Projection:
    return Projection(Reminding(Owing(lambda product: TERMS, promise_days=3), ZoneInfo("Asia/Shanghai")))


def statement(account: str = "A1", at_ms: int = NOW_MS - 2 * DAY_MS, **fields: Any) -> Written:
    said = {
        "type": "statement",
        "account": account,
        "id": f"S-{account}",
        "customer": "c1",
        "card": CARD,
        "statement_date": "2025-09-19",
        "due_date": "2025-10-08",
        "currency": "CNY",
        "balance": 500_000,
        "minimum_due": 50_000,
    }
    return record(said | fields, at_ms)._replace(key=account.encode())


def repayment(amount: int, at_ms: int, account: str = "A1", name: str = "p1") -> Written:
    said = {"type": "repayment", "account": account, "id": name, "time": rfc3339(at_ms / 1000), "amount": amount}
    return record(said, at_ms)._replace(key=account.encode())


def asked(stage: str = "grace", at_ms: int = NOW_MS, account: str = "A1", **fields: Any) -> Written:
    said = {
        "id": f"S-{account}/{stage}",
        "customer": "c1",
        "class": "reminder",
        "template": "overdue",
        "variables": {"amount": 50_000, "currency": "CNY", "card": CARD},
        "bill": {"account": account, "statement": f"S-{account}", "stage": stage},
    }
    return record(said | fields, at_ms)


def told(name: str, stage: str = "grace", at_ms: int = NOW_MS, account: str = "A1", **fields: Any) -> Written:
    said = {
        "contact": f"k-{account}-{stage}",
        "subject": {"statement": f"S-{account}"},
        "customer": "c1",
        "class": "reminder",
        "step": name,
        "time": "2025-10-09T08:53:21Z",
        "account": account,
        "stage": stage,
        "request": f"S-{account}/{stage}",
    }
    return record(said | fields, at_ms)

"""Accounts, moments and plans for the tests of what is told next."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from pipeline.core.account import after
from pipeline.core.account_event import (
    AccountEvent,
    AutopayFailed,
    Disputed,
    Promised,
    Repayment,
    RepaymentPending,
    RepaymentReversed,
    Statement,
)
from pipeline.core.account_facts import Account, Terms
from pipeline.core.contact_hours import DAY_MS, Almanac
from pipeline.core.reminder_plan import Planned, Planner, noted
from pipeline.core.reminder_policy import ReminderPolicy, read_reminders

FILE = Path(__file__).parents[2] / "config" / "policies" / "reminders.toml"
DELIVERED = FILE.read_text(encoding="utf-8")
ZONE = "Asia/Shanghai"
NATIONAL_DAYS = frozenset(date(2026, 10, day) for day in range(1, 8))
ALMANAC = Almanac(
    zone=lambda name: ZoneInfo(name) if name in (ZONE, "Europe/London") else None,
    holiday=lambda name, day: "National Day" if day in NATIONAL_DAYS else None,
    calendar=lambda name: name == "CN",
)
EPOCH_MS = date(1970, 1, 1).toordinal() * DAY_MS
TERMS = Terms(tolerance=1000, grace_days=3, posting_grace_days=1, zone=ZONE)


def plan(text: str = DELIVERED) -> ReminderPolicy:
    return read_reminders(text, "reminders.toml", ALMANAC)


def ms(moment: str, zone: str = ZONE) -> int:
    """Of a wall clock: 2026-11-18T10:00."""
    return round(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def heard(account: Account | None, *events: AccountEvent) -> Account:
    """The account once it was told ``events``, one after the other, each no sooner than it happened."""
    for event in events:
        happened = getattr(event, "time", None)
        stated = event.statement_date.toordinal() * DAY_MS - EPOCH_MS if isinstance(event, Statement) else 0
        said_ms = stated if happened is None else round(happened.timestamp() * 1000)
        if account is not None:
            said_ms = max(said_ms, account.seen_ms + 1)
        account = after(account, event, said_ms, 0)
    assert account is not None
    return replace(account, terms=account.terms or TERMS)


def statement(
    id: str = "s1",
    stated: str = "2026-11-01",
    due: str = "2026-11-25",
    minimum: int = 10_000,
    balance: int = 100_000,
    autopay: bool = False,
    past_due: int = 0,
) -> Statement:
    return Statement(
        account="a1",
        id=id,
        customer="c1",
        card="tok_1_ab",
        statement_date=date.fromisoformat(stated),
        due_date=date.fromisoformat(due),
        currency="CNY",
        balance=balance,
        minimum_due=minimum,
        past_due=past_due,
        autopay=autopay,
    )


def _at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(ZONE))


def paid(amount: int, moment: str, id: str = "p1") -> Repayment:
    return Repayment(account="a1", id=id, time=_at(moment), amount=amount)


def pending(amount: int, moment: str, id: str = "p1") -> RepaymentPending:
    return RepaymentPending(account="a1", id=id, time=_at(moment), amount=amount)


def returned(id: str = "p1") -> RepaymentReversed:
    return RepaymentReversed(account="a1", original_id=id)


def promised(amount: int, by: str, made: str) -> Promised:
    return Promised(account="a1", amount=amount, by=date.fromisoformat(by), time=_at(made))


def disputed(amount: int, open: bool = True) -> Disputed:
    return Disputed(account="a1", id="d1", amount=amount, open=open)


def autopay_failed(moment: str) -> AutopayFailed:
    return AutopayFailed(account="a1", time=_at(moment))


def worked(
    account: Account, planner: Planner, now_ms: int, tags: tuple[str, ...] = ()
) -> tuple[Account, list[Planned]]:
    """What a worker does that looks at the account at ``now_ms``: everything that has come by then."""
    done = []
    while (step := planner.next_steps([account], [tags], now_ms)[0]) is not None and step.at_ms <= now_ms:
        done.append(step)
        account = noted(account, step, now_ms)
    return account, done


def cascade(
    account: Account, planner: Planner, from_ms: int, until_ms: int, tags: tuple[str, ...] = ()
) -> tuple[Account, list[Planned]]:
    """What a worker does that looks whenever something is due."""
    done: list[Planned] = []
    while True:
        account, steps = worked(account, planner, from_ms, tags)
        done += steps
        (step,) = planner.next_steps([account], [tags], from_ms)
        if step is None or step.at_ms >= until_ms:
            return account, done
        assert step.at_ms > from_ms
        from_ms = step.at_ms


def marks(steps: list[Planned]) -> list[tuple[str, str | None]]:
    return [(each.stage, each.skipped) for each in steps]

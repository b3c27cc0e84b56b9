"""From events of accounts to their records: what a partition's next records say, with all that follows, in one step."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import structlog

from pipeline.core.account import Account, after, decode, encode
from pipeline.core.account_alerts import RiskAlert, alerts_of
from pipeline.core.account_event import AccountEvent, BadAccountEvent, read_event
from pipeline.core.notices import NoticeRules, Told, told_of
from pipeline.core.records import ContactRequest
from pipeline.core.topics import ACCOUNTS
from pipeline.ports import Clock, Record
from pipeline.ports_reminder import AccountChange, AccountMove, AccountStore
from pipeline.roles.reminder.following import Followed, Following
from pipeline.roles.reminder.letters import DeadLetters
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.reminder.outbox import OUTBOX_LEASE_MS, Outbox, alert_of, entry_of

MAX_EVENTS = 500
"""Records taken in by one step."""
REASON = "not_an_account_event"
log = structlog.get_logger()


class _Said(NamedTuple):
    record: Record
    event: AccountEvent


class _Booked(NamedTuple):
    """The accounts as they are after all of it, what could not be about them, and what is news of which account."""

    accounts: dict[str, Account]
    unfit: list[tuple[Record, BadAccountEvent]]
    told: list[tuple[str, Told]]


class AccountNotices(Protocol):
    """What becomes of news about an account (`notices.Notices`)."""

    @property
    def rules(self) -> NoticeRules: ...

    async def known(self) -> None:
        """Returns when it is known what customers chose."""

    def of_account(self, told: Told, now_ms: int) -> ContactRequest | None: ...


class Intake:
    """Takes records of ``accounts`` into the store."""

    def __init__(
        self,
        store: AccountStore,
        following: Following,
        outbox: Outbox,
        clock: Clock,
        metrics: ReminderMetrics,
        dead_letter: DeadLetters,
        notices: AccountNotices | None = None,
    ) -> None:
        self._notices = notices
        self._store = store
        self._following = following
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._dead_letter = dead_letter

    async def take(self, records: Sequence[Record], partition: int, before: int | None) -> bool:
        """One step: what ``records`` say, with the position behind them; what it takes back is published when this
        returns. False: the position is somebody else's by now. Raises `StoreDown`, and what the log raises."""
        said: list[_Said] = []
        for record in records:
            try:
                said.append(_Said(record, read_event(record.key, record.value)))
            except BadAccountEvent as bad:
                await self._refuse(record, bad)
        move = AccountMove(partition, before, records[-1].offset + 1)
        while True:
            now_ms = round(self._clock.now() * 1000)
            names = list(dict.fromkeys(one.event.account for one in said))
            values = dict(zip(names, await self._store.read(names), strict=True))
            known = {name: decode(value) if value else None for name, value in values.items()}
            booked = self._booked(said, known, partition)
            changed = [
                (known[name], account) for name, account in booked.accounts.items() if account is not known[name]
            ]
            followed = self._following.of(changed, now_ms)
            news = await self._news(booked.told, now_ms)
            alerts = {now.id: alerts_of(before, now, now_ms) for before, now in changed}
            changes = [
                _change(values[name], one, partition, news.get(name, ()), alerts[name])
                for one in followed
                for name in (one.account.id,)
            ]
            outcome = await self._store.commit(changes, now_ms, OUTBOX_LEASE_MS, move)
            if outcome != "changed":
                break
        if outcome == "moved":
            return False
        if outcome == "stored":
            await self._outbox.publish([entry for change in changes for entry in change.outbox])
            self._count(followed, len(said) - len(booked.unfit), len(changes))
            self._warn(alerts.values())
        for record, why in booked.unfit:
            await self._refuse(record, why)
        if any(one.withdrawn for one in followed):
            self._metrics.stopped.observe(max(0.0, self._clock.now() - records[-1].timestamp / 1000))
        return True

    def _booked(self, said: Sequence[_Said], known: dict[str, Account | None], partition: int) -> _Booked:
        booked = _Booked({}, [], [])
        for record, event in said:
            before = booked.accounts.get(event.account, known[event.account])
            try:
                now = after(before, event, record.timestamp, partition)
            except BadAccountEvent as bad:
                booked.unfit.append((record, bad))
                continue
            booked.accounts[event.account] = self._following.termed(now)
            if self._notices is not None and now is not before:
                told = told_of(before, now, event, self._notices.rules)
                if told is not None:
                    booked.told.append((now.id, told))
        return booked

    async def _news(self, told: Sequence[tuple[str, Told]], now_ms: int) -> Mapping[str, Sequence[ContactRequest]]:
        """Account → what its holder is told of it."""
        if not told or self._notices is None:
            return {}
        await self._notices.known()
        found: dict[str, list[ContactRequest]] = {}
        for account, one in told:
            request = self._notices.of_account(one, now_ms)
            if request is not None:
                found.setdefault(account, []).append(request)
        return found

    def _count(self, followed: Sequence[Followed], events: int, accounts: int) -> None:
        self._metrics.events.labels("taken").inc(min(events, accounts))
        self._metrics.events.labels("known").inc(max(0, events - accounts))
        for one in followed:
            for request in one.withdrawn:
                self._metrics.withdraw(request.withdrawn)
            self._metrics.thanks.inc(len(one.thanks))
            self._metrics.promises.labels("kept").inc(one.kept)

    def _warn(self, found: Iterable[Sequence[RiskAlert]]) -> None:
        """In metrics and log; the risk team is told by what is in the outbox."""
        for alert in (each for alerts in found for each in alerts):
            self._metrics.alerts.labels(alert.kind).inc()
            reasons = [code for code, _ in alert.reasons]
            log.warning("an account to be looked at", kind=alert.kind, account=alert.account, reasons=reasons)

    async def _refuse(self, record: Record, bad: BadAccountEvent) -> None:
        self._metrics.dead_letters.labels(REASON).inc()
        await self._dead_letter(ACCOUNTS, record, REASON, bad.field, bad.detail)


def _change(
    before: bytes, followed: Followed, partition: int, news: Sequence[ContactRequest], alerts: Sequence[RiskAlert]
) -> AccountChange:
    outbox = [*(entry_of(request) for request in (*followed.requests, *news)), *map(alert_of, alerts)]
    return AccountChange(
        followed.account.id, before, encode(followed.account), followed.due_ms, partition, outbox, followed.stays
    )

"""Reminders, promises and timelines as JSON for other programs."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from pipeline.core.arrears import DAY_MS
from pipeline.core.cure import CURE_MS
from pipeline.core.masking import mask
from pipeline.desk.owing import Promised
from pipeline.desk.reminding import Reminder, Reminding, Seen, Tally

MOST = 200


class TallyModel(BaseModel):
    """``asked``, ``told``, ``stopped``, ``skipped`` (left out by the plan, never asked for) today by the bank's clock;
    ``waiting`` now, attempts under way among them."""

    asked: int
    waiting: int
    told: int
    stopped: int
    skipped: int


class ReminderModel(BaseModel):
    """``stage``: of the plan, or ``thanks``, ``broken``, ``notice``; ``card`` is the token; ``amount`` in minor units of
    ``currency``, as it was when it was asked for; ``reason``: why it stands as it does; ``moved_at``: when that came."""

    id: str
    customer: str
    class_name: str
    stage: str
    template: str | None
    account: str | None
    statement: str | None
    card: str | None
    amount: int | None
    currency: str | None
    state: Literal["waiting", "under_way", "told", "stopped"]
    reason: str
    channel: str | None
    asked_at: datetime | None
    told_at: datetime | None
    moved_at: datetime


class CureModel(BaseModel):
    """Of ``told`` bills ``cured`` were paid within the window; that of ``running`` is not over and they are not paid yet.
    ``unjudged``: not in ``told``, for it is not known what was owed. ``hour`` of the bank's clock, 0–23."""

    stage: str
    channel: str
    hour: int
    told: int
    cured: int
    running: int
    unjudged: int


class RemindersModel(BaseModel):
    as_of: datetime
    today: TallyModel
    stages: dict[str, TallyModel]
    waiting: dict[str, int] = Field(description="how many wait, by reason")
    stopped: dict[str, int] = Field(description="how many were stopped today, by reason")
    skipped: dict[str, int] = Field(description="how many the plan left out today, by reason")
    cure_window_days: int
    cures: list[CureModel]
    latest: list[ReminderModel] = Field(description="what moved last first")
    kept: int


class PromiseModel(BaseModel):
    """``amount`` in minor units of ``currency``; ``by``: the day by which it is to be paid."""

    account: str
    customer: str
    amount: int
    currency: str | None
    by: date
    made_at: datetime
    state: Literal["open", "kept", "broken", "replaced"]


class PromisesModel(BaseModel):
    as_of: datetime
    counts: dict[str, int]
    promises: list[PromiseModel] = Field(description="the newest first")


class ContactStepModel(BaseModel):
    """One step of a conversation. ``subject``: the alert, statement or request that it is about."""

    time: str
    logged_at: datetime
    contact: str
    class_name: str
    step: str
    subject: dict[str, str]
    account: str | None
    stage: str | None
    channel: str | None
    attempt: int | None
    reason: str | None
    answer: str | None
    by: str | None
    amount: int | None


class PaymentModel(BaseModel):
    account: str
    id: str
    amount: int
    currency: str | None
    time: datetime
    state: Literal["posted", "pending", "reversed"]


class TimelineModel(BaseModel):
    customer: str
    steps: list[ContactStepModel] = Field(description="oldest first")
    promises: list[PromiseModel]
    payments: list[PaymentModel]


def create_reminding_api(reminding: Reminding, now: Callable[[], float]) -> APIRouter:
    """Routes under ``/api/v1``."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/reminders", summary="Reminders and notices today, the latest, and cure rates")
    async def reminders(limit: Annotated[int, Query(ge=1, le=MOST)] = 50) -> RemindersModel:
        now_ms = round(now() * 1000)
        day = reminding.day(now_ms)
        return RemindersModel(
            as_of=_moment(now_ms),
            today=_tally(day.total),
            stages={stage: _tally(tally) for stage, tally in day.stages.items()},
            waiting=dict(day.waiting),
            stopped=dict(day.stopped),
            skipped=dict(day.skipped),
            cure_window_days=CURE_MS // DAY_MS,
            cures=[
                CureModel(stage=stage, channel=channel, hour=hour, **cure._asdict())
                for (stage, channel, hour), cure in sorted(reminding.owing.cures(now_ms).items())
            ],
            latest=[_reminder(each) for each in reminding.newest(limit)],
            kept=len(reminding),
        )

    @router.get("/promises", summary="Promises to pay, newest first")
    async def promises(
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        state: Annotated[
            Literal["open", "kept", "broken", "replaced"] | None, Query(description="only in this state")
        ] = None,
    ) -> PromisesModel:
        now_ms = round(now() * 1000)
        found = reminding.owing.promises(now_ms)
        counts = {word: sum(each.state == word for each in found) for word in ("open", "kept", "broken", "replaced")}
        wanted = [each for each in found if state in (None, each.state)]
        return PromisesModel(as_of=_moment(now_ms), counts=counts, promises=[_promise(each) for each in wanted[:limit]])

    @router.get("/customers/{customer:path}/timeline", summary="One customer's contacts, promises and payments")
    async def timeline(customer: str) -> TimelineModel:
        owing = reminding.owing
        return TimelineModel(
            customer=mask(customer),
            steps=[_step(seen) for seen in reminding.of_customer(customer)],
            promises=[_promise(each) for each in owing.promises_of(customer, round(now() * 1000))],
            payments=[
                PaymentModel(
                    account=mask(account.id),
                    id=mask(payment.id),
                    amount=payment.amount,
                    currency=account.currency or None,
                    time=_moment(payment.at_ms),
                    state="reversed" if payment.reversed else "pending" if payment.state else "posted",
                )
                for account, payment in owing.payments(customer)
            ],
        )

    return router


def _moment(timestamp_ms: int) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)


def _tally(tally: Tally) -> TallyModel:
    return TallyModel(**tally._asdict())


def _masked(text: str | None) -> str | None:
    return mask(text) if text else None


def _reminder(reminder: Reminder) -> ReminderModel:
    return ReminderModel(
        id=mask(reminder.id),
        customer=mask(reminder.customer),
        class_name=reminder.class_,
        stage=mask(reminder.stage),
        template=reminder.template or None,
        account=_masked(reminder.account),
        statement=_masked(reminder.bill),
        card=_masked(reminder.card),
        amount=reminder.amount,
        currency=reminder.currency,
        state=reminder.state,
        reason=mask(reminder.reason),
        channel=reminder.channel or None,
        asked_at=_moment(reminder.asked_ms) if reminder.asked_ms else None,
        told_at=_moment(reminder.told_ms) if reminder.told_ms else None,
        moved_at=_moment(reminder.moved_ms),
    )


def _promise(promised: Promised) -> PromiseModel:
    return PromiseModel(
        account=mask(promised.account),
        customer=mask(promised.customer),
        amount=promised.amount,
        currency=promised.currency or None,
        by=date.fromordinal(promised.by),
        made_at=_moment(promised.made_ms),
        state=promised.state,
    )


def _step(seen: Seen) -> ContactStepModel:
    step = seen.step
    return ContactStepModel(
        time=step.time,
        logged_at=_moment(seen.timestamp_ms),
        contact=mask(step.contact),
        class_name=step.class_,
        step=step.step,
        subject={about: mask(name) for about, name in step.subject.items()},
        account=_masked(step.account),
        stage=_masked(step.stage),
        channel=step.channel,
        attempt=step.attempt,
        reason=_masked(step.reason),
        answer=step.answer,
        by=step.by,
        amount=step.amount,
    )

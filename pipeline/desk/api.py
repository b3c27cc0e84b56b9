"""The desk's JSON: alerts and a summary for other programs, described at ``/api/openapi.json``."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from pipeline.core.decision import Outcome
from pipeline.core.masking import mask
from pipeline.desk.counting import HOUR_S, MINUTE_S
from pipeline.desk.feed import Link
from pipeline.desk.projection import Alert, AlertKey, Projection, Story

MOST_ALERTS = 200
OutcomeName = Literal["notify", "review", "verify", "hold", "decline"]


class ReasonModel(BaseModel):
    code: str
    detail: dict[str, Any] | None = None


class StepModel(BaseModel):
    """One step of the conversation with the cardholder."""

    step: str
    time: str
    channel: str | None
    attempt: int | None
    reason: str | None
    answer: str | None


class CommandModel(BaseModel):
    """``done`` null: the switch has not answered yet."""

    id: str
    command: str
    scope: str
    sequence: int
    done: bool | None


class AlertModel(BaseModel):
    """``card`` is the token; ``amount`` in minor units of ``currency``; ``score`` a probability, 0–1; ``percentile``
    0–100; ``by_rule``: rules brought the outcome, the score alone comes to less; ``cursor`` is what ``before`` takes."""

    id: str
    cursor: str
    card: str
    customer: str | None
    time: str
    decided_at: str
    outcome: OutcomeName
    score: float
    percentile: float
    by_rule: bool
    reasons: list[ReasonModel]
    warming_up: bool
    degraded: bool
    policy_version: str
    model_version: str
    amount: int | None
    currency: str | None
    merchant_name: str | None
    country: str | None
    steps: list[StepModel]
    commands: list[CommandModel]


class AlertsModel(BaseModel):
    """``next``: give it as ``before`` for the page after this one; null at the end of what the desk keeps."""

    alerts: list[AlertModel]
    next: str | None


class SummaryModel(BaseModel):
    """Rates per second over the last ten seconds; latencies in milliseconds over the last minute; counts by outcome.
    ``counting_since``: windows reaching further back are not full."""

    as_of: datetime
    link: Literal["connecting", "live", "reconnecting"]
    transactions_per_second: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    last_minute: dict[str, int]
    last_hour: dict[str, int]
    alerts_kept: int
    counting_since: datetime | None
    unusable_records: dict[str, int] = Field(description="records the desk could not read, by topic")


def cursor(key: AlertKey) -> str:
    return "-".join(str(part) for part in key)


def parse_cursor(text: str) -> AlertKey:
    """Raises ValueError when ``text`` is no cursor of ours."""
    parts = [int(part) for part in text.split("-")]
    if len(parts) != 3:
        raise ValueError(f"{text!r} has {len(parts)} parts, a cursor has three")
    return (parts[0], parts[1], parts[2])


def create_api(projection: Projection, link: Callable[[], Link], now: Callable[[], float]) -> APIRouter:
    """Routes under ``/api/v1``."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/alerts", summary="Alerts, newest first")
    async def alerts(
        limit: Annotated[int, Query(ge=1, le=MOST_ALERTS)] = 50,
        before: Annotated[str | None, Query(description="the cursor to continue from", max_length=64)] = None,
        outcome: Annotated[OutcomeName | None, Query(description="only this outcome")] = None,
    ) -> AlertsModel:
        try:
            start = parse_cursor(before) if before is not None else None
        except ValueError as error:
            raise HTTPException(422, "`before` is not a cursor that this API gave out") from error
        found = projection.alerts(limit + 1, start, Outcome[outcome] if outcome else None)
        shown = found[:limit]
        return AlertsModel(
            alerts=[_alert(alert, projection.story(alert.decision.id)) for alert in shown],
            next=cursor(shown[-1].key) if len(found) > limit else None,
        )

    @router.get("/summary", summary="Rate, decision time and counts")
    async def summary() -> SummaryModel:
        moment, counting = now(), projection.counting
        latency = counting.latency(moment)
        since = counting.since_ms
        return SummaryModel(
            as_of=datetime.fromtimestamp(moment, UTC),
            link=link().value,
            transactions_per_second=counting.rate(moment),
            latency_p50_ms=latency.p50_ms,
            latency_p99_ms=latency.p99_ms,
            last_minute={key.name: count for key, count in counting.outcomes(moment, MINUTE_S).items()},
            last_hour={key.name: count for key, count in counting.outcomes(moment, HOUR_S).items()},
            alerts_kept=len(projection),
            counting_since=None if since is None else datetime.fromtimestamp(since / 1000, UTC),
            unusable_records=projection.unusable,
        )

    return router


def _alert(alert: Alert, story: Story) -> AlertModel:
    decision = msgspec.to_builtins(alert.decision)
    steps = [msgspec.structs.asdict(told.step) for told in story.steps]
    commands = [{**msgspec.structs.asdict(told.command), "done": told.done} for told in story.commands]
    optional = dict.fromkeys(("customer", "amount", "currency", "merchant_name", "country"))
    absent = {"reasons": [], "warming_up": False, "degraded": False, "by_rule": False}
    decision["merchant_name"] = mask(decision["merchant_name"]) if decision.get("merchant_name") else None
    return AlertModel.model_validate(
        {**optional, **absent, **decision, "cursor": cursor(alert.key), "outcome": alert.outcome.name}
        | {"steps": steps, "commands": commands}
    )

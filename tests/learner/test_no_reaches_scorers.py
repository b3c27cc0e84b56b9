"""One cardholder's NO, and the next card at the same terminal: scorer, learner and control joined in memory."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from learner_world import KEY, Bank

from models.calibrate import parse_prior
from models.half_space_trees import Shape
from models.river_logistic import Logistic
from models.trees_detector import TreesPlan
from pipeline.adapters.memory import MemoryLog as ControlLog
from pipeline.adapters.memory import MemoryReader as ControlReader
from pipeline.adapters.memory import StoredRecord
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.features import CATALOGUE, ENTITY_FEATURES, LAYOUT, MODEL_FEATURES, SCALES, UNIT
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Part
from pipeline.core.records import Label
from pipeline.core.scored import decode
from pipeline.core.scoring import score_poll
from pipeline.core.topics import CONTROL, LABELS, SCORED
from pipeline.ports import Outgoing
from pipeline.roles.learner.course import FeatureSpace, Plan
from pipeline.roles.learner.labelled import LabelPlan
from pipeline.roles.scorer.knowledge import Knowledge

CONFIG = Path(__file__).parents[2] / "config"
NOW = 1_790_000_000.0
CURVE = parse_prior((CONFIG / "models/prior.toml").read_text(), "prior.toml")
RUN = [feature.name for feature in CATALOGUE].index("terminal_fraud_run")


def text(path: str) -> str:
    return (CONFIG / path).read_text()


def scorer() -> Knowledge:
    def parse(policy: str, name: str):  # type: ignore[no-untyped-def]  # as policy_parser's
        return parse_policy(policy, name, SCHEMA)

    return Knowledge(
        parse(text("policies/default.toml"), "default.toml"),
        parse_rates(text("rates.toml"), "rates"),
        CURVE,
        KEY,
        parse,
    )


def pay(number: int, terminal: str) -> StoredRecord:
    card, time = f"tok_card{number:04}", datetime.fromtimestamp(NOW + number, UTC).isoformat()
    fields = {"id": f"t{number}", "card": card, "time": time, "amount": 900, "currency": "CNY", "terminal": terminal}
    return StoredRecord(0, number, int(NOW * 1_000), card.encode(), json.dumps(fields).encode())


def test_the_next_card_at_the_terminal_is_seen_with_the_fraud_before_it() -> None:
    labels = LabelPlan(lambda: Logistic(SCALES, len(ENTITY_FEATURES)), len(CATALOGUE), CURVE.of, 1e9, None, 1.0, 10**9)
    bank = Bank(
        plan=Plan(TreesPlan(Shape(4, 4, 50, 3), MODEL_FEATURES, UNIT), 1e9, 1_000, labels),
        space=FeatureSpace(len(CATALOGUE), LAYOUT),
    )
    knowledge, rows = scorer(), dict[bytes, bytes]()

    def score(*records: StoredRecord) -> np.ndarray:
        made = score_poll([Part(0, records, rows, {})], knowledge.current, lambda card: 0, NOW, lambda: 0.0)
        for record in made.scored[0]:
            bank.log.put(SCORED, record.value)
        return decode(made.scored[0][0].value).matrix()

    async def follow() -> None:
        """What a scorer reads of control from its beginning."""
        log, caught_up, stop = ControlLog(1), asyncio.Event(), asyncio.Event()
        for entry in bank.log.of(CONTROL):
            await log.append(CONTROL, {0: [Outgoing(entry.key, entry.value or b"")]})

        class Once(ControlReader):
            async def poll(self, timeout_s: float):  # type: ignore[no-untyped-def]  # as the port's
                await asyncio.sleep(0)
                return await super().poll(timeout_s)

        task = asyncio.create_task(knowledge.follow_control(lambda: Once(log, CONTROL), caught_up, stop))
        async with asyncio.timeout(20):
            await caught_up.wait()
            stop.set()
            await task

    first = score(*(pay(number, "till" if number == 7 else "other") for number in range(60)))
    assert np.isnan(first[:, RUN]).all()
    no = Label(
        transaction="t7", card="tok_card0007", fraud=True, source="cardholder",
        time=datetime.fromtimestamp(NOW, UTC).isoformat(),
    )  # fmt: skip
    bank.log.put(LABELS, msgspec.json.encode(no))
    asyncio.run(bank.until_idle())
    asyncio.run(follow())
    second = score(pay(100, "till"), pay(101, "other"))
    assert second[0, RUN] > 0.5
    assert np.isnan(second[1, RUN])
    assert not knowledge.current.model.warming_up

    bank.log.put(LABELS, msgspec.json.encode(msgspec.structs.replace(no, fraud=None)))  # it was a mistake
    asyncio.run(bank.until_idle())
    asyncio.run(follow())
    assert np.isnan(score(pay(102, "till"))[0, RUN])

"""A bank's past: models learned on the way, two policies, all of it archived as the archive role does it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.calibrate import parse_prior
from models.classifier import KIND, Classifier
from models.detector import DetectorPlan
from models.half_space_trees import Shape
from models.percentile import Percentile
from models.progress import LEAST_FRAUDS, LEAST_ORDINARY, Progress
from models.scorer import Model
from models.snapshot import Labelled, Snapshot, seal
from models.surprise import SurprisePlan
from models.trees_detector import TreesPlan
from pipeline.adapters.memory import StoredRecord
from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.version_files import VersionFiles
from pipeline.core.columns import SCHEMA
from pipeline.core.entities import digest_of
from pipeline.core.features import CATALOGUE, LAYOUT, MODEL_FEATURES, NUMBER_OF, SURPRISE_FEATURES, UNIT
from pipeline.core.lists import Lists, parse_list
from pipeline.core.policy import Policy, parse_policy
from pipeline.core.poll import Challenger, Versions
from pipeline.core.tag_table import TagTable
from pipeline.core.told import Told
from pipeline.core.topics import MODEL_KEY, POLICY_KEY
from pipeline.core.words import parse_words
from pipeline.lab.explain.recompute import Means
from pipeline.roles.learner.columns import COLUMNS

sys.path.append(str(Path(__file__).parents[1] / "archive"))
from archive_world import CONFIG, MONEY, NOON, Place, Traffic  # its folder has to be on the path first

KEY = b"a key of sixteen bytes or more"
UNTIL = "2026-09-24T00:00:00Z"
CURVE = parse_prior((CONFIG / "models" / "prior.toml").read_text(), "prior.toml")
WORDS = {
    language: parse_words((CONFIG / "messages" / language / "reasons.toml").read_text(), "reasons.toml")
    for language in ("en", "zh-CN")
}
DEFAULT = (CONFIG / "policies" / "default.toml").read_text()
KEEN = """
name = "keen"
[[threshold]]
score = 0.001
actions = { queue = "review" }
reason = "score_review"
[[rule]]
name = "large"
when = "amount > 4000 and country <> home_country"
actions = { card = "hold", contact = "verify" }
reason = "large_amount"
figures = ["amount"]
[[rule]]
name = "often"
when = "count_1h >= 3"
actions = { contact = "notify" }
reason = "many_today"
figures = ["count_1h"]
[control_group]
share = 0.01
max_amount = 100000
"""


OWN = """
name = "own"
[counters]
times = "count per card over 2h"
foreign_3h = "sum(amount) per card over 3h where country <> home_country"
[[threshold]]
score = 0.02
actions = { queue = "review" }
reason = "score_review"
[[rule]]
name = "often_now"
when = "times >= 2 and amount > 1500"
actions = { contact = "verify" }
reason = "many_today"
figures = ["times"]
[[rule]]
name = "abroad"
when = "foreign_3h > 4000"
actions = { contact = "notify" }
reason = "many_today"
figures = ["foreign_3h"]
[[rule]]
name = "listed"
when = "in_list(merchant, 'hot') and amount > 1000"
actions = { card = "limit", scope = "online" }
reason = "large_amount"
[[rule]]
name = "tagged"
when = "has_tag('frequent') and not has_tag('night_owl') and amount > 1200"
actions = { contact = "notify" }
reason = "large_amount"
"""
"""With counters, a list that knows one merchant for a while, and tags of customers."""
LISTS = Lists([parse_list("hot", f'column = "merchant"\n[entries]\nm1 = "always"\nm2 = {UNTIL}\n', "hot.toml")])
TAGS = TagTable()
TAGS.take(
    Told(
        "tags", 1, 1, None, {digest_of("c0"): b"\1\0\0\0", digest_of("c1"): b"\3\0\0\0"}, {}, ("frequent", "night_owl")
    )
)


def labelled(seed: int) -> Labelled:
    """A classifier in force, which learned that large amounts and new countries are frauds."""
    dice = np.random.default_rng(seed)
    rows = dice.lognormal(1, 1, (3_000, len(CATALOGUE)))
    names = [feature.name for feature in CATALOGUE]
    odds = rows[:, names.index("amount_ratio")] + 3 * (rows[:, names.index("new_country")] > 4) - 8
    classifier = Classifier(COLUMNS)
    classifier.observe(rows)
    classifier.learn(rows, (dice.random(len(rows)) < 1 / (1 + np.exp(-odds))).astype(np.float64))
    progress = Progress(LEAST_FRAUDS, LEAST_ORDINARY, LEAST_ORDINARY, 1.0, 2.0, 10.0)
    return Labelled(KIND, classifier.dump(), progress, {}, {}, {})


PLANS: Sequence[DetectorPlan] = (
    TreesPlan(Shape(trees=12, height=6, window=100, seed=1), MODEL_FEATURES, UNIT),
    SurprisePlan(SURPRISE_FEATURES, tuple(NUMBER_OF[name] for name in SURPRISE_FEATURES), window=100),
)


def snapshot(number: int) -> Snapshot:
    """Of the one kind of detector and the other."""
    plan = PLANS[(number - 1) % 2]
    learning, rows = plan.begin(), np.random.default_rng(number).lognormal(1, 4, (100, len(CATALOGUE)))
    learning.learn(plan.see(rows), np.zeros(100))
    detector = learning.detector()
    grid = Percentile.from_scores(detector.score(plan.see(rows)))
    told = labelled(number) if number == 2 else None
    return Snapshot(LAYOUT, plan.names, detector, grid, 100, 100, 1, {0: 1}, {0: 1}, NOON, told)


def policy(text: str) -> Policy:
    return parse_policy(text, "policy.toml", SCHEMA)


def control(key: bytes, value: bytes) -> StoredRecord:
    return StoredRecord(0, 0, 0, key, value)


class Past:
    """``transactions`` decided in many small polls, under versions that change; then archived below ``root``."""

    def __init__(self, root: Path, transactions: int, texts: Sequence[str] = (DEFAULT, KEEN)) -> None:
        self.root = root
        self.kept = VersionFiles(root)
        self.models = [Model.day_one(LAYOUT, CURVE)]
        self.controls = []
        for seed in (1, 2):
            made = snapshot(seed)
            self.models.append(Model.trained(made, CURVE))
            self.controls.append(control(MODEL_KEY, seal(made, KEY)))
        policies = [policy(text) for text in texts]
        for text, one in zip(texts, policies, strict=True):
            self.controls.append(control(POLICY_KEY + one.version.encode(), text.encode()))
        traffic = Traffic()
        draw = np.random.default_rng(5)
        self.ids = []
        for number in range(transactions):
            self.ids.append(traffic.pay(number % 2, int(draw.integers(3)), **_fields(draw)))
            traffic.log.timestamp_ms += int(draw.integers(1, 600_000))
            if number % 17 == 16:
                beside = [Challenger(self.models[2], 0.5)] if number // 340 % 3 == 1 else []
                model = self.models[number // 340 % 3]
                ruling = policies[number // 170 % len(policies)].in_force(LISTS)
                under = Versions(ruling, model, MONEY, challengers=beside, lists=LISTS, tags=TAGS)
                traffic.score(number // 17 % 2, under=under)
        for partition in (0, 1):
            traffic.score(partition, under=under)
        self.traffic = traffic
        place = Place(traffic, root)
        place.clock.time = traffic.log.timestamp_ms / 1000 + 1
        place.work(20)
        self.archive = ParquetArchive(root)

    @property
    def means(self) -> Means:
        return Means(self.kept, CURVE, lambda text, name: parse_policy(text, name, SCHEMA), WORDS, LISTS)

    def row(self, identifier: str) -> dict[str, Any]:
        found = self.archive.transaction(identifier)
        assert found is not None
        return dict(found)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every archived row by id, read at once."""
        days = self.archive.days()
        relation = self.archive.relation(days[0], days[-1])
        rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        return {row["id"]: row for row in rows}


def _fields(draw: np.random.Generator) -> dict[str, Any]:
    return {
        "amount": int(draw.lognormal(8, 1.5)),
        "kind": draw.choice(["purchase", "cash", "refund", "verification"], p=[0.7, 0.2, 0.05, 0.05]),
        "entry_mode": draw.choice(["chip", "ecommerce", "magstripe"]),
        "country": draw.choice(["CN", "TH", "US"], p=[0.7, 0.2, 0.1]),
        "response_code": draw.choice(["00", "05", "55"], p=[0.8, 0.1, 0.1]),
        "mcc": draw.choice(["5411", "6011", "5967"]),
        "available_credit": int(draw.integers(0, 500_000)),
        "recurring": bool(draw.integers(2)),
        "latitude": float(draw.uniform(-60, 60)),
        "longitude": float(draw.uniform(-170, 170)),
    }

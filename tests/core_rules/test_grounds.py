"""What a score comes from: groups of features, the strongest told, with words in every language and no look at approvals."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.calibrate import parse_prior
from models.classifier import KIND, Classifier
from models.percentile import Percentile
from models.progress import LEAST_FRAUDS, LEAST_ORDINARY, Progress
from models.scorer import Model
from models.snapshot import Labelled, Snapshot
from models.surprise import SurprisePlan
from pipeline.adapters.memory import StoredRecord
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.decision import Reason
from pipeline.core.features import CATALOGUE, NUMBER_OF, SURPRISE_FEATURES
from pipeline.core.grounds import GROUPS, LEAST_LOG_ODDS, OTHERS, grounds, reasons
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Floats, Part, Versions
from pipeline.core.scoring import score_poll
from pipeline.core.topics import Record
from pipeline.core.words import Words, check_ground_words, parse_words
from pipeline.roles.learner.columns import COLUMNS

CONFIG = Path(__file__).parents[2] / "config"
NAMES = [feature.name for feature in CATALOGUE]
LANGUAGES = ("en", "zh-CN")


def row(**values: float) -> list[float]:
    return [values.get(name, 0.0) for name in NAMES]


def words(language: str) -> Words:
    return parse_words((CONFIG / "messages" / language / "reasons.toml").read_text(), "reasons.toml", SCHEMA)


def test_the_heaviest_groups_are_told_with_the_figure_of_what_weighs_most_in_them() -> None:
    more = row(amount=0.4, amount_ratio=0.9, amount_z=-0.2, speed_kmh=0.8, km_from_last=0.1, new_country=-0.1,
               terminal_fraud_run=2.0, hour_rarity=0.3, declines_1h=LEAST_LOG_ODDS - 0.01, count_1h=-3.0)  # fmt: skip
    values = row(amount_ratio=5.2345, km_from_last=812.4)
    assert [(one.code, round(one.log_odds, 6)) for one in grounds(more, values)][:4] == [
        ("terminal_labels", 2.0), ("amount", 1.1), ("place", 0.8), ("hour", 0.3),
    ]  # fmt: skip
    (told,) = reasons(np.array([more]), np.array([values]))
    assert told == [
        Reason("terminal_labels"),
        Reason("amount", {"amount_ratio": 5.23}),
        Reason("place", {"km_from_last": 812}),
    ]
    (few,) = reasons(np.array([row(declines_1h=LEAST_LOG_ODDS - 0.01, amount=-2.0)]), np.array([values]))
    assert few == []
    (missing,) = reasons(np.array([row(amount_ratio=1.0)]), np.array([row(amount_ratio=np.nan)]))
    assert missing == [Reason("amount")], "a figure that is missing is not told"
    assert list(reasons(None, np.array([values]))) == [[]]


def test_every_column_has_one_group_and_every_group_words_in_every_language() -> None:
    named = [column for columns in GROUPS.values() for column in columns]
    assert len(named) == len(set(named))
    assert set(NAMES) == set(named), f"name a group (or `{OTHERS}`) for {sorted(set(NAMES) - set(named))}"
    languages = {language: words(language) for language in LANGUAGES}
    assert check_ground_words(languages) == []
    assert len({some.sentences["pace"] for some in languages.values()}) == 2
    lacking = Words({code: said for code, said in languages["en"].sentences.items() if code != "place"})
    worse = Words(dict(languages["en"].sentences) | {"merchant": "A merchant[ {mcc_code}]."})
    assert check_ground_words({"en": lacking, "xx": worse}) == [
        "en: no words for place", "xx: merchant names {mcc_code}, which does not come with it",
    ]  # fmt: skip


POLICY = """
name = "p"
[[threshold]]
score = 0.5
actions = { queue = "review" }
reason = "score_review"
[[rule]]
name = "large"
when = "amount > 5000"
actions = { queue = "review" }
reason = "many_declines"
figures = ["amount"]
[[reason]]
code = "merchant_new"
when = "amount > 0"
weight = 1
"""


class Says:
    """A model that finds every row's amount suspicious; notes of which rows it was asked why."""

    version, warming_up, as_of = "says", False, None

    def __init__(self, knows: bool = True) -> None:
        self.knows, self.asked = knows, [0][:0]

    def scores(self, matrix: Floats) -> tuple[Floats, Floats, Floats]:
        score = np.where(matrix[:, 0] > 3_000, 0.9, 0.1)
        return score, score, score

    def grounds(self, matrix: Floats) -> Floats | None:
        self.asked += matrix[:, 0].astype(int).tolist()
        return np.array([row(amount=1.0, mcc_code=0.5)] * len(matrix)) if self.knows else None


def decided(model: Says, amounts: list[int]) -> list[list[str]]:
    def pay(number: int, amount: int) -> Record:
        time = datetime.fromtimestamp(1_790_000_000 + number, UTC).isoformat()
        fields = {"id": f"t{number}", "card": f"tok_card{number:04}", "time": time, "amount": amount, "currency": "CNY"}
        return StoredRecord(0, number, 1_790_000_000_000, b"", json.dumps(fields).encode())

    part = Part(0, [pay(number, amount) for number, amount in enumerate(amounts)], {}, {})
    money = parse_rates((CONFIG / "rates.toml").read_text(), "rates")
    versions = Versions(parse_policy(POLICY, "p.toml", SCHEMA), model, money)
    poll = score_poll([part], versions, lambda card: 0, 1.79e9, lambda: 0.0)
    told = [json.loads(each.value) for each in poll.decisions[0]]
    return [[reason["code"] for reason in one.get("reasons", [])] for one in told]


def test_alerts_say_what_the_score_comes_from_and_nobody_is_asked_why_of_an_approval() -> None:
    model = Says()
    assert decided(model, [100, 4_000, 6_000, 200]) == [
        [], ["score_review", "amount", "merchant"], ["many_declines", "score_review", "amount", "merchant"], [],
    ]  # fmt: skip
    assert model.asked == [4_000, 6_000]
    quiet = Says()
    decided(quiet, [100, 200])
    assert quiet.asked == []
    assert decided(Says(knows=False), [4_000]) == [["score_review", "merchant_new"]], "the policy explains till then"


def test_a_classifier_tells_columns_in_the_order_of_the_catalogue() -> None:
    assert [column.name for column in COLUMNS] == NAMES
    assert Classifier(COLUMNS).by_column(np.zeros((2, len(NAMES)))).shape == (2, len(NAMES))


def test_what_a_usual_row_adds_is_nothing_to_speak_of() -> None:
    draw = np.random.default_rng(1)
    rows = draw.lognormal(1, 1, (2_000, len(NAMES)))
    classifier = Classifier(COLUMNS)
    classifier.observe(rows)
    classifier.learn(rows, (rows[:, NAMES.index("amount_ratio")] > 8).astype(np.float64))
    curve = parse_prior((CONFIG / "models/prior.toml").read_text(), "prior.toml")
    model = Model.day_one("layout", curve)
    assert model.grounds(rows) is None
    progress = Progress(LEAST_FRAUDS, LEAST_ORDINARY, LEAST_ORDINARY, 1.0, 2.0, 10.0)
    plan = SurprisePlan(SURPRISE_FEATURES, tuple(NUMBER_OF[name] for name in SURPRISE_FEATURES), window=10)
    learning = plan.begin()
    learning.learn(plan.see(rows[:10]), np.zeros(10))
    grid = Percentile(np.array([0.0, 100.0]), np.array([0.0, 1.0]))
    known = Labelled(KIND, classifier.dump(), progress, {}, {}, {})
    snapshot = Snapshot("layout", plan.names, learning.detector(), grid, 10, 10, 1, {}, {}, 1.0, known)
    taught = Model.trained(snapshot, curve)
    assert taught.grounds(classifier.usual[None, :]).tolist() == [[0.0] * len(NAMES)]  # type: ignore[union-attr]
    dear = classifier.usual.copy()
    dear[NAMES.index("amount_ratio")] = 40.0
    (told,) = reasons(taught.grounds(dear[None, :]), dear[None, :])
    assert told[0] == Reason("amount", {"amount_ratio": 40})

"""Which changes of a model lie outside the bands, and what the learner does with a version that does."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from release_world import CURVE, KEY, NOW, Town, figures, snapshot

from models.bands import LEAST_ROWS, Bands, Reliability, judge, reliability
from models.progress import Progress
from models.recent import EVERY, SAMPLE_ROWS, RowSample, Told
from models.river_logistic import KIND, Logistic
from models.scorer import Model
from models.snapshot import Labelled, Snapshot, open_sealed, seal
from pipeline.core.features import CATALOGUE, ENTITY_FEATURES, SCALES
from pipeline.core.model_report import Report, open_report
from pipeline.core.models_file import ModelsError, parse_models
from pipeline.core.topics import (
    CONTROL,
    MODEL_KEY,
    MODEL_ORDER_KEY,
    MODEL_REPORT_KEY,
    MODEL_WITHHELD_KEY,
    is_kept_key,
)
from pipeline.ports import Outgoing
from pipeline.roles.learner.kinds import KINDS
from pipeline.roles.learner.metrics import BANDS, LearnerMetrics
from pipeline.roles.learner.release import KEPT_EVERY_S, ReleasePlan, Releasing

NOTHING = Reliability(None, None)
STEADY = np.random.default_rng(4).beta(0.2, 6, 2_000)


def outside(scores: np.ndarray, before: np.ndarray | None = STEADY, grown: bool = True, known: Reliability = NOTHING):  # type: ignore[no-untyped-def]  # a set of names
    return {one.band for one in judge(Bands(), [0.15, 0.4], scores, before, grown, known).outside}


def test_a_version_that_says_the_same_or_nearly_lies_inside() -> None:
    assert outside(STEADY) == set()
    assert outside(np.clip(STEADY * 1.03, 0, 1)) == set()


def test_each_change_is_found_by_its_band() -> None:
    flood = np.where(np.arange(2_000) % 5 == 0, 0.6, STEADY)
    assert {"half_share", "alert_factor", "drift"} <= outside(flood)
    assert "alert_factor" in outside(STEADY * 0.2), "a model that goes quiet is as wrong as one that cries"
    assert outside(flood, grown=False) == outside(flood, before=None) == {"half_share"}
    assert outside(flood[: LEAST_ROWS - 1]) == set(), "too few rows to say"
    assert outside(STEADY, known=Reliability(0.3, 1.0)) == {"ece"}
    assert outside(STEADY, known=Reliability(0.0, 0.3)) == {"slope_low"}
    assert outside(STEADY, known=Reliability(0.0, 3.0)) == {"slope_high"}
    assert outside(STEADY, known=Reliability(math.nan, math.nan)) == {"ece", "slope_low", "slope_high"}


@pytest.mark.parametrize("slope", [0.4, 1.0, 2.5])
def test_slope_is_found_of_rows_that_came_true_by_it(slope: float) -> None:
    rng = np.random.default_rng(7)
    z = rng.normal(0, 1.2, 20_000)
    fraud = (rng.random(20_000) < 1 / (1 + np.exp(-slope * z))).astype(float)
    found = reliability(1 / (1 + np.exp(-z)), fraud, np.ones(20_000))
    assert found.slope == pytest.approx(slope, rel=0.15)
    assert found.ece is not None
    assert (found.ece < 0.02) == (slope == 1.0)
    assert reliability(np.full(400, 0.5), np.ones(400), np.ones(400)) == NOTHING


def test_the_sample_is_every_fifth_of_the_newest_rows_however_they_come() -> None:
    rows = np.arange(SAMPLE_ROWS * EVERY * 2.0)[:, None]
    whole, pieces = RowSample(), RowSample()
    whole.add(rows)
    for start in range(0, len(rows), 37):
        pieces.add(rows[start : start + 37])
    newest = rows[SAMPLE_ROWS * EVERY :: EVERY]
    assert sorted(whole.rows()[:, 0]) == sorted(pieces.rows()[:, 0]) == newest[:, 0].tolist()
    told = Told()
    told.add_all([0.9], [True], [2.0])
    assert told.rows().tolist() == [[0.9, 1.0, 2.0]]


# --- the learner


def classified(number: int, weight: float, labelled: float = 50_000.0) -> Snapshot:
    """Whose classifier says the same of all rows: the more, the higher ``weight``."""
    numbers = {**Logistic(SCALES, len(ENTITY_FEATURES)).dump()}
    numbers["state"] = np.array([weight, 1.0, len(ENTITY_FEATURES), 0.02, 10.0])
    done = Progress(labelled / 2, labelled / 2, 5_000.0, 1.0, 2.0, 100.0)
    return replace(snapshot(number), labelled=Labelled(KIND, numbers, done, {}, {}, {}))


class Desk:
    """A learner's releasing, and a `control` it writes to."""

    def __init__(self) -> None:
        self.town = Town()
        self.registry = CollectorRegistry()
        self.metrics = LearnerMetrics(self.registry)
        plan = ReleasePlan(Bands(), lambda: [0.15, 0.4], lambda made: Model.trained(made, CURVE))
        self.releasing = Releasing(plan, KEY, self.metrics)
        for record in self.town.log.all(CONTROL):
            self.releasing.hear(record)
        self.sample = np.full((1_000, len(CATALOGUE)), 0.5)

    def publish(self, made: Snapshot) -> list[Outgoing]:
        told = self.releasing.records(made, seal(made, KEY), self.sample, NOTHING, Report(self.town.clock.time, None))
        for one in told:
            self.town.put(one.key or b"", one.value)
        return told


def test_a_version_outside_is_withheld_and_the_one_before_repeated_with_the_reason() -> None:
    desk = Desk()
    good, wild, better = classified(1, -2.0), classified(2, 6.0), classified(3, -2.1)
    assert desk.publish(good)[0] == Outgoing(MODEL_KEY, seal(good, KEY))
    told = {one.key: one.value for one in desk.publish(wild)}
    assert (told[MODEL_WITHHELD_KEY], told[MODEL_KEY]) == (seal(wild, KEY), seal(good, KEY))
    report = open_report(told[MODEL_REPORT_KEY], KEY)
    assert report.judged is not None
    assert report.judged.version == wild.version
    assert {one.band for one in report.judged.outside} >= {"half_share", "alert_factor"}
    seen = figures(desk.registry)
    assert seen["cardwatch_model_withheld/half_share"] == 1
    assert desk.town.board().release.in_force == desk.town.board().find(good.version)
    assert desk.publish(better)[0].key == MODEL_KEY
    assert {figures(desk.registry)[f"cardwatch_model_withheld/{band}"] for band in BANDS} == {0}


def test_a_young_model_may_change_with_its_labels() -> None:
    desk = Desk()
    desk.publish(classified(1, -2.0, labelled=4_000))
    assert desk.publish(classified(2, 1.0, labelled=5_000))[0].key == MODEL_KEY
    assert desk.publish(classified(3, 6.0, labelled=6_000))[0].key == MODEL_WITHHELD_KEY


def test_after_a_promotion_the_bands_are_asked_beside_the_version_promoted() -> None:
    desk = Desk()
    desk.publish(classified(1, -2.0))
    quiet, like_it = classified(2, -6.0), classified(3, -6.1)
    assert desk.publish(quiet)[0].key == MODEL_WITHHELD_KEY
    desk.town.order("promote", quiet.version)
    desk.releasing.hear(desk.town.log.all(CONTROL)[-1])
    assert desk.town.log.all(CONTROL)[-1].key == MODEL_ORDER_KEY
    assert desk.publish(like_it)[0].key == MODEL_KEY
    assert desk.publish(classified(4, -2.0))[0].key == MODEL_WITHHELD_KEY


def test_versions_of_ten_minutes_an_hour_and_a_day_ago_are_kept_and_no_more() -> None:
    desk, minutes = Desk(), 2 * 24 * 60
    for number in range(1, minutes // 10 + 2):
        desk.publish(snapshot(number))
        desk.town.clock.time += 600
    kept = {
        record.key: open_sealed(record.value or b"", KEY).learned // 200
        for record in desk.town.log.all(CONTROL)
        if is_kept_key(record.key)
    }
    ages = [minutes // 10 + 1 - number for number in kept.values()]
    assert len(ages) == len(KEPT_EVERY_S)
    assert ages[0] == 1
    assert 1 < ages[1] <= 8 < ages[2] <= 6 * 24 + 8 < ages[3], "in steps of ten minutes"


def test_a_learner_that_starts_again_knows_what_is_live_and_what_is_kept() -> None:
    desk = Desk()
    for number in (1, 2):
        desk.publish(classified(number, -2.0))
    later = Desk()
    for record in desk.town.log.all(CONTROL):
        later.releasing.hear(record)
    later.town.clock.time = NOW + 60
    told = later.publish(classified(3, 6.0))
    assert [one.key for one in told] == [MODEL_WITHHELD_KEY, MODEL_KEY, MODEL_REPORT_KEY]
    assert told[1].value == seal(classified(2, -2.0), KEY)
    assert not any(is_kept_key(one.key) for one in later.publish(classified(4, -2.0))), "one was kept a minute ago"


# --- the file


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[bands]\nhalf_shar = 0.1", 2), ("[bands]\n\nece = 'x'", 3), ("[bands]\nalert_factor = 0.5", 2),
        ("[bands]\nece = -1", 2), ("[bands]\nece = nan", 2), ("[bands]\nslope_low = 3", 2), ("[band]\n", 1), ("bands = 3", 1),
        ("[bands", 1), ("[bands]\nece = true", 2),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ModelsError, match=f"^models.toml:{line}: "):
        parse_models(text, "models.toml", KINDS)


def test_the_file_delivered_says_what_holds_without_one() -> None:
    text = (Path(__file__).parents[2] / "config/models.toml").read_text()
    assert parse_models(text, "models.toml", KINDS).bands == parse_models("", "models.toml", KINDS).bands == Bands()

"""Settings of the learner: defaults, and clear words for what is missing or too large."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from models.half_space_trees import Shape
from models.river_logistic import Logistic
from models.surprise import SurprisePlan
from models.trees_detector import TreesPlan
from pipeline.core.features import CATALOGUE, MODEL_FEATURES, SURPRISE_FEATURES, UNIT
from pipeline.roles.learner.labelled import LabelPlan
from pipeline.roles.learner.settings import LearnerSettings

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_SNAPSHOT_KEY", KEY)


def test_defaults() -> None:
    settings = LearnerSettings()
    detector = settings.plan.detector
    assert isinstance(detector, SurprisePlan)
    assert [CATALOGUE[number].name for number in detector.columns] == list(SURPRISE_FEATURES)
    assert detector._replace(columns=()) == SurprisePlan(SURPRISE_FEATURES, (), 1_000, 30 * 86_400.0)
    assert settings.pace.snapshot_s == 30
    assert settings.signing_key == KEY.encode()


def test_the_environment_shapes_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DETECTOR": "half_space_trees",
        "TREES": 10,
        "HEIGHT": 6,
        "WINDOW": 500,
        "SEED": 9,
        "MAX_RATE": 50,
        "SNAPSHOT_SECONDS": 5,
    }.items():
        monkeypatch.setenv(f"CARDWATCH_LEARNER_{name}", str(value))
    settings = LearnerSettings()
    assert settings.plan.detector == TreesPlan(Shape(10, 6, 500, 9), MODEL_FEATURES, UNIT)
    assert (settings.plan.max_rate, settings.pace.snapshot_s) == (50, 5)


def test_the_key_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CARDWATCH_SNAPSHOT_KEY")
    (tmp_path / "key").write_text("another key of some length\n")
    monkeypatch.setenv("CARDWATCH_SNAPSHOT_KEY_FILE", str(tmp_path / "key"))
    assert LearnerSettings().signing_key == b"another key of some length"


def test_no_key_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARDWATCH_SNAPSHOT_KEY")
    with pytest.raises(ValidationError, match=r"CARDWATCH_SNAPSHOT_KEY .* is missing"):
        LearnerSettings()


def test_a_short_key_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_SNAPSHOT_KEY", "topsecret")
    with pytest.raises(ValidationError, match="has 9 bytes: give it 16 or more") as refused:
        LearnerSettings()
    assert "topsecret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DETECTOR", "forest", "'surprise' or 'half_space_trees'"),
        ("HORIZON_DAYS", "0", "greater than 0"),
        ("TREES", "0", "greater than or equal to 1"),
        ("HEIGHT", "99", "less than or equal to 14"),
        ("WINDOW", "0", "greater than or equal to 1"),
        ("HEIGHT", "12", "larger than one record"),
        ("MAX_RATE", "0", "greater than 0"),
        ("WAITING_DAYS", "30", "must be more than CARDWATCH_LEARNER_MATURITY_DAYS 30"),
        ("UNLABELLED_WEIGHT", "0", "greater than 0"),
        ("WAITING_MB", "1", "greater than or equal to 8"),
    ],
)
def test_what_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(f"CARDWATCH_LEARNER_{name}", value)
    with pytest.raises(ValidationError, match=says):
        LearnerSettings()


def test_how_to_learn_from_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan() -> LabelPlan:
        return LearnerSettings().labels(lambda: Logistic(np.ones((2, 4))), 2, lambda percentile: percentile)

    assert plan()[1:2] == (2,)
    assert plan()[3:7] == (60 * 86_400.0, 30 * 86_400.0, 1.0, 1_024_000_000)
    monkeypatch.setenv("CARDWATCH_LEARNER_MATURITY_DAYS", "0")
    assert plan().maturity_s is None

"""What an operator may set for the learner: ``CARDWATCH_LEARNER_…``, and the key its snapshots are signed with."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from models.detector import DetectorPlan
from models.half_space_trees import EXACT_INTEGERS, Shape
from models.labelled_model import Floats, LabelledModel
from models.surprise import SurprisePlan
from models.trees_detector import MAX_HEIGHT, MAX_TREES, MAX_WINDOW, TreesPlan, fits
from pipeline.core.features import MODEL_FEATURES, NUMBER_OF, SURPRISE_FEATURES, UNIT
from pipeline.roles.learner.course import Plan
from pipeline.roles.learner.customers import CustomerPace
from pipeline.roles.learner.labelled import LabelPlan
from pipeline.roles.learner.world import Pace
from pipeline.settings import PREFIX, Settings

LEAST_KEY_BYTES = 16
DAY_S = 86_400.0


class LearnerSettings(Settings):
    """The surprise costs about 0.2 µs a row to learn; 25 trees of height 8, the size of the paper, about 18 µs (50 trees: 34
    µs). Another detector, or a changed horizon, window, shape or seed, begins a new model."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # the input holds secrets

    learner_detector: Literal["surprise", "half_space_trees"] = "surprise"
    learner_horizon_days: float = Field(default=30.0, gt=0)
    learner_trees: int = Field(default=25, ge=1, le=MAX_TREES)
    learner_height: int = Field(default=8, ge=1, le=MAX_HEIGHT)
    learner_window: int = Field(default=1_000, ge=1, le=MAX_WINDOW)
    learner_seed: int = 7
    learner_snapshot_seconds: float = Field(default=30.0, ge=0)
    learner_max_rate: float = Field(default=5_000.0, gt=0)
    learner_grid_rows: int = Field(default=20_000, ge=100, le=200_000)

    learner_waiting_days: float = Field(default=60.0, gt=0)
    learner_waiting_mb: int = Field(default=1_024, ge=8)
    learner_maturity_days: float = Field(default=30.0, ge=0)
    """Without a label for so long: taken for genuine. 0: never."""
    learner_archive_dir: Path | None = None
    """The archive's directory: transactions that wait no more are looked up there when their label comes."""
    learner_unlabelled_weight: float = Field(default=1.0, gt=0, le=1)

    learner_customer_seconds: float = Field(default=3_600.0, gt=0, le=DAY_S)
    learner_customer_days: float = Field(default=180.0, ge=90)
    """Without a payment for so long a customer is let go of; what fades is next to nothing by then."""

    def labels(
        self, classifier: Callable[[], LabelledModel], columns: int, prior: Callable[[Floats], Floats]
    ) -> LabelPlan:
        """How to learn from labels, with this classifier of ``columns`` features, better than this prior."""
        return LabelPlan(
            classifier, columns, prior,
            keep_s=self.learner_waiting_days * DAY_S,
            maturity_s=self.learner_maturity_days * DAY_S or None,
            unlabelled_weight=self.learner_unlabelled_weight,
            most_bytes=self.learner_waiting_mb * 1_000_000,
            archived=self.learner_archive_dir is not None,
        )  # fmt: skip

    @property
    def plan(self) -> Plan:
        return Plan(self.detector, self.learner_max_rate, self.learner_grid_rows)

    @property
    def detector(self) -> DetectorPlan:
        """What learns without labels."""
        if self.learner_detector == "half_space_trees":
            shape = Shape(self.learner_trees, self.learner_height, self.learner_window, self.learner_seed)
            return TreesPlan(shape, MODEL_FEATURES, UNIT)
        columns = tuple(NUMBER_OF[name] for name in SURPRISE_FEATURES)
        return SurprisePlan(SURPRISE_FEATURES, columns, self.learner_window, self.learner_horizon_days * DAY_S)

    @property
    def pace(self) -> Pace:
        return Pace(snapshot_s=self.learner_snapshot_seconds)

    @property
    def customer_pace(self) -> CustomerPace:
        return CustomerPace(self.learner_customer_seconds, self.learner_customer_days * DAY_S)

    @property
    def signing_key(self) -> bytes:
        assert self.snapshot_key is not None, "checked when the settings were read"
        return self.snapshot_key.get_secret_value().encode()

    @model_validator(mode="after")
    def _check(self) -> "LearnerSettings":
        if self.snapshot_key is None:
            raise ValueError(
                f"{PREFIX}SNAPSHOT_KEY (or {PREFIX}SNAPSHOT_KEY_FILE) is missing: the learner signs its models with "
                "it, and scorers take no model signed with another"
            )
        if len(self.signing_key) < LEAST_KEY_BYTES:
            raise ValueError(
                f"{PREFIX}SNAPSHOT_KEY has {len(self.signing_key)} bytes: give it {LEAST_KEY_BYTES} or more"
            )
        if not fits(self.learner_trees, self.learner_height):
            raise ValueError(
                f"{PREFIX}LEARNER_TREES {self.learner_trees} × height {self.learner_height} make a snapshot larger "
                "than one record may be: lower one of them"
            )
        if self.learner_maturity_days >= self.learner_waiting_days:
            raise ValueError(
                f"{PREFIX}LEARNER_WAITING_DAYS {self.learner_waiting_days:g} must be more than "
                f"{PREFIX}LEARNER_MATURITY_DAYS {self.learner_maturity_days:g}: what is gone can count for nothing"
            )
        if self.learner_trees * self.learner_window * 2 ** (self.learner_height + 1) >= EXACT_INTEGERS:
            raise ValueError(f"{PREFIX}LEARNER_WINDOW is too large for this many trees: their sums would be rounded")
        return self

"""The models a process has at hand, and which of them is in force: `model_release` with the models themselves.

Scorer, learner and command line read the same records of `control` through it, so they agree.
"""

from collections.abc import Callable

import numpy as np

from models.calibrate import PriorCurve
from models.scorer import Model
from models.snapshot import Snapshot, SnapshotRefused, open_sealed
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.model_order import open_order, version_of
from pipeline.core.model_release import Release


def fitting(snapshot: Snapshot, curve: PriorCurve) -> Model:
    """The model in ``snapshot``. Raises ValueError where it was not made for this catalogue of features."""
    if snapshot.layout != LAYOUT:
        raise SnapshotRefused(f"made for features {snapshot.layout}, this installation has {LAYOUT}")
    if tuple(CATALOGUE[number].name for number in snapshot.detector.columns.tolist()) != snapshot.names:
        raise SnapshotRefused("it looks at other features than it names")
    model = Model.trained(snapshot, curve)
    model.scores(np.zeros((1, len(CATALOGUE))))  # fits what will be asked
    return model


class ModelShelf:
    """``key`` signs; ``made`` makes a model of a snapshot, or raises ValueError where it does not fit this installation."""

    def __init__(self, key: bytes, made: Callable[[Snapshot], Model]) -> None:
        self.release = Release()
        self._key = key
        self._made = made
        self._models: dict[str, Model] = {}

    def take_model(self, sealed: bytes) -> Snapshot:
        """A version that the learner released. Raises SnapshotRefused or ValueError; then nothing changes."""
        snapshot = open_sealed(sealed, self._key)
        if snapshot.epoch < self.release.epoch:
            raise SnapshotRefused(f"learner epoch {snapshot.epoch} is over: {self.release.epoch} is in force")
        self._take(snapshot, self.release.released(version_of(snapshot)))
        return snapshot

    def take_order(self, record: bytes) -> bool:
        """What somebody ordered; False: nothing new. Raises SealBroken, SnapshotRefused or ValueError; then nothing
        changes."""
        ordered = open_order(record, self._key)
        release = self.release.ordered(ordered.order)
        if release is self.release:
            return False
        self._take(ordered.snapshot, release)
        return True

    def _take(self, snapshot: Snapshot, release: Release) -> None:
        version = snapshot.version
        if version not in self._models:
            self._models[version] = self._made(snapshot)
        self.release = release
        order = release.order
        wanted = {newest.name for newest in release.newest.values()} | ({order.version.name} if order else set())
        self._models = {name: model for name, model in self._models.items() if name in wanted}

    @property
    def in_force(self) -> Model | None:
        """None before the first."""
        version = self.release.in_force
        return None if version is None else self._models[version.name]

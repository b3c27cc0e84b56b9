"""What people see of the models, and the orders they give: `control` read to its end, and the one record to be written.

Command line and console use it. Which version an order names is settled here, once, and written down: no worker has to
find out for itself what "the one in force" or "the one before" was.
"""

from collections.abc import Iterator
from typing import NamedTuple

from models.envelope import SealBroken
from models.snapshot import Snapshot, SnapshotRefused, open_named, open_sealed, seal
from pipeline.core.model_order import MAX_TEXT, open_order, seal_order, version_of
from pipeline.core.model_release import Action, Order, Release, Version
from pipeline.core.model_report import Report, open_report
from pipeline.core.topics import (
    MODEL_KEY,
    MODEL_ORDER_KEY,
    MODEL_REPORT_KEY,
    MODEL_WITHHELD_KEY,
    Outgoing,
    Record,
    challenger_name,
    is_kept_key,
    kept_key,
)

PEOPLES_SLOT = 0
"""Where the version is kept that an order replaced; the learner's own slots follow."""
LEAST_PREFIX = 6
"""So many characters of a version's digest name it, where they are no other's."""


class OrderRefused(Exception):
    """Why an order is not given: a sentence."""


class Shown(NamedTuple):
    """A version at hand. ``state`` in_force, released, withheld, challenger or kept; ``made_at`` unix seconds, when `control` got it;
    ``as_of`` its newest event time."""

    version: Version
    state: str
    made_at: float
    as_of: float
    calibrated: bool


class ModelBoard:
    """``key`` opens and signs. Feed it `control` from its beginning, then ask."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.release = Release()
        self.report: Report | None = None
        self.winner: bytes | None = None
        """The order that counts, as it stands on `control` …"""
        self.newest_order: bytes | None = None
        """… and the one written last: what compaction leaves. Two people may have ordered at the same moment."""
        self._sealed: dict[str, bytes] = {}
        self._shown: dict[str, Shown] = {}
        self._of_key: dict[bytes, str] = {}

    def take(self, record: Record) -> None:
        """A record of `control`; one that is none of ours, or not genuine, changes nothing."""
        key, value = record.key, record.value
        if not key:
            return
        if not value:
            self._of_key.pop(key, None)  # a challenger that is none any more
            return
        try:
            if key in (MODEL_KEY, MODEL_WITHHELD_KEY) or is_kept_key(key) or challenger_name(key) is not None:
                self._take_version(key, value, record.timestamp / 1000)
            elif key == MODEL_ORDER_KEY:
                ordered = open_order(value, self._key)
                self.newest_order = value
                self.release = self.release.ordered(ordered.order)
                if self.release.order == ordered.order:
                    self.winner = value
                    self._know(key, ordered.snapshot, ordered.sealed, record.timestamp / 1000)
            elif key == MODEL_REPORT_KEY:
                self.report = open_report(value, self._key)
        except (SealBroken, SnapshotRefused):
            return

    def _take_version(self, key: bytes, sealed: bytes, at: float) -> None:
        snapshot = open_sealed(sealed, self._key)
        if key == MODEL_KEY:
            if snapshot.epoch < self.release.epoch:
                return
            self.release = self.release.released(version_of(snapshot))
        self._know(key, snapshot, sealed, at)

    def know(self, sealed: bytes, version: str) -> None:
        """A version from elsewhere, the archive: known by its content, signed anew with today's key. Raises
        SnapshotRefused."""
        snapshot = open_named(sealed, version)
        self._know(b"archive", snapshot, seal(snapshot, self._key), 0.0)

    def _know(self, key: bytes, snapshot: Snapshot, sealed: bytes, at: float) -> None:
        """Under one key stands one version: the one before it is gone unless another key has it."""
        name = snapshot.version
        self._of_key[key] = name
        self._sealed[name] = sealed
        known = self._shown.get(name)
        made_at = at if known is None else min(at, known.made_at)
        self._shown[name] = Shown(version_of(snapshot), "kept", made_at, snapshot.as_of, snapshot.qualified)
        there = set(self._of_key.values())
        self._shown = {name: shown for name, shown in self._shown.items() if name in there}
        self._sealed = {name: sealed for name, sealed in self._sealed.items() if name in there}

    def versions(self) -> list[Shown]:
        """All at hand, the newest first."""
        return sorted(self._states(), key=lambda shown: (shown.version.mark, shown.made_at), reverse=True)

    def _states(self) -> Iterator[Shown]:
        force, challengers = self.release.in_force, self.challengers()
        for name, shown in self._shown.items():
            state = "kept"
            if force is not None and name == force.name:
                state = "in_force"
            elif name == self._of_key.get(MODEL_WITHHELD_KEY) and self._newer(shown.version):
                state = "withheld"
            elif name == self._of_key.get(MODEL_KEY):
                state = "released"
            elif name in challengers.values():
                state = "challenger"
            yield shown._replace(state=state)

    def challengers(self) -> dict[str, str]:
        """Name → newest version of each model that scores beside the one in force."""
        force = self.release.in_force
        named = {challenger_name(key): version for key, version in self._of_key.items()}
        return {name: version for name, version in named.items() if name and (force is None or name != force.model)}

    def _newer(self, version: Version) -> bool:
        """Than what was released: one withheld before that matters no more."""
        newest = self.release.newest.get(version.model)
        return newest is None or version.mark > newest.mark

    def find(self, text: str) -> Version:
        """The version of this name, or of a digest that begins so, or of the challenger of this name. Raises OrderRefused."""
        text = self.challengers().get(text, text)
        found = [
            shown.version
            for name, shown in self._shown.items()
            if text == name or (len(text) >= LEAST_PREFIX and any(part.startswith(text) for part in name.split("-")))
        ]
        if len(found) != 1:
            what = "there is no such version at hand" if not found else "several versions are called so"
            raise OrderRefused(f"{text}: {what}; `cardwatch model list` shows them")
        return found[0]

    def order(self, action: Action, target: str, by: str, why: str, at: str) -> list[Outgoing]:
        """The records that give an order; ``target`` where the action has one. Raises OrderRefused."""
        if not by or max(len(by), len(why)) > MAX_TEXT:
            raise OrderRefused(f"who orders must be told, in at most {MAX_TEXT} characters, and so why")
        force, before = self.release.in_force, self.release.order
        if force is None:
            raise OrderRefused("no model was ever released: there is nothing to give an order about")
        version = self._wanted(action, target, force)
        newest = self.release.newest.get(version.model)
        order = Order(
            sequence=before.sequence + 1 if before else 1, action=action, by=by, why=why, at=at, version=version,
            after=max(version.mark, newest.mark) if newest else version.mark,
            replaced=force.name if version != force else "",
        )  # fmt: skip
        made = [seal_order(order, self._sealed[version.name], self._key)]
        if version != force:
            made.insert(0, Outgoing(kept_key(PEOPLES_SLOT), self._sealed[force.name]))
        return made

    def _wanted(self, action: Action, target: str, force: Version) -> Version:
        frozen = self.release.frozen
        if action == "freeze":
            if frozen:
                raise OrderRefused(f"{force.name} is kept already")
            return force
        if action == "unfreeze":
            if not frozen:
                raise OrderRefused("nothing is frozen: versions inside the bands go live by themselves")
            return force
        if action == "rollback":
            return self._before(force)
        version = self.find(target)
        if action == "pin":
            if frozen and version == force:
                raise OrderRefused(f"{force.name} is kept already")
            return version
        newest = self.release.newest.get(version.model)
        if version == force and not frozen:
            raise OrderRefused(f"{force.name} is in force already")
        if newest is not None and version.model == force.model and version.mark < min(newest.mark, force.mark):
            raise OrderRefused(f"{version.name} is older than what is in force: to go back to it, pin it")
        return version

    def _before(self, force: Version) -> Version:
        order = self.release.order
        if order is not None and order.action in ("promote", "pin") and order.version == force:
            shown = self._shown.get(order.replaced)
            if shown is not None:
                return shown.version
        earlier = [shown.version for shown in self._shown.values() if shown.version.mark < force.mark]
        if not earlier:
            raise OrderRefused("no earlier version is at hand; with the archive's directory here, pin one from it")
        return max(earlier, key=lambda version: version.mark)

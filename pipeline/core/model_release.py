"""Which version of a model is in force: what the learner releases by itself, and what people ordered.

Two things are told on `control`: versions that the learner released, because they lie inside the bank's bands, and orders
of people. The answer depends on *which* were told, never on how often or in what order: of one model the version with
the greatest mark counts, and of all orders the one with the highest sequence. So every worker comes to the same answer,
after a restart, too, and an old order that is written once more changes nothing.

                         ┌────────── the learner releases a newer version ─────────┐
                         ▼                                                         │
    (nothing ordered) following ──freeze, pin, rollback──▶ holding one version     │
                         ▲ └───────────────────────────────────────────────────────┘
                         └──unfreeze, promote── (goes on from the version named, to those made after it)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

Action = Literal["freeze", "unfreeze", "pin", "rollback", "promote"]
HOLDING: tuple[Action, ...] = ("freeze", "pin", "rollback")
"""What keeps one version until somebody orders otherwise; the others go on from theirs."""


class Mark(NamedTuple):
    """How far a version is in its model's life: the learner's epoch, then what was learned. Of two versions of one model
    the later made has the greater mark."""

    epoch: int
    learned: int


class Version(NamedTuple):
    """``name`` of the content; ``model``: of which of the bank's models."""

    name: str
    model: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody decided. ``sequence`` is one more than that of the order before; ``version`` the one to hold, or to go
    on from; ``after``: a version that the learner releases by itself takes its place from a greater mark on; ``replaced``
    names the version that was in force before, empty: none. ``at`` RFC 3339."""

    sequence: int
    action: Action
    by: str
    why: str
    at: str
    version: Version
    after: Mark
    replaced: str = ""

    @property
    def holds(self) -> bool:
        return self.action in HOLDING

    @property
    def rank(self) -> tuple[int, str, str, str, str, Mark, str, str]:
        """Of two orders the higher one counts. Two people at the same moment may both have taken the next number: then
        all readers choose the same."""
        name = self.version.name
        return self.sequence, self.at, self.by, self.action, name, self.after, self.why, self.replaced


@dataclass(frozen=True, slots=True)
class Release:
    """Everything told so far, as far as it matters. ``newest`` by model: the version released last."""

    newest: Mapping[str, Version] = field(default_factory=dict)
    order: Order | None = None

    def released(self, version: Version) -> "Release":
        """The learner released ``version``. (Equal marks are the same content, or a model begun anew under an epoch that
        a store forgot: then the one told last counts.)"""
        known = self.newest.get(version.model)
        if known is not None and version.mark < known.mark:
            return self
        return replace(self, newest={**self.newest, version.model: version})

    def ordered(self, order: Order) -> "Release":
        """Somebody told ``order``."""
        if self.order is not None and order.rank <= self.order.rank:
            return self
        return replace(self, order=order)

    @property
    def epoch(self) -> int:
        """The highest epoch of a learner: what an earlier one still says is void."""
        return max((version.mark.epoch for version in self.newest.values()), default=-1)

    @property
    def in_force(self) -> Version | None:
        """None: nothing was ever released or ordered."""
        order = self.order
        if order is None:
            return max(self.newest.values(), key=lambda version: (version.mark, version.name), default=None)
        if order.holds:
            return order.version
        newest = self.newest.get(order.version.model)
        return newest if newest is not None and newest.mark > order.after else order.version

    @property
    def frozen(self) -> bool:
        return self.order is not None and self.order.holds

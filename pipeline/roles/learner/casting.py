"""Who is champion and who are the challengers when a learner begins: people's order outranks the file, and each goes on
from what it had learned in the other part."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import structlog

from models.labelled_model import LabelledModel
from models.progress import Progress
from models.snapshot import Labelled, Snapshot
from pipeline.roles.learner.control import Found
from pipeline.roles.learner.course import Plan
from pipeline.roles.learner.labelled import Contender

_log = structlog.get_logger(__name__)


class Cast(NamedTuple):
    """``plan`` with the champion in its place; ``resumed`` the snapshot to go on from, as the champion's; ``rivals`` by name
    what the challengers had learned; ``gone``: names on `control` that are no model's any more."""

    plan: Plan
    resumed: Snapshot | None
    rivals: Mapping[str, Labelled]
    gone: tuple[str, ...]


def cast(plan: Plan, ordered: str | None, found: Found) -> Cast:
    """``ordered``: the model that people made champion, None: none."""
    labels = plan.labels
    if labels is None:
        return Cast(plan, found.snapshot, {}, tuple(found.challengers))
    if ordered is not None and ordered != plan.model:
        if ordered in labels.challengers:
            theirs = dict(labels.challengers)
            mine = theirs.pop(ordered)
            theirs[plan.model] = Contender(labels.classifier)
            labels = labels._replace(classifier=mine.make, challengers=theirs)
            plan = plan._replace(model=ordered, labels=labels)
        else:
            _log.warning(
                "learner: the model ordered champion is not in models.toml", ordered=ordered, goes_on=plan.model
            )
    base = found.snapshot
    parts = {name: made.labelled for name, made in found.challengers.items() if made.labelled is not None}
    if base is not None and base.labelled is not None:
        parts[base.model] = base.labelled
    resumed = base
    if base is not None and base.labelled is not None:
        kept = _kept(parts.get(plan.model), labels.classifier())
        places = base.labelled
        resumed = replace(
            base, model=plan.model,
            labelled=replace(places, kind=kept.kind, numbers=kept.numbers, progress=kept.progress),
        )  # fmt: skip
    rivals = {name: parts[name] for name in labels.challengers if name in parts}
    # What the one promoted had learned stays there until the champion's key holds it.
    gone = tuple(name for name in found.challengers if name not in labels.challengers and name != plan.model)
    return Cast(plan, resumed, rivals, gone)


def _kept(part: Labelled | None, made: LabelledModel) -> Labelled:
    """``part`` where it is of the kind that is ``made`` now; else nothing was learned."""
    if part is not None and part.kind == made.kind:
        return part
    return Labelled(made.kind, {}, Progress(), {}, {}, {})

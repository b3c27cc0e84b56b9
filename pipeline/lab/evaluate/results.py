"""The figures of a run: each file's folds, and what they come to: mean and standard deviation."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pipeline.lab.evaluate.measures import Measures


class Spread(msgspec.Struct, frozen=True):
    """Mean and standard deviation (n − 1) of those that could be said; ``n`` how many. ``sd`` None for fewer than 2."""

    mean: float
    sd: float | None
    n: int


class Speed(msgspec.Struct, frozen=True):
    """Wall-clock time of reading, scoring and learning; figures are worked out afterwards and not part of it."""

    seconds: float
    per_second: float


class FileResult(msgspec.Struct, frozen=True):
    """One stream. ``rows`` good and bad; ``left_out`` reason → rows; ``exempt`` reversals, clearings and credits: decided
    but not scored; ``labels`` shown to the learner; ``models`` put into force; ``groups``: average precision lost without each
    group of features, over the folds in which a classifier scored, where that was asked for."""

    file: str
    rows: int
    scored: int
    exempt: int
    left_out: Mapping[str, int]
    cards: int
    frauds: int
    days: int
    midnight: str
    labels: int
    calls: int
    models: int
    speed: Speed
    folds: list[Measures]
    over_folds: Mapping[str, Spread]
    groups: Mapping[str, Spread] = {}


class Evaluation(msgspec.Struct, frozen=True):
    """All of it, as `--json` prints it. ``over_files``: of the files' means over folds. ``by_delay``: the same figures
    with labels shown later or sooner, where that was asked for; days → name → spread. ``label_delay_days`` None: no label was ever shown."""

    simulated: bool
    label_delay_days: float | None
    calls_per_day: int
    cards_per_day: int
    model_every_minutes: float
    policy_version: str
    files: list[FileResult]
    over_files: Mapping[str, Spread]
    by_delay: Mapping[str, Mapping[str, Spread]]


def spread(values: Iterable[float | None]) -> Spread | None:
    """None when there is no value at all."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = math.fsum(known) / len(known)
    deviation = (
        math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)) if len(known) > 1 else None
    )
    return Spread(mean, deviation, len(known))


def over_folds(folds: Sequence[Measures], together: Mapping[str, float | None]) -> dict[str, Spread]:
    """Name → spread over ``folds``, of what can be said for at least one; ``together``: what is said of all at once."""
    return _spreads([fold.values for fold in folds]) | _spreads([together])


def over_groups(bought: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Group → spread over folds, the dearest first; a group of no worth in one fold counts 0 there."""
    known = [fold for fold in bought if fold]
    names = dict.fromkeys(name for fold in known for name in fold)
    spreads = _spreads([{name: fold.get(name, 0.0) for name in names} for fold in known])
    return dict(sorted(spreads.items(), key=lambda each: -each[1].mean))


def over_files(files: Sequence[FileResult]) -> dict[str, Spread]:
    """Name → spread over ``files``, each counting with its mean over folds."""
    return _spreads([{name: each.mean for name, each in file.over_folds.items()} for file in files])


def _spreads(values: Sequence[Mapping[str, float | None]]) -> dict[str, Spread]:
    names = dict.fromkeys(name for each in values for name in each)
    found = {name: spread(each.get(name) for each in values) for name in names}
    return {name: each for name, each in found.items() if each is not None}

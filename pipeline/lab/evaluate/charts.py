"""Where things stand in the report's pictures: from figures to points, in the units of the picture."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.lab.evaluate.calibration import Bin
from pipeline.lab.evaluate.results import Evaluation, FileResult

WIDTH, HEIGHT = 360.0, 240.0
LEFT, TOP, RIGHT, BOTTOM = 44.0, 20.0, 12.0, 34.0
LEAST_SHARE = 1e-4
"""The left end of the calibration plot's logarithmic axes: what is rarer is drawn there."""


class Tick(NamedTuple):
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


class Line(NamedTuple):
    """A line through ``points`` (as SVG wants them); ``number`` chooses its colour; ``title`` is told on hovering."""

    points: str
    number: int
    title: str


class Dot(NamedTuple):
    x: float
    y: float
    r: float
    number: int
    title: str


class Box(NamedTuple):
    """A bar from ``y`` down, ``height`` high; ``outline`` True: only its border."""

    x: float
    y: float
    width: float
    height: float
    number: int
    outline: bool
    title: str


class Chart(NamedTuple):
    """One picture. ``label`` is read to those who cannot see it."""

    label: str
    x_title: str
    y_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    boxes: Sequence[Box] = ()
    legend: Sequence[tuple[int, str]] = ()
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    top: float = TOP
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _shares(of: float = 1.0) -> list[float]:
    return [of * quarter / 4 for quarter in range(5)]


def _percent_ticks(place: Sequence[float], most: float) -> list[Tick]:
    return [Tick(at, f"{100 * share:.3g} %") for at, share in zip(place, _shares(most), strict=True)]


def precision_recall(file: FileResult, label: str, recall: str, precision: str, fold: str) -> Chart:
    """A stepped line a fold: recall to the right, precision upwards."""
    lines = []
    for number, each in enumerate(file.folds):
        points, before = [], None
        for found, right, _ in each.curve:
            if before is not None:
                points.append(f"{_x(found)},{_y(before)}")
            points.append(f"{_x(found)},{_y(right)}")
            before = right
        lines.append(Line(" ".join(points), number, fold.format(n=number + 1)))
    x_ticks = _percent_ticks([_x(share) for share in _shares()], 1.0)
    y_ticks = _percent_ticks([_y(share) for share in _shares()], 1.0)
    return Chart(
        label, recall, precision, x_ticks, y_ticks, lines, legend=[(each.number, each.title) for each in lines]
    )


def cards_by_day(file: FileResult, label: str, day: str, precision: str) -> Chart:
    """A bar a day, in the outline of what was possible; folds side by side."""
    days = [(number, called) for number, fold in enumerate(file.folds) for called in fold.card_precision_by_day]
    most = max([called.best for _, called in days] + [0.01])
    room = 1.0 / max(len(days), 1)
    boxes = []
    for place, (number, called) in enumerate(days):
        title = f"{day} {called.day}: {called.precision:.2f} / {called.best:.2f}"
        for value, outline in ((called.best, True), (called.precision, False)):
            boxes.append(_bar(place * room + 0.1 * room, 0.8 * room, value / most, number, outline, title))
    wanted = [place for place in range(len(days)) if place % max(len(days) // 7, 1) == 0]
    x_ticks = [Tick(_x((place + 0.5) * room), str(days[place][1].day)) for place in wanted]
    return Chart(label, day, precision, x_ticks, _percent_ticks([_y(share) for share in _shares()], most), boxes=boxes)


def _bar(left: float, width: float, height: float, number: int, outline: bool, title: str) -> Box:
    y = _y(height)
    return Box(
        _x(left), y, round(_x(left + width) - _x(left), 1), round(HEIGHT - BOTTOM - y, 1), number, outline, title
    )


def detected(file: FileResult, label: str, words: Sequence[str]) -> Chart:
    """Three bars at each ratio, ``words`` for them: accounts, value, savable value; means over the folds."""
    ratios = (5, 10, 20)
    boxes, ticks = [], []
    for place, ratio in enumerate(ratios):
        for number, name in enumerate(("accounts", "value", "savable")):
            found = file.over_folds.get(f"{name}_{ratio}")
            if found is not None:
                title = f"{words[number]}, {ratio}:1: {100 * found.mean:.1f} %"
                boxes.append(_bar((place + 0.14 + 0.25 * number) / 3, 0.22 / 3, found.mean, number, False, title))
        ticks.append(Tick(_x((place + 0.5) / 3), f"{ratio}:1"))
    y_ticks = _percent_ticks([_y(share) for share in _shares()], 1.0)
    return Chart(label, "", "", ticks, y_ticks, boxes=boxes, legend=list(enumerate(words)))


def calibration(file: FileResult, label: str, score: str, share: str, fold: str) -> Chart:
    """A dot a group of scores, both axes logarithmic; the diagonal is right."""
    dots = []
    for number, each in enumerate(file.folds):
        for found in {*each.calibration, *each.calibration_above}:
            title = f"{fold.format(n=number + 1)}: {found.mean:.4f} → {found.share:.4f} (n = {found.n:,})"
            dots.append(Dot(_x(_log(found.mean)), _y(_log(found.share)), _radius(found), number, title))
    dots.sort()
    marks = [Tick(_log(10.0**-power), f"{10.0**-power:g}") for power in range(4, -1, -1)]
    diagonal = Line(f"{_x(0)},{_y(0)} {_x(1)},{_y(1)}", -1, "")
    x_ticks = [Tick(_x(mark.at), mark.text) for mark in marks]
    y_ticks = [Tick(_y(mark.at), mark.text) for mark in marks]
    legend = [(number, fold.format(n=number + 1)) for number in range(len(file.folds))]
    return Chart(label, score, share, x_ticks, y_ticks, [diagonal], dots, legend=legend)


def _log(share: float) -> float:
    """0 at `LEAST_SHARE`, 1 at 1."""
    return 1.0 - math.log(max(share, LEAST_SHARE)) / math.log(LEAST_SHARE)


def _radius(found: Bin) -> float:
    return round(min(2.0 + math.log10(found.n) / 2, 5.0), 1)


def by_delay(evaluation: Evaluation, label: str, delay: str, precision: str) -> Chart | None:
    """Average precision at each label delay; None where only one was tried."""
    tried = {float(days): found for days, found in evaluation.by_delay.items()}
    if evaluation.label_delay_days is not None:
        tried[evaluation.label_delay_days] = evaluation.over_files
    found = sorted((days, each["average_precision"]) for days, each in tried.items() if "average_precision" in each)
    if len(found) < 2:
        return None
    longest = max(found[-1][0], 1e-9)
    most = max(spread.mean for _, spread in found) or 1.0
    places = [(_x(days / longest), _y(spread.mean / most), days, spread) for days, spread in found]
    dots = [Dot(x, y, 4.0, 0, f"{days:g}: {spread.mean:.3f}") for x, y, days, spread in places]
    line = Line(" ".join(f"{x},{y}" for x, y, _, _ in places), 0, precision)
    x_ticks = [Tick(x, f"{days:g}") for x, _, days, _ in places]
    y_ticks = [Tick(_y(share), f"{most * share:.2f}") for share in _shares()]
    return Chart(label, delay, precision, x_ticks, y_ticks, [line], dots)

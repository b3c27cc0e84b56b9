"""The figures as a picture: an SVG that needs nothing from elsewhere and reads on light and on dark ground."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.lab.bench.figures import Spread
from pipeline.lab.bench.options import OURS, TITLES
from pipeline.lab.bench.report import number, rates

Figures = Mapping[str, Spread]

LEFT, WIDTH, RIGHT = 230, 360, 150
ROW, BAR, HEAD, GAP = 24, 14, 34, 22
TOP, BOTTOM = 14, 10


class Bar(NamedTuple):
    """``length`` the median, ``low`` and ``high`` the extremes, in pixels from the left end; ``y`` its upper edge."""

    title: str
    ours: bool
    y: float
    length: float
    low: float
    high: float
    label: str


class Panel(NamedTuple):
    title: str
    y: float
    bars: tuple[Bar, ...]


def draw(figures: Figures, caption: str) -> str:
    """SVG text; ``caption`` is read to those who cannot see it."""
    panels = tuple(_panels(figures))
    last = panels[-1].bars[-1].y + ROW if panels else TOP
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("chart.svg.j2").render(
        panels=panels,
        caption=caption,
        left=LEFT,
        bar=BAR,
        width=LEFT + WIDTH + RIGHT,
        height=last + BOTTOM,
    )


def _panels(figures: Figures) -> Iterator[Panel]:
    y: float = TOP
    wanted = [
        ("Working off a backlog: decisions a second (more is better)", "backlog.{}.rate", 0),
        *(
            (f"At {rate} transactions a second: p99, ms from due to decided (less is better)", f"latency.{rate}.{{}}.p99", 1)
            for rate in rates(figures)
        ),
    ]  # fmt: skip
    for title, pattern, digits in wanted:
        found = [
            (program, figures[pattern.format(program)]) for program in TITLES if pattern.format(program) in figures
        ]
        if not found:
            continue
        scale = WIDTH / max(spread.high for _, spread in found)
        bars = tuple(
            Bar(
                TITLES[program],
                program == OURS,
                y + HEAD + place * ROW,
                spread.median * scale,
                spread.low * scale,
                spread.high * scale,
                number(spread.median, digits),
            )
            for place, (program, spread) in enumerate(found)
        )
        yield Panel(title, y, bars)
        y += HEAD + len(bars) * ROW + GAP

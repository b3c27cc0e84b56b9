"""``cardwatch evaluate FILE…``: how good the scores would have been."""

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.lab.evaluate.left_out import LeftOut

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
MAX_DELAY_S = 400 * 86_400.0
BAR = 30
DRAW_EVERY_S = 0.2
NEVER_S = float("inf")
"""`pipeline.lab.evaluate.folds.NEVER_S`, which this file does not load for --help."""


class Duration(click.ParamType):
    """``7d``, ``12h``, ``15m``, ``30s`` → seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", str(value))
        if found is None or float(found[1]) * _UNITS[found[2]] > MAX_DELAY_S:
            self.fail(f"{value!r} is no duration: write 7d, 12h, 15m or 30s, at most 400d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


class Delay(Duration):
    """A duration, or ``never``."""

    name = "delay"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return NEVER_S if value == "never" else super().convert(value, param, ctx)


class Bar:
    """How far a file is read, on a terminal, in one line."""

    def __init__(self) -> None:
        self.wanted = sys.stderr.isatty()
        self._name, self._rows, self._drawn_at = "", 0, 0.0

    def begin(self, path: Path, rows: int) -> None:
        self._name, self._rows, self._drawn_at = path.name, rows, 0.0

    def progress(self, read: int) -> None:
        now = time.monotonic()
        done = read >= self._rows
        if not self.wanted or not self._rows or (now - self._drawn_at < DRAW_EVERY_S and not done):
            return
        self._drawn_at = now
        full = round(BAR * min(read / self._rows, 1.0))
        click.echo(f"\r{self._name}  {'█' * full:<{BAR}} {read:,} / {self._rows:,}", err=True, nl=done)


def _tell(path: Path, left_out: LeftOut) -> None:
    """What was wrong with rows, on standard error."""
    for line in left_out.told:
        click.echo(f"{path}: {line}", err=True)
    more = left_out.rows - len(left_out.told)
    if left_out.rows:
        click.echo(
            f"{path}: {left_out.rows:,} rows left out{f', {more:,} of them not listed' if more else ''}; the rest is evaluated",
            err=True,
        )


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--label-delay", default="7d", show_default=True, type=Delay(), help="How late labels come: 7d, 12h; never: none is shown, and scores are what can be had without.")  # fmt: skip
@click.option("--calls-per-day", default=0, show_default=True, type=click.IntRange(0, 1_000_000), help="The riskiest cards of a day, called at its end: their labels of that day are known next morning.")  # fmt: skip
@click.option("--cards-per-day", default=100, show_default=True, type=click.IntRange(1, 1_000_000), help="The k of card precision@k.")  # fmt: skip
@click.option(
    "--folds", default=4, show_default=True, type=click.IntRange(1, 100), help="Test periods, one after another."
)
@click.option("--fold-days", default=7, show_default=True, type=click.IntRange(1, 366), help="Length of each.")
@click.option("--first-day", type=click.IntRange(1, 100_000), help="Day of the stream (0: the first) on which the first test period begins; default: they end with the stream.")  # fmt: skip
@click.option("--model-every", default="15m", show_default=True, type=Duration(), help="How often, in event time, a new model may go into force.")  # fmt: skip
@click.option("--policy", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A policy file; default: the scorer's own.")  # fmt: skip
@click.option("--other-delay", "other_delays", multiple=True, type=Duration(), help="Run all of it again with labels so late, to compare; may be repeated.")  # fmt: skip
@click.option("--customer-events", "customer_events", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="What became of the customers of the one FILE: records of customer-events as JSON lines, in order of time.")  # fmt: skip
@click.option("--scores", type=click.Path(path_type=Path, dir_okay=False), help="Write id,score,percentile,outcome of every transaction (CSV); one FILE only.")  # fmt: skip
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with curves and tables (HTML)."
)
@click.option(
    "--language", default="en", show_default=True, type=click.Choice(["en", "zh-CN"]), help="Of table and report."
)
@click.option("--simulated/--real", default=None, help="Whether to mark every figure as one of simulated data; default: told by the cards' tokens.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs: all figures as one JSON object.")
def evaluate(
    files: Sequence[Path],
    label_delay: float,
    calls_per_day: int,
    cards_per_day: int,
    folds: int,
    fold_days: int,
    first_day: int | None,
    model_every: float,
    policy: Path | None,
    other_delays: Sequence[float],
    customer_events: Path | None,
    scores: Path | None,
    report: Path | None,
    language: str,
    simulated: bool | None,
    as_json: bool,
) -> None:
    """Score the transactions of each FILE (CSV, JSONL or Parquet: transaction fields and `fraud` 0/1, in order of time)
    with the scorer's and the learner's own code, and tell how good the scores were. Each FILE is a stream of its own.

    Exit code 1: a file could not be read, no row of it could be used, or it is too short for the folds. Rows that
    cannot be used are told on standard error and left out; the exit code is then 0."""
    from pipeline.adapters.transaction_files import FileRefused
    from pipeline.app.evaluation import EvaluationPlan, Listener
    from pipeline.app.evaluation import evaluate as run
    from pipeline.lab.evaluate.folds import FoldPlan, NoFolds
    from pipeline.lab.evaluate.output import as_text, write_report
    from pipeline.lab.evaluate.run import NothingScored

    if scores is not None and len(files) > 1:
        raise click.UsageError("--scores is for one FILE: scores of several would not be told apart")
    if customer_events is not None and len(files) > 1:
        raise click.UsageError("--customer-events is for one FILE: each has customers of its own")
    if label_delay == NEVER_S and (calls_per_day or other_delays):
        raise click.UsageError("--label-delay never shows no label: neither calls nor other delays go with it")
    if model_every <= 0:
        raise click.BadParameter("must be above 0", param_hint="--model-every")
    plan = EvaluationPlan(
        files,
        label_delay,
        calls_per_day,
        cards_per_day,
        model_every,
        FoldPlan(folds, fold_days, first_day),
        policy,
        scores,
        other_delays,
        simulated,
        report is not None,
        customer_events,
    )
    bar = Bar()
    try:
        found = run(plan, Listener(bar.begin, bar.progress, _tell, bar.wanted))
        if report is not None:
            write_report(found, language, report)
    except (FileRefused, NothingScored, NoFolds) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(as_text(found, language, as_json), nl=False)

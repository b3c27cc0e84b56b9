"""``cardwatch pilot FILE --map columns.toml``: a bank's own extract, evaluated in one command."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli_evaluate import DRAW_EVERY_S, Duration

if TYPE_CHECKING:
    from pipeline.app.pilot import Piloted


class _Progress:
    """One line on a terminal."""

    def __init__(self) -> None:
        self._drawn_at = 0.0

    def __call__(self, stage: str, rows: int, of: int) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and (now - self._drawn_at >= DRAW_EVERY_S or rows == of):
            self._drawn_at = now
            click.echo(f"\r{stage}  {rows:,}{f' / {of:,}' if of else ''}   ", err=True, nl=rows == of)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--map", "mapping", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Which column is which field (TOML).")  # fmt: skip
@click.option("--guess", is_flag=True, help="Print a mapping proposed from the header, to be corrected; nothing else.")
@click.option("--label-delay", default="7d", show_default=True, type=Duration(), help="How late labels come: 7d, 12h.")
@click.option("--calls-per-day", default=0, show_default=True, type=click.IntRange(0, 1_000_000), help="The riskiest cards of a day, called at its end.")  # fmt: skip
@click.option("--policy", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A policy file; default: the scorer's own.")  # fmt: skip
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with curves and tables (HTML)."
)
@click.option("--left-out", type=click.Path(path_type=Path, dir_okay=False), help="List every row that could not be used (CSV).")  # fmt: skip
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "zh-CN"]))
@click.option("--json", "as_json", is_flag=True, help="For programs: all figures as one JSON object.")
def pilot(
    file: Path,
    mapping: Path | None,
    guess: bool,
    label_delay: float,
    calls_per_day: int,
    policy: Path | None,
    report: Path | None,
    left_out: Path | None,
    language: str,
    as_json: bool,
) -> None:
    """Evaluate Cardwatch on FILE, a bank's own extract (CSV in any encoding, or Parquet) with its own column names. Card
    numbers become tokens while they are read and are written nowhere.

    Exit code 1: the file cannot be read, no row can be used, or it is too short. 2: the mapping is wrong."""
    from pipeline.adapters.transaction_files import FileRefused
    from pipeline.app.pilot import PilotPlan, WeakKey
    from pipeline.app.pilot import pilot as run
    from pipeline.core.extract_guess import guess_mapping
    from pipeline.core.extract_mapping import MappingRefused
    from pipeline.lab.evaluate.folds import NoFolds
    from pipeline.lab.evaluate.output import as_text, write_report
    from pipeline.lab.evaluate.run import NothingScored

    try:
        if guess:
            from pipeline.app.pilot import guessed

            click.echo(guess_mapping(*guessed(file)), nl=False)
            return
        if mapping is None:
            raise click.UsageError("--map columns.toml is missing; --guess proposes one")
        found = run(PilotPlan(file, mapping, label_delay, calls_per_day, policy, left_out), _Progress())
        if report is not None:
            write_report(found.evaluation, language, report)
    except (MappingRefused, WeakKey) as error:
        raise click.UsageError(str(error)) from None
    except (FileRefused, NothingScored, NoFolds) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    _tell(found)
    click.echo(as_text(found.evaluation, language, as_json), nl=False)


def _tell(found: "Piloted") -> None:
    """On standard error: what was not used, what was warm-up, how tokens were made."""
    for line in found.left_out.told:
        click.echo(line, err=True)
    left_out = found.left_out.rows
    click.echo(f"{found.read:,} rows read, {left_out:,} left out", err=True)
    folds = found.folds
    click.echo(f"warm-up: {found.warm_up_days} days; measured: {folds.folds} × {folds.days} days after them", err=True)
    if found.random_key:
        click.echo(
            "tokens: with a key of this run, which is gone now; CARDWATCH_TOKEN_KEY makes lasting ones", err=True
        )

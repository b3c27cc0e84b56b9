"""``cardwatch backfill FILE…``: history into card profiles before going live."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli_evaluate import DRAW_EVERY_S

if TYPE_CHECKING:
    from pipeline.app.backfill import CountersReport


class _Progress:
    """Rows read, on a terminal, in one line."""

    def __init__(self) -> None:
        self._drawn_at = 0.0

    def __call__(self, read: int) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._drawn_at >= DRAW_EVERY_S:
            self._drawn_at = now
            click.echo(f"\r{read:,} transactions", err=True, nl=False)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--archive", type=click.Path(path_type=Path, file_okay=False), help="The archive role's directory, instead of files.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(1, 1_000), help="Of the topic transactions; given, Kafka is not asked (scorers must be stopped).")  # fmt: skip
@click.option("--counters", is_flag=True, help="Only the policy's own counters of the profiles stored already, out of --archive.")  # fmt: skip
def backfill(files: Sequence[Path], archive: Path | None, partitions: int | None, counters: bool) -> None:
    """Make card profiles of months of history, with the scorer's own code, and store them for scorers to begin with.
    FILEs are CSV, JSONL or Parquet with transaction fields, one after the other in order of time.

    With --counters, a counter that is new in the policy gets its values on known cards: nothing else of a profile changes.

    May be run again after an interruption: what is stored already is left alone. Exit code 1: scorers are at work, other
    or newer profiles are stored, or a file cannot be read; a partition is written as a whole or not at all. 2: the
    number of partitions is not that of the stored profiles."""
    from pipeline.adapters.transaction_files import FileRefused
    from pipeline.app.backfill import BackfillPlan
    from pipeline.app.backfill import backfill as run
    from pipeline.app.backfill import backfill_counters as run_counters
    from pipeline.lab.backfill import BackfillRefused
    from pipeline.ports import StoreDown

    if bool(files) == (archive is not None):
        raise click.UsageError("give FILEs, or --archive DIR")
    if counters and archive is None:
        raise click.UsageError("counters are filled in out of the archive: give --archive DIR")
    try:
        if counters and archive is not None:
            return _tell_counters(asyncio.run(run_counters(archive, partitions, _Progress())))
        done = asyncio.run(run(BackfillPlan(files, archive, partitions), _Progress()))
    except (BackfillRefused, FileRefused) as error:
        raise click.ClickException(str(error)) from None
    except StoreDown as error:
        raise click.ClickException(f"the store does not answer: {error}; run the same command again") from None
    rebuilt, filled = done.rebuilt, done.filled
    cards = sum(map(len, rebuilt.rows.values()))
    click.echo(f"{rebuilt.read:,} transactions read, profiles of {cards:,} cards")
    if rebuilt.repeats:
        click.echo(f"{rebuilt.repeats:,} repeated one of their card by id and count once")
    if done.left_out:
        click.echo(f"{done.left_out:,} left out: not in order of time, or only their decision is archived")
    for reason, count in sorted(rebuilt.refused.items()):
        click.echo(f"{count:,} left out: {reason}")
    click.echo(f"{len(filled.written)} partitions written, {len(filled.there)} had these profiles already")


def _tell_counters(report: "CountersReport") -> None:
    click.echo(f"{report.read:,} transactions read; counters: {', '.join(report.names)}")
    filled, there, unproven = report.done
    click.echo(f"{filled:,} cards have their values now, {there:,} had them already")
    if unproven:
        click.echo(
            f"{unproven:,} cards are left as they are: the archive does not hold all of their past, or not yet; a new "
            "counter has a value there when its window has passed"
        )

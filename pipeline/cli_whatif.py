"""``cardwatch whatif``: past decisions decided again, by another policy or another model."""

from datetime import date, datetime
from pathlib import Path

import click
import msgspec

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--policy", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The candidate policy's file."
)
@click.option("--model", metavar="VERSION", help="Score again by this kept model; without --policy, by each row's own.")
@click.option("--from", "first", type=_DAY, help="First day of arrival (UTC); without, the archive's first.")
@click.option("--to", "last", type=_DAY, help="Last day of arrival (UTC); without, the archive's last.")
@click.option("--top", default=20, show_default=True, type=click.IntRange(0, 10_000), help="Changes told one by one.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "zh"]))
@click.option("--json", "as_json", is_flag=True, help="For programs: all of it as one JSON object.")
def whatif(
    policy: Path | None,
    model: str | None,
    first: datetime | None,
    last: datetime | None,
    top: int,
    language: str,
    as_json: bool,
) -> None:
    """Decide the archive's past transactions again by a candidate policy, by another kept model, or both, and tell what
    would have changed: outcomes, alerts, contacts, cards held, known frauds caught and missed, customers disturbed, and
    the transactions concerned. It reads the archive and changes nothing.

    Exit code 1: the archive does not hold what is asked for, or cannot be read. 2: the policy is none."""
    from pipeline.app.whatif import ask
    from pipeline.core.lists import ListError
    from pipeline.core.policy import PolicyError
    from pipeline.lab.whatif.candidate import Refused
    from pipeline.lab.whatif.telling import tell

    if policy is None and model is None:
        raise click.UsageError("give --policy FILE, --model VERSION, or both")
    try:
        found = ask(policy, model, _day(first), _day(last), top)
    except PolicyError as error:
        raise click.UsageError(str(error)) from None
    except (Refused, ListError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(msgspec.json.encode(found).decode() if as_json else tell(found, "zh" if language == "zh" else "en"))


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()

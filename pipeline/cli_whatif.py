"""``cardwatch whatif``: past decisions decided again, by another policy or another model."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Literal

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
@click.option("--curve", type=click.IntRange(1, 10), metavar="N",
              help="Instead: what each place of the policy's threshold number N (1: the lowest) would come to.")  # fmt: skip
@click.option("--agents", type=click.FloatRange(0), help="With --curve: the best place for so many agents a day.")
@click.option(
    "--contact-cost", default=10.0, show_default=True, type=click.FloatRange(0), help="Minor units a contact."
)
@click.option(
    "--hour-cost", default=5000.0, show_default=True, type=click.FloatRange(0), help="Minor units an agent's hour."
)
@click.option(
    "--insult-cost",
    default=2000.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Minor units for each genuine customer disturbed.",
)
@click.option(
    "--review-minutes", default=5.0, show_default=True, type=click.FloatRange(0), help="Of an agent, for a case."
)
@click.option(
    "--call-minutes", default=6.0, show_default=True, type=click.FloatRange(0), help="Of an agent, for a call."
)
@click.option(
    "--agent-share",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Of verifications, those left to an agent.",
)
@click.option("--top", default=20, show_default=True, type=click.IntRange(0, 10_000), help="Changes told one by one.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "zh"]))
@click.option("--json", "as_json", is_flag=True, help="For programs: all of it as one JSON object.")
def whatif(
    policy: Path | None,
    model: str | None,
    first: datetime | None,
    last: datetime | None,
    curve: int | None,
    agents: float | None,
    contact_cost: float,
    hour_cost: float,
    insult_cost: float,
    review_minutes: float,
    call_minutes: float,
    agent_share: float,
    top: int,
    language: str,
    as_json: bool,
) -> None:
    """Decide the archive's past transactions again by a candidate policy, by another kept model, or both, and tell what
    would have changed: outcomes, alerts, contacts, cards held, known frauds caught and missed, customers disturbed, and
    the transactions concerned; or the whole trade-off of one threshold and, for so many agents, its best place. It reads the archive and changes nothing.

    Exit code 1: the archive does not hold what is asked for, or cannot be read. 2: the policy is none."""
    from pipeline.app.whatif import ask, ask_curve
    from pipeline.core.lists import ListError
    from pipeline.core.policy import PolicyError
    from pipeline.lab.whatif.answer import Effort
    from pipeline.lab.whatif.candidate import Refused
    from pipeline.lab.whatif.staffing import Bands, Costs, Staff, suggest
    from pipeline.lab.whatif.telling import tell, tell_curve

    if policy is None and model is None:
        raise click.UsageError("give --policy FILE, --model VERSION, or both")
    if curve is not None and (policy is None or model is not None):
        raise click.UsageError("--curve goes with --policy FILE, and without --model")
    if agents is not None and curve is None:
        raise click.UsageError("--agents goes with --curve N")
    effort = Effort(review_minutes=review_minutes, call_minutes=call_minutes, agent_share=agent_share)
    tongue: Literal["en", "zh"] = "zh" if language == "zh" else "en"
    try:
        if curve is not None and policy is not None:
            swept = ask_curve(policy, curve - 1, _day(first), _day(last), effort, _progress)
            costs = Costs(contact=contact_cost, agent_hour=hour_cost, insult=insult_cost)
            best = None if agents is None else suggest(swept, costs, Staff(agents=agents), Bands())
            told = {"curve": swept, "suggestion": best}
            click.echo(msgspec.json.encode(told).decode() if as_json else tell_curve(swept, best, tongue))
            return
        found = ask(policy, model, _day(first), _day(last), top, effort, _progress)
    except PolicyError as error:
        raise click.UsageError(str(error)) from None
    except (Refused, ListError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(msgspec.json.encode(found).decode() if as_json else tell(found, tongue))


def _progress(done: int, whole: int) -> None:
    """On a terminal: the first question reads the archive."""
    if sys.stderr.isatty():
        click.echo(f"\r{done:,} / {whole:,}" if done < whole else "\r" + " " * 40 + "\r", err=True, nl=False)


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()

"""``cardwatch compromise``: at which places cards were stolen that went bad since."""

import json
from pathlib import Path

import click

from pipeline.core.exposed_cards import Costs
from pipeline.core.point_of_compromise import LEAST_BAD_CARDS

_USUAL = Costs()
_share = click.FloatRange(0, 1)
_money = click.FloatRange(0)


@click.command()
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False),
    help="The archive's directory; default: that of the settings.",
)
@click.option("--days", default=60, show_default=True, type=click.IntRange(7, 400), help="Days before now to look at.")
@click.option(
    "--least", default=LEAST_BAD_CARDS, show_default=True, type=click.IntRange(2, 1_000), help="Bad cards of a place."
)
@click.option(
    "--reissue-cost", default=_USUAL.reissue / 100, show_default=True, type=_money, help="A card replaced, in money."
)
@click.option(
    "--call-cost", default=_USUAL.call / 100, show_default=True, type=_money, help="A holder asked, in money."
)
@click.option(
    "--asked", default=_USUAL.asked, show_default=True, type=_share, help="Share of watched cards that is asked."
)
@click.option(
    "--prevented",
    default=_USUAL.prevented,
    show_default=True,
    type=_share,
    help="Share of a loss that asking prevents.",
)
@click.option("--watch", metavar="LIST", help="Put the exposed cards worth watching into config/lists/LIST.toml.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "zh"]))
@click.option("--json", "as_json", is_flag=True, help="For programs; money in minor units.")
def compromise(
    archive: Path | None,
    days: int,
    least: int,
    reissue_cost: float,
    call_cost: float,
    asked: float,
    prevented: float,
    watch: str | None,
    language: str,
    as_json: bool,
) -> None:
    """Places at which more of the cards that went bad had paid before than chance brings there, the cards exposed there,
    and what it costs and saves to watch or reissue them. Without --watch it changes nothing. With it, the cards of whose
    expected loss watching saves more than it costs join a list that rules ask with in_list(card, 'LIST'), each until
    its exposure is sixty days old."""
    from pipeline.app.compromise import NoArchive, compromise_report, write_watch_list
    from pipeline.lab.compromise import report

    costs = Costs(reissue_cost * 100, call_cost * 100, asked, prevented)
    try:
        found = compromise_report(archive, days, least, costs)
    except NoArchive as missing:
        raise click.ClickException(str(missing)) from None
    if watch is not None:
        path, cards = write_watch_list(found, watch, costs)
        click.echo(f"{path}: {cards} cards to watch", err=True)
    if as_json:
        click.echo(json.dumps(report.as_json(found), ensure_ascii=False))
        return
    for line in report.lines(found, "zh" if language == "zh" else "en"):
        click.echo(line)

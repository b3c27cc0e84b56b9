"""``cardwatch explain TRANSACTION_ID``: why a past transaction was decided as it was."""

from datetime import datetime

import click
import msgspec

DIFFERS = 3
"""Exit code when computing it again came to something else than the record."""


@click.command()
@click.argument("identifier", metavar="TRANSACTION_ID")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day it arrived on (UTC): reads that day only.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "zh"]))
@click.option("--json", "as_json", is_flag=True, help="For programs: all of it as one JSON object.")
def explain(identifier: str, day: datetime | None, language: str, as_json: bool) -> None:
    """Explain a decided transaction of the archive: decision, versions, score, features, reasons, the rules that hit or
    nearly did, and whether score and decision come out the same, to the last bit, when computed again.

    Exit code 1: it is not in the archive, or the archive cannot be read. 3: computed again, something differs. What
    cannot be computed again, as its model or policy was not kept, is told and no failure."""
    from pipeline.app.explaining import NotFound, explain_transaction
    from pipeline.core.lists import ListError
    from pipeline.lab.explain.telling import tell

    on = None if day is None else day.date()
    try:
        found = explain_transaction(identifier, on, on)
    except (NotFound, ListError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(tell(found, "zh" if language == "zh" else "en"), nl=False)
    if found.differs:
        raise SystemExit(DIFFERS)

"""``cardwatch contact COMMAND``: why a customer is contacted or not, what is said to them, what was done. Nothing here
writes to the store or contacts anybody."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from pipeline.core.contact_policy import CLASSES

T = TypeVar("T")
_language = click.option(
    "--language", default="en", show_default=True, type=click.Choice(["en", "zh"]), help="Language of the words."
)
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def contact() -> None:
    """Contacts with customers: why, when, in which words, and what was done."""


@contact.command()
@click.argument("customer")
@click.option("--class", "class_", required=True, type=click.Choice(CLASSES), help="What the contact would be about.")
@click.option("--at", help="A moment, such as 2026-11-23T21:30:00+08:00 (without a zone: UTC); default: now.")
@_language
@_json
def explain(customer: str, class_: str, at: str | None, language: str, as_json: bool) -> None:
    """What each gate says about contacting CUSTOMER, and when it opens. Exit code 1: nobody knows the customer, or the
    store does not answer."""
    from pipeline.app import contact_reports as reports
    from pipeline.core.contact_report import explained_lines

    at_ms = round(time.time() * 1000) if at is None else _moment_ms(at)
    settings = reports.ReportSettings()
    found = _answered(reports.explained(settings, customer, class_, at_ms))
    if as_json:
        click.echo(reports.explained_json(found))
        return
    for line in explained_lines(found, reports.words_for(settings, language)):
        click.echo(line)


@contact.command()
@click.option("--language", type=click.Choice(["en", "zh"]), help="Only this language's messages.")
def preview(language: str | None) -> None:
    """Every message, filled with sample facts; of text messages, their segments."""
    from pipeline.app import contact_reports as reports

    for line in reports.preview(reports.ReportSettings(), language):
        click.echo(line)


@contact.command()
@click.argument("contact")
@_language
@_json
def dossier(contact: str, language: str, as_json: bool) -> None:
    """What was done in CONTACT and why, and whether that record is whole. Exit code 1: it is not, or there is none."""
    from pipeline.app import contact_reports as reports
    from pipeline.core.contact_report import dossier_lines

    settings = reports.ReportSettings()
    found = _answered(reports.dossier(settings, contact))
    if as_json:
        click.echo(found.as_json())
    else:
        for line in dossier_lines(found.entries, found.broken, reports.words_for(settings, language)):
            click.echo(line)
    if found.broken:
        raise SystemExit(1)


def _answered(question: Coroutine[Any, Any, T]) -> T:
    from pipeline.app.contact_reports import NotAnswered

    try:
        return asyncio.run(question)
    except NotAnswered as error:
        raise click.ClickException(str(error)) from None


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no moment: write 2026-11-23T21:30:00+08:00", param_hint="--at") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)

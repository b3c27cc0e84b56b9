"""``cardwatch contact COMMAND``: why a customer is contacted or not, what is said to them, what was done; the store that
remembers it, made again or compared with the topics. Nothing here contacts anybody."""

import asyncio
import sys
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from pipeline.core.contact_policy import CLASSES
from pipeline.core.topics import Topic

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
    settings = reports.ExplainSettings()
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


@contact.command()
@click.option(
    "--days",
    default=35,
    show_default=True,
    type=click.IntRange(1, 400),
    help="How far back conversations are looked at.",
)
@click.option("--dry-run", is_flag=True, help="Read and count; write nothing.")
@click.option("--into-nonempty", is_flag=True, help="Add to a store that has something already; that stays as it is.")
@_json
def rebuild(days: int, dry_run: bool, into_nonempty: bool, as_json: bool) -> None:
    """Make a lost contact store again from the topics. Stop the contact workers first, and start them afterwards. Exit
    code 1: a server does not answer, or the store is not empty; 0: done, or counted."""
    from pipeline.app import contact_rebuild
    from pipeline.app.contact_reports import ExplainSettings

    question = contact_rebuild.rebuild(ExplainSettings(), days, dry_run, into_nonempty, _shown)
    try:
        found = _answered(question)
    except contact_rebuild.NotEmpty as error:
        raise click.ClickException(str(error)) from None
    click.echo(found.as_json() if as_json else "\n".join(found.lines()))


@contact.command()
@click.option(
    "--days",
    default=8,
    show_default=True,
    type=click.IntRange(1, 400),
    help="How far back conversations are looked at.",
)
@click.option("--repair", "mend", is_flag=True, help="Put back what is missing, publish what was left behind.")
@_json
def reconcile(days: int, mend: bool, as_json: bool) -> None:
    """Compare the contact store with the topics; the workers may run. Exit code 1: something differs (with --repair: more
    than could be mended), or a server does not answer."""
    from pipeline.app import contact_rebuild
    from pipeline.app.contact_reports import ExplainSettings

    found = _answered(contact_rebuild.reconcile(ExplainSettings(), days, mend, _shown))
    click.echo(found.as_json() if as_json else "\n".join(found.lines()))
    if len(found.differences) > (found.mended or 0):
        raise SystemExit(1)


def _shown(topic: Topic, read: int, every: int) -> None:
    """How far a topic is read, on a terminal, in one line."""
    if sys.stderr.isatty():
        share = read / every if every else 1.0
        bar = "█" * round(20 * share)
        click.echo(f"\r{topic.name:<22}{bar:<20} {read:,} / {every:,}", err=True, nl=read >= every)


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

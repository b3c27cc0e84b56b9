"""``cardwatch model COMMAND``: which version of the model decides, and the orders of people about it."""

import asyncio
import getpass
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
import msgspec

from pipeline.core.model_release import Action

T = TypeVar("T")
OVERTAKEN = 3
"""Exit code when somebody else's order of the same moment counts."""
_language = click.option(
    "--language", default="en", show_default=True, type=click.Choice(["en", "zh"]), help="Language of the words."
)
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def model() -> None:
    """Versions of the model: which is in force, which are withheld or kept, and orders about them. An order is signed, says
    who and why, and is in force on every scorer within two seconds, whether or not a learner runs.

    Exit code 1: the order makes no sense as things are, or the broker does not answer. 3: somebody else gave an order at
    the same moment, which counts."""


@model.command("list")
@_language
@_json
def list_(language: str, as_json: bool) -> None:
    """All versions at hand, the newest first: in force, released, withheld, kept to go back to."""
    from pipeline.app import model_telling as telling

    board = _board()
    click.echo(telling.as_json(board) if as_json else "\n".join(telling.list_lines(board, language)))


@model.command()
@click.argument("version", required=False)
@_language
@_json
def show(version: str | None, language: str, as_json: bool) -> None:
    """VERSION or the one in force, how the newest lay to the bands, and what drifted most."""
    from pipeline.app import model_telling as telling

    board = _board()
    if as_json:
        click.echo(telling.as_json(board))
    else:
        click.echo("\n".join(_answered(lambda: list(telling.show_lines(board, version, language)))))


def _order(action: Action, words: str, target: str = "") -> None:
    """Add the command ``action``, which takes ``target`` where that is not empty."""

    def give(why: str, by: str, as_json: bool, **target_given: str) -> None:
        from pipeline.app.model import ordered
        from pipeline.app.model_telling import order_fields

        order = _run(ordered(action, target_given.get("target", ""), by, why))
        if as_json:
            click.echo(msgspec.json.encode(order_fields(order)).decode())
        else:
            click.echo(f"{order.action}: {order.version.name} (order {order.sequence})")

    command: Callable[..., None] = give
    for option in (
        _json,
        click.option("--by", default=getpass.getuser, show_default="your login name", help="Who orders it."),
        click.option("--why", required=True, help="The reason, for those who look later."),
    ):
        command = option(command)
    if target:
        command = click.argument("target", metavar=target)(command)
    model.command(action, help=words)(command)


_order("freeze", "Keep the version in force until `unfreeze`. The learner goes on learning.")
_order("unfreeze", "Go on from the version in force: the next one inside the bands takes its place.")
_order("rollback", "Go back to the version before, and keep it.")
_order(
    "pin", "Put VERSION in force and keep it. One that control no longer has is looked for in the archive.", "VERSION"
)
_order(
    "promote",
    "Put a VERSION in force though it lies outside the bands, or the challenger NAME in the champion's place, and go on "
    "from there.",
    "NAME|VERSION",
)


def _board() -> Any:
    from pipeline.adapters.clock import SystemClock
    from pipeline.app.model import ModelSettings, board_of

    return _run(board_of(ModelSettings(), SystemClock()))


def _run(work: Coroutine[Any, Any, T]) -> T:
    return _answered(lambda: asyncio.run(work))


def _answered(ask: Callable[[], T]) -> T:
    from pipeline.app.model import NotRead, Overtaken
    from pipeline.core.model_board import OrderRefused

    try:
        return ask()
    except Overtaken as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(OVERTAKEN) from None
    except (OrderRefused, NotRead) as error:
        raise click.ClickException(str(error)) from None

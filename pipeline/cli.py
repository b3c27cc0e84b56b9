"""The command line: ``cardwatch COMMAND``. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 70 a role
could not go on (start it again), 75 it was stuck, 78 stored state and topic do not fit.

A command imports what it runs when it runs: all together take two seconds and more, one role a part of that.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import Path

import click
import uvloop

from pipeline import __version__, logs
from pipeline.cli_backfill import backfill
from pipeline.cli_compromise import compromise
from pipeline.cli_contact import contact
from pipeline.cli_evaluate import evaluate
from pipeline.cli_explain import explain
from pipeline.cli_model import model
from pipeline.cli_pilot import pilot
from pipeline.cli_whatif import whatif
from pipeline.core.topics import DEFAULT_PARTITIONS
from pipeline.lab.bench.options import PARTS, REFERENCES
from pipeline.lab.simulate.presets import PRESETS, TABLE_PRESETS
from pipeline.ports import BrokerDown
from pipeline.settings import Settings
from pipeline.supervisor import Kept, Supervisor

SWITCH_INTERVAL_S = 0.0002
"""How soon a thread gives way to another: Kafka's fetches run in their own thread beside the scoring."""
HOPELESS = (2, 78)
"""Exit codes after which starting again does not help: what is configured or stored is wrong."""
HAND_OVER_S = 15.0
"""How long workers may take to finish a poll, save and hand over, before they are ended."""

Run = Callable[[asyncio.Event, int], Awaitable[None]]
ROLES = ("archive", "contact", "crm", "desk", "learner", "reminder", "scorer")


def _role(name: str) -> Run:
    """The wiring of the role ``name``: ``run_NAME`` of ``pipeline.app.NAME``."""
    run: Run = getattr(import_module(f"pipeline.app.{name}"), f"run_{name}")
    return run


class Refused(click.ClickException):
    """A configuration that is wrong: what to correct, without the way we took to find out."""

    exit_code = 2


class Commands(click.Group):
    """Says what is wrong with a configuration, or what is not there, in a sentence."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokerDown as error:
            raise click.ClickException(str(error)) from None
        except Exception as error:
            from pipeline.app.config_check import refusal

            words = refusal(error)
            if words is None:
                raise
            raise Refused(words) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cardwatch")
def main() -> None:
    """Live card transactions in, one verification conversation out, the answer back into the score."""


@main.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes on this host.")
@click.option("--worker", type=click.IntRange(0, 63), help="This worker's number (adds to METRICS_PORT).")
def run(role: str, workers: int, worker: int | None) -> None:
    """Run ROLE until it is told to stop (SIGTERM, Ctrl-C). Only the scorer has several workers on one host: each has
    its share of the cards. One that ends is started again."""
    settings = Settings()
    if workers > 1:
        if role != "scorer" or worker is not None:
            raise click.UsageError("--workers is for the scorer, and without --worker: other roles listen on one port")
        logs.set_up(settings, "supervisor")
        _run_workers(role, workers)
        return
    logs.set_up(settings, role, worker)
    _admitted(settings, role)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    uvloop.run(_until_signal(_role(role), worker or 0))


def _admitted(settings: Settings, role: str | None = None) -> None:
    """Ends the command with a sentence when a server turns us away."""
    from pipeline.app.admission import NotAdmitted, admitted

    try:
        asyncio.run(admitted(settings, role))
    except NotAdmitted as refused:
        raise click.ClickException(str(refused)) from None


async def _until_signal(run_role: Run, worker: int) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    await run_role(stop, worker)


def _run_workers(role: str, workers: int) -> None:
    ended = _signals()
    supervisor = Supervisor(hopeless=HOPELESS, grace_s=HAND_OVER_S)
    try:
        for worker in range(workers):
            command = [sys.executable, "-m", "pipeline.cli", "run", role, "--worker", str(worker)]
            supervisor.keep(Kept(f"{role} {worker}", command, log_file=None))
        supervisor.run_until(lambda: bool(ended))
    finally:
        supervisor.stop()
    if supervisor.failed is not None:
        raise SystemExit(supervisor.failed)


main.add_command(backfill)
main.add_command(contact)
main.add_command(evaluate)
main.add_command(compromise)
main.add_command(explain)
main.add_command(model)
main.add_command(pilot)
main.add_command(whatif)


@main.group()
def config() -> None:
    """What an operator writes: settings and the files below CONFIG_DIR."""


@config.command()
def check() -> None:
    """Read all of it as the roles do; a line for each: `ok NAME`, or what is wrong (then the exit code is 2).
    Below a policy stand its counters and how exact they are, below a list its size."""
    from pipeline.app.config_check import check_configuration

    found = check_configuration()
    told = dict.fromkeys(line for each in found for line in each.refusals or (f"ok {each.name}", *each.notes))
    for line in told:
        click.echo(line)
    if any(each.refusals for each in found):
        raise SystemExit(2)


@main.group()
def topics() -> None:
    """The topics on the cluster."""


@topics.command()
@click.option("--partitions", default=DEFAULT_PARTITIONS, show_default=True, type=click.IntRange(1, 1000))
@click.option("--replication", default=1, show_default=True, type=click.IntRange(1, 9))
def create(partitions: int, replication: int) -> None:
    """Create those that do not exist; tell which were created."""
    from pipeline.adapters.kafka.admin import create_topics

    settings = Settings()
    _admitted(settings)
    for name in asyncio.run(create_topics(settings, partitions, replication)):
        click.echo(name)


@main.command()
@click.option("--seed", default=1, show_default=True, help="Another seed makes other cards, thieves and alerts.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65_535), help="The desk's port.")
@click.option(
    "--preset",
    default="demo",
    show_default=True,
    type=click.Choice([name for name, preset in PRESETS.items() if preset.live is not None]),
    help="Which simulated world: busy has fewer cards and many more thieves.",
)
def demo(seed: int, port: int, preset: str) -> None:
    """Start everything on this machine: broker, store, roles, simulators and the desk. Ctrl-C ends it."""
    from pipeline.demo.run import DemoFailed, Story, run_demo

    ended = _signals()
    try:
        run_demo(Story(preset, seed), port, lambda: bool(ended))
    except DemoFailed as failed:
        click.echo(f"Error: {failed}", err=True)
        raise SystemExit(failed.exit_code) from None


@main.command()
@click.option("--preset", default="demo", show_default=True, type=click.Choice(sorted([*PRESETS, *TABLE_PRESETS])))
@click.option("--seed", default=1, show_default=True)
@click.option("--cards", type=click.IntRange(1, 5_000_000), help="Number of cards.")
@click.option("--days", type=click.IntRange(1, 3_650), help="Days of history.")
@click.option("--rate", type=click.FloatRange(0.01, 100_000), help="Transactions per second of a live preset.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many transactions.")
@click.option("--to", "to", default="kafka", show_default=True, type=click.Choice(["kafka", "file"]))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file (.csv, .jsonl or .parquet), with --to file.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what was fraud to this file; a live run goes on where it is.",
)
@click.option(
    "--customer-events",
    "events",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what became of customers to this file (JSON lines), with --to file.",
)
@click.option("--epoch", type=float, help="Unix time at which the history ends; default: now (a file: a fixed day).")
def simulate(
    preset: str,
    seed: int,
    cards: int | None,
    days: int | None,
    rate: float | None,
    count: int | None,
    to: str,
    out: Path | None,
    truth: Path | None,
    events: Path | None,
    epoch: float | None,
) -> None:
    """Simulated cardholders, thieves and customers: live onto the topics, or a history into a file."""
    from pipeline.app.simulation import NotWritten, SimulationPlan, run_simulation, write_simulation

    plan = SimulationPlan(preset, seed, epoch, cards, rate, count, truth, days, events)
    if to == "file":
        if out is None:
            raise click.UsageError("--to file needs --out FILE")
        try:
            click.echo(f"{write_simulation(plan, out)} transactions in {out}")
        except NotWritten as error:
            raise click.UsageError(str(error)) from None
        return
    if events is not None:
        raise click.UsageError("--customer-events goes with --to file: on topics they have one of their own")
    if preset in TABLE_PRESETS:
        raise click.UsageError(f"the preset {preset} is a table of past days: write it with --to file --out FILE")
    logs.set_up(Settings(), "simulate")

    async def run_it() -> None:
        stop = asyncio.Event()
        _stop_on_signals(stop)
        sent = await run_simulation(stop, plan)
        click.echo(f"{sent.transactions} transactions, {sent.fraud} of them fraud, sent for {sent.customers} customers")

    uvloop.run(run_it())


@main.command()
@click.argument("part", default="all", type=click.Choice([*PARTS, "all"]))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 1000), help="Programs take turns.")
@click.option("--short", is_flag=True, help="Small sizes: shows that all works, its figures say little.")
@click.option("--rates", default="200,1000", show_default=True, help="Transactions per second of the latency part.")
@click.option("--minutes", type=click.FloatRange(0.01, 600), help="How long each rate is kept up; default: 8 s.")
@click.option("--cards", type=click.IntRange(1_000, 10_000_000), help="The many cards of the state part.")
@click.option("--without", multiple=True, type=click.Choice(REFERENCES), help="A program to leave out.")
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Where Quix Streams is installed on first use."
)
@click.option("--kafka-version", default="unknown", help="Noted beside the figures: a broker does not tell.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
@click.option("--chart", type=click.Path(path_type=Path, dir_okay=False), help="Write a picture (SVG) here.")
def bench(
    part: str,
    rounds: int,
    short: bool,
    rates: str,
    minutes: float | None,
    cards: int | None,
    without: Sequence[str],
    cache: Path | None,
    kafka_version: str,
    json_file: Path | None,
    chart: Path | None,
) -> None:
    """Measure this machine: PART of the benchmark or all of it, on the Kafka and Redis of the settings. It makes topics
    and keys under a random prefix and deletes them. Exit code 1: a server is missing, or a program failed."""
    from pipeline.lab.bench.options import options_for

    try:
        from pipeline.lab.bench.command import run_bench
        from pipeline.lab.bench.failed import BenchFailed
    except ModuleNotFoundError as missing:
        if missing.name != "confluent_kafka":
            raise
        raise click.ClickException("the benchmark needs confluent-kafka: pip install 'cardwatch[bench]'") from None
    try:
        options = options_for(part, rounds, short, rates, minutes, cards, without, cache)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        click.echo(run_bench(options, kafka_version, json_file, chart), nl=False)
    except BenchFailed as failed:
        raise click.ClickException(str(failed)) from None


def _signals() -> list[int]:
    """A list that a SIGTERM, SIGINT or SIGHUP (the terminal was closed) is put into."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda value, frame: received.append(value))
    return received


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


if __name__ == "__main__":
    main()

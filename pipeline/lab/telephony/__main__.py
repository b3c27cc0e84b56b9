"""``python -m pipeline.lab.telephony``: the provider as a process of its own; ends at SIGTERM or SIGINT."""

import asyncio
import signal
from pathlib import Path

import click

from pipeline.lab.telephony.app import Telephony
from pipeline.lab.telephony.behaviour import Callees, Truths, parse_behaviour, parse_mix
from pipeline.lab.telephony.calls import Pace


@click.command()
@click.option("--port", type=int, default=8090, show_default=True)
@click.option("--state-dir", type=click.Path(path_type=Path), required=True, help="Where its record is kept.")
@click.option("--callback-secret-file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--api-key-file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--behaviour", default="interactive", show_default=True, help="One behaviour, or a mix: yes=60,no=40.")
@click.option("--suffix", multiple=True, metavar="DIGITS=BEHAVIOUR", help="For numbers that end so; repeatable.")
@click.option("--truth", type=click.Path(path_type=Path), help="JSON lines {id, fraud}, for the behaviour 'truth'.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the mix.")
@click.option("--pick-up-s", type=float, default=0.0, show_default=True)
@click.option("--answer-s", type=float, default=0.0, show_default=True, help="From picking up to pressing a key.")
@click.option("--callback-url", help="Where messages are reported, less /CHANNEL: http://127.0.0.1:8081/callbacks.")
@click.option("--time-out-s", type=float, default=30.0, show_default=True, help="How long 'time_out' withholds.")
def main(
    port: int,
    state_dir: Path,
    callback_secret_file: Path,
    api_key_file: Path,
    behaviour: str,
    suffix: tuple[str, ...],
    truth: Path | None,
    seed: int,
    pick_up_s: float,
    answer_s: float,
    callback_url: str | None,
    time_out_s: float,
) -> None:
    """A telephony provider that rings nobody."""
    try:
        pairs = [pair.split("=", 1) for pair in suffix]
        suffixes = {digits: parse_behaviour(how) for digits, how in pairs}
        callees = Callees(parse_mix(behaviour), seed, suffixes, Truths(truth))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    provider = Telephony(
        state_dir,
        callback_secret_file.read_bytes().rstrip(b"\n"),
        api_key_file.read_text().rstrip("\n"),
        callees,
        Pace(pick_up_s, answer_s),
        port,
        time_out_s,
        callback_url,
    )
    asyncio.run(_run(provider))


async def _run(provider: Telephony) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await provider.start()
    click.echo(f"telephony: {provider.url}/phone")
    await stop.wait()
    await provider.stop()


if __name__ == "__main__":
    main()

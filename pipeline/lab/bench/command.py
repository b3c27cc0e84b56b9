"""The benchmark from beginning to end: rounds of all parts, then table, JSON and chart."""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec
from confluent_kafka import KafkaException

from pipeline.embedded.process import ChildFailed
from pipeline.lab.bench import backlog, latency, scaling, state
from pipeline.lab.bench.chart import draw
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.figures import Spread
from pipeline.lab.bench.machine import Machine, look
from pipeline.lab.bench.options import OURS, TITLES, Options
from pipeline.lab.bench.report import number, text
from pipeline.lab.bench.summary import Round, summarise
from pipeline.lab.bench.workplace import Workplace
from pipeline.ports import StoreDown


class Result(msgspec.Struct):
    """What the JSON file holds: ``figures`` by name (see `summary`), and the rounds they are made of."""

    made_at: str
    machine: Machine
    options: Options
    figures: dict[str, Spread]
    rounds: list[Round]


def run_bench(options: Options, kafka_version: str, json_file: Path | None, chart_file: Path | None) -> str:
    """Measure and write the files asked for; answers the table. Raises BenchFailed, everything ended and deleted."""
    with _ended_by_signals():
        try:
            result = _measure(options, kafka_version)
        except (ChildFailed, StoreDown, KafkaException) as error:
            raise BenchFailed(f"the benchmark broke off: {error}") from error
    if json_file is not None:
        json_file.write_bytes(as_json(result))
    if chart_file is not None:
        caption = (
            f"cardwatch bench on {result.machine.cpu}, {result.machine.cores} cores: medians of {options.rounds} rounds"
        )
        chart_file.write_text(draw(result.figures, caption), encoding="utf-8")
    return text(result.figures, result.machine, options.rounds)


def as_json(result: Result) -> bytes:
    return msgspec.json.format(msgspec.json.encode(result, enc_hook=_as_text), indent=1) + b"\n"


def _measure(options: Options, kafka_version: str) -> Result:
    workplace = Workplace(options)
    try:
        versions = workplace.known.versions
        rounds = [_round(workplace, number) for number in range(1, options.rounds + 1)]
    finally:
        with _undisturbed():
            workplace.close()
    machine = look(kafka_version, workplace.redis_version, versions.policy.version, len(versions.policy.rules))
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(moment, machine, options, summarise(rounds), rounds)


def _round(workplace: Workplace, turn: int) -> Round:
    """Every part, and within it every program, one after the other."""
    options = workplace.options
    measured = Round()
    programs = [program for program in TITLES if program == OURS or program in options.programs]

    def tell(words: str) -> None:
        _tell(f"round {turn} of {options.rounds}: {words}")

    if "backlog" in options.parts:
        for program in programs:
            run = measured.backlog[program] = backlog.measure(workplace, program)
            tell(f"backlog, {TITLES[program]}: {number(run.rate, 0)}/s")
    if "latency" in options.parts:
        for program in programs:
            measured.latency[program] = latency.measure(workplace, program)
            found = ", ".join(f"p99 {each.latency.p99:.1f} ms at {each.rate:g}/s" for each in measured.latency[program])
            tell(f"latency, {TITLES[program]}: {found}")
    if "state" in options.parts:
        measured.state = state.measure(workplace)
        tell(f"state: {number(measured.state.many.cards, 0)} cards ready in {measured.state.many.ready_s:.1f} s")
    if "scaling" in options.parts:
        measured.scaling = scaling.measure(workplace)
        ratio = math.nan if measured.scaling is None else measured.scaling.ratio
        tell(f"scaling: two processes do {ratio:.2f} times what one does")
    return measured


def _tell(words: str) -> None:
    """How far it is, on standard error: standard output is for the table."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stderr.flush()


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not written to JSON")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the benchmark as Ctrl-C does: by an exception, so that all is cleaned up."""

    def interrupt(received: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled((signal.SIGTERM, signal.SIGHUP), interrupt):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not break off the cleaning up."""
    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda received, frame: None):
        yield


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in numbers}
    try:
        yield
    finally:
        for each, handled in before.items():
            signal.signal(each, handled)

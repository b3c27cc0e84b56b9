"""How the scoring path scales over processors: one process, then two, each on a processor of its own, fed from polls
they hold in memory; rows are saved to Redis, nothing goes through Kafka."""

import json
import os
import sys
import time
from pathlib import Path

import msgspec

from pipeline.embedded.process import Child
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.workplace import READY_S, Workplace

LOOK_S = 0.02
RUN_S = 300.0


class Run(msgspec.Struct, frozen=True):
    """What one process did: `began` and `ended` on the machine's monotonic clock, seconds."""

    transactions: int
    began: float
    ended: float
    cpu_s: float


class Scaling(msgspec.Struct, frozen=True):
    """One round. Rates are transactions a second of all processes together; ``cpu_us`` processor time of one alone."""

    one: float
    two: float
    ratio: float
    cpu_us: float


def measure(workplace: Workplace) -> Scaling | None:
    """None when this process may use one processor only."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        return None
    alone = _run(workplace, cores[:1])
    together = _run(workplace, cores)
    one, two = _rate(alone), _rate(together)
    return Scaling(one, two, two / one, alone[0].cpu_s / alone[0].transactions * 1e6)


def _rate(runs: list[Run]) -> float:
    return sum(run.transactions for run in runs) / (max(r.ended for r in runs) - min(r.began for r in runs))


def _run(workplace: Workplace, cores: list[int]) -> list[Run]:
    """A process on each of ``cores``, begun together when all are ready."""
    model = workplace.directory / "model"
    model.write_bytes(workplace.known.sealed)
    go = workplace.directory / "go"
    go.unlink(missing_ok=True)
    prefix = workplace.prefix()
    children: list[tuple[Child, Path]] = []
    try:
        for core in cores:
            place = workplace.directory / f"scoring-{core}"
            place.unlink(missing_ok=True)
            children.append((_start(workplace, core, f"{prefix}{core}.", model, place, go), place))
        for child, place in children:
            child.wait_until(lambda place=place: place.exists() or None, READY_S)  # type: ignore[misc]  # bound above
        go.touch()
        return [_outcome(child, place) for child, place in children]
    finally:
        for child, _ in children:
            workplace.end(child)
        workplace.clear_store(prefix)


def _start(workplace: Workplace, core: int, prefix: str, model: Path, place: Path, go: Path) -> Child:
    words = {
        "--core": core,
        "--transactions": workplace.options.sizes.scaling,
        "--cards": workplace.options.sizes.stream_cards,
        "--model": model,
        "--place": place,
        "--go": go,
    }
    command = [
        sys.executable,
        "-m",
        "pipeline.lab.bench.scoring_process",
        *(str(w) for pair in words.items() for w in pair),
    ]
    environment = {"CARDWATCH_TOPIC_PREFIX": prefix, "CARDWATCH_SNAPSHOT_KEY": workplace.snapshot_key}
    return workplace.start(f"scoring-{core}", command, environment)


def _outcome(child: Child, place: Path) -> Run:
    deadline = time.monotonic() + RUN_S
    while child.exit_code is None:
        if time.monotonic() > deadline:
            raise BenchFailed(f"scoring from memory did not end in {RUN_S:g} s")
        time.sleep(LOOK_S)
    if child.exit_code:
        raise BenchFailed(f"scoring from memory failed; its log ends:\n{child.tail()}")
    return msgspec.convert(json.loads(place.read_text()), Run)

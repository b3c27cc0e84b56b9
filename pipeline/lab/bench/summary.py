"""From rounds to figures: every round is flattened to named numbers, ratios within the round among them, and each name
gets its median and extremes over the rounds.

Names are paths: ``backlog.PROGRAM.rate`` and ``.ratio`` (Cardwatch ÷ program), ``latency.RATE.PROGRAM.p99`` and
``.p99_ratio``, ``.p50_more`` (Cardwatch ÷ or − program), ``cost.backlog.…`` and ``cost.RATE.…`` (µs a transaction; ``approved`` in percent),
``bytes.…``, ``state.…`` (``same`` and ``spread`` as in `Resident`; their ``_ratio`` is processor time, ``_wall_ratio``
time, a transaction with many cards ÷ with few), ``scaling.…``.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pipeline.lab.bench.backlog import Backlog
from pipeline.lab.bench.figures import LATENCY_FIGURES, Spread, spread
from pipeline.lab.bench.latency import Rate
from pipeline.lab.bench.options import OURS
from pipeline.lab.bench.process import Cost
from pipeline.lab.bench.scaling import Scaling
from pipeline.lab.bench.state import Resident, State
from pipeline.lab.bench.takeover import Takeover

Named = Iterator[tuple[str, float]]
_MIB = 2**20


class Round(msgspec.Struct):
    """What one round measured, by program where there are several."""

    backlog: dict[str, Backlog] = {}
    latency: dict[str, list[Rate]] = {}
    state: State | None = None
    scaling: Scaling | None = None


def summarise(rounds: Sequence[Round]) -> dict[str, Spread]:
    """Figures that only some rounds have are of those rounds."""
    values: dict[str, list[float]] = {}
    for each in rounds:
        for name, value in flatten(each):
            values.setdefault(name, []).append(value)
    return {name: spread(found) for name, found in values.items()}


def flatten(measured: Round) -> Named:
    yield from _backlog(measured.backlog)
    yield from _latency(measured.latency)
    if measured.state is not None:
        yield from _state(measured.state)
    if measured.scaling is not None:
        yield from ((f"scaling.{name}", value) for name, value in _fields(measured.scaling))


def _fields(struct: msgspec.Struct) -> Named:
    """The fields of ``struct`` that are numbers."""
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, int | float):
            yield name, float(value)


def _backlog(backlog: Mapping[str, Backlog]) -> Named:
    ours = backlog.get(OURS)
    for program, run in backlog.items():
        yield f"backlog.{program}.transactions", float(run.transactions)
        yield f"backlog.{program}.rate", run.rate
        if ours is not None and program != OURS and run.rate:
            yield f"backlog.{program}.ratio", ours.rate / run.rate
    if ours is not None and ours.cost is not None:
        yield from _cost("cost.backlog", ours.cost)
    if ours is not None and ours.bytes is not None:
        yield from ((f"bytes.{name}", value) for name, value in _fields(ours.bytes))


def _latency(programs: Mapping[str, Sequence[Rate]]) -> Named:
    ours = {run.rate: run for run in programs.get(OURS, ())}
    for program, runs in programs.items():
        for run in runs:
            path = f"latency.{run.rate:g}.{program}"
            yield from ((f"{path}.{name}", getattr(run.latency, name)) for name in LATENCY_FIGURES)
            yield f"{path}.missing", float(run.latency.sent - run.latency.got)
            if program != OURS and run.rate in ours:
                own = ours[run.rate].latency
                yield f"{path}.p50_more", own.p50 - run.latency.p50
                yield f"{path}.p99_ratio", own.p99 / run.latency.p99
    for rate, run in ours.items():
        if run.cost is not None:
            yield from _cost(f"cost.{rate:g}", run.cost)


def _cost(path: str, cost: Cost) -> Named:
    """``stages`` is their sum."""
    for stage, value in cost.stages_us.items():
        yield f"{path}.stage.{stage}", value
    yield f"{path}.stages", sum(cost.stages_us.values())
    yield f"{path}.checkpoint", cost.checkpoint_us
    yield f"{path}.cpu", cost.cpu_us
    yield f"{path}.poll", cost.poll
    yield f"{path}.approved", cost.approved * 100


def _state(state: State) -> Named:
    yield "state.row_bytes", state.row_bytes
    yield "state.card_bytes", state.card_bytes
    for name, resident in (("few", state.few), ("many", state.many)):
        yield from _resident(f"state.{name}", resident)
    for name, few, many in (
        ("same", state.few.same, state.many.same),
        ("spread", state.few.spread, state.many.spread),
    ):
        yield f"state.{name}_ratio", many.cost.cpu_us / few.cost.cpu_us
        yield f"state.{name}_wall_ratio", few.rate / many.rate
    yield from _takeover("state.", state.handover)
    if state.many_handover is not None:
        yield from _takeover("state.many_", state.many_handover)


def _takeover(path: str, takeover: Takeover) -> Named:
    yield f"{path}handover.cards", float(takeover.cards)
    for name, handover in (("killed", takeover.killed), ("asked", takeover.asked)):
        yield from ((f"{path}{name}.{field}", value) for field, value in _fields(handover))


def _resident(path: str, resident: Resident) -> Named:
    yield f"{path}.cards", float(resident.cards)
    yield f"{path}.ready_s", resident.ready_s
    yield f"{path}.resident_mib", resident.resident_bytes / _MIB
    yield f"{path}.peak_mib", resident.peak_bytes / _MIB
    yield f"{path}.longest_ms", resident.longest.ms
    for name, work in (("same", resident.same), ("spread", resident.spread)):
        yield f"{path}.{name}.rate", work.rate
        yield from _cost(f"{path}.{name}", work.cost)

"""The figures as tables for people: medians of the rounds, in brackets the lowest and the highest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.lab.bench.figures import LATENCY_FIGURES, Spread
from pipeline.lab.bench.machine import Machine
from pipeline.lab.bench.options import OURS, TITLES

Figures = Mapping[str, Spread]

LATENCY_HEADINGS = ("p50", "p95", "p99", "p99.9", "max", "longest pause")
STATE_ROWS = (
    ("until ready, s", "ready_s", 2),
    ("resident, MiB", "resident_mib", 0),
    ("at most, MiB", "peak_mib", 0),
    ("stages, µs a transaction, same cards", "same.stages", 1),
    ("processor, µs a transaction, same cards", "same.cpu", 1),
    ("decisions/s, same cards", "same.rate", 0),
    ("transactions a poll, same cards", "same.poll", 0),
    ("approved without more, %, same cards", "same.approved", 1),
    ("processor, µs a transaction, all cards", "spread.cpu", 1),
    ("decisions/s, all cards", "spread.rate", 0),
    ("transactions a poll, all cards", "spread.poll", 0),
    ("approved without more, %, all cards", "spread.approved", 1),
    ("longest Redis command, ms", "longest_ms", 2),
)
SINGLE_ROWS = (
    ("bytes of a card's row", "state.row_bytes", 0),
    ("bytes resident a card", "state.card_bytes", 0),
    ("many ÷ few, processor, same cards", "state.same_ratio", 2),
    ("many ÷ few, processor, all cards", "state.spread_ratio", 2),
    ("many ÷ few, time, same cards", "state.same_wall_ratio", 2),
    ("many ÷ few, time, all cards", "state.spread_wall_ratio", 2),
)
HANDOVER_ROWS = (
    ("killed: first decision on its partitions, s", "killed.first_s", 2),
    ("killed: longest wait, s", "killed.longest_s", 2),
    ("asked to stop: longest wait, s", "asked.longest_s", 2),
)
BYTES_ROWS = (
    ("transaction", "bytes.transaction"),
    ("decision", "bytes.decision"),
    ("share of a scored record", "bytes.scored"),
    ("to Redis", "bytes.store"),
)


def text(figures: Figures, machine: Machine, rounds: int) -> str:
    """Everything there is a figure for."""
    how = "pure Python" if not machine.compiled else "compiled"
    made_of = "one round" if rounds == 1 else f"medians of {rounds} rounds (lowest–highest)"
    head = (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB · {machine.system} · Python {machine.python}",
        f"Cardwatch {machine.cardwatch} ({how}), policy {machine.policy} with {machine.rules} rules · "
        f"Kafka {machine.kafka} · Redis {machine.redis}",
        made_of,
    )
    parts = [
        "\n".join(head),
        *_backlog(figures),
        *_latency(figures),
        *_cost(figures),
        *_bytes(figures),
        *_state(figures),
        *_scaling(figures),
    ]
    return "\n\n".join(parts) + "\n"


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def cell(figure: Spread | None, digits: int) -> str:
    """Nothing where there is no figure; no brackets where there was one round."""
    if figure is None:
        return ""
    if len(figure.rounds) == 1:
        return number(figure.median, digits)
    return f"{number(figure.median, digits)} ({number(figure.low, digits)}–{number(figure.high, digits)})"


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """First column to the left, the others to the right."""
    lines = [list(line) for line in (headings, *rows) if any(line)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    drawn = [
        "  ".join(word.ljust(width) if not place else word.rjust(width) for place, (word, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]  # fmt: skip
    return "\n".join([title, "-" * len(title), *(line.rstrip() for line in drawn)])


def rates(figures: Figures) -> list[str]:
    """The rates latencies were read at, ascending."""
    found = {name.split(".")[1] for name in figures if name.startswith("latency.")}
    return sorted(found, key=float)


def _programs(figures: Figures, path: str) -> Iterator[tuple[str, str]]:
    """Title and path of the programs that have figures below ``path``."""
    for program, title in TITLES.items():
        if any(name.startswith(f"{path}.{program}.") for name in figures):
            yield title, f"{path}.{program}"


def _backlog(figures: Figures) -> Iterator[str]:
    rows = [
        (
            title,
            cell(figures.get(f"{path}.transactions"), 0).split(" ")[0],
            cell(figures.get(f"{path}.rate"), 0),
            cell(figures.get(f"{path}.ratio"), 2),
        )
        for title, path in _programs(figures, "backlog")
    ]
    if rows:
        yield table("Backlog", ("program", "transactions", "decisions/s", f"{TITLES[OURS]} ÷ it"), rows)


def _latency(figures: Figures) -> Iterator[str]:
    for rate in rates(figures):
        rows = [
            (
                title,
                *(cell(figures.get(f"{path}.{name}"), 2) for name in LATENCY_FIGURES),
                cell(figures.get(f"{path}.missing"), 0),
                cell(figures.get(f"{path}.p50_more"), 2),
                cell(figures.get(f"{path}.p99_ratio"), 2),
            )
            for title, path in _programs(figures, f"latency.{rate}")
        ]
        headings = ("program", *LATENCY_HEADINGS, "missing", "p50: ours −", "p99: ours ÷")
        yield table(f"Milliseconds from due to decided, {rate}/s", headings, rows)


def _cost(figures: Figures) -> Iterator[str]:
    places = [place for place in ("backlog", *rates(figures)) if f"cost.{place}.cpu" in figures]
    if not places:
        return
    first = f"cost.{places[0]}.stage."
    stages = [name.removeprefix(first) for name in figures if name.startswith(first)]
    wanted = [
        *((stage, f"stage.{stage}", 2) for stage in stages),
        ("all stages", "stages", 2),
        ("checkpoint (beside the others)", "checkpoint", 2),
        ("processor time", "cpu", 1),
        ("transactions a poll", "poll", 1),
        ("approved without more, %", "approved", 1),
    ]
    rows = [(title, *(cell(figures.get(f"cost.{place}.{name}"), digits) for place in places)) for title, name, digits in wanted]  # fmt: skip
    headings = ("stage", *("backlog" if place == "backlog" else f"{place}/s" for place in places))
    yield table("Microseconds a transaction", headings, rows)


def _bytes(figures: Figures) -> Iterator[str]:
    rows = [(title, cell(figures[name], 0)) for title, name in BYTES_ROWS if name in figures]
    if rows:
        yield table("Bytes a transaction", ("", "bytes"), rows)


def _state(figures: Figures) -> Iterator[str]:
    sizes = [name for name in ("few", "many") if f"state.{name}.cards" in figures]
    if not sizes:
        return
    headings = ("", *(f"{number(figures[f'state.{size}.cards'].median, 0)} cards" for size in sizes))
    rows = [
        (title, *(cell(figures.get(f"state.{size}.{name}"), digits) for size in sizes))
        for title, name, digits in STATE_ROWS
    ]
    yield table("Many cards", headings, rows)
    singles = [(title, cell(figures[name], digits)) for title, name, digits in SINGLE_ROWS if name in figures]
    yield table("A card, and many ÷ few", ("", ""), singles)
    yield _handover(figures)


def _handover(figures: Figures) -> str:
    paths = [path for path in ("state.", "state.many_") if f"{path}handover.cards" in figures]
    headings = ("", *(f"{number(figures[f'{path}handover.cards'].median, 0)} cards" for path in paths))
    rows = [
        (title, *(cell(figures.get(f"{path}{name}"), digits) for path in paths))
        for title, name, digits in HANDOVER_ROWS
    ]
    return table("Hand-over between two workers", headings, rows)


def _scaling(figures: Figures) -> Iterator[str]:
    if "scaling.ratio" in figures:
        rows = [
            ("one process, transactions/s", cell(figures["scaling.one"], 0)),
            ("two processes, transactions/s", cell(figures["scaling.two"], 0)),
            ("two ÷ one", cell(figures["scaling.ratio"], 2)),
            ("processor, µs a transaction", cell(figures["scaling.cpu_us"], 1)),
        ]
        yield table("Scoring from memory, a processor each", ("", ""), rows)

"""What a year amounts to, for the bank: whom it reached, how long good customers' cards were held, what agents had to do."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from simulated_year.evidence import Evidence, Told


@dataclass
class Tally:
    """Counts and samples; those of several profiles add up. ``hold_s``: of good customers, from hold to release;
    ``release_s``: from the YES given to the release published; ``measured_s``: the part of it this program took, from
    the call-back's arrival on."""

    customers: int = 0
    alerts: int = 0
    conversations: int = 0
    questions: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    without_people: int = 0
    good_holds: int = 0
    hold_s: list[float] = field(default_factory=list)
    release_s: list[float] = field(default_factory=list)
    measured_s: list[float] = field(default_factory=list)
    frauds: int = 0
    frauds_blocked: int = 0
    frauds_released: int = 0
    deferrals: int = 0
    deferred: int = 0
    cases: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0

    def add(self, other: "Tally") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def tallied(evidence: Evidence, customers: int) -> Tally:
    """One profile's year."""
    steps: dict[str, list[Told]] = defaultdict(list)
    commands: dict[str, list[Told]] = defaultdict(list)
    answered: set[tuple[str, int]] = set()
    for told in evidence.told:
        value = told.value
        if told.topic == "contacts":
            steps[value["contact"]].append(told)
            if value["step"] == "answered" and value.get("attempt"):
                answered.add((value["contact"], value["attempt"]))
        elif told.topic == "card-commands":
            commands[value["id"].partition(":")[0]].append(told)
    tally = Tally(customers=customers, alerts=len(evidence.raised), cases=len(evidence.cases), cpu_s=evidence.cpu_s)
    tally.measured_s = list(evidence.measured_s)
    tally.faults.update(evidence.faults)
    for one in evidence.handled:
        if one.question:
            tally.questions += 1
            tally.asked[one.channel] += 1
            tally.reached[one.channel] += (one.contact, one.number) in answered
    fraud = {raised.id for raised in evidence.raised if raised.fraud}
    for contact, told_steps in steps.items():
        _conversation(tally, told_steps, commands[contact], fraud)
    _releases(tally, evidence, commands)
    return tally


def _conversation(tally: Tally, steps: Sequence[Told], commands: Sequence[Told], fraud: set[str]) -> None:
    names = [told.value["step"] for told in steps]
    alerts = {told.value["subject"]["alert"] for told in steps}
    end = next((name for name in reversed(names) if name in ("completed", "expired", "cancelled")), "open")
    how = {told.value.get("reason") for told in steps if told.value["step"] == "completed"}
    if end == "completed" and not how & {"released", "blocked", "superseded"}:
        end = "told"
    elif end == "completed":
        end = "blocked" if any(told.value["command"] == "block" for told in commands) else "released"
    tally.ends[end] += 1
    if end in ("cancelled", "told"):
        return
    tally.conversations += 1
    tally.without_people += "escalated" not in names and end in ("released", "blocked")
    tally.deferrals += names.count("deferred")
    tally.deferred += "deferred" in names
    if alerts & fraud:
        tally.frauds += 1
        tally.frauds_blocked += end == "blocked"
        tally.frauds_released += end == "released"
        return
    holds = [told.at_ms for told in commands if told.value["command"] == "hold"]
    releases = [told.at_ms for told in commands if told.value["command"] == "release"]
    if holds:
        tally.good_holds += 1
        if releases:
            tally.hold_s.append((max(releases) - min(holds)) / 1000)


def _releases(tally: Tally, evidence: Evidence, commands: dict[str, list[Told]]) -> None:
    yes = defaultdict(list)
    for said in evidence.said:
        if said.word == "yes":
            yes[said.contact].append(said.given_ms)
    for contact, told in ((contact, told) for contact, each in commands.items() for told in each):
        given = [at_ms for at_ms in yes[contact] if at_ms <= told.at_ms]
        if told.value["command"] == "release" and given:
            tally.release_s.append((told.at_ms - max(given)) / 1000)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that ``share`` of ``values`` do not exceed; nan of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _part(some: int, all_: int) -> float:
    return some / all_ if all_ else math.nan


def summary(tally: Tally, minutes_a_case: float) -> dict[str, object]:
    """The figures, under the names that ``--json`` gives them."""
    return {
        "customers": tally.customers,
        "alerts": tally.alerts,
        "conversations": tally.conversations,
        "questions": tally.questions,
        "questions_per_alert": _part(tally.questions, tally.alerts),
        "reached": {name: _part(tally.reached[name], asked) for name, asked in sorted(tally.asked.items())},
        "resolved_without_people": _part(tally.without_people, tally.conversations),
        "good_holds": tally.good_holds,
        "good_holds_released": _part(len(tally.hold_s), tally.good_holds),
        "good_hold_median_s": percentile(tally.hold_s, 0.5),
        "good_hold_p90_s": percentile(tally.hold_s, 0.9),
        "yes_to_release_p50_s": percentile(tally.release_s, 0.5),
        "yes_to_release_p99_s": percentile(tally.release_s, 0.99),
        "own_part_p50_ms": percentile(tally.measured_s, 0.5) * 1000,
        "own_part_p99_ms": percentile(tally.measured_s, 0.99) * 1000,
        "frauds": tally.frauds,
        "frauds_blocked": _part(tally.frauds_blocked, tally.frauds),
        "frauds_released": tally.frauds_released,
        "deferred": tally.deferred,
        "ends": dict(sorted(tally.ends.items())),
        "agents_cases": tally.cases,
        "agents_hours": tally.cases * minutes_a_case / 60,
        "faults": dict(sorted(tally.faults.items())),
        "violations": dict(sorted(tally.violations.items())),
        "cpu_s": tally.cpu_s,
    }


ROWS = (
    ("customers", "customers", "{:,}"),
    ("alerts", "alerts", "{:,}"),
    ("conversations", "conversations", "{:,}"),
    ("questions", "questions asked by machine", "{:,}"),
    ("questions_per_alert", "questions per alert", "{:.2f}"),
    ("reached.sms", "answered, of texts", "{:.0%}"),
    ("reached.voice", "answered, of calls", "{:.0%}"),
    ("resolved_without_people", "settled without people", "{:.0%}"),
    ("deferred", "conversations deferred", "{:,}"),
    ("ends.expired", "conversations expired", "{:,}"),
    ("good_hold_median_s", "good customers' hold, median (s)", "{:,.0f}"),
    ("good_hold_p90_s", "good customers' hold, p90 (s)", "{:,.0f}"),
    ("good_holds_released", "good customers' holds released", "{:.1%}"),
    ("yes_to_release_p50_s", "YES → release, p50 (s)", "{:.1f}"),
    ("yes_to_release_p99_s", "YES → release, p99 (s)", "{:.1f}"),
    ("own_part_p50_ms", "of it this program's, p50 (ms)", "{:.1f}"),
    ("own_part_p99_ms", "of it this program's, p99 (ms)", "{:.1f}"),
    ("frauds", "conversations about fraud", "{:,}"),
    ("frauds_blocked", "of them blocked", "{:.1%}"),
    ("frauds_released", "of them released by mistaken customers", "{:,}"),
    ("agents_cases", "agents' cases", "{:,}"),
    ("agents_hours", "agents' hours", "{:,.0f}"),
    ("violations", "violations", "{}"),
)


def table(columns: dict[str, dict[str, object]]) -> str:
    """The summaries side by side, as Markdown."""
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for path, words, form in ROWS:
        cells = [form.format(_found(column, path)) for column in columns.values()]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _found(column: dict[str, object], path: str) -> object:
    found: object = column
    for name in path.split("."):
        found = found.get(name, 0) if isinstance(found, dict) else found
    return sum(found.values()) if isinstance(found, dict) else found

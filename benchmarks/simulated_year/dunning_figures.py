"""What a year of reminders amounts to: who was cured after which stage, channel and hour, how late customers were, how often
they heard of it. All of it of simulated customers: their patience is ours to choose, so only the order of things is told."""

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime

from simulated_year.dunning_file import DunningFile
from simulated_year.dunning_judge import overdue_stages, reason_of
from simulated_year.evidence import Told
from simulated_year.ledger import DAY_MS, local_day, place

CURED_MS = 3 * DAY_MS
"""Cured: what was due is paid within so long after the bank had told of it."""
SAMPLE_MS = 30 * DAY_MS
LATENESS = ((0, "0"), (3, "1–3"), (30, "4–30"), (60, "31–60"), (90, "61–90"), (100_000, "over 90"))


@dataclass
class DunningTally:
    """Counts; those of several runs add up. ``told``, ``cured``: by "stage …", "channel …", "hour …";
    ``reasons``: of reminders asked for, what became of them; ``overdue``: of stages through which a bill was overdue."""

    customers: int = 0
    bills: int = 0
    requests: int = 0
    attempts: int = 0
    stopped_by_payment: int = 0
    told: Counter[str] = field(default_factory=Counter)
    cured: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    overdue: Counter[str] = field(default_factory=Counter)
    lateness: Counter[str] = field(default_factory=Counter)
    per_customer: Counter[int] = field(default_factory=Counter)
    promises: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0

    def add(self, other: "DunningTally") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def tallied(file: DunningFile, customers: int) -> DunningTally:
    """One run's year."""
    tally = DunningTally(customers=customers, requests=len(file.requested), cpu_s=file.evidence.cpu_s)
    tally.faults.update(file.evidence.faults)
    reminders: Counter[str] = Counter()
    for one in file.attempts:
        if one.thanks or one.spoken is None:
            continue
        tally.attempts += 1
        reminders[one.customer] += 1
        after = file.known[one.account].owing(one.at_ms + CURED_MS)
        cured = not any(left for bill, left in after.bills if bill.id.startswith(one.bill))
        hour = datetime.fromtimestamp(one.at_ms / 1000, place(file.plan.zone)).hour
        stage = one.stage.partition("_2")[0]
        for key in (f"stage {stage}", f"channel {one.class_} {one.channel}", f"hour {hour:02}"):
            tally.told[key] += 1
            tally.cured[key] += cured
    for count in reminders.values():
        tally.per_customer[count] += 1
    tally.per_customer[0] += customers - len(reminders)
    for bill, stage in file.requested:
        if not stage.startswith("thanks"):
            reason = reason_of(file, bill, stage)
            tally.reasons[reason] += 1
            tally.stopped_by_payment += reason == "paid"
    tally.overdue.update(one.outcome or "nothing" for one in overdue_stages(file))
    _lateness(tally, file)
    _promises(tally, file.evidence.told)
    return tally


def _lateness(tally: DunningTally, file: DunningFile) -> None:
    """How many days past due accounts were, looked at every thirty days."""
    first_ms = min((told.at_ms for told in file.evidence.told), default=0)
    last_ms = max((told.at_ms for told in file.evidence.told), default=0)
    for known in file.known.values():
        tally.bills += len(known.by_step(1 << 59).bills)
        for at_ms in range(first_ms, last_ms, SAMPLE_MS):
            oldest = known.owing(at_ms).oldest
            days = (local_day(file.plan.zone, at_ms) - oldest.due).days if oldest else 0
            tally.lateness[next(name for most, name in LATENESS if days <= most)] += 1


def _promises(tally: DunningTally, told: list[Told]) -> None:
    tally.promises["made"] = sum(
        one.topic == "contacts" and one.value["step"] == "answered" and one.value.get("answer") == "promise"
        for one in told
    )
    tally.promises["broken"] = len(
        {one.value["id"] for one in told if one.topic == "contact-requests" and "/broken_" in one.value["id"]}
    )


def summary(tally: DunningTally) -> dict[str, object]:
    """The figures, under the names that ``--json`` gives them."""
    reminded = sum(count for times, count in tally.per_customer.items() if times)
    samples = max(1, tally.lateness.total())
    return {
        "customers": tally.customers,
        "bills": tally.bills,
        "reminders_asked_for": tally.requests,
        "attempts": tally.attempts,
        "stopped_by_payment": _part(tally.stopped_by_payment, tally.reasons.total()),
        "customers_reminded": _part(reminded, tally.customers),
        "reminders_per_customer": _part(tally.attempts, tally.customers),
        "reminders_per_reminded": _part(tally.attempts, reminded),
        "cured": {key: _part(tally.cured[key], told) for key, told in sorted(tally.told.items())},
        "told": dict(sorted(tally.told.items())),
        "days_past_due": {name: tally.lateness[name] / samples for _, name in LATENESS},
        "overdue": dict(tally.overdue.most_common()),
        "reasons": dict(tally.reasons.most_common()),
        "promises": dict(tally.promises),
        "faults": dict(sorted(tally.faults.items())),
        "violations": dict(tally.violations),
        "cpu_s": tally.cpu_s,
    }


def _part(some: float, all_: float) -> float:
    return some / all_ if all_ else 0.0


def table(tally: DunningTally) -> str:
    """Markdown: one line a figure, then the cure rates."""
    found = summary(tally)
    lines = ["| | |", "|---|---:|"]
    for key, words, form in (
        ("customers", "customers", "{:,}"), ("bills", "bills", "{:,}"), ("reminders_asked_for", "reminders asked for", "{:,}"),
        ("attempts", "attempts that reminded", "{:,}"), ("customers_reminded", "customers reminded at all", "{:.0%}"),
        ("reminders_per_reminded", "reminders of each of them", "{:.1f}"),
        ("stopped_by_payment", "reminders stopped by a payment", "{:.1%}"),
    ):  # fmt: skip
        lines.append(f"| {words} | {form.format(found[key])} |")
    overdue = tally.overdue.total()
    lines.append(f"| stages through which a bill was overdue | {overdue:,} |")
    lines.append(f"| told at them | {_part(tally.overdue['told'], overdue):.1%} |")
    lines.append(
        f"| a reason on record | {_part(overdue - tally.overdue['told'] - tally.overdue['nothing'], overdue):.1%} |"
    )
    lines.append(f"| violations | {tally.violations.total()} |")
    lines += ["", "| days past due | share of accounts |", "|---|---:|"]
    samples = max(1, tally.lateness.total())
    lines += [f"| {name} | {tally.lateness[name] / samples:.1%} |" for _, name in LATENESS]
    lines += ["", "| told by | times | paid within 3 days |", "|---|---:|---:|"]
    lines += [f"| {key} | {told:,} | {tally.cured[key] / told:.0%} |" for key, told in sorted(tally.told.items())]
    return "\n".join(lines)

"""A year of 20,000 simulated customers, billed, reminded by the real reminder and contact roles, and paying or not.

    python benchmarks/reminder_year.py [--customers 20000] [--days 365] [--profiles cn,us,uk,eu,in] [--seed 1] [--jobs 2]
                                       [--json FILE]

The code that reminds is the product's: two workers of the reminder role and two of the contact role on one store in
memory, the topics between them, under each country profile of config/contact and the plan of config/policies. Around it
everything is simulated: a billing system that writes late, twice, out of order and corrects itself; customers who pay in
time, late, in part, when told, or never, who promise and keep it or do not; telephone companies with their faults.
Workers are killed at any step; twice a year nobody reminds for a day. Time jumps from one event to the next.

Afterwards a judge that shares no code with the product works out from the raw records what each account owed at each
attempt, by what had been taken in by then, and who should have been told. Every violation is printed with all that
happened to that customer. Exit code 1: there is one.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from simulated_year.dunning_figures import DunningTally, summary, table, tallied
from simulated_year.dunning_file import DunningFile, Violation, timeline
from simulated_year.dunning_judge import judged
from simulated_year.dunning_year import CONFIG, DunningScope, plan_text, reminded
from simulated_year.reminder_rules import read_plan_rules, read_reminder_rules
from simulated_year.year import shares

PROFILES = ("cn", "us", "uk", "eu", "in")
AT_ONCE = 2000
"""Customers of one run: a year of theirs takes well over a gigabyte."""
SHOWN = 3
"""Violations of one run told with the customer's timeline; the others are counted."""


class Outcome(NamedTuple):
    """``stories``: the timelines of the customers of the first violations."""

    tally: DunningTally
    violations: Sequence[Violation]
    stories: Sequence[Sequence[str]]


def lived(scope: DunningScope) -> Outcome:
    """Simulate, judge and count one run."""
    rules = read_reminder_rules(CONFIG / "contact" / f"{scope.profile}.toml")
    file = DunningFile(reminded(scope), rules, read_plan_rules(plan_text(scope.profile)))
    violations = judged(file)
    tally = tallied(file, scope.customers)
    tally.violations.update(violation.rule for violation in violations)
    stories = [
        [f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f} {words}" for at_ms, words in lines]
        for lines in (timeline(file, violation.customer) for violation in violations[:SHOWN])
    ]
    return Outcome(tally, violations, stories)


def scopes_of(customers: int, profiles: Sequence[str], days: int, seed: int) -> list[DunningScope]:
    """Every profile in runs of not too many."""
    found = []
    for profile, count in zip(profiles, shares(customers, profiles), strict=True):
        parts = -(-count // AT_ONCE)
        found += [
            DunningScope(profile, count * (part + 1) // parts - count * part // parts, days, seed * 1000 + part)
            for part in range(parts)
        ]
    return found


def told(scope: DunningScope, outcome: Outcome) -> None:
    """Violations, and what led to them."""
    for violation, story in zip(outcome.violations, outcome.stories, strict=False):
        print(f"\nVIOLATION {scope.profile} seed {scope.seed}: {violation.rule}: {violation.words}", file=sys.stderr)
        for line in story:
            print(f"  {line}", file=sys.stderr)
    for violation in outcome.violations[SHOWN:]:
        print(f"VIOLATION {scope.profile}: {violation.rule}: {violation.words}", file=sys.stderr)


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=20_000, help="over all profiles together")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--profiles", default=",".join(PROFILES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, - for standard output")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    given = read_arguments(arguments)
    scopes = scopes_of(given.customers, given.profiles.split(","), given.days, given.seed)
    total, columns = DunningTally(), {profile: DunningTally() for profile in given.profiles.split(",")}
    fresh = multiprocessing.get_context("spawn")  # a process for each run: its memory goes with it
    with ProcessPoolExecutor(given.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        for scope, outcome in zip(scopes, pool.map(lived, scopes), strict=True):
            told(scope, outcome)
            columns[scope.profile].add(outcome.tally)
            total.add(outcome.tally)
            words = f"{scope.customers} customers, {outcome.tally.cpu_s:.0f} s of a core, {len(outcome.violations)} violations"
            print(f"{scope.profile} {scope.seed}: {words}", file=sys.stderr, flush=True)
    print(table(total), file=sys.stderr if given.json == "-" else sys.stdout)
    figures = json.dumps({name: summary(tally) for name, tally in {**columns, "all": total}.items()}, indent=2)
    if given.json == "-":
        print(figures)
    elif given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            file.write(figures + "\n")
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

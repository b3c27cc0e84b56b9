"""A year of 20,000 simulated customers, asked about suspicious payments by the real contact role.

    python benchmarks/contact_year.py [--customers 20000] [--days 365] [--profiles cn,us,uk,eu,in] [--seed 1] [--json FILE]

The code that asks is the product's: the contact role, two workers of it, on the memory store and a log in memory, under
each country profile of config/contact. Around it everything is simulated: customers with their habits, telephone
companies and a text message centre with their faults, a switch, agents; workers are killed at any step and replaced.
Time jumps from one event to the next, so a year takes minutes.

Afterwards a judge that shares no code with the role's gates looks at what was published, at the providers' logs and at
what customers said. Every violation is printed with all that happened to that customer. Exit code 1: there is one.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from simulated_year.case_file import Violation
from simulated_year.evidence import timeline
from simulated_year.figures import Tally, summary, table, tallied
from simulated_year.judge import judged
from simulated_year.rules import read_rules
from simulated_year.year import CONFIG, Scope, shares, simulated

PROFILES = ("cn", "us", "uk", "eu", "in")
SHOWN = 5
"""Violations of one profile told with the customer's timeline; the others are counted."""


class Outcome(NamedTuple):
    """``stories``: the timelines of the customers of the first violations."""

    tally: Tally
    violations: Sequence[Violation]
    stories: Sequence[Sequence[str]]


def lived(scope: Scope) -> Outcome:
    """Simulate, judge and count one profile."""
    evidence = simulated(scope)
    violations = judged(evidence, read_rules(CONFIG / "contact" / f"{scope.profile}.toml"))
    tally = tallied(evidence, scope.customers)
    tally.violations.update(violation.rule for violation in violations)
    stories = [timeline(evidence, violation.customer) for violation in violations[:SHOWN]]
    return Outcome(tally, violations, stories)


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=20_000, help="over all profiles together")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--alerts", type=float, default=3.0, help="a year, per customer")
    parser.add_argument("--profiles", default=",".join(PROFILES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes-a-case", type=float, default=6.0, help="an agent's time for one case")
    parser.add_argument("--jobs", type=int, default=1, help="profiles simulated at the same time")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, - for standard output")
    return parser.parse_args(arguments)


def told(scope: Scope, outcome: Outcome) -> None:
    """Violations, and what led to them."""
    for violation, story in zip(outcome.violations, outcome.stories, strict=False):
        print(f"\nVIOLATION {scope.profile} seed {scope.seed}: {violation.rule}: {violation.words}", file=sys.stderr)
        for line in story:
            print(f"  {line}", file=sys.stderr)
    for violation in outcome.violations[SHOWN:]:
        print(f"VIOLATION {scope.profile}: {violation.rule}: {violation.words}", file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    given = read_arguments(arguments)
    profiles = given.profiles.split(",")
    scopes = [
        Scope(profile, customers, given.days, given.alerts, given.seed)
        for profile, customers in zip(profiles, shares(given.customers, profiles), strict=True)
    ]
    columns, total = {}, Tally()
    fresh = multiprocessing.get_context("spawn")  # a process for each profile: its memory goes with it
    with ProcessPoolExecutor(given.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        for scope, outcome in zip(scopes, pool.map(lived, scopes), strict=True):
            told(scope, outcome)
            columns[scope.profile] = summary(outcome.tally, given.minutes_a_case)
            total.add(outcome.tally)
            print(f"{scope.profile}: {outcome.tally.cpu_s:.0f} s of a core", file=sys.stderr)
    columns["all"] = summary(total, given.minutes_a_case)
    print(table(columns), file=sys.stderr if given.json == "-" else sys.stdout)
    if given.json == "-":
        print(json.dumps(columns, indent=2))
    elif given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(columns, file, indent=2)
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""CI runs everything: each test on real servers belongs to one suite, and each suite declares its time limit.

A suite with a line ``# again: …`` runs tests of other suites once more, under the circumstances that the line names.
"""

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / ".ci" / "suites").glob("*.sh"))
LONGEST_S = 300


def named_by(suites: Iterable[Path]) -> list[str]:
    return [name for suite in suites for name in re.findall(r"tests/real/(test_\w+\.py)", suite.read_text())]


def runs_again(suite: Path) -> bool:
    return re.search(r"^# again: \S", suite.read_text(), re.MULTILINE) is not None


def test_every_test_on_real_servers_is_in_exactly_one_suite() -> None:
    named = named_by(suite for suite in SUITES if not runs_again(suite))
    assert sorted(named) == sorted(path.name for path in (ROOT / "tests" / "real").glob("test_*.py"))


def test_a_suite_that_runs_tests_again_runs_some() -> None:
    first = set(named_by(suite for suite in SUITES if not runs_again(suite)))
    for suite in filter(runs_again, SUITES):
        assert named_by([suite]), suite.name
        assert set(named_by([suite])) <= first, suite.name


def test_every_suite_declares_a_time_limit() -> None:
    for suite in SUITES:
        limits = re.findall(r"^# limit: (\d+) s$", suite.read_text(), re.MULTILINE)
        assert len(limits) == 1, suite.name
        assert 0 < int(limits[0]) <= LONGEST_S, suite.name

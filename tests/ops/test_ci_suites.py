"""CI runs everything: each test on real servers belongs to one suite, and each suite declares its time limit."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / ".ci" / "suites").glob("*.sh"))
LONGEST_S = 300


def test_every_test_on_real_servers_is_in_exactly_one_suite() -> None:
    named = [name for suite in SUITES for name in re.findall(r"tests/real/(test_\w+\.py)", suite.read_text())]
    assert sorted(named) == sorted(path.name for path in (ROOT / "tests" / "real").glob("test_*.py"))


def test_every_suite_declares_a_time_limit() -> None:
    for suite in SUITES:
        limits = re.findall(r"^# limit: (\d+) s$", suite.read_text(), re.MULTILINE)
        assert len(limits) == 1, suite.name
        assert 0 < int(limits[0]) <= LONGEST_S, suite.name

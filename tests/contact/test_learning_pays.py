"""The short form of ``benchmarks/contact_reach.py``: learning pays where there is something to learn, and does no harm
where there is nothing. Seeds are fixed, so these figures are always the same."""

import sys
from pathlib import Path
from statistics import fmean

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from contact_reach import WORLDS, compared, lines

SEEDS, CONVERSATIONS = 2, 600


@pytest.mark.parametrize(("world", "gain"), [("segments", 0.08), ("alike", -0.03), ("turned", 0.04)])
def test_learning_pays_and_does_no_harm(world: str, gain: float) -> None:
    found = compared(WORLDS[world], SEEDS, CONVERSATIONS, ("plan", "both"))
    both, plan = (fmean(each.first for each in found[policy]) for policy in ("both", "plan"))
    assert both - plan > gain
    assert all(each.changed == 0 for each in found["plan"])
    told = "\n".join(lines(WORLDS[world], found))
    assert f"{both:.1%}" in told
    assert "±" in told

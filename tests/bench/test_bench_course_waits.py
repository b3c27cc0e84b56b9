"""A scorer's own figures are read when it has counted what came out of it: its decisions are seen a little before."""

import os
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.embedded.process import Child
from pipeline.lab.bench import workplace
from pipeline.lab.bench.workplace import Scorer
from pipeline.roles.scorer.metrics import ScorerMetrics


class Running:
    """A child that runs, as this process does."""

    pid = os.getpid()
    exit_code = None
    wait_until = Child.wait_until


def test_figures_are_read_when_all_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    metrics = ScorerMetrics(registry)

    def page(port: int, path: str) -> str:
        metrics.transactions.labels("approve").inc(10)
        return generate_latest(registry).decode()

    monkeypatch.setattr(workplace, "get", page)
    scorer = Scorer(cast(Child, Running()), 1)
    assert scorer.course().transactions == 10
    assert scorer.course(35).transactions == 40

"""Dashboard and alerting rules ask only for metrics that exist and are documented, and every alert has its procedure."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pipeline.desk.feed import Link
from pipeline.desk.live import Streams
from pipeline.desk.metrics import DeskMetrics
from pipeline.desk.projection import Projection
from pipeline.roles.archive.metrics import ArchiveMetrics
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.crm.metrics import CrmMetrics
from pipeline.roles.learner.customer_metrics import CustomerMetrics
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.scorer.metrics import ScorerMetrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "config" / "prometheus"
ALERTS = (PROMETHEUS / "alerts.yml").read_text()
DASHBOARD: dict[str, Any] = json.loads((ROOT / "config" / "grafana" / "cardwatch.json").read_text())
METRIC = re.compile(r"\bcardwatch_[a-z_]+\b")


def documented() -> dict[str, str]:
    """Metric name → kind, from the tables of the reference."""
    text = (ROOT / "docs" / "en" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(cardwatch_[a-z_]+)[`{][^|]*\| (counter|gauge|histogram) \|", text, re.MULTILINE)
    return dict(rows)


def series() -> set[str]:
    """The names under which the documented metrics can be queried."""
    names: set[str] = set()
    for metric, kind in documented().items():
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names.update(metric + suffix for suffix in suffixes)
    return names


def desk_metrics(registry: CollectorRegistry) -> None:
    DeskMetrics(registry, Projection(), Streams(), lambda: Link.connecting)


def registered() -> dict[str, str]:
    """Metric name → kind, as the roles register them."""
    kinds: dict[str, str] = {}
    for metrics in (
        ScorerMetrics,
        LearnerMetrics,
        CustomerMetrics,
        ContactMetrics,
        ReminderMetrics,
        CrmMetrics,
        ArchiveMetrics,
        desk_metrics,
    ):
        registry = CollectorRegistry()
        metrics(registry)
        for family in registry.collect():
            kinds[family.name + ("_total" if family.type == "counter" else "")] = family.type
    return kinds


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_the_reference_has_every_metric_the_roles_register_and_no_other() -> None:
    assert documented() == registered()


def test_every_query_of_the_dashboard_asks_for_documented_metrics() -> None:
    asked = {metric for _, expression in queries() for metric in METRIC.findall(expression)}
    assert asked
    assert asked <= series()


def test_alerts_ask_for_documented_metrics() -> None:
    asked = set(METRIC.findall("\n".join(line for line in ALERTS.splitlines() if "description:" not in line)))
    assert asked
    assert asked <= series()


def test_the_dashboard_takes_its_data_source_from_the_variable() -> None:
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    sources = [target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    assert set(sources) == {"${datasource}"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_alert_has_its_section_in_the_runbook(language: str) -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    sections = re.findall(r"^### (Cardwatch\w+)$", (ROOT / f"docs/{language}/operations.md").read_text(), re.MULTILINE)
    assert alerts == sections
    assert re.findall(r"runbook: (\S+)", ALERTS) == [f"docs/en/operations.md#{name.lower()}" for name in alerts]
    for word in ("summary:", "description:", "severity:"):
        assert ALERTS.count(word) == len(alerts)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Prometheus")
def test_promtool_accepts_configuration_alerts_and_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{i}", "expr": expression} for i, (_, expression) in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    for arguments in (
        ["rules", str(PROMETHEUS / "alerts.yml")],
        ["rules", str(file)],
        ["config", str(PROMETHEUS / "prometheus.yml")],
        ["config", str(PROMETHEUS / "prometheus.compose.yml")],
    ):
        checked = subprocess.run(["promtool", "check", *arguments], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr

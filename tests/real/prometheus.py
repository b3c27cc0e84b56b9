"""A Prometheus server with the delivered configuration, told other ports and a shorter interval, and asked over HTTP."""

import json
import math
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servers import RealServer, program

from pipeline.app.configuration import PORTS
from pipeline.embedded.process import free_port, start

READY_S = 30.0
CONFIG = Path(__file__).parents[2] / "config" / "prometheus"
AS_A_COMMENT = re.compile(r"^  # ( *(?:- job_name|static_configs|- targets): *.*)$", re.MULTILINE)
"""The jobs of roles that not everybody runs."""


class Prometheus(RealServer):
    """Scrapes each role of ``ports`` (role → its metrics port on 127.0.0.1) every second and evaluates the alerts."""

    def __init__(self, directory: Path, ports: Mapping[str, int]) -> None:
        super().__init__()
        self._directory = directory
        self._address = f"127.0.0.1:{free_port()}"
        self._began = time.time()
        text = AS_A_COMMENT.sub(r"  \1", (CONFIG / "prometheus.yml").read_text())
        changes = {
            "scrape_interval: 5s": "scrape_interval: 1s",
            "evaluation_interval: 15s": "evaluation_interval: 1s",
            "- alerts.yml": f"- {CONFIG / 'alerts.yml'}",
            **{f'"127.0.0.1:{PORTS[role]}"': f'"127.0.0.1:{port}"' for role, port in ports.items()},
        }
        for delivered, changed in changes.items():
            assert text.count(delivered) == 1, f"prometheus.yml no longer has one {delivered!r}"
            text = text.replace(delivered, changed)
        directory.mkdir(parents=True, exist_ok=True)
        self._config = directory / "prometheus.yml"
        self._config.write_text(text)

    def start(self) -> None:
        words = [
            program("prometheus"),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        self._child = start("Prometheus", words, self._directory / "prometheus.log")
        self._child.wait_until(self._ready, READY_S)

    def _ready(self) -> bool | None:
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200) or None
        except OSError:
            return None

    def _get(self, path: str, **parameters: object) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float:
        """The greatest value of an instant query; 0 when it has no result."""
        return max((float(series["value"][1]) for series in self._get("query", query=expression)["result"]), default=0)

    def drawn(self, expression: str) -> list[float]:
        """The numbers that a panel has to draw since this server was made, of all series; NaN is nothing to draw."""
        end = time.time()
        start = end - math.ceil(end - self._began)  # whole steps, so that the last one is now
        found = self._get("query_range", query=expression, start=start, end=end, step="1s")["result"]
        values = (float(value) for series in found for _, value in series["values"])
        return [value for value in values if math.isfinite(value)]

    def rules(self) -> list[dict[str, Any]]:
        """The alerting rules as the server took them: ``name``, ``query``, ``health``, ``state``, ``lastError``."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def wait_for(self, conditions: Mapping[str, float], wait_s: float) -> None:
        """Wait until each expression's value has reached its number. Fails after ``wait_s``, naming those missing."""
        deadline = time.monotonic() + wait_s
        while True:
            values = {expression: self.value(expression) for expression in conditions}
            missing = {name: value for name, value in values.items() if not value >= conditions[name]}
            if not missing:
                return
            assert time.monotonic() < deadline, f"after {wait_s} s still {missing}, wanted {dict(conditions)}"
            time.sleep(0.2)

"""A Prometheus histogram that takes a whole poll of observations at once.

prometheus_client observes one value at a time, about a microsecond each; a poll brings two thousand.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

LATENCY_BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # fmt: skip


class BatchHistogram(Collector):
    """Cumulative buckets with the given ascending upper bounds; +Inf is added. One series per value of ``label``."""

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        documentation: str,
        bounds: Sequence[float],
        label: str | None = None,
        values: Sequence[str] = ("",),
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._label = label
        self._bounds = np.asarray(bounds, dtype=np.float64)
        self._counts = {value: np.zeros(len(bounds) + 1, dtype=np.int64) for value in values}
        self._sums = dict.fromkeys(values, 0.0)
        registry.register(self)

    def observe_many(self, observations: NDArray[np.float64], value: str = "") -> None:
        """Add float64[n] observations to the series of ``value``."""
        buckets = np.searchsorted(self._bounds, observations, side="left")
        self._counts[value] += np.bincount(buckets, minlength=len(self._bounds) + 1)
        self._sums[value] += float(observations.sum())

    def observe(self, observation: float, value: str = "") -> None:
        self._counts[value][np.searchsorted(self._bounds, observation, side="left")] += 1
        self._sums[value] += observation

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label] if self._label else [])
        names = [*(str(bound) for bound in self._bounds.tolist()), "+Inf"]
        for value, counts in self._counts.items():
            buckets = [(name, float(count)) for name, count in zip(names, counts.cumsum().tolist(), strict=True)]
            family.add_metric([value] if self._label else [], buckets, self._sums[value])
        yield family

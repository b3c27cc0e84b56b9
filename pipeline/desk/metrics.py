"""What the desk says of itself to Prometheus. Read when scraped, so counting costs nothing in between."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Gauge

from pipeline.desk.feed import Link
from pipeline.desk.live import Streams
from pipeline.desk.projection import TOPICS, Projection


class DeskMetrics:
    """Registers the desk's series with ``registry``; all exist from the start."""

    def __init__(
        self, registry: CollectorRegistry, projection: Projection, streams: Streams, link: Callable[[], Link]
    ) -> None:
        pages = Gauge("cardwatch_desk_open_pages", "Pages with an open live stream.", registry=registry)
        pages.set_function(lambda: float(streams.open))
        kept = Gauge("cardwatch_desk_alerts", "Alerts the desk keeps.", registry=registry)
        kept.set_function(lambda: float(len(projection)))
        live = Gauge("cardwatch_desk_live", "1 while the desk hears the broker.", registry=registry)
        live.set_function(lambda: float(link() is Link.live))
        unusable = Gauge(
            "cardwatch_desk_unusable_records",
            "Records of a topic the desk could not read since it started.",
            ["topic"],
            registry=registry,
        )
        for topic in TOPICS:
            unusable.labels(topic.name).set_function(partial(_unusable, projection, topic.name))


def _unusable(projection: Projection, topic: str) -> float:
    return float(projection.unusable[topic])

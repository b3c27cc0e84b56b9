"""The desk's own series."""

from desk_story import decision
from prometheus_client import CollectorRegistry

from pipeline.desk.feed import Link
from pipeline.desk.live import Streams
from pipeline.desk.metrics import DeskMetrics
from pipeline.desk.projection import Projection


def test_the_series_exist_at_once_and_follow_the_desk() -> None:
    registry, projection, streams = CollectorRegistry(), Projection(), Streams()
    state = {"link": Link.connecting}
    DeskMetrics(registry, projection, streams, lambda: state["link"])
    assert registry.get_sample_value("cardwatch_desk_live") == 0
    assert registry.get_sample_value("cardwatch_desk_unusable_records", {"topic": "decisions"}) == 0
    projection.apply_decision(decision(0))
    projection.apply_decision(decision(1)._replace(value=b"no"))
    state["link"] = Link.live
    assert registry.get_sample_value("cardwatch_desk_live") == 1
    assert registry.get_sample_value("cardwatch_desk_alerts") == 1
    assert registry.get_sample_value("cardwatch_desk_unusable_records", {"topic": "decisions"}) == 1
    assert registry.get_sample_value("cardwatch_desk_open_pages") == 0

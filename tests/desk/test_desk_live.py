"""The live streams: what they bring, and how they end."""

import http.client
import json
from collections.abc import Iterator

import pytest
from desk_story import NOW_MS, RunningDesk, decision, step

from pipeline.desk import live
from pipeline.desk.feed import Link


@pytest.fixture
def desk() -> Iterator[RunningDesk]:
    with RunningDesk(now=lambda: NOW_MS / 1000 + 1) as running:
        yield running


class Stream:
    """An open event stream; `next` answers one event's name and data."""

    def __init__(self, desk: RunningDesk, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=10)
        self._connection.request("GET", path)
        self.response = self._connection.getresponse()

    def next(self) -> tuple[str, str] | None:
        """None at the end of the stream."""
        name, data = "", []
        while line := self.response.readline().decode():
            if line == "\n" and data:
                return name, "\n".join(data)
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        return None

    def until(self, words: str) -> str:
        while (event := self.next()) is not None:
            if words in event[1]:
                return event[1]
        raise AssertionError(f"the stream ended without {words!r}")

    def close(self) -> None:
        self.response.close()
        self._connection.close()


def test_the_stream_brings_what_changes_and_only_that(desk: RunningDesk) -> None:
    stream = Stream(desk, "/live?lang=en")
    assert stream.response.getheader("content-type", "").startswith("text/event-stream")
    first = stream.until("hx-partial")
    for part in ("#link", "#rate", "#figures", "#alerts"):
        assert f'hx-target="{part}"' in first
    name, chart = stream.next() or ("", "")
    assert name == "rate"
    assert len(json.loads(chart)["counts"]) == 300
    desk.tell(lambda: desk.projection.apply_decision(decision(0)))
    desk.tell(lambda: desk.projection.apply_contact(step("t0-0", "answered", answer="no")))
    second = stream.until("NO — not them")
    assert 'hx-target="#link"' not in second
    stream.close()


def test_a_lost_broker_is_shown_on_open_pages(desk: RunningDesk) -> None:
    stream = Stream(desk, "/live?lang=en")
    stream.until("Live")
    desk.tell(lambda: setattr(desk, "link", Link.reconnecting))
    assert 'hx-target="#link"' in stream.until("Reconnecting")
    stream.close()


def test_one_alerts_stream_follows_its_story(desk: RunningDesk) -> None:
    desk.tell(lambda: desk.projection.apply_decision(decision(0)))
    stream = Stream(desk, "/live/t0-0?lang=en")
    stream.until('hx-target="#detail"')
    desk.tell(lambda: desk.projection.apply_contact(step("t0-0", "escalated")))
    stream.until("Handed to an agent")
    stream.close()


def test_open_streams_end_when_the_desk_closes(desk: RunningDesk) -> None:
    stream = Stream(desk, "/live")
    assert stream.next() is not None
    desk.stop()
    while stream.next() is not None:
        pass
    stream.close()


def test_more_pages_than_the_limit_are_asked_to_come_back(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 2)
    streams = [Stream(desk, "/live") for _ in range(2)]
    for stream in streams:
        assert stream.next() is not None
    assert desk.get("/live").status == 503
    for stream in streams:
        stream.close()

"""The stream that keeps an open page current: server-sent events with HTML fragments for htmx.

A page is sent what *is*, never a list of what happened: each step compares the fragments with those this page has and
sends the ones that differ. A page that reads slowly therefore skips to the newest state, and what waits for it is at
most one message.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from fastapi.sse import ServerSentEvent

PUSH_S = 0.25
"""The shortest time between two messages to one page."""
MOST_STREAMS = 64
"""Pages open at once; the next one is asked to come back later."""
CHART_EVENT = "rate"

Parts = Mapping[str, Callable[[], str]]
"""Element id → how to render its content."""


class Streams:
    """Counts the open streams and knows when the desk is closing."""

    def __init__(self) -> None:
        self.open = 0
        self.closing = asyncio.Event()

    @property
    def full(self) -> bool:
        return self.open >= MOST_STREAMS

    async def pages(
        self, parts: Parts, chart: Callable[[], str] | None, push_s: float = PUSH_S
    ) -> AsyncIterator[ServerSentEvent]:
        """Events until the page goes or the desk closes. ``chart`` makes the JSON of the chart, where there is one."""
        sent: dict[str, str] = {}
        sent_chart = ""
        self.open += 1
        try:
            while not self.closing.is_set():
                changed = "".join(_changed(parts, sent))
                if changed:
                    yield ServerSentEvent(raw_data=changed)
                if chart is not None and (points := chart()) != sent_chart:
                    sent_chart = points
                    yield ServerSentEvent(event=CHART_EVENT, raw_data=points)
                await asyncio.sleep(push_s)
        finally:
            self.open -= 1


def _changed(parts: Parts, sent: dict[str, str]) -> Iterator[str]:
    for element, render in parts.items():
        html = render()
        if sent.get(element) != html:
            sent[element] = html
            yield f'<hx-partial hx-target="#{element}" hx-swap="innerMorph">{html}</hx-partial>'

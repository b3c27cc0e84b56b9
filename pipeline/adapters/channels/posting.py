"""One POST to a provider's HTTP API, and what is certain about it.

A connection that was never made is a refusal: nothing left us. A time-out, a lost connection and an answer that cannot
be read leave it unknown what the provider did. What a status means is the channel's to say; `judged` holds what all say
alike. Redirects are not followed: they would carry keys to another address.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from pipeline.ports_channels import CallRefused, CallUnknown

TIMEOUT_S = 5.0
CONNECTIONS = 100
KEEP_ALIVE_S = 60.0
MAX_ANSWER_BYTES = 64 * 1024
LATER = frozenset({401, 403, 408, 425, 429})
"""Refusals that say something about us or the moment, not about the message."""
CANNOT_BE_ASKED = CallUnknown("cannot_be_asked")
"""Of a provider that has no way to ask what became of a message."""


class Answer(NamedTuple):
    """What came back: the HTTP status and the body, MAX_ANSWER_BYTES of it unless more was allowed; ``retry_after``: the
    header of this name, if there is one."""

    status: int
    body: bytes
    retry_after: str | None = None


class Connected:
    """Connections to one provider, kept between requests. Use as an async context manager, or call `start` and `stop`.
    ``headers`` go with every request."""

    def __init__(self, timeout_s: float = TIMEOUT_S, headers: Mapping[str, str] | None = None) -> None:
        self._timeout_s = timeout_s
        self._headers = headers
        self._started: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        assert self._started is not None, "not started"
        return self._started

    async def start(self) -> None:
        self._started = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers=self._headers,
        )

    async def stop(self) -> None:
        if self._started is not None:
            await self._started.close()
            self._started = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class Poster(Connected):
    """Sends JSON bodies. `start` before, `stop` after."""

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        longest: int = MAX_ANSWER_BYTES,
    ) -> Answer | CallRefused | CallUnknown:
        headers = {"Content-Type": "application/json", **headers}
        try:
            async with self._session.post(
                url, data=body, headers=headers, params=params, allow_redirects=False
            ) as response:
                taken = bytearray()
                async for chunk in response.content.iter_any():
                    taken += chunk
                    if len(taken) > longest:
                        return CallUnknown("answer_too_long")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return CallRefused(permanent=False, reason="not_reached")
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            return CallUnknown(type(error).__name__)
        return Answer(response.status, bytes(taken), response.headers.get("Retry-After"))


def judged(status: int) -> CallRefused | CallUnknown | None:
    """What a status says by itself: None, the provider took it. A redirect is a wrong address of ours."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 500:
        return CallRefused(permanent=status >= 400 and status not in LATER, reason=f"http_{status}")
    return CallUnknown(f"http_{status}")

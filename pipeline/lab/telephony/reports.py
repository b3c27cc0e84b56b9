"""Call-backs to the bank: signed, one id each, repeated with a growing pause until taken or given up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from pipeline.core.webhook import signed

ATTEMPTS = 30
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
TIMEOUT_S = 5.0
NOT_REACHED = 599
"""Stands in the record where no HTTP status came."""
FINAL = frozenset({400, 404, 410, 413})
"""Answers that sending again would not change."""


class Reporter:
    """Delivers reports through ``session``, signed with ``secret``."""

    def __init__(self, session: aiohttp.ClientSession, secret: bytes, now: Callable[[], float]) -> None:
        self._session = session
        self._secret = secret
        self._now = now

    async def deliver(self, kind: str, name: str, url: str, data: Mapping[str, Any]) -> AsyncIterator[int]:
        """Tell ``data`` as an event of ``kind``; ``name`` makes it the same event however often it is told. Yields what
        each attempt was answered with; ends with the first that is final."""
        for number in range(ATTEMPTS):
            answered = await self._attempt(kind, name, url, data)
            yield answered
            if answered < 300 or answered in FINAL:
                return
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**number))

    async def _attempt(self, kind: str, name: str, url: str, data: Mapping[str, Any]) -> int:
        at = datetime.fromtimestamp(self._now(), UTC)
        body = msgspec.json.encode({"type": kind, "timestamp": at.isoformat(), "data": data})
        headers = signed(self._secret, f"msg_{name}", int(self._now()), body)
        headers["Content-Type"] = "application/json"
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with self._session.post(url, data=body, headers=headers, timeout=timeout) as response:
                return response.status
        except (TimeoutError, aiohttp.ClientError):
            return NOT_REACHED

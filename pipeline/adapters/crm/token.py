"""An access token that lasts a while: asked for when needed, kept until shortly before it ends, never asked for often.

The services behind it allow few tokens: Zoho ten in ten minutes for one refresh token, Fxiaoke ten a minute and none at
the same time. One that is asked for too soon is not to be had; what waits for it is told later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pipeline.ports import Clock

Token = TypeVar("Token")
RENEW_EARLY_S = 120.0
ASK_EVERY_S = 60.0


class KeptToken(Generic[Token]):
    """``ask``: a new token and for how many seconds it is good; None: there is none to be had now."""

    def __init__(self, ask: Callable[[], Awaitable[tuple[Token, float] | None]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._token: Token | None = None
        self._good_until = 0.0
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    async def current(self, refused: Token | None = None) -> Token | None:
        """The token; another than ``refused``. None: there is none to be had now."""
        async with self._asking:
            now = self._clock.now()
            if self._token is not None and (self._token == refused or now >= self._good_until):
                self._token = None
            if self._token is None and self._may_ask(now):
                self._asked_at = now
                if (found := await self._ask()) is not None:
                    self._token, lasts_s = found
                    self._good_until = now + lasts_s - RENEW_EARLY_S
            return self._token

    def _may_ask(self, now: float) -> bool:
        return self._asked_at is None or not 0 <= now - self._asked_at < ASK_EVERY_S

"""Twilio's REST API, or one made like it: form posts with basic authentication, and what its answers prove.

A connection never made and a refusal with 4xx are certain; after a time-out, a lost connection or a 5xx, Twilio may or
may not have made what was asked for. After a 429 nothing is sent for as long as its ``Retry-After`` says.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import aiohttp
import msgspec

from pipeline.adapters.channels.posting import TIMEOUT_S, Connected
from pipeline.adapters.channels.resting import Rest, seconds_of
from pipeline.core.twilio import ACCOUNT_SID
from pipeline.ports import Clock
from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown

API = "https://api.twilio.com"
VERSION = "2010-04-01"
LATER = frozenset({401, 403, 408, 429})
"""Refusals that say something about us or the moment, not about the order."""


class _Made(msgspec.Struct):
    sid: str


class _Error(msgspec.Struct):
    code: int | None = None


class Fetched(NamedTuple):
    """A body, and how far Twilio's clock is ahead of ours, seconds; rather too little, by what the answer took."""

    body: bytes
    ahead_s: float


class TwilioClient(Connected):
    """One account. Use as an async context manager, or call `start` and `stop`. ``user``: an API key's sid, if the
    password is that key's secret and not the account's auth token."""

    def __init__(
        self,
        account: str,
        password: str,
        clock: Clock,
        url: str = API,
        user: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if not ACCOUNT_SID.fullmatch(account):
            raise ValueError("a Twilio account's sid is AC and 32 hexadecimal digits")
        self._root = f"{url.rstrip('/')}/{VERSION}/Accounts/{account}/"
        login = base64.b64encode(f"{user or account}:{password}".encode()).decode()
        super().__init__(timeout_s, {"Authorization": f"Basic {login}"})
        self._clock = clock
        self._rest = Rest(clock)

    async def create(self, resource: str, form: Sequence[tuple[str, str]]) -> CallAccepted | CallRefused | CallUnknown:
        """Make a call or a message (``Calls``, ``Messages``), or change one (``Calls/<sid>``). Raises for nothing Twilio
        does."""
        if self._rest.goes_on:
            return CallRefused(permanent=False, reason="rate_limited")
        try:
            async with self._session.post(f"{self._root}{resource}.json", data=form, allow_redirects=False) as response:
                answer = await response.read()
        except aiohttp.ClientConnectorError:
            return CallRefused(permanent=False, reason="not_reached")
        except (TimeoutError, aiohttp.ClientError) as error:
            return CallUnknown(type(error).__name__)
        if 400 <= response.status < 500:
            self._rest.after(response.status, response.headers.get("Retry-After"))
            return CallRefused(permanent=response.status not in LATER, reason=_reason(response.status, answer))
        if response.status not in (200, 201):
            return CallUnknown(f"http_{response.status}")
        try:
            return CallAccepted(msgspec.json.decode(answer, type=_Made).sid)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return CallUnknown("unreadable")

    async def fetch(self, path: str, params: Mapping[str, str] | None = None) -> Fetched | CallUnknown:
        """Read ``path`` (``Calls``, ``Calls/<sid>`` …)."""
        if self._rest.goes_on:
            return CallUnknown("rate_limited")
        try:
            async with self._session.get(f"{self._root}{path}.json", params=params, allow_redirects=False) as response:
                answer = await response.read()
        except (TimeoutError, aiohttp.ClientError) as error:
            return CallUnknown(type(error).__name__)
        if response.status != 200:
            self._rest.after(response.status, response.headers.get("Retry-After"))
            return CallUnknown(f"http_{response.status}")
        theirs_s = seconds_of(response.headers.get("Date"))
        return Fetched(answer, 0.0 if theirs_s is None else theirs_s - self._clock.now())


def _reason(status: int, answer: bytes) -> str:
    """Twilio's own number of the error where it gives one. Its sentence is left out: it names the phone number."""
    try:
        code = msgspec.json.decode(answer, type=_Error).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = None
    return f"http_{status}" if code is None else f"twilio_{code}"

"""Calls through a telephony provider's HTTP API.

Only what is certain is said to be certain: a connection that was never made and the provider's own refusals are
refusals; a time-out, a lost connection and a server's error leave it unknown whether the phone rings.
"""

import aiohttp
import msgspec

from pipeline.adapters.channels.posting import TIMEOUT_S, Connected
from pipeline.ports_channels import CallAbsent, CallAccepted, CallOrder, CallRefused, CallReport, CallUnknown

LATER = frozenset({401, 403, 408, 429})
"""Refusals that say something about us or the moment, not about the call."""


class _Taken(msgspec.Struct):
    call_id: str


class _Call(msgspec.Struct):
    call_id: str
    status: str
    digits: str | None = None


class _Calls(msgspec.Struct):
    calls: list[_Call]


class VoiceProvider(Connected):
    """The Provider port. Use as an async context manager, or call `start` and `stop`."""

    def __init__(
        self, url: str, key: str, callback_url: str, caller: str = "Cardwatch", timeout_s: float = TIMEOUT_S
    ) -> None:
        super().__init__(timeout_s, {"Authorization": f"Bearer {key}"})
        self._url = url.rstrip("/") + "/v1/calls"
        self._callback_url = callback_url
        self._caller = caller

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown:
        body = {
            "to": call.to,
            "from": call.sender or self._caller,
            "language": call.language,
            "say": call.say,
            "voicemail": call.voicemail,
            "thanks": {"1": call.thanks_yes, "2": call.thanks_no},
            "callback_url": self._callback_url,
            "reference": list(call.reference),
            "ring_s": call.ring_s,
        }
        try:
            async with self._session.post(self._url, json=body, headers={"Idempotency-Key": call.key}) as response:
                answer = await response.read()
        except aiohttp.ClientConnectorError:
            return CallRefused(permanent=False, reason="not_reached")
        except (TimeoutError, aiohttp.ClientError) as error:
            return CallUnknown(type(error).__name__)
        if 400 <= response.status < 500:
            return CallRefused(permanent=response.status not in LATER, reason=f"http_{response.status}")
        if response.status not in (200, 201):
            return CallUnknown(f"http_{response.status}")
        try:
            return CallAccepted(msgspec.json.decode(answer, type=_Taken).call_id)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return CallUnknown("unreadable")

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        try:
            async with self._session.get(self._url, params={"idempotency_key": key}) as response:
                answer = await response.read()
        except (TimeoutError, aiohttp.ClientError) as error:
            return CallUnknown(type(error).__name__)
        if response.status != 200:
            return CallUnknown(f"http_{response.status}")
        try:
            calls = msgspec.json.decode(answer, type=_Calls).calls
        except (msgspec.DecodeError, UnicodeDecodeError):
            return CallUnknown("unreadable")
        if not calls:
            return CallAbsent()
        return CallReport(key, calls[0].call_id, calls[0].status, calls[0].digits)

    async def cancel(self, key: str, call: str | None) -> None:
        try:
            async with self._session.delete(self._url, params={"idempotency_key": key}) as response:
                await response.read()
        except (TimeoutError, aiohttp.ClientError):
            return  # it rings out

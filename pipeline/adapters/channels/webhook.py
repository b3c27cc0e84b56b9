"""Messages handed to a bank's own platform: one signed POST each, by the Standard Webhooks specification.

The body is ``{"type": "contact.message", "timestamp": …, "data": {…}}``, the fields of a MessageOrder in ``data``. The
message's key is its ``webhook-id`` and its ``Idempotency-Key``: a platform that knows the key answers 2xx or 409 and
sends nothing again. Answers: 2xx and 409 taken, 410 and other 4xx never, 401 403 408 425 429 not now, else unknown. An
answer ``{"id": …}`` gives the platform's own name for the message.
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
"""

from datetime import UTC, datetime

import msgspec

from pipeline.adapters.channels.posting import CANNOT_BE_ASKED, TIMEOUT_S, Answer, Poster, judged
from pipeline.core.webhook import signed
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

EVENT = "contact.message"
KNOWN_ALREADY = 409


class _Taken(msgspec.Struct):
    id: str | None = None


_decoder = msgspec.json.Decoder(_Taken)


class WebhookChannel:
    """The MessageChannel port. ``secret`` as `pipeline.core.webhook.signing_key` reads it."""

    def __init__(self, url: str, secret: bytes, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._poster = Poster(timeout_s)

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        now = self._clock.now()
        sent_at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        body = msgspec.json.encode({"type": EVENT, "timestamp": sent_at, "data": order._asdict()})
        headers = {**signed(self._secret, order.key, int(now), body), "Idempotency-Key": order.key}
        answer = await self._poster.post(self._url, body, headers)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != KNOWN_ALREADY and (outcome := judged(answer.status)) is not None:
            return outcome
        try:
            named = _decoder.decode(answer.body).id
        except (msgspec.DecodeError, UnicodeDecodeError):  # the status has said it all
            named = None
        return CallAccepted(named or order.key)

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return CANNOT_BE_ASKED

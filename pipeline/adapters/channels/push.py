"""App pushes through an API shaped as Firebase Cloud Messaging's HTTP v1.

Written from the public documentation and tested against a mock of it, never against Google's servers:
https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages (request),
https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode (errors),
https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns (the APNs headers).

The API knows no idempotency key: the same message sent twice arrives twice. It carries a mark made from its key by
which the phone keeps one of them (Android's notification tag, ``apns-collapse-id``, the web's Topic). Phones report
nothing here; the app itself answers. What may stand on a lock screen is for whoever writes the text.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pipeline.adapters.channels.posting import CANNOT_BE_ASKED, TIMEOUT_S, Answer, Poster, judged
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

API = "https://fcm.googleapis.com"
MAX_TTL_S = 2_419_200
"""Four weeks, the API's own limit."""
MARK_LENGTH = 32
"""Characters that Topic may have; APNs allows 64."""
NEVER = frozenset({"UNREGISTERED", "INVALID_ARGUMENT", "SENDER_ID_MISMATCH"})
"""What is said of this app installation or this message, for good."""

TokenSource = Callable[[str | None], Awaitable[str]]
"""Gives an OAuth access token; the argument is one that was just refused, if any: then another is wanted. Raises
NoToken."""


class NoToken(Exception):
    """There is no access token to be had now."""


def renewed_token(read: Callable[[], str]) -> TokenSource:
    """A source of a token that somebody else renews where ``read`` finds it; read again when one was refused. ``read``
    may raise OSError."""
    token: str | None = None

    async def source(refused: str | None) -> str:
        nonlocal token
        if token is None or token == refused:
            try:
                token = read()
            except OSError as error:
                raise NoToken("the access token cannot be read") from error
        if not token or token == refused:
            raise NoToken("the access token was refused and is not renewed yet")
        return token

    return source


class _Detail(msgspec.Struct):
    errorCode: str | None = None


class _Error(msgspec.Struct):
    details: list[_Detail] = []


class _Body(msgspec.Struct):
    name: str | None = None
    error: _Error | None = None


_decoder = msgspec.json.Decoder(_Body)


def message_of(order: MessageOrder, now_s: float) -> dict[str, Any]:
    """The ``message`` of a request: what is shown, what the app reads, and for how long it is worth delivering."""
    mark = hashlib.sha256(order.key.encode()).hexdigest()[:MARK_LENGTH]
    ttl_s = min(MAX_TTL_S, max(0, int(order.expires_s)))
    shown = {"body": order.text} if order.subject is None else {"title": order.subject, "body": order.text}
    return {
        "token": order.to,
        "notification": shown,
        "data": {"key": order.key, "reference": ",".join(order.reference), "language": order.language},
        "android": {
            "priority": "HIGH",
            "ttl": f"{ttl_s}s",
            "collapse_key": mark,
            "notification": {"tag": mark, "visibility": "PRIVATE"},
        },
        "apns": {
            "headers": {
                "apns-priority": "10",
                "apns-expiration": str(int(now_s) + ttl_s),
                "apns-collapse-id": mark,
            }
        },
        "webpush": {"headers": {"TTL": str(ttl_s), "Topic": mark}},
    }


class PushChannel:
    """The MessageChannel port. ``project``: whose app it is; ``url``: the API's address without a path."""

    def __init__(
        self, project: str, token: TokenSource, clock: Clock, url: str = API, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/projects/{project}/messages:send"
        self._token = token
        self._clock = clock
        self._poster = Poster(timeout_s)

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        body = msgspec.json.encode({"message": message_of(order, self._clock.now())})
        refused: str | None = None
        try:
            refused = await self._token(None)
            answer = await self._post(body, refused)
            if isinstance(answer, Answer) and answer.status == 401:
                answer = await self._post(body, await self._token(refused))
        except NoToken:
            return CallRefused(permanent=False, reason="no_token")
        return _outcome(answer) if isinstance(answer, Answer) else answer

    async def _post(self, body: bytes, token: str) -> Answer | CallRefused | CallUnknown:
        return await self._poster.post(self._url, body, {"Authorization": f"Bearer {token}"})

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return CANNOT_BE_ASKED


def _outcome(answer: Answer) -> CallAccepted | CallRefused | CallUnknown:
    try:
        read = _decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        read = _Body()
    outcome = judged(answer.status)
    if outcome is None:
        return CallAccepted(read.name) if read.name else CallUnknown("unreadable")
    code = next((one.errorCode for one in (read.error.details if read.error else []) if one.errorCode), None)
    if isinstance(outcome, CallUnknown) or code is None:
        return outcome
    return CallRefused(permanent=code in NEVER, reason=code.lower()[:MARK_LENGTH])

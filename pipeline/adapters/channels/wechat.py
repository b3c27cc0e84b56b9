"""WeChat messages of an official account: template messages, or subscription notices.

Written from the public documentation and tested against a mock of it, never against WeChat's servers:
https://developers.weixin.qq.com/doc/service/api/notify/template/api_sendtemplatemessage (template messages),
https://developers.weixin.qq.com/doc/offiaccount/Subscription_Messages/intro.html (subscription notices, bizsend),
https://www.tencentcloud.com/document/product/1219/67648 (error codes),
https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken (access token).

A template message carries ``client_msg_id``, made from the order's key: WeChat promises that one openid gets it once
within ten minutes. A subscription notice has no such field: the same notice sent twice arrives twice. Which of our
fields goes into which of the template's is data, as is the template; WeChat limits what each field may hold (a
``thing`` has 20 characters) and refuses what does not fit with 47003.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from pipeline.adapters.channels.posting import CANNOT_BE_ASKED, TIMEOUT_S, Answer, Poster, judged
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

API = "https://api.weixin.qq.com"
Kind = Literal["template", "subscription"]
PATHS: Mapping[Kind, str] = {
    "template": "/cgi-bin/message/template/send",
    "subscription": "/cgi-bin/message/subscribe/bizsend",
}
TOKEN_PATH = "/cgi-bin/stable_token"  # noqa: S105 -- a path
RENEW_EARLY_S = 120.0
FORCED_EVERY_S = 60.0
"""WeChat allows a forced renewal every 30 s and 20 a day."""
TOKEN_REFUSED = frozenset({40001, 40014, 42001})
"""Not ours, malformed, expired."""
BUSY = -1
NEVER = frozenset(
    {
        40003,  # no such openid
        43004,  # does not follow the account
        43101,  # refused this notice, or the subscription is used up
        40036, 40037,  # no such template
        45168,  # a word WeChat does not allow
        47003,  # a field does not fit the template
    }
)  # fmt: skip
"""Said of this person or this message, for good. Every other error (45009 and 45011: over the limit, 43108 and 43117:
too often, 43107 and 48001: the account may not) is about us or the moment."""


class _Token(msgspec.Struct):
    access_token: str | None = None
    expires_in: float = 0.0


class _Sent(msgspec.Struct):
    errcode: int = 0
    msgid: int | None = None


_token = msgspec.json.Decoder(_Token)
_sent = msgspec.json.Decoder(_Sent)


class AccessToken:
    """The account's access token, asked for when needed and kept until shortly before it ends."""

    def __init__(self, app_id: str, secret: str, url: str, clock: Clock, poster: Poster) -> None:
        self._app_id = app_id
        self._secret = secret
        self._url = url + TOKEN_PATH
        self._clock = clock
        self._poster = poster
        self._token: str | None = None
        self._good_until = 0.0
        self._forced_at: float | None = None
        self._asking = asyncio.Lock()

    async def current(self, refused: str | None = None) -> str | None:
        """The token; another than ``refused``. None: there is none to be had now."""
        async with self._asking:
            now = self._clock.now()
            if self._token is None or self._token == refused or now >= self._good_until:
                self._token = await self._ask(now, force=False)
            if self._token is not None and self._token == refused:
                self._token = await self._ask(now, force=True) if self._may_force(now) else None
            return self._token

    def _may_force(self, now: float) -> bool:
        """WeChat still hands out the token that it refuses: somebody else has renewed it."""
        if self._forced_at is not None and 0 <= now - self._forced_at < FORCED_EVERY_S:
            return False
        self._forced_at = now
        return True

    async def _ask(self, now: float, force: bool) -> str | None:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._secret,
            "force_refresh": force,
        }
        answer = await self._poster.post(self._url, msgspec.json.encode(body), {})
        if not isinstance(answer, Answer) or judged(answer.status) is not None:
            return None
        try:
            token = _token.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        self._good_until = now + token.expires_in - RENEW_EARLY_S
        return token.access_token


class WeChatChannel:
    """The MessageChannel port. ``fields``: the template's field → the words in it, where ``{text}`` and ``{subject}``
    stand for the order's."""

    def __init__(
        self,
        app_id: str,
        secret: str,
        template_id: str,
        fields: Mapping[str, str],
        clock: Clock,
        kind: Kind = "template",
        url: str = API,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._template_id = template_id
        self._fields = dict(fields)
        self._kind = kind
        self._url = url.rstrip("/")
        self._poster = Poster(timeout_s)
        self._token = AccessToken(app_id, secret, self._url, clock, self._poster)

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        body = msgspec.json.encode(self._request(order))
        token = await self._token.current()
        for _ in range(2):
            if token is None:
                return CallRefused(permanent=False, reason="no_token")
            answer = await self._poster.post(self._url + PATHS[self._kind], body, {}, {"access_token": token})
            if not isinstance(answer, Answer):
                return answer
            code = _code(answer)
            if code not in TOKEN_REFUSED:
                return _outcome(answer, code, order.key)
            token = await self._token.current(refused=token)
        return CallRefused(permanent=False, reason="token_refused")

    def _request(self, order: MessageOrder) -> dict[str, object]:
        def filled(words: str) -> str:
            return words.replace("{subject}", order.subject or "").replace("{text}", order.text)

        request: dict[str, object] = {
            "touser": order.to,
            "template_id": self._template_id,
            "data": {field: {"value": filled(words)} for field, words in self._fields.items()},
        }
        if self._kind == "template":
            request["client_msg_id"] = hashlib.sha256(order.key.encode()).hexdigest()[:32]
        return request

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return CANNOT_BE_ASKED


def _code(answer: Answer) -> int | None:
    try:
        return _sent.decode(answer.body).errcode
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _outcome(answer: Answer, code: int | None, key: str) -> CallAccepted | CallRefused | CallUnknown:
    """``key`` names a message that WeChat gave no name."""
    if (outcome := judged(answer.status)) is not None:
        return outcome
    if code is None:
        return CallUnknown("unreadable")
    if code == 0:
        named = _sent.decode(answer.body).msgid
        return CallAccepted(str(named) if named is not None else key)
    if code == BUSY:
        return CallUnknown("errcode_-1")
    return CallRefused(permanent=code in NEVER, reason=f"errcode_{code}")

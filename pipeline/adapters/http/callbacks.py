"""Where providers report, and pass on what customers write back: ``POST /callbacks/{channel}``, signed, stored before it
is answered.

The body is ``{"data": …}``: a report ``{key, call_id, status, digits?}`` of a call or message, or, on every channel but
voice, a reply ``{from, text, id}``. What changes nothing (late, double, about nothing we know) is answered with 200 as
well: sending it again would not help. 401 is for what does not prove its origin, 503 for "report again later".
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from pipeline.core.conversation import CHANNELS
from pipeline.core.webhook import MAX_BODY_BYTES, NotSigned, verify
from pipeline.ports import Clock, StoreDown
from pipeline.ports_channels import CallReport

SHUTDOWN_S = 1.0
log = structlog.get_logger()


class Listener(Protocol):
    """Who takes reports and replies: an outcome each. Both may raise StoreDown."""

    async def reported(self, report: CallReport) -> str: ...

    async def replied(self, channel: str, number: str, text: str, provider_id: str) -> str: ...


class CallbackSettings(Protocol):
    """Where to listen, and the provider's key."""

    @property
    def callback_host(self) -> str: ...
    @property
    def callback_port(self) -> int: ...
    def signing_key(self) -> bytes: ...


class _Report(msgspec.Struct):
    key: str
    call_id: str
    status: str
    digits: str | None = None


class _Reply(msgspec.Struct):
    from_: str = msgspec.field(name="from")
    text: str
    id: str


class _Message(msgspec.Struct):
    data: dict[str, object]


_decoder = msgspec.json.Decoder(_Message)


def _read(channel: str, body: bytes) -> _Report | _Reply:
    """What ``body`` says. Raises msgspec.DecodeError and UnicodeDecodeError."""
    data = _decoder.decode(body).data
    if channel != "voice" and "from" in data:
        return msgspec.convert(data, _Reply)
    return msgspec.convert(data, _Report)


class Routes(Protocol):
    """More that is listened for on the same port."""

    def add_to(self, app: web.Application) -> None: ...


class CallbackServer:
    """Listens on ``host:port`` (port 0: any free one; see `port` after `start`)."""

    def __init__(
        self, role: Listener, key: bytes, host: str, port: int, clock: Clock, more: Sequence[Routes] = ()
    ) -> None:
        self.port = port
        self._more = more
        self._host = host
        self._role = role
        self._key = key
        self._clock = clock
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(f"/callbacks/{{channel:{'|'.join(CHANNELS)}}}", self._taken)
        for routes in self._more:
            routes.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _taken(self, request: web.Request) -> web.Response:
        body = await request.read()  # answers 413 above the limit
        try:
            verify(self._key, {name.lower(): value for name, value in request.headers.items()}, body, self._clock.now())
        except NotSigned as refused:
            log.warning("a call-back was refused", reason=str(refused))
            return web.json_response({"error": str(refused)}, status=401)
        channel = request.match_info["channel"]
        try:
            said = _read(channel, body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return web.json_response({"error": f"neither a report nor a reply: {error}"}, status=400)
        try:
            if isinstance(said, _Report):
                outcome = await self._role.reported(CallReport(said.key, said.call_id, said.status, said.digits))
            else:
                outcome = await self._role.replied(channel, said.from_, said.text, said.id)
        except StoreDown:
            return web.json_response({"error": "the store is away, report again"}, status=503)
        return web.json_response({"outcome": outcome})


async def serve(
    role: Listener, settings: CallbackSettings, clock: Clock, more: Sequence[Routes] = ()
) -> CallbackServer:
    """A started server for ``role``; `stop` it in the end."""
    server = CallbackServer(role, settings.signing_key(), settings.callback_host, settings.callback_port, clock, more)
    await server.start()
    return server

"""Where the telephony provider reports: ``POST /callbacks/voice``, signed, stored before it is answered.

A report that changes nothing (late, double, about nothing we know) is answered with 200 as well: sending it again would
not help. 401 is for what does not prove its origin, 503 for "report again later".
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from pipeline.core.webhook import MAX_BODY_BYTES, NotSigned, verify
from pipeline.ports import CallReport, Clock, StoreDown

SHUTDOWN_S = 1.0
log = structlog.get_logger()


class Reported(Protocol):
    """Who takes the reports."""

    async def reported(self, report: CallReport) -> str: ...


class CallbackSettings(Protocol):
    """Where to listen, and the provider's key."""

    @property
    def callback_host(self) -> str: ...
    @property
    def callback_port(self) -> int: ...
    def signing_key(self) -> bytes: ...


class _Data(msgspec.Struct):
    key: str
    call_id: str
    status: str
    digits: str | None = None


class _Message(msgspec.Struct):
    data: _Data


_decoder = msgspec.json.Decoder(_Message)


class Routes(Protocol):
    """More that is listened for on the same port."""

    def add_to(self, app: web.Application) -> None: ...


class CallbackServer:
    """Listens on ``host:port`` (port 0: any free one; see `port` after `start`)."""

    def __init__(
        self, role: Reported, key: bytes, host: str, port: int, clock: Clock, more: Sequence[Routes] = ()
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
        app.router.add_post("/callbacks/voice", self._voice)
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

    async def _voice(self, request: web.Request) -> web.Response:
        body = await request.read()  # answers 413 above the limit
        try:
            verify(self._key, {name.lower(): value for name, value in request.headers.items()}, body, self._clock.now())
        except NotSigned as refused:
            log.warning("a call-back was refused", reason=str(refused))
            return web.json_response({"error": str(refused)}, status=401)
        try:
            data = _decoder.decode(body).data
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return web.json_response({"error": f"not a call report: {error}"}, status=400)
        try:
            outcome = await self._role.reported(CallReport(data.key, data.call_id, data.status, data.digits))
        except StoreDown:
            return web.json_response({"error": "the store is away, report again"}, status=503)
        return web.json_response({"outcome": outcome})


async def serve(
    role: Reported, settings: CallbackSettings, clock: Clock, more: Sequence[Routes] = ()
) -> CallbackServer:
    """A started server for ``role``; `stop` it in the end."""
    server = CallbackServer(role, settings.signing_key(), settings.callback_host, settings.callback_port, clock, more)
    await server.start()
    return server

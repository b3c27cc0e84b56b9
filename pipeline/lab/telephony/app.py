"""The provider's HTTP API and the phone page.

``POST /v1/calls`` (bearer key, Idempotency-Key) · ``GET, DELETE /v1/calls[?idempotency_key=]`` · ``GET /v1/record`` ·
``POST /v1/calls/{id}/press`` {digits} · ``POST /v1/calls/{id}/hang-up`` · ``POST /v1/messages`` (signed as Standard
Webhooks has it, with the call-back secret) · ``GET /v1/messages`` · ``POST /v1/messages/{id}/reply`` {text} ·
``GET /v1/events`` (server-sent) · ``GET /phone``. Only ordering needs a key or signature: the page stands for the
customer's own phone, and the process listens on the loopback interface.
"""

import asyncio
import hmac
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from pipeline.core.webhook import NotSigned, verify
from pipeline.lab.telephony.behaviour import Callees
from pipeline.lab.telephony.calls import Call, Calls, Order, Pace
from pipeline.lab.telephony.messages import LONGEST_REPLY, Message, Messages, Posted
from pipeline.lab.telephony.record import CallLog
from pipeline.lab.telephony.reports import Reporter

MAX_BODY_BYTES = 64 * 1024
SHUTDOWN_S = 0.5
LISTED = 50
"""Calls, and messages, on the page: the newest."""
WAITING_EVENTS = 1_000
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


class Telephony:
    """A provider on ``127.0.0.1:port`` (0: any free one; see `port` after `start`). ``callback_url``: where messages are
    reported, less the channel at its end; a call brings its own."""

    def __init__(
        self,
        state_dir: Path,
        callback_secret: bytes,
        api_key: str,
        callees: Callees,
        pace: Pace,
        port: int = 0,
        time_out_s: float = 30.0,
        callback_url: str | None = None,
    ) -> None:
        self.port = port
        self._state_dir = state_dir
        self._secret = callback_secret
        self._api_key = api_key.encode()
        self._callees = callees
        self._pace = pace
        self._time_out_s = time_out_s
        self._callback_url = callback_url
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()
        self.log = CallLog(self._state_dir, time.time)
        self.log.told = self._tell
        reporter = Reporter(self._session, self._secret, time.time)
        self.calls = Calls(self.log, self._callees, reporter, self._pace)
        self.messages = Messages(self.log, self._callees, reporter, self._pace, self._callback_url, self._secret)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.post("/v1/calls", self._order),
                web.get("/v1/calls", self._list),
                web.delete("/v1/calls", self._cancel),
                web.post("/v1/calls/{call}/press", self._press),
                web.post("/v1/calls/{call}/hang-up", self._hang_up),
                web.post("/v1/messages", self._message),
                web.get("/v1/messages", self._messages),
                web.post("/v1/messages/{message}/reply", self._reply),
                web.get("/v1/record", self._record),
                web.get("/v1/events", self._events),
                web.get("/phone", self._phone),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.calls.restore()
        self.messages.restore()

    async def stop(self) -> None:
        await self.calls.stop()
        await self.messages.stop()
        await self._runner.cleanup()
        await self._session.close()
        self.log.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- the bank's side

    def _may(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, b"Bearer " + self._api_key)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _order(self, request: web.Request) -> web.Response:
        if not self._may(request):
            return web.json_response({"error": "the API key is missing or wrong"}, status=401)
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return web.json_response({"error": "Idempotency-Key is missing"}, status=422)
        try:
            order = msgspec.json.decode(await request.read(), type=Order)
        except msgspec.DecodeError as error:
            return web.json_response({"error": str(error)}, status=422)
        call, new = self.calls.ordered(key, order)
        if call is None:
            return web.json_response({"error": "simulated"}, status=500)
        if new and call.behaviour == "time_out":
            await asyncio.sleep(self._time_out_s)
        return web.json_response({"call_id": call.id}, status=201 if new else 200)

    async def _list(self, request: web.Request) -> web.Response:
        key = request.query.get("idempotency_key")
        if key is None:
            return web.json_response({"calls": [call.shown() for call in list(self.calls.by_id.values())[-LISTED:]]})
        if not self._may(request):
            return web.json_response({"error": "the API key is missing or wrong"}, status=401)
        return web.json_response({"calls": [call.shown() for call in self.calls.found(key)]})

    async def _cancel(self, request: web.Request) -> web.Response:
        if not self._may(request):
            return web.json_response({"error": "the API key is missing or wrong"}, status=401)
        call = self.calls.cancel(request.query.get("idempotency_key", ""))
        if call is None:
            return web.json_response({"error": "no such call"}, status=404)
        return web.json_response(call.shown())

    async def _message(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            named = verify(
                self._secret, {name.lower(): value for name, value in request.headers.items()}, body, time.time()
            )
        except NotSigned as refused:
            return web.json_response({"error": str(refused)}, status=401)
        try:
            order = msgspec.json.decode(body, type=Posted).data
        except msgspec.DecodeError as error:
            return web.json_response({"error": str(error)}, status=422)
        if not order.key or order.key != named:
            return web.json_response({"error": "webhook-id is not the message's key"}, status=422)
        message, new = self.messages.taken(order)
        return web.json_response({"id": message.id}, status=201 if new else 409)

    async def _messages(self, request: web.Request) -> web.Response:
        newest = list(self.messages.by_id.values())[-LISTED:]
        return web.json_response({"messages": [message.shown() for message in newest]})

    async def _record(self, request: web.Request) -> web.Response:
        return web.json_response({"record": self.log.lines})

    # --- the customer's side

    def _called(self, request: web.Request) -> Call:
        call = self.calls.by_id.get(request.match_info["call"])
        if call is None:
            raise web.HTTPNotFound(text='{"error": "no such call"}', content_type="application/json")
        _must_be_json(request)
        return call

    async def _press(self, request: web.Request) -> web.Response:
        call = self._called(request)
        try:
            digits = str((await request.json())["digits"])[:1]
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": "digits are missing"}, status=422)
        return self._done(self.calls.press(call, digits), call)

    async def _hang_up(self, request: web.Request) -> web.Response:
        call = self._called(request)
        return self._done(self.calls.hang_up(call), call)

    async def _reply(self, request: web.Request) -> web.Response:
        message = self.messages.by_id.get(request.match_info["message"])
        if message is None:
            raise web.HTTPNotFound(text='{"error": "no such message"}', content_type="application/json")
        _must_be_json(request)
        try:
            text = str((await request.json())["text"]).strip()[:LONGEST_REPLY]
        except (ValueError, KeyError, TypeError):
            text = ""
        if not text:
            return web.json_response({"error": "text is missing"}, status=422)
        return self._done(self.messages.reply(message, text), message)

    def _done(self, done: bool, about: Call | Message) -> web.Response:
        return web.json_response(about.shown(), status=200 if done else 409)

    def _tell(self, line: dict[str, Any]) -> None:
        for queue in self._listeners:
            if not queue.full():  # a page that does not read will load the list anew
                queue.put_nowait(line)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING_EVENTS)
        self._listeners.add(queue)
        try:
            await response.write(b"retry: 1000\n\n")
            while True:
                line = await queue.get()
                about = self.calls.by_id.get(line.get("call", "")) or self.messages.by_id.get(line.get("message", ""))
                if about is not None:
                    await response.write(b"data: " + msgspec.json.encode(about.shown()) + b"\n\n")
        except ConnectionResetError:
            return response
        finally:
            self._listeners.discard(queue)

    async def _phone(self, request: web.Request) -> web.Response:
        page = files("pipeline.lab.telephony").joinpath("phone.html").read_text(encoding="utf-8")
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})


def _must_be_json(request: web.Request) -> None:
    """Raises HTTPUnsupportedMediaType for what a page of another site could send unasked."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text='{"error": "send JSON"}', content_type="application/json")

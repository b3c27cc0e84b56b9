"""Doubles for the channels: an order to send, an HTTP API that records and answers as it is told, a port nobody has."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown, MessageOrder

NUMBER = "+8613800138042"
KEY = "ct_1:2:1"


def order(**more: Any) -> MessageOrder:
    fields: dict[str, Any] = {
        "key": KEY,
        "channel": "webhook",
        "to": NUMBER,
        "language": "en",
        "text": "Bank: card 4242, CNY 1,234.50 at Corner Shop. Was it you? YES / NO / STOP",
        "subject": None,
        "reference": ["al_1", "al_2"],
        "expires_s": 3600.0,
    }
    return MessageOrder(**fields | more)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Api:
    """Answers requests in turn; the last answer again and again. An answer: status and JSON or text, or None to hang up
    without one."""

    answers: list[tuple[int, object] | None] = field(default_factory=lambda: [(200, {})])
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Request(request.path, headers, dict(request.query), await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body = answer
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})
        return web.json_response(body, status=status)


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[Api]:
    app = web.Application()
    app.router.add_post("/{path:.*}", api.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


class Channel(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown: ...


def sent(
    api: Api, made: Callable[[str], Channel], *orders: MessageOrder
) -> list[CallAccepted | CallRefused | CallUnknown]:
    """What the channel made for the API's address says of each order, one after the other."""

    async def go() -> list[CallAccepted | CallRefused | CallUnknown]:
        async with serving(api), asyncio.timeout(10):
            channel = made(api.url)
            await channel.start()
            outcomes = [await channel.send(one) for one in orders or [order()]]
            await channel.stop()
            return outcomes

    return asyncio.run(go())


def unreached(made: Callable[[str], Channel]) -> CallAccepted | CallRefused | CallUnknown:
    """What the channel says of an order while nobody listens."""

    async def go() -> CallAccepted | CallRefused | CallUnknown:
        channel = made(f"http://127.0.0.1:{free_port()}")
        await channel.start()
        outcome = await channel.send(order())
        await channel.stop()
        return outcome

    return asyncio.run(go())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(work: Awaitable[Any]) -> Any:
    """``work`` to its end, within ten seconds."""

    async def go() -> Any:
        async with asyncio.timeout(10):
            return await work

    return asyncio.run(go())

"""Runs the desk's web server until told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from pipeline.desk.live import Streams
from pipeline.desk.settings import DeskSettings

CLOSE_S = 1
"""Open streams end by themselves when the desk closes; what has not ended by then is cut."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the program that runs the desk among other things."""
        yield


async def serve(
    app: FastAPI,
    settings: DeskSettings,
    stop: asyncio.Event,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve ``app`` until ``stop`` is set; ``listening`` is told the port once requests are answered.

    Raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in settings.desk_host else socket.AF_INET
    with socket.create_server((settings.desk_host, settings.desk_port), family=family, backlog=128) as listener:
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=CLOSE_S,
            )
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        try:
            while not server.started and not running.done():
                await asyncio.sleep(0.01)
            listening(listener.getsockname()[1])
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            streams: Streams = app.state.streams
            streams.closing.set()
            server.should_exit = True
            stopping.cancel()
            await running

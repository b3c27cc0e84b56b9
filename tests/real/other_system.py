"""A system of the bank's own: takes signed events over HTTP, once each by their id, whatever comes again."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.core.webhook import NotSigned, verify


class OtherSystem:
    """``events``: id → body; ``unsigned``: how many requests were not signed with ``secret``."""

    def __init__(self) -> None:
        self.secret = "a key that only these tests use"
        self.events: dict[str, bytes] = {}
        self.unsigned = 0
        system = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = system.take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests look at what came."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        try:
            name = verify(self.secret.encode(), headers, body, time.time())
        except NotSigned:
            self.unsigned += 1
            return 401
        known = name in self.events
        self.events[name] = body
        return 409 if known else 204

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The ``data`` of the events of this ``type``."""
        bodies = map(json.loads, list(self.events.values()))
        return [body["data"] for body in bodies if body["type"] == kind]

    def wait_for(self, events: int, kind: str, wait_s: float) -> None:
        """Wait until so many of this ``type`` have come."""
        deadline = time.monotonic() + wait_s
        while (came := len(self.of(kind))) < events:
            assert time.monotonic() < deadline, f"{came} of {events} events have come"
            time.sleep(0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

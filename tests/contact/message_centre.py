"""A small SMPP message centre for fast tests, with a reading of the protocol of its own. What the channel does with an
independent one is shown in tests/real."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.adapters.channels.smpp import SmppChannel
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallReport

BIND, SUBMIT, DELIVER, QUERY, UNBIND, ENQUIRE = 0x09, 0x04, 0x05, 0x03, 0x06, 0x15


@dataclass
class Centre:
    """``submits``: status of each submit_sm in turn, then 0; None: the connection ends instead, "silent": no answer."""

    submits: list[int | str | None] = field(default_factory=list)
    binds: list[int] = field(default_factory=list)
    query: tuple[int, int] = (0, 1)
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    answers: asyncio.Queue[tuple[int, int, int]] = field(default_factory=asyncio.Queue)
    port: int = 0
    taken: int = 0
    writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        try:
            while True:
                length, command, status, sequence = struct.unpack(">IIII", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if command & 0x80000000:
                    self.answers.put_nowait((command, status, sequence))
                elif not self._take(command, sequence, body):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def _take(self, command: int, sequence: int, body: bytes) -> bool:
        self.requests.append((command, body))
        if command == BIND:
            self.send(command | 0x80000000, self.binds.pop(0) if self.binds else 0, sequence, b"centre\0")
        elif command == SUBMIT:
            status = self.submits.pop(0) if self.submits else 0
            if status is None:
                return False
            if isinstance(status, int):
                self.taken += status == 0
                self.send(command | 0x80000000, status, sequence, b"" if status else b"m%d\0" % self.taken)
        elif command == QUERY:
            status, state = self.query
            self.send(command | 0x80000000, status, sequence, b"" if status else body[:3] + b"\0" + bytes((state, 0)))
        else:
            self.send(command | 0x80000000, 0, sequence, b"")
        return True

    def send(self, command: int, status: int, sequence: int, body: bytes) -> None:
        assert self.writer is not None
        self.writer.write(struct.pack(">IIII", 16 + len(body), command, status, sequence) + body)

    async def delivered(
        self, sequence: int, text: bytes, esm_class: int = 0, coding: int = 0, more: bytes = b""
    ) -> int:
        """Send a deliver_sm; the status of its answer."""
        body = b"\0\x01\x018613800138042\0\x03\x0195588\0" + bytes((esm_class, 0, 0)) + b"\0\0"
        self.send(DELIVER, 0, sequence, body + bytes((0, 0, coding, 0, len(text))) + text + more)
        while True:
            command, status, answered = await self.answers.get()
            if (command, answered) == (DELIVER | 0x80000000, sequence):
                return status

    def submitted(self) -> list[bytes]:
        return [body for command, body in self.requests if command == SUBMIT]


@dataclass
class Bank:
    """Who takes receipts and replies; ``down``: that many times the store is away."""

    down: int = 0
    reports: list[CallReport] = field(default_factory=list)
    replies: list[tuple[str, str, str, str]] = field(default_factory=list)

    def _away(self) -> None:
        if self.down:
            self.down -= 1
            raise StoreDown("away")

    async def reported(self, report: CallReport) -> None:
        self._away()
        self.reports.append(report)

    async def replied(self, *reply: str) -> None:
        self._away()
        self.replies.append((reply[0], reply[1], reply[2], reply[3]))


@asynccontextmanager
async def bound(centre: Centre, bank: Bank, **more: Any) -> AsyncIterator[SmppChannel]:
    """A channel with a session."""
    server = await asyncio.start_server(centre.serve, "127.0.0.1", 0)
    centre.port = server.sockets[0].getsockname()[1]
    settings: dict[str, Any] = {"timeout_s": 5.0, "pause_s": (0.01, 0.02)}
    channel = SmppChannel(
        "127.0.0.1", centre.port, "bank", "s3cret", "95588", bank.reported, bank.replied, **settings | more
    )
    await channel.start()
    async with asyncio.timeout(30):
        await channel.bound.wait()
        try:
            yield channel
        finally:
            await channel.stop()
            server.close()

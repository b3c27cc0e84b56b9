"""One SMPP connection: requests matched with their answers, the link kept alive, deliveries handed on.

Whether a request may have reached the other side is always known: NotSent means that nothing left us, Lost and a
time-out mean that it may have. An answer that comes after the time-out is still heard.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

from pipeline.adapters.channels import smpp_pdu as smpp
from pipeline.adapters.channels.smpp_pdu import Pdu

MAX_UNANSWERED = 1_000
"""A link with more requests open than this is as good as dead."""
MAX_SEQUENCE = 0x7FFFFFFF
CLOSE_S = 1.0

Heard = Callable[[Pdu], None]


class NotSent(Exception):
    """The request did not leave us."""


class Lost(Exception):
    """The connection ended before the answer came."""


class _Open(NamedTuple):
    answer: asyncio.Future[Pdu]
    heard: Heard | None


class Session:
    """``deliver`` is given every deliver_sm and answers it with `answer`. Use `run` once, in a task. ``name``: unlike that
    of any other session, of any process."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        deliver: Callable[["Session", Pdu], None],
        timeout_s: float,
    ) -> None:
        self.name = secrets.token_hex(8)
        self._reader = reader
        self._writer = writer
        self._deliver = deliver
        self._timeout_s = timeout_s
        self._sequence = 0
        self._open: dict[int, _Open] = {}
        self._ended = False

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        deliver: Callable[["Session", Pdu], None],
        timeout_s: float,
    ) -> Self:
        """Raises OSError or TimeoutError."""
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        return cls(reader, writer, deliver, timeout_s)

    async def request(self, command: int, body: bytes = b"", heard: Heard | None = None) -> Pdu:
        """Send and wait for the answer, which ``heard`` gets first, before anything that came after it is looked at.
        Raises NotSent, Lost, TimeoutError."""
        if self._ended or self._writer.is_closing():
            raise NotSent
        if len(self._open) >= MAX_UNANSWERED:
            self._writer.transport.abort()
            raise NotSent
        self._sequence = self._sequence % MAX_SEQUENCE + 1
        waiting = _Open(asyncio.get_running_loop().create_future(), heard)
        self._open[self._sequence] = waiting
        self._writer.write(smpp.encode(Pdu(command, smpp.OK, self._sequence, body)))
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()
                return await waiting.answer
        except ConnectionError as error:
            raise Lost from error

    def answer(self, to: Pdu, status: int, body: bytes = b"") -> None:
        """Answer a request of the other side, if it is still there."""
        if not self._writer.is_closing():
            self._writer.write(smpp.encode(Pdu(to.command | smpp.RESPONSE, status, to.sequence, body)))

    async def run(self, enquire_s: float) -> None:
        """Until the connection ends. Raises Malformed where the other side does not speak SMPP."""
        alive = asyncio.create_task(self._keep_alive(enquire_s))
        try:
            while True:
                header = await self._reader.readexactly(smpp.HEADER.size)
                self._took(smpp.decode(header, await self._reader.readexactly(smpp.body_length(header))))
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, ssl.SSLError):
            return
        finally:
            self._ended = True
            alive.cancel()
            for waiting in self._open.values():
                if not waiting.answer.done():
                    waiting.answer.set_exception(Lost())
                    waiting.answer.exception()  # nobody may be waiting any more
            self._open.clear()
            self._writer.close()

    def _took(self, pdu: Pdu) -> None:
        if pdu.command & smpp.RESPONSE:
            waiting = self._open.pop(pdu.sequence, None)
            if waiting is None:
                return
            if waiting.heard is not None:
                waiting.heard(pdu)
            if not waiting.answer.done():
                waiting.answer.set_result(pdu)
        elif pdu.command == smpp.DELIVER_SM:
            self._deliver(self, pdu)
        elif pdu.command == smpp.ENQUIRE_LINK:
            self.answer(pdu, smpp.OK)
        elif pdu.command == smpp.UNBIND:
            self.answer(pdu, smpp.OK)
            self._writer.close()
        else:
            nack = Pdu(smpp.GENERIC_NACK, smpp.INVALID_COMMAND_ID, pdu.sequence)
            self._writer.write(smpp.encode(nack))

    async def _keep_alive(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.request(smpp.ENQUIRE_LINK)
            except (NotSent, Lost, TimeoutError):
                self._writer.transport.abort()
                return

    async def close(self) -> None:
        """Say good-bye and leave; `run` then returns."""
        with suppress(NotSent, Lost, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.request(smpp.UNBIND)
        self._writer.close()

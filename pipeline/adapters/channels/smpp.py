"""SMS through a message centre of one's own: an SMPP 3.4 transceiver that stays bound.

One session per process, bound again after a growing pause when it is lost. Receipts and replies come back over it and
are acknowledged only once they are stored: while the store is away the centre is told to send them again. SMPP has no
idempotency key. A message of a key whose parts the centre took is not sent again as long as this process lives; when
an answer was lost, it is unknown what the centre has.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Literal

import structlog

from pipeline.adapters.channels import smpp_pdu as smpp
from pipeline.adapters.channels.smpp_ledger import Ledger, Sent
from pipeline.adapters.channels.smpp_pdu import Delivered, Malformed, Pdu
from pipeline.adapters.channels.smpp_session import Lost, NotSent, Session
from pipeline.adapters.channels.smpp_text import Coded, coded, decoded, numbered, parts, without_header
from pipeline.core.token_bucket import TokenBucket
from pipeline.ports import StoreDown
from pipeline.ports_channels import (
    CallAbsent,
    CallAccepted,
    CallRefused,
    CallReport,
    CallUnknown,
    MessageOrder,
    SentMessages,
)

MAX_DELIVERING = 200
"""Receipts and replies being stored at once; further ones are to come again."""
MAX_PAYLOAD = 64 * 1024 - 1
LONGEST_WAIT_S = 2.0
"""For the turn of a text's last part."""
RATE_LIMITED = CallRefused(permanent=False, reason="rate_limited")
NEVER = frozenset({0x01, 0x0B, 0x50, 0x51, 0x65, 0x66})
"""Message length, destination address, its type of number and plan, and a permanent or final application error: what
the centre says of this message or number for good (table 5-2). Everything else is about us or the moment."""
NOBODY_KNOWS = frozenset({smpp.SYSTEM_ERROR, smpp.UNKNOWN_ERROR})
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
WHOLE_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
"""A number with its country's code, which a centre may give without saying so (type of number unknown)."""

Reported = Callable[[CallReport], Awaitable[object]]
"""Takes what became of a message. Its key is empty where nobody knows whose it is: ``call`` then says which. May raise
StoreDown."""
Replied = Callable[[str, str, str, str], Awaitable[object]]
"""Takes a message from a phone: channel, number, text, and a name of this delivery, unlike every other. A message that is
delivered again comes under another name: SMPP has none that lasts. May raise StoreDown."""
log = structlog.get_logger()


class NotBound(Exception):
    """The centre does not want us: a wrong name or password, or too many sessions."""


class SmppChannel:
    """The MessageChannel port. ``sender``: E.164, short code or name; ``long``: parts with a user data header, or one
    message_payload for the centre to cut; ``rate_s``: short messages a second; ``window``: unanswered ones at most;
    ``pause_s``: before the first and at most between attempts to bind; ``known``: what all workers know of messages
    sent, None where this one is alone.

    The rate is kept here and not by whoever guards the channel, for centres count short messages and only here it is
    known how many a text becomes. All of its parts get their turn before the first leaves: one whose last part would
    have to wait longer than ``longest_wait_s`` is refused whole, never sent half."""

    def __init__(
        self,
        host: str,
        port: int,
        system_id: str,
        password: str,
        sender: str,
        reported: Reported,
        replied: Replied,
        system_type: str = "",
        tls: ssl.SSLContext | None = None,
        long: Literal["parts", "payload"] = "parts",
        window: int = 10,
        rate_s: float = 50.0,
        longest_wait_s: float = LONGEST_WAIT_S,
        timeout_s: float = 5.0,
        enquire_s: float = 30.0,
        pause_s: tuple[float, float] = (1.0, 60.0),
        channel: str = "sms",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        known: SentMessages | None = None,
    ) -> None:
        self._address = (host, port, tls)
        self._bind = smpp.bind_transceiver(system_id, password, system_type)
        self._sender = smpp.sender(sender)
        self._reported = reported
        self._replied = replied
        self._long = long
        self._window = asyncio.Semaphore(window)
        self._bucket = TokenBucket(rate_s, burst=max(1.0, rate_s))
        self._longest_wait_s = longest_wait_s
        self._timeout_s = timeout_s
        self._enquire_s = enquire_s
        self._pause_s = pause_s
        self._channel = channel
        self._sleep = sleep
        self._ledger = Ledger(known=known, sleep=sleep)
        self._session: Session | None = None
        self._leaving = False
        self._keeping: asyncio.Task[None] | None = None
        self._delivering: set[asyncio.Task[None]] = set()
        self.bound = asyncio.Event()

    async def start(self) -> None:
        """Begin to bind; `bound` is set while there is a session."""
        self._keeping = asyncio.create_task(self._keep_bound())

    async def stop(self) -> None:
        """Take no more, finish storing what came, leave."""
        self._leaving = True
        if self._session is not None:
            await self._session.close()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, *self._delivering, return_exceptions=True)
            self._keeping = None

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        if not _NUMBER.fullmatch(order.to):
            return CallRefused(permanent=True, reason="bad_number")
        try:
            text = coded(order.text)
            messages = self._messages(order.key, text)
        except ValueError:
            return CallRefused(permanent=True, reason="unwritable")
        try:
            source = smpp.sender(order.sender) if order.sender else self._sender
        except ValueError:
            return CallRefused(permanent=True, reason="bad_sender")
        sent = self._ledger.open(order.key, len(messages))
        sent.sender = order.sender
        missing = sent.missing()
        outcome = await self._submit_missing(sent, order, source, text.data_coding, messages)
        if sent.missing() != missing:
            await self._ledger.share(sent)
        return outcome

    async def _submit_missing(
        self, sent: Sent, order: MessageOrder, source: smpp.Endpoint, data_coding: int, messages: Sequence[bytes]
    ) -> CallAccepted | CallRefused | CallUnknown:
        missing = sent.missing()
        begun = asyncio.get_running_loop().time()
        turns = self._bucket.reserve_all(begun, self._longest_wait_s, len(missing))
        if turns is None:
            return RATE_LIMITED if len(missing) == len(messages) else CallUnknown("partly_taken")
        for number, turn in zip(missing, turns, strict=True):
            if turn:
                await self._sleep(begun + turn - asyncio.get_running_loop().time())
            esm_class = smpp.ESM_UDH if len(messages) > 1 else 0
            body = smpp.submit_sm(
                source,
                smpp.subscriber(order.to),
                data_coding,
                messages[number],
                esm_class,
                smpp.relative_time(order.expires_s),
            )
            failed = await self._submit(sent, number, body)
            if failed is not None:
                return failed if len(sent.missing()) == len(messages) else CallUnknown("partly_taken")
        return CallAccepted(sent.name())

    def _messages(self, key: str, text: Coded) -> Sequence[bytes]:
        if self._long == "payload":
            whole = b"".join(text.characters)
            if len(whole) > MAX_PAYLOAD:
                raise ValueError("the text is longer than a message_payload can be")
            return [whole]
        cut = parts(text)
        if len(cut) == 1:
            return cut
        reference = hashlib.sha256(key.encode()).digest()[0]  # a part sent again belongs to the same message
        return [numbered(part, reference, len(cut), number) for number, part in enumerate(cut, 1)]

    async def _submit(self, sent: Sent, number: int, body: bytes) -> CallRefused | CallUnknown | None:
        """None: the centre has it."""

        def heard(answer: Pdu) -> None:
            with suppress(Malformed):  # taken, but under no name: nobody knows
                if answer.status == smpp.OK and answer.command == smpp.SUBMIT_SM | smpp.RESPONSE:
                    self._ledger.took(sent, number, smpp.message_id(answer.body))

        try:
            async with asyncio.timeout(self._timeout_s):
                await self._window.acquire()
        except TimeoutError:
            return CallRefused(permanent=False, reason="window_full")
        try:
            if self._session is None:
                raise NotSent
            answer = await self._session.request(smpp.SUBMIT_SM, body, heard)
        except NotSent:
            return CallRefused(permanent=False, reason="not_bound")
        except (Lost, TimeoutError):
            return CallUnknown("no_answer")
        finally:
            self._window.release()
        return None if sent.ids[number] is not None else _refusal(answer)

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        sent = await self._ledger.of_key(key)
        if sent is None:
            return CallUnknown("not_known_here")
        if sent.missing():
            return CallUnknown("partly_taken")
        if sent.status() == "sent":
            for name in sent.going_on():
                failed = await self._query(sent, name)
                if failed is not None:
                    return failed
        return CallReport(key, sent.name(), sent.status())

    async def _query(self, sent: Sent, name: str) -> CallUnknown | None:
        try:
            if self._session is None:
                raise NotSent
            answer = await self._session.request(smpp.QUERY_SM, smpp.query_sm(name, sent.source(self._sender)))
            if answer.status != smpp.OK or answer.command != smpp.QUERY_SM | smpp.RESPONSE:
                return CallUnknown(f"smpp_0x{answer.status:02x}")
            sent.note(name, smpp.STATES.get(smpp.queried(answer.body)[1], "sent"))
        except (NotSent, Lost, TimeoutError):
            return CallUnknown("no_answer")
        except Malformed:
            return CallUnknown("unreadable")
        return None

    async def _keep_bound(self) -> None:
        pause = self._pause_s[0]
        while True:
            try:
                await self._one_session()
                reason, pause = "the connection ended", self._pause_s[0]
            except (OSError, TimeoutError, NotSent, Lost, Malformed, NotBound) as error:
                reason = f"{type(error).__name__} {error}"
            if self._leaving:
                return
            log.warning("no session with the message centre", reason=reason, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._pause_s[1])

    async def _one_session(self) -> None:
        host, port, tls = self._address
        session = await Session.connect(host, port, tls, self._came, self._timeout_s)
        running = asyncio.create_task(session.run(self._enquire_s))
        try:
            answer = await session.request(smpp.BIND_TRANSCEIVER, self._bind)
            if answer.status != smpp.OK:
                raise NotBound(f"the message centre refused, status 0x{answer.status:02x}")
            self._session = session
            self.bound.set()
            await running
        finally:
            self.bound.clear()
            self._session = None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _came(self, session: Session, pdu: Pdu) -> None:
        if len(self._delivering) >= MAX_DELIVERING:
            session.answer(pdu, smpp.QUEUE_FULL, b"\0")
            return
        task = asyncio.create_task(self._deliver(session, pdu, f"{session.name}-{pdu.sequence}"))
        self._delivering.add(task)
        task.add_done_callback(self._delivering.discard)

    async def _deliver(self, session: Session, pdu: Pdu, name: str) -> None:
        status = smpp.OK
        try:
            delivered = smpp.deliver_sm(pdu.body)
            found = smpp.receipt(delivered)
            if found is None:
                await self._reply(delivered, name)
            else:
                await self._receipt(found)
        except Malformed as error:  # sent again it would be no better
            log.warning("a delivery of the message centre was not understood", reason=str(error))
        except StoreDown:
            status = smpp.TEMPORARY_APPLICATION_ERROR
        except Exception:
            log.exception("a delivery of the message centre was not stored")
            status = smpp.TEMPORARY_APPLICATION_ERROR
        session.answer(pdu, status, b"\0")

    async def _receipt(self, found: smpp.Receipt) -> None:
        sent = await self._ledger.heard(found.message_id, found.status)
        if sent is None:
            await self._reported(CallReport("", found.message_id, found.status))
            return
        status = sent.status()
        if status != sent.reported:
            await self._reported(CallReport(sent.key, sent.name(), status))
            sent.reported = status

    async def _reply(self, delivered: Delivered, name: str) -> None:
        octets = delivered.message
        if delivered.esm_class & smpp.ESM_UDH:
            octets = without_header(octets)
        number = delivered.source.digits
        if delivered.source.ton in (0, 1) and WHOLE_NUMBER.fullmatch(number):
            number = "+" + number
        await self._replied(self._channel, number, decoded(delivered.data_coding, octets), name)


def _refusal(answer: Pdu) -> CallRefused | CallUnknown:
    reason = f"smpp_0x{answer.status:02x}"
    if answer.status in NOBODY_KNOWS or answer.status == smpp.OK:
        return CallUnknown(reason)
    return CallRefused(permanent=answer.status in NEVER, reason=reason)

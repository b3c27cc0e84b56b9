"""E-mail through the bank's own mail server: SMTP over TLS or STARTTLS, one connection a message.

The Message-ID is made from the message's key, so mail systems that drop repeats can, and a person sees that two are
one. Until the text is on its way every failure is a refusal: 4xx for now, 5xx for good, as far as it is about the
message. A connection lost or a time-out after that leaves it unknown. SMTP cannot take a message back when it is no
longer worth delivering, and cannot be asked what became of one; bounces go to the sender's address.
"""

import asyncio
import hashlib
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Literal

import aiosmtplib

from pipeline.adapters.channels.posting import CANNOT_BE_ASKED
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

Security = Literal["starttls", "tls", "none"]
TIMEOUT_S = 30.0
QUIT_S = 1.0
CONNECTIONS = 20
MAX_SUBJECT = 200
ABOUT_US = frozenset({530, 534, 535, 538, 554})
"""Permanent codes that say something about our login or our standing, unless they answer RCPT or the text."""
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
"""RFC 5321's dot-string and domain: no quotes, comments, literals, blanks or line ends."""
MAX_ADDRESS = 254


def is_address(text: str) -> bool:
    """Whether ``text`` is one plain ASCII address and nothing else."""
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def message_id(key: str, sender: str) -> str:
    """The Message-ID of the message of this key: always the same."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"


def one_line(text: str) -> str:
    """``text`` as a header may hold it: what is not printable becomes a blank."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_SUBJECT]


def written(order: MessageOrder, sender: str, name: str, now_s: float) -> bytes:
    """The message as it goes over the wire. Raises ValueError for a text that UTF-8 cannot carry."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail.set_content(order.text, charset="utf-8", cte="base64")
    mail["From"] = Address(display_name=one_line(name), addr_spec=sender)
    mail["To"] = Address(addr_spec=order.to)
    mail["Subject"] = one_line(order.subject or "")
    mail["Date"] = datetime.fromtimestamp(int(now_s), UTC)
    mail["Message-ID"] = message_id(order.key, sender)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail["Content-Language"] = one_line(order.language)
    return mail.as_bytes()


class EmailChannel:
    """The MessageChannel port. ``security``: "tls" from the first byte (port 465), "starttls" (587; a server without
    it is refused) or "none" (a relay on the same machine). ``tls``: trust and client certificate, the system's by
    default; certificates are always checked."""

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        clock: Clock,
        sender_name: str = "",
        security: Security = "starttls",
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if not is_address(sender):
            raise ValueError("the sender of e-mail is no plain address (name@domain)")
        if security == "none" and username is not None:
            raise ValueError("a password for the mail server goes over TLS only")
        self._host = host
        self._port = port
        self._sender = sender
        self._name = sender_name
        self._clock = clock
        self._security = security
        self._username = username
        self._password = password
        self._tls = tls
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def start(self) -> None:
        """There is nothing to keep open."""

    async def stop(self) -> None:
        """Every message has closed its own connection."""

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        sender = order.sender or self._sender
        if not is_address(order.to) or not is_address(sender):
            return CallRefused(permanent=True, reason="bad_address")
        try:
            mail = written(order, sender, self._name, self._clock.now())
        except ValueError:
            return CallRefused(permanent=True, reason="unwritable")
        delivery = _Delivery(self._client())
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                await delivery.run(sender, order.to, mail)
        except aiosmtplib.SMTPResponseException as error:
            return delivery.refused(error.code)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return delivery.lost(type(error).__name__)
        finally:
            await delivery.end()
        return CallAccepted(message_id(order.key, sender))

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            local_hostname=self._sender.rpartition("@")[2],  # else every message asks the resolver for our name
            username=self._username,
            password=self._password,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._tls,
            timeout=self._timeout_s,
        )

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return CANNOT_BE_ASKED


class _Delivery:
    """One conversation with the server, and how far it got."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client
        self._step: Literal["login", "envelope", "recipient", "text"] = "login"

    async def run(self, sender: str, to: str, mail: bytes) -> None:
        await self._client.connect()  # with STARTTLS and login
        self._step = "envelope"
        await self._client.mail(sender)
        self._step = "recipient"
        await self._client.rcpt(to)
        self._step = "text"
        await self._client.data(mail)

    def refused(self, code: int) -> CallRefused | CallUnknown:
        if self._step == "text" and not 400 <= code < 600:
            return CallUnknown(f"smtp_{code}")
        about_message = self._step in ("recipient", "text") or (self._step == "envelope" and code not in ABOUT_US)
        return CallRefused(permanent=code >= 500 and about_message, reason=f"smtp_{code}")

    def lost(self, reason: str) -> CallRefused | CallUnknown:
        if self._step == "text":
            return CallUnknown(reason)
        return CallRefused(permanent=False, reason="not_reached")

    async def end(self) -> None:
        if self._client.is_connected and self._step == "text":
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await self._client.quit(timeout=QUIT_S)
        self._client.close()

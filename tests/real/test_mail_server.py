"""E-mail through an SMTP server that asks for TLS and a password (aiosmtpd)."""

import asyncio
import ssl
from pathlib import Path
from typing import Literal

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from secured import Authority

from pipeline.adapters.channels.email import EmailChannel, message_id
from pipeline.adapters.clock import SystemClock
from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown, MessageOrder

SENDER = "alerts@bank.example"
ORDER = MessageOrder("ct_1:1:1", "email", "li@customer.example", "zh-CN", "是您本人吗?", "银行", ["al_1"], 3_600.0)
TAKEN = CallAccepted(message_id(ORDER.key, SENDER))
Security = Literal["starttls", "tls"]


class Mailbox:
    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, _: object, envelope: Envelope) -> str:
        assert server.session is not None
        assert server.session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None
        self.taken.append(envelope)
        return "250 OK"


def known(_: SMTP, __: object, ___: object, mechanism: str, data: object) -> AuthResult:
    return AuthResult(success=data == LoginPassword(b"bank", b"s3cret"), handled=False)


def sent(
    security: Security, server_side: Authority, trusted: Authority, mailbox: Mailbox, password: str = "s3cret"
) -> CallAccepted | CallRefused | CallUnknown:
    certificate, key = server_side.issue("mail")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    async def go() -> CallAccepted | CallRefused | CallUnknown:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            inside = tls if security == "starttls" else None
            return SMTP(
                mailbox,
                hostname="mx.example",
                loop=loop,
                tls_context=inside,
                require_starttls=inside is not None,
                auth_require_tls=inside is not None,
                authenticator=known,
            )

        outside = tls if security == "tls" else None
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=outside)
        email = EmailChannel(
            "127.0.0.1",
            server.sockets[0].getsockname()[1],
            SENDER,
            SystemClock(),
            security=security,
            username="bank",
            password=password,
            tls=ssl.create_default_context(cafile=str(trusted.certificate)),
            timeout_s=10.0,
        )
        outcome = await email.send(ORDER)
        server.close()
        return outcome

    return asyncio.run(go())


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_message_goes_over_tls_with_a_password(security: Security, tmp_path: Path) -> None:
    bank, mailbox = Authority(tmp_path), Mailbox()
    assert sent(security, bank, bank, mailbox) == TAKEN
    assert len(mailbox.taken) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_nobody_vouches_for_gets_neither_password_nor_message(security: Security, tmp_path: Path) -> None:
    mailbox = Mailbox()
    outcome = sent(security, Authority(tmp_path / "other"), Authority(tmp_path / "bank"), mailbox)
    assert outcome == CallRefused(False, "not_reached")
    assert mailbox.taken == []


def test_a_wrong_password_is_about_us_and_not_about_the_message(tmp_path: Path) -> None:
    bank = Authority(tmp_path)
    assert sent("tls", bank, bank, Mailbox(), password="wrong") == CallRefused(False, "smtp_535")

"""E-mail to a real SMTP server (aiosmtpd), and what each of its answers means."""

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as email_policy
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from channel_world import KEY, free_port, order, run
from contact_world import SetClock

from pipeline.adapters.channels.email import EmailChannel, message_id, written
from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown, MessageOrder

SENDER = "alerts@bank.example"
TO = "li.wei@customer.example"
NOW = 1_767_225_600.0


class Mailbox:
    """aiosmtpd's handler: answers each step as it is told, keeps what it took. "hang up" answers nothing."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.taken: list[Envelope] = []

    def _answer(self, server: SMTP, step: str) -> str:
        answer = self.answers.get(step, "250 OK")
        if answer == "hang up":
            assert server.transport is not None
            server.transport.abort()
        return answer

    async def handle_MAIL(self, server: SMTP, _: object, envelope: Envelope, address: str, __: object) -> str:
        envelope.mail_from = address
        return self._answer(server, "mail")

    async def handle_RCPT(self, server: SMTP, _: object, envelope: Envelope, address: str, __: object) -> str:
        envelope.rcpt_tos.append(address)
        return self._answer(server, "rcpt")

    async def handle_DATA(self, server: SMTP, _: object, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return self._answer(server, "data")


def channel(port: int, **more: Any) -> EmailChannel:
    settings: dict[str, Any] = {"sender_name": "招商 Bank", "security": "none", "timeout_s": 5.0}
    return EmailChannel("127.0.0.1", port, SENDER, SetClock(NOW), **settings | more)


def sent(mailbox: Mailbox, *orders: MessageOrder, **more: Any) -> list[CallAccepted | CallRefused | CallUnknown]:
    async def go() -> list[CallAccepted | CallRefused | CallUnknown]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(mailbox, hostname="mx.example", loop=loop), "127.0.0.1", 0)
        email = channel(server.sockets[0].getsockname()[1], **more)
        await email.start()
        outcomes = [await email.send(one) for one in orders]
        await email.stop()
        server.close()
        return outcomes

    found: list[CallAccepted | CallRefused | CallUnknown] = run(go())
    return found


def read(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    mail = message_from_bytes(envelope.content, policy=email_policy)
    assert isinstance(mail, EmailMessage)
    return mail


def test_the_message_arrives_as_written_in_both_languages() -> None:
    text = "您尾号4242的卡消费 ¥1,234.50。\n.\n.a line that begins with a dot\nWas it you?"
    mailbox = Mailbox()
    outcome = sent(mailbox, order(to=TO, subject="【银行】交易核实", text=text, language="zh-CN"))
    assert outcome == [CallAccepted(message_id(KEY, SENDER))]
    (envelope,) = mailbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [TO])
    mail = read(envelope)
    assert mail.get_content().replace("\r\n", "\n") == text + "\n"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content_charset() == "utf-8"
    assert mail["Subject"] == "【银行】交易核实"
    assert mail["From"] == "招商 Bank <alerts@bank.example>"
    assert mail["To"] == TO
    assert mail["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "zh-CN"


def test_a_repeat_is_recognised_by_its_message_id() -> None:
    mailbox = Mailbox()
    sent(mailbox, order(to=TO), order(to=TO), order(to=TO, key="ct_1:2:2"))
    first, second, third = [read(one)["Message-ID"] for one in mailbox.taken]
    assert first == second != third
    assert first.endswith("@bank.example>")


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"rcpt": "550 no such user"}, CallRefused(True, "smtp_550")),
        ({"rcpt": "450 greylisted"}, CallRefused(False, "smtp_450")),
        ({"data": "554 refused as spam"}, CallRefused(True, "smtp_554")),
        ({"data": "452 disk full"}, CallRefused(False, "smtp_452")),
        ({"data": "421 closing"}, CallRefused(False, "smtp_421")),
        ({"mail": "530 log in first"}, CallRefused(False, "smtp_530")),
        ({"mail": "552 too large"}, CallRefused(True, "smtp_552")),
        ({"mail": "hang up"}, CallRefused(False, "not_reached")),
        ({"rcpt": "hang up"}, CallRefused(False, "not_reached")),
        ({"data": "hang up"}, CallUnknown("SMTPServerDisconnected")),
        ({"data": "251 what?"}, CallUnknown("smtp_251")),
    ],
)
def test_what_an_answer_means(answers: dict[str, str], outcome: object) -> None:
    assert sent(Mailbox(**answers), order(to=TO)) == [outcome]


@pytest.mark.parametrize(
    "to",
    [
        "a@b.example\r\nRCPT TO:<x@y.example>",
        "a@b.example\r\nBcc: x@y.example",
        "a@b.example,x@y.example",
        "A <a@b.example>",
        "a@b.example ",
        '"a b"@b.example',
        "a@[127.0.0.1]",
        "a@b..example",
        ".a@b.example",
        "a@b",
        "李@b.example",
        "a" * 250 + "@b.example",
        "",
    ],
)
def test_anything_but_one_plain_address_is_refused_before_a_connection(to: str) -> None:
    mailbox = Mailbox()
    assert sent(mailbox, order(to=to)) == [CallRefused(True, "bad_address")]
    assert mailbox.taken == []


def test_a_subject_opens_no_further_header() -> None:
    raw = written(order(to=TO, subject="Pay\r\nBcc: x@y.example\x00\u2028now"), SENDER, "B\nank", NOW)
    mail = message_from_bytes(raw, policy=email_policy)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Pay Bcc: x@y.example now"
    assert mail["From"] == "B ank <alerts@bank.example>"


def test_a_text_that_cannot_be_written_is_refused() -> None:
    assert sent(Mailbox(), order(to=TO, text="half a pair \ud800")) == [CallRefused(True, "unwritable")]


def test_a_server_without_starttls_gets_nothing() -> None:
    mailbox = Mailbox()
    assert sent(mailbox, order(to=TO), security="starttls") == [CallRefused(False, "not_reached")]
    assert mailbox.taken == []


def test_a_connection_never_made_is_a_refusal() -> None:
    assert run(channel(free_port()).send(order(to=TO))) == CallRefused(False, "not_reached")


@pytest.mark.parametrize(("sender", "more"), [("bank", {}), (SENDER, {"username": "u", "password": "p"})])
def test_a_bad_sender_and_a_password_in_clear_are_refused_at_the_start(sender: str, more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"sender|password"):
        EmailChannel("127.0.0.1", 25, sender, SetClock(), security="none", **more)

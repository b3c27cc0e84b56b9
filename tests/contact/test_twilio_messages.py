"""Text messages by Twilio's API."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from contact_world import SetClock
from twilio_mock import ACCOUNT, BANK, INTERFACE, PUBLIC, TOKEN, TwilioMock

from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_sms import TwilioSms
from pipeline.core.twilio import CALL_STATUSES, MESSAGE_STATUSES, CallbackUrls
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

TO = "+8613800138042"
KEY = "ct_0a1b2c:2:1"
TEXT = "【示例银行】您尾号4242的卡片消费1,234.50元,本人操作请回复1,非本人请回复2,退订回复T。"
SERVICE = "MG" + "0" * 32


def order(key: str = KEY, text: str = TEXT, expires_s: float = 299.5) -> MessageOrder:
    return MessageOrder(key, "sms", TO, "zh-CN", text, None, ["tx1"], expires_s)


Story = Callable[[TwilioMock, TwilioSms, SetClock], Awaitable[None]]


def run(story: Story, sender: str = BANK) -> TwilioMock:
    async def go() -> TwilioMock:
        async with TwilioMock().running() as mock:
            clock = SetClock(mock.now)
            async with TwilioClient(ACCOUNT, TOKEN, clock, mock.url) as client:
                await story(mock, TwilioSms(client, CallbackUrls(PUBLIC), sender, clock), clock)
            return mock

    mock = asyncio.run(go())
    assert mock.violations == []
    return mock


@pytest.mark.parametrize(("sender", "name"), [(BANK, "From"), (SERVICE, "MessagingServiceSid")])
def test_a_message_is_sent_as_the_published_interface_has_it(sender: str, name: str) -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        assert await sms.send(order()) == CallAccepted(next(iter(mock.made)))

    ((_, form),) = run(story, sender).requests
    assert form == [
        ("To", TO),
        (name, sender),
        ("Body", TEXT),
        ("StatusCallback", f"{PUBLIC}/callbacks/twilio/sms-status?key={KEY}#rc=3&rp=all"),
        ("ValidityPeriod", "300"),
    ]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (order(text="x" * 1_601), "text_too_long"),
        (order(text=""), "no_text"),
        (order(expires_s=0.5), "expired"),
    ],
)
def test_what_twilio_would_not_take_is_not_sent(sent: MessageOrder, reason: str) -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        assert await sms.send(sent) == CallRefused(permanent=True, reason=reason)

    assert run(story).requests == []


def test_validity_stays_within_what_twilio_allows() -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        await sms.send(order(expires_s=259_200))

    ((_, form),) = run(story).requests
    assert dict(form)["ValidityPeriod"] == "36000"


@pytest.mark.parametrize("sender", [BANK, SERVICE])
def test_a_message_whose_answer_was_lost_is_known_by_its_text(sender: str) -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        mock.make("Message", {"To": TO, "From": BANK, "Body": "something else"})
        mock.make("Message", {"To": TO, "From": BANK, "Body": TEXT}, ago_s=60)
        mock.make("Message", {"To": TO, "From": BANK, "Body": TEXT}, direction="inbound")
        mock.fault = "cut"
        assert isinstance(await sms.send(order()), CallUnknown)
        (ours,) = mock.orders
        assert await sms.find(KEY) == CallReport(KEY, ours, "queued")
        mock.made[ours]["status"] = "delivered"
        assert await sms.find(KEY) == CallReport(KEY, ours, "delivered")

    run(story, sender)


@pytest.mark.parametrize(("body", "found"), [("", "ambiguous"), ("rewritten", "ambiguous"), (None, "absent")])
def test_a_message_is_not_absent_while_one_stands_there_whose_text_we_cannot_know(body: str | None, found: str) -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        mock.fault = "lost"
        await sms.send(order())
        if body is not None:
            mock.make("Message", {"To": TO, "From": BANK, "Body": body})
        mock.now += 11
        clock.pass_s(11)
        assert await sms.find(KEY) == (CallAbsent() if found == "absent" else CallUnknown(found))

    run(story)


def test_every_status_of_the_published_interface_has_a_word() -> None:
    outgoing = set(INTERFACE["enums"]["message_status"]) - {"receiving", "received"}
    assert set(MESSAGE_STATUSES) == outgoing
    assert set(MESSAGE_STATUSES.values()) == {"queued", "sent", "delivered", "undelivered", "failed"}
    assert set(CALL_STATUSES) == {*INTERFACE["enums"]["call_status"], "initiated"}


def test_a_status_of_another_world_is_unknown() -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        placed = await sms.send(order())
        assert isinstance(placed, CallAccepted)
        mock.made[placed.call]["status"] = "received"
        assert await sms.find(KEY) == CallUnknown("unknown_status")

    run(story)


def test_no_reason_carries_the_number() -> None:
    async def story(mock: TwilioMock, sms: TwilioSms, clock: SetClock) -> None:
        mock.fault = "400"
        assert await sms.send(order()) == CallRefused(permanent=True, reason="twilio_21211")

    run(story)

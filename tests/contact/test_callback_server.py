"""Who may report and pass replies on, and what the provider is answered."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from contact_world import SECRET, SetClock

from pipeline.adapters.http.callbacks import CallbackServer
from pipeline.core.conversation import CHANNELS
from pipeline.core.webhook import NotSigned, signed, verify
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallReport

KEY = SECRET.encode()
REPLY = json.dumps({"data": {"from": "+8613800138042", "text": "Yes", "id": "m1"}}).encode()
BODY = json.dumps({"data": {"key": "ct_1:1:1", "call_id": "c1", "status": "completed", "digits": "1"}}).encode()
Post = Callable[[dict[str, str], bytes], Awaitable[tuple[int, dict[str, str]]]]


class Reports:
    def __init__(self, down: bool = False) -> None:
        self.taken: list[CallReport] = []
        self.replies: list[tuple[str, ...]] = []
        self.down = down

    async def reported(self, report: CallReport) -> str:
        if self.down:
            raise StoreDown("away")
        self.taken.append(report)
        return "taken"

    async def replied(self, *reply: str) -> str:
        if self.down:
            raise StoreDown("away")
        self.replies.append(reply)
        return "taken"


def answered(
    headers: dict[str, str], body: bytes, reports: Reports, times: int = 1, channel: str = "voice"
) -> list[int]:
    """HTTP statuses of the same message sent ``times`` times at second 1000."""

    async def go() -> list[int]:
        server = CallbackServer(reports, KEY, "127.0.0.1", 0, SetClock(1000.0))
        await server.start()
        found = []
        async with aiohttp.ClientSession() as session:
            for _ in range(times):
                url = f"http://127.0.0.1:{server.port}/callbacks/{channel}"
                async with session.post(url, data=body, headers=headers) as response:
                    found.append(response.status)
        await server.stop()
        return found

    return asyncio.run(go())


def test_a_signed_report_is_taken_and_a_replay_reaches_the_same_transition() -> None:
    reports = Reports()
    assert answered(signed(KEY, "m1", 1000, BODY), BODY, reports, times=2) == [200, 200]
    assert reports.taken == [CallReport("ct_1:1:1", "c1", "completed", "1")] * 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(b"another-key-of-somebody", "m1", 1000, BODY),
        signed(KEY, "m1", 1000, BODY + b" "),
        signed(KEY, "m1", 1000 - 301, BODY),
        signed(KEY, "m1", 1000 + 301, BODY),
        signed(KEY, "m1", 1000, BODY) | {"webhook-id": "m2"},
        signed(KEY, "m1", 1000, BODY) | {"webhook-timestamp": "1001"},
        signed(KEY, "m1", 1000, BODY) | {"webhook-timestamp": "x"},
    ],
)
def test_what_does_not_prove_its_origin_is_refused(headers: dict[str, str]) -> None:
    reports = Reports()
    assert answered(headers, BODY, reports) == [401]
    assert reports.taken == []


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed(KEY, "m1", 1000, BODY)
    headers["webhook-signature"] = "v1,AAAA v1a,xyz " + headers["webhook-signature"]
    assert verify(KEY, headers, BODY, 1300) == "m1"
    with pytest.raises(NotSigned):
        verify(KEY, headers, BODY, 1301)


def test_the_signature_is_the_specifications_own_example() -> None:
    secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("channel", [channel for channel in CHANNELS if channel != "voice"])
def test_messages_are_reported_and_replied_to_on_the_path_of_their_channel(channel: str) -> None:
    reports = Reports()
    for body in (BODY, REPLY):
        assert answered(signed(KEY, "m1", 1000, body), body, reports, channel=channel) == [200]
    assert reports.taken == [CallReport("ct_1:1:1", "c1", "completed", "1")]
    assert reports.replies == [(channel, "+8613800138042", "Yes", "m1")]


def test_a_reply_that_does_not_prove_its_origin_is_refused() -> None:
    reports = Reports()
    for headers in ({}, signed(b"another-key-of-somebody", "m1", 1000, REPLY), signed(KEY, "m1", 1000 - 301, REPLY)):
        assert answered(headers, REPLY, reports, channel="sms") == [401]
    assert reports.replies == []


@pytest.mark.parametrize(("channel", "body"), [("voice", BODY), ("sms", REPLY)])
def test_what_is_said_is_to_come_again_while_the_store_is_away(channel: str, body: bytes) -> None:
    assert answered(signed(KEY, "m1", 1000, body), body, Reports(down=True), channel=channel) == [503]


@pytest.mark.parametrize(
    ("body", "channel", "status"),
    [
        (b"{}", "voice", 400),
        (b'{"data": []}', "sms", 400),
        (b'{"data": {"from": 5, "text": "yes", "id": "m1"}}', "sms", 400),
        (b'{"data": {"from": "+86138", "id": "m1"}}', "sms", 400),
        (REPLY, "voice", 400),
        (b"\xff", "voice", 400),
        (b"x" * 70_000, "voice", 413),
        (BODY, "pigeon", 404),
        (BODY, "sms/voice", 404),
    ],
)
def test_what_is_neither_report_nor_reply_is_refused(body: bytes, channel: str, status: int) -> None:
    reports = Reports()
    assert answered(signed(KEY, "m1", 1000, body), body, reports, channel=channel) == [status]
    assert (reports.taken, reports.replies) == ([], [])

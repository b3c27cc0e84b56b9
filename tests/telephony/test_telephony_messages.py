"""Text messages at the simulated provider: one per key, signed, delivered and answered, on its own record."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pipeline.adapters.channels.webhook import WebhookChannel
from pipeline.adapters.clock import SystemClock
from pipeline.core.webhook import signed, verify
from pipeline.lab.telephony.app import Telephony
from pipeline.lab.telephony.behaviour import Callees, Truths, parse_mix
from pipeline.lab.telephony.calls import Pace
from pipeline.lab.telephony.messages import LONGEST_REPLY, MOST_REPLIES, offered
from pipeline.ports_channels import CallAccepted, MessageOrder

SECRET = b"the-secret-of-the-bank-and-us"
NUMBER = "+8613912345678"
ASKS = "Bank: card 4242, CNY 12.00 at Shop. You? Reply YES or NO. STOP to end."
OFFER = "Bank: an offer. Reply STOP for no more offers."
THANKS = "Bank: thank you. Your card ending 4242 is ready to use."


class Bank:
    """Takes reports and replies, each with the path it came to; answers the first ``deaf`` of them with 503."""

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        verify(SECRET, {name.lower(): value for name, value in request.headers.items()}, body, time.time())
        if self.deaf:
            self.deaf -= 1
            return web.Response(status=503)
        self.heard.put_nowait((request.path, json.loads(body)["data"]))
        return web.Response()


class Line:
    """A bank, its own webhook channel, a provider and a client."""

    def __init__(
        self, telephony: Telephony, bank: Bank, channel: WebhookChannel, session: aiohttp.ClientSession
    ) -> None:
        self.telephony = telephony
        self.bank = bank
        self.channel = channel
        self.session = session

    async def text(self, key: str = "k1", text: str = ASKS, channel: str = "sms", to: str = NUMBER) -> str:
        answer = await self.channel.send(MessageOrder(key, channel, to, "en", text, None, ["tx1"], 60.0))
        assert isinstance(answer, CallAccepted)
        return answer.call

    async def shown(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.telephony.url}/v1/messages") as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"]
            return found

    async def post(self, path: str, **what: Any) -> int:
        async with self.session.post(self.telephony.url + path, **what) as answer:
            return answer.status

    async def reply(self, message: str, text: Any) -> int:
        return await self.post(f"/v1/messages/{message}/reply", json={"text": text})

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.telephony.log.lines if line["event"] == name]


@asynccontextmanager
async def line(state: Path, behaviour: str, bank: Bank) -> AsyncIterator[Line]:
    app = web.Application()
    app.router.add_post("/callbacks/{channel}", bank.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    callees = Callees(parse_mix(behaviour), truths=Truths(state / "truth.jsonl"))
    callback_url = f"http://127.0.0.1:{runner.addresses[0][1]}/callbacks"
    telephony = Telephony(state, SECRET, "key", callees, Pace(), callback_url=callback_url)
    await telephony.start()
    channel = WebhookChannel(f"{telephony.url}/v1/messages", SECRET, SystemClock())
    await channel.start()
    async with aiohttp.ClientSession() as session:
        yield Line(telephony, bank, channel, session)
    await channel.stop()
    await telephony.stop()
    await runner.cleanup()


def told(state: Path, behaviour: str, story: Callable[[Line], Awaitable[None]], deaf: int = 0) -> None:
    async def go() -> None:
        async with asyncio.timeout(20), line(state, behaviour, Bank(deaf)) as ours:
            await story(ours)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ASKS, ["YES", "NO", "STOP"]),
        (THANKS, []),
        ("【银行】本人操作回复1，非本人回复2，退订回复T。", ["1", "2", "T"]),
        ("【银行】尾号4242卡。均本人回1，否回2，退订回T", ["1", "2", "T"]),
        ("【银行】谢谢。您尾号4242的卡片已被止付，我行将与您联系。", []),
        (OFFER, ["STOP"]),
    ],
)
def test_the_answers_a_text_asks_for_are_found_in_it(text: str, words: list[str]) -> None:
    assert offered(text) == words


def test_a_message_is_one_per_key_delivered_on_its_channel_and_shown_without_its_number(tmp_path: Path) -> None:
    async def story(ours: Line) -> None:
        first = await ours.text()
        assert await ours.text(text="Other words.") == first
        other = await ours.text("k2", channel="wechat", to="an-open-id")
        heard = sorted([await ours.bank.heard.get(), await ours.bank.heard.get()])
        assert heard == [
            ("/callbacks/sms", {"key": "k1", "call_id": first, "status": "delivered"}),
            ("/callbacks/wechat", {"key": "k2", "call_id": other, "status": "delivered"}),
        ]
        shown, _ = await ours.shown()
        assert (shown["text"], shown["to"], shown["reference"]) == (ASKS, "*" * 12 + "78", ["tx1"])
        assert shown["answerable"]
        assert [len(ours.events(name)) for name in ("message", "message_repeat")] == [2, 1]
        assert NUMBER[1:-2] not in (tmp_path / "calls.jsonl").read_text()
        assert ASKS in (tmp_path / "calls.jsonl").read_text()

    told(tmp_path, "interactive", story)


def test_a_message_that_proves_no_origin_or_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async def story(ours: Line) -> None:
        good = {"key": "k1", "channel": "sms", "to": NUMBER, "text": ASKS}
        body = json.dumps({"data": good}).encode()
        now = int(time.time())
        for headers in ({}, signed(b"another-key-of-somebody", "k1", now, body), signed(SECRET, "k1", now - 400, body)):
            assert await ours.post("/v1/messages", data=body, headers=headers) == 401
        assert await ours.post("/v1/messages", data=body, headers=signed(SECRET, "k2", now, body)) == 422
        for wrong in ({"channel": "voice"}, {"text": 5}, {"to": None}):
            body = json.dumps({"data": good | wrong}).encode()
            assert await ours.post("/v1/messages", data=body, headers=signed(SECRET, "k1", now, body)) == 422
        assert ours.telephony.log.lines == []

    told(tmp_path, "interactive", story)


def test_a_visitors_words_are_pushed_and_passed_on_until_they_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.lab.telephony.reports.FIRST_PAUSE_S", 0.001)

    async def story(ours: Line) -> None:
        message = await ours.text()
        await ours.bank.heard.get()
        ours.bank.deaf = 2
        async with ours.session.get(f"{ours.telephony.url}/v1/events") as events:
            assert (await events.content.readline()).startswith(b"retry")
            assert await ours.reply(message, "  Yes, that was me ") == 200
            while not (pushed := await events.content.readline()).startswith(b"data"):
                pass
            assert json.loads(pushed[6:])["replies"][0]["text"] == "Yes, that was me"
        reply = {"from": NUMBER, "text": "Yes, that was me", "id": f"{message}_1"}
        assert await ours.bank.heard.get() == ("/callbacks/sms", reply)
        assert [await ours.reply(message, wrong) for wrong in ("", " ")] == [422, 422]
        assert await ours.post(f"/v1/messages/{message}/reply", json={}) == 422
        assert await ours.post(f"/v1/messages/{message}/reply", data=b'{"text": "yes"}') == 415
        assert await ours.reply("text_none", "yes") == 404
        assert await ours.reply(message, "x" * (LONGEST_REPLY + 1)) == 200
        assert len((await ours.bank.heard.get())[1]["text"]) == LONGEST_REPLY
        for _ in range(MOST_REPLIES - 2):
            assert await ours.reply(message, "and another") == 200
        assert await ours.reply(message, "one too many") == 409
        assert ours.events("reply_receipt")[0]["answered"] == 503

    told(tmp_path, "interactive", story)


@pytest.mark.parametrize(("behaviour", "word"), [("yes", "YES"), ("no", "NO"), ("truth", "NO")])
def test_who_would_answer_a_call_answers_a_question_and_nothing_else(behaviour: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text('{"id":"tx1","fraud":true}\n')

    async def story(ours: Line) -> None:
        asked = await ours.text()
        await ours.text("k2", THANKS)
        await ours.text("k3", OFFER)
        heard = [(await ours.bank.heard.get())[1] for _ in range(4)]
        assert {"from": NUMBER, "text": word, "id": f"{asked}_1"} in heard
        assert [line["text"] for line in ours.events("reply")] == [word]
        assert await ours.reply(asked, "me too") == 409

    told(tmp_path, behaviour, story)


@pytest.mark.parametrize("behaviour", ["silence", "busy", "voicemail", "error"])
def test_all_others_leave_a_text_unanswered(behaviour: str, tmp_path: Path) -> None:
    async def story(ours: Line) -> None:
        await ours.text()
        assert (await ours.bank.heard.get())[1]["status"] == "delivered"
        assert ours.events("reply") == []

    told(tmp_path, behaviour, story)


def test_a_restart_keeps_keys_threads_and_words_but_not_who_wrote_them(tmp_path: Path) -> None:
    found: list[dict[str, Any]] = []

    async def before(ours: Line) -> None:
        message = await ours.text()
        await ours.bank.heard.get()
        await ours.reply(message, "NO")
        await ours.bank.heard.get()
        while not ours.events("reply_receipt"):
            await asyncio.sleep(0)
        found.extend(await ours.shown())

    async def after(ours: Line) -> None:
        assert await ours.text() == found[0]["message_id"]
        assert await ours.shown() == [found[0] | {"answerable": False}]
        assert await ours.reply(found[0]["message_id"], "YES") == 409
        await ours.text("k2")
        assert len({one["thread"] for one in await ours.shown()}) == 1
        assert (await ours.bank.heard.get())[1]["key"] == "k2"

    told(tmp_path, "interactive", before)
    told(tmp_path, "interactive", after)


def test_a_delivery_that_was_not_told_is_told_after_a_restart(tmp_path: Path) -> None:
    async def before(ours: Line) -> None:
        await ours.text()

    async def after(ours: Line) -> None:
        assert (await ours.bank.heard.get())[1]["status"] == "delivered"

    told(tmp_path, "interactive", before, deaf=1000)
    told(tmp_path, "interactive", after)

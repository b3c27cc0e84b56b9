"""The simulated provider over HTTP: one ring per key, its own record, signed reports until they are heard."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pipeline.adapters.channels.voice import VoiceProvider
from pipeline.core.webhook import verify
from pipeline.lab.telephony.app import Telephony
from pipeline.lab.telephony.behaviour import Callees, parse_mix
from pipeline.lab.telephony.calls import Pace

SECRET = b"the-secret-of-the-bank-and-us"
KEY = "the-key-of-the-bank"
NUMBER = "+8613912345678"


class Bank:
    """Takes reports; answers the first ``deaf`` of them with 503."""

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.heard: list[dict[str, Any]] = []
        self.told = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        verify(SECRET, {name.lower(): value for name, value in request.headers.items()}, body, time.time())
        if self.deaf:
            self.deaf -= 1
            return web.Response(status=503)
        self.heard.append(json.loads(body)["data"])
        self.told.set()
        return web.Response()


class Line:
    """A bank, a provider and a client."""

    def __init__(self, telephony: Telephony, bank: Bank, url: str, session: aiohttp.ClientSession) -> None:
        self.telephony = telephony
        self.bank = bank
        self.callback_url = url
        self.session = session

    async def order(self, key: str = "k1", **more: Any) -> tuple[int, dict[str, Any]]:
        body = {"to": NUMBER, "from": "Bank", "say": "Was it you?", "callback_url": self.callback_url, "ring_s": 5.0}
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
        async with self.session.post(f"{self.telephony.url}/v1/calls", json=body | more, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.session.get(self.telephony.url + path, headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def post(self, path: str, body: Any = None) -> int:
        async with self.session.post(self.telephony.url + path, json=body or {}) as answer:
            return answer.status

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.telephony.log.lines if line["event"] == name]


@asynccontextmanager
async def line(state: Path, behaviour: str, bank: Bank) -> AsyncIterator[Line]:
    app = web.Application()
    app.router.add_post("/callbacks/voice", bank.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/callbacks/voice"
    telephony = Telephony(state, SECRET, KEY, Callees(parse_mix(behaviour)), Pace())
    await telephony.start()
    async with aiohttp.ClientSession() as session:
        yield Line(telephony, bank, url, session)
    await telephony.stop()
    await runner.cleanup()


def told(state: Path, behaviour: str, story: Callable[[Line], Awaitable[None]], deaf: int = 0) -> None:
    async def go() -> None:
        async with asyncio.timeout(20), line(state, behaviour, Bank(deaf)) as ours:
            await story(ours)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("behaviour", "status", "digits"),
    [
        ("yes", "completed", "1"),
        ("no", "completed", "2"),
        ("busy", "busy", None),
        ("hang_up", "hung_up", None),
        ("voicemail", "voicemail", None),
        ("silence", "no_answer", None),
    ],
)
def test_a_call_rings_once_and_its_end_is_reported(
    behaviour: str, status: str, digits: str | None, tmp_path: Path
) -> None:
    async def story(ours: Line) -> None:
        first, again = await ours.order(ring_s=0.01), await ours.order(ring_s=0.01)
        assert (first[0], again[0]) == (201, 200)
        assert first[1] == again[1]
        await ours.bank.told.wait()
        report = {"key": "k1", "call_id": first[1]["call_id"], "status": status, "digits": digits}
        assert ours.bank.heard == [report]
        assert [len(ours.events(name)) for name in ("order", "repeat", "ring", "end")] == [1, 1, 1, 1]
        (found,) = (await ours.get("/v1/calls?idempotency_key=k1"))["calls"]
        assert (found["status"], found["digits"]) == (status, digits)
        assert (await ours.get("/v1/calls?idempotency_key=k2"))["calls"] == []
        assert (await ours.get("/v1/record"))["record"] == ours.telephony.log.lines

    told(tmp_path, behaviour, story)


def test_the_bank_may_end_its_call(tmp_path: Path) -> None:
    async def story(ours: Line) -> None:
        await ours.order()
        provider = VoiceProvider(ours.telephony.url, KEY, ours.callback_url)
        async with provider:
            await provider.cancel("k1", None)
            await provider.cancel("k2", None)
        await ours.bank.told.wait()
        assert [report["status"] for report in ours.bank.heard] == ["failed"]
        async with ours.session.delete(f"{ours.telephony.url}/v1/calls?idempotency_key=k1") as answer:
            assert answer.status == 401

    told(tmp_path, "silence", story)


def test_a_bank_that_is_away_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.lab.telephony.reports.FIRST_PAUSE_S", 0.001)

    async def story(ours: Line) -> None:
        await ours.order()
        await ours.bank.told.wait()
        assert len(ours.bank.heard) == 1

    told(tmp_path, "yes", story, deaf=3)


def test_an_error_makes_no_call_and_a_key_is_needed(tmp_path: Path) -> None:
    async def story(ours: Line) -> None:
        assert (await ours.order())[0] == 500
        assert (await ours.get("/v1/calls"))["calls"] == []
        async with ours.session.post(f"{ours.telephony.url}/v1/calls", json={}) as answer:
            assert answer.status == 401
        assert (await ours.order(key=""))[0] == 422
        assert (await ours.order(to=5))[0] == 422

    told(tmp_path, "error", story)


def test_a_visitor_answers_on_the_page_and_sees_no_full_number(tmp_path: Path) -> None:
    async def story(ours: Line) -> None:
        await ours.order()
        (call,) = (await ours.get("/v1/calls"))["calls"]
        assert (call["status"], call["interactive"], call["to"]) == ("ringing", True, "*" * 12 + "78")
        async with ours.session.get(f"{ours.telephony.url}/v1/events") as events:
            assert (await events.content.readline()).startswith(b"retry")
            assert await ours.post(f"/v1/calls/{call['call_id']}/press", {"digits": "2"}) == 200
            while not (pushed := await events.content.readline()).startswith(b"data"):
                pass
            assert json.loads(pushed[6:])["digits"] == "2"
        assert await ours.post(f"/v1/calls/{call['call_id']}/press", {"digits": "1"}) == 409
        assert await ours.post(f"/v1/calls/{call['call_id']}/hang-up") == 409
        assert await ours.post("/v1/calls/none/press", {"digits": "1"}) == 404
        await ours.bank.told.wait()
        assert ours.bank.heard[0]["digits"] == "2"
        async with ours.session.get(f"{ours.telephony.url}/phone?lang=zh") as answer:
            page = await answer.text()
        assert "是本人" in page
        assert "http" not in page.replace("http-equiv", "")
        assert NUMBER[1:-2] not in (tmp_path / "calls.jsonl").read_text()

    told(tmp_path, "interactive", story)


def test_a_restart_keeps_keys_and_reports_what_was_cut_off(tmp_path: Path) -> None:
    async def before(ours: Line) -> None:
        await ours.order()
        with (tmp_path / "calls.jsonl").open("a") as file:
            file.write('{"half a li')

    async def after(ours: Line) -> None:
        ours.telephony.calls.by_key["k1"].order.callback_url = ours.callback_url
        status, call = await ours.order()
        assert status == 200
        (found,) = (await ours.get("/v1/calls?idempotency_key=k1"))["calls"]
        assert (found["call_id"], found["status"]) == (call["call_id"], "failed")
        assert len(ours.events("ring")) == 1

    told(tmp_path, "interactive", before)
    told(tmp_path, "interactive", after)


def test_it_runs_as_a_process_and_ends_when_asked(tmp_path: Path) -> None:
    for name, text in (("secret", SECRET.decode()), ("key", KEY)):
        (tmp_path / name).write_text(text + "\n")
    command = [
        sys.executable, "-m", "pipeline.lab.telephony", "--port", "0", "--state-dir", str(tmp_path / "state"),
        "--callback-secret-file", str(tmp_path / "secret"), "--api-key-file", str(tmp_path / "key"),
        "--behaviour", "yes=1,no=1", "--suffix", "07=busy",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("telephony: http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert (tmp_path / "state" / "calls.jsonl").exists()

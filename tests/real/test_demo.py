"""The demo as a visitor meets it: alerts in a browser, a telephone that gets texts, rings, and is answered, processes
that are killed and come back, a broker that dies, and an end that leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outside import Outside, Read, first_of_each
from playwright.sync_api import FrameLocator, Page, expect, sync_playwright
from test_desk_page import ARGUMENTS, CHROMIUM

from pipeline.embedded.process import free_port

pytestmark = pytest.mark.browser

READY_S = 90.0
ALERT_S = 120.0
"""Alerts come when the simulated thieves do: most of the time within half a minute."""
END_S = 20.0
IMAGES = os.environ.get("CARDWATCH_TEST_IMAGES")
"""A directory: screenshots of the desk are left there."""
KILLED = ("scorer", "archive", "contact", "desk", "learner", "telephony", "simulate", "store")


class DemoProcess:
    """`cardwatch demo` as somebody starts it who has nothing: an empty home, a temporary directory of its own."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        (directory / "home").mkdir()
        self.port = free_port()
        self.output = directory / "output"
        self.seen: set[int] = set()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CARDWATCH_")}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", "demo", "--port", str(self.port), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
                env={**kept, "HOME": str(directory / "home"), "TMPDIR": str(self.temporary)},
                start_new_session=True,
            )

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def directory(self) -> Path:
        """That of the run under way."""
        (found,) = self.temporary.glob("cardwatch-demo-*")
        return found

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.directory / "pids.json").read_text())
        self.seen.update(found.values())
        return found

    def until(self, condition: Callable[[], Any], what: str, wait_s: float = READY_S) -> Any:
        deadline = time.monotonic() + wait_s
        while not (found := condition()):
            assert self.process.poll() is None, f"the demo ended: {self.said}"
            assert time.monotonic() < deadline, f"{what}: not within {wait_s:g} s; the demo said: {self.said}"
            time.sleep(0.05)
        return found

    def until_open(self, times: int = 1) -> None:
        self.until(lambda: self.said.count("Ctrl-C ends everything") == times, "the last lines")

    def until_said(self, words: str, times: int = 1) -> None:
        self.until(lambda: self.said.count(words) == times, words)

    def pid_of(self, name: str) -> int:
        def look() -> int | None:
            try:
                return self.pids().get(name)
            except (ValueError, OSError):  # no run is under way, or it has not written yet
                return None

        found: int = self.until(look, f"the process id of {name}")
        return found

    def kill(self, name: str) -> int:
        """End ``name`` with no chance to say goodbye; answers its process id."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def end(self, how: signal.Signals) -> None:
        """As a terminal or a service manager ends it; then nothing of it may be left."""
        self.pids()
        self.process.send_signal(how)
        assert self.process.wait(END_S) == 0, self.said
        assert [pid for pid in self.seen if exists(pid)] == []
        assert list(self.temporary.iterdir()) == []

    def abandon(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(END_S)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    started = DemoProcess(tmp_path_factory.mktemp("demo"), "--preset", "busy")
    try:
        started.until_open()
        yield started
        started.end(signal.SIGTERM)
    finally:
        started.abandon()


@pytest.fixture(scope="module")
def page(demo: DemoProcess) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1366, "height": 945}, locale="en-US")
        opened = context.new_page()
        opened.goto(demo.address)
        yield opened
        browser.close()


def answer_call(page: Page, key: str, becomes: str) -> None:
    """When the phone rings pick up and press ``key``; the desk then shows what it leads to."""
    phone: FrameLocator = page.frame_locator("aside.phone iframe")
    ringing = phone.locator(".ringing").last  # the newest: there is time to answer it
    ringing.wait_for(timeout=ALERT_S * 1000)
    call = ringing.get_attribute("data-call")
    card = phone.locator(f'[data-call="{call}"]')
    card.locator("button.answer").click()
    expect(card.locator(".say")).to_contain_text("1")
    card.locator(f"button.{key}").click()
    page.mouse.move(0, 0)  # while the pointer is over texts, new ones wait
    (alerts,) = (one["reference"] for one in listed(page, "calls") if one["call_id"] == call)
    shown_on_desk(page, alerts, becomes)


def answer_text(page: Page, word: str, becomes: str) -> None:
    """When the next text comes reply ``word``, before the phone rings; the desk then shows what it leads to."""
    known = {one["message_id"] for one in listed(page, "messages")}
    deadline = time.monotonic() + ALERT_S
    while not (fresh := [one for one in listed(page, "messages") if one["offers"] and one["message_id"] not in known]):
        assert time.monotonic() < deadline, "no text came"
        page.wait_for_timeout(100)
    phone: FrameLocator = page.frame_locator("aside.phone iframe")
    thread = phone.locator(f'.thread:has([data-message="{fresh[0]["message_id"]}"])')
    thread.locator("input").fill(word)
    thread.locator("input").press("Enter")
    expect(thread.locator(".bubble.me").last).to_have_text(word)
    expect(thread.locator(".receipt").last).to_contain_text("Received by the bank")
    shown_on_desk(page, fresh[0]["reference"], becomes)


def pictures(demo: DemoProcess, page: Page) -> None:
    """The desk in both languages, with its phone ringing and a text on it."""
    chinese = page.context.new_page()
    chinese.goto(f"{demo.address}/?lang=zh-CN")
    for shown, name in ((page, "desk-en"), (chinese, "desk-zh")):
        phone = shown.frame_locator("aside.phone iframe")
        for there in (".ringing", ".thread:has(.quick button)"):
            phone.locator(there).first.wait_for(timeout=ALERT_S * 1000)
        shown.screenshot(path=Path(IMAGES or "") / f"{name}.png", animations="disabled")
    chinese.close()


def listed(page: Page, what: str) -> list[dict[str, Any]]:
    """The telephony simulator's ``calls`` or ``messages``."""
    source = page.locator("aside.phone iframe").get_attribute("src")
    assert source is not None
    with urllib.request.urlopen(f"{source.split('/phone')[0]}/v1/{what}", timeout=5) as told:
        found: list[dict[str, Any]] = json.load(told)[what]
        return found


def shown_on_desk(page: Page, alerts: list[str], becomes: str) -> None:
    """The card's last command stands with one of the alerts that were spoken about: others may have joined them. Where
    nothing was held nothing is released: the conversation ends, and that is all."""
    assert alerts
    commands = page.locator(", ".join(f"#alert-{alert} .commands li" for alert in alerts))
    if becomes == "Release" and not commands.filter(has_text="Hold").count():
        steps = page.locator(", ".join(f"#alert-{alert} li" for alert in alerts))
        expect(steps.filter(has_text="Conversation closed").first).to_be_visible(timeout=30_000)
        return
    expect(commands.filter(has_text=f"{becomes} done").first).to_be_visible(timeout=30_000)


def test_texts_and_calls_are_answered_and_all_goes_on_whichever_process_is_killed(
    demo: DemoProcess, page: Page
) -> None:
    expect(page.locator("li.alert").first).to_be_visible(timeout=ALERT_S * 1000)
    answer_text(page, "NO", "Block")
    if IMAGES:
        pictures(demo, page)
    answer_call(page, "no", "Block")
    outside = Outside((demo.directory / "broker" / "broker.address").read_text())
    for name in KILLED:
        killed = demo.kill(name)
        demo.until(lambda name=name, killed=killed: demo.pid_of(name) != killed, f"another {name}")  # type: ignore[misc]
        back_ms = time.time() * 1000

        def decided(records: list[Read], back_ms: float = back_ms) -> bool:
            return any(int(record.headers["source_timestamp"]) > back_ms for record in records)

        outside.wait_for("decisions", decided, READY_S)
    answer_call(page, "yes", "Release")
    answer_text(page, "YES", "Release")
    ids = [record.json()["id"] for record in outside.read("transactions")]
    assert len(set(ids)) == len(ids), "a simulator that comes back repeats no transaction"
    outside.wait_for("decisions", lambda records: len(first_of_each(records)[0]) >= len(ids))


def test_the_broker_s_death_is_told_and_survived_and_ctrl_c_ends_all(tmp_path: Path) -> None:
    demo = DemoProcess(tmp_path, "--preset", "busy", "--seed", "2")
    try:
        demo.pid_of("preparation")
        demo.kill("broker")
        demo.until_said("the demo begins anew")
        demo.until_open()
        demo.kill("broker")
        demo.until_said("the demo begins anew", 2)
        demo.pid_of("preparation")
        demo.end(signal.SIGINT)
    finally:
        demo.abandon()


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", "demo", "--port", str(port)],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
    assert "--port" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []

"""The phone page in a real browser: texts are answered, calls are picked up, spoken and answered, in two languages."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_desk_page import ARGUMENTS, CHROMIUM

from pipeline.core.webhook import signed, verify

pytestmark = pytest.mark.browser

SECRET = "the call-back secret of this test"
KEY = "the API key of this test"
NUMBER, OTHER = "+8613912345678", "+8613912345642"
IMAGES = os.environ.get("CARDWATCH_TEST_IMAGES")
"""A directory: the screenshots are left there."""
HEARD_S = 10.0
VOICES = """
window.spoken = [];
const voice = (lang, localService) => ({ lang, localService, name: lang, voiceURI: lang, default: false });
const all = [voice("en-US", false), voice("en-GB", true), voice("zh-CN", true)];
Object.defineProperty(window, "speechSynthesis", { value: {
  getVoices: () => all, cancel: () => window.spoken.push("hush"), speak: said => window.spoken.push([said.lang, said.text]) } });
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
"""
"""A browser with a voice for English that sends words away, and one for each language that does not."""
SAID = {
    "en": (
        "Cardwatch Bank: your card ending 4242 was used for CNY 1,234.50 at Corner Shop, 14:05. Was it you? "
        "Reply YES or NO. STOP for no more texts.",
        "This is Cardwatch Bank. Your card ending 4242 was just used for CNY 1,234.50 at Corner Shop. "
        "Press 1 if it was you. Press 2 if it was not you.",
        "Cardwatch Bank: thank you. Your card ending 4242 is now blocked. We will call you.",
    ),
    "zh-CN": (
        "【Cardwatch银行】您尾号4242的卡14:05在街角商店交易1,234.50元。本人操作回复1，非本人回复2，退订回复T。",
        "这里是Cardwatch银行。您尾号4242的卡刚刚在街角商店交易1,234.50元。是本人请按1，不是本人请按2。",
        "【Cardwatch银行】谢谢。您尾号4242的卡片已被止付，我行将与您联系。",
    ),
}


class Bank:
    """Orders calls and messages of a telephony process, and hears what it reports."""

    def __init__(self, directory: Path) -> None:
        heard: Queue[tuple[str, dict[str, Any]]] = Queue()

        class Heard(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                verify(SECRET.encode(), headers, body, time.time())
                heard.put((self.path, json.loads(body)["data"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                pass

        self.heard = heard
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Heard)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.callbacks = f"http://127.0.0.1:{self.server.server_address[1]}/callbacks"
        for name, text in (("secret", SECRET), ("key", KEY)):
            (directory / name).write_text(text)
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "pipeline.lab.telephony", "--port", "0", "--state-dir", str(directory / "state"),
                "--callback-secret-file", str(directory / "secret"), "--api-key-file", str(directory / "key"),
                "--callback-url", self.callbacks,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.phone = self.process.stdout.readline().removeprefix("telephony: ").strip()
        self.address = self.phone.removesuffix("/phone")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.server.shutdown()
        self.server.server_close()

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        asked = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(asked, timeout=HEARD_S) as answer:
            assert answer.status == 201

    def text(self, key: str, language: str, words: str, to: str = NUMBER) -> None:
        order = {"key": key, "channel": "sms", "to": to, "language": language, "text": words, "reference": ["tx1"]}
        body = json.dumps({"type": "contact.message", "data": order}).encode()
        self._post("/v1/messages", body, signed(SECRET.encode(), key, int(time.time()), body))

    def call(self, key: str, language: str) -> None:
        _, say, thanks = SAID.get(language, SAID["en"])
        body = {
            "to": NUMBER, "from": "Cardwatch Bank", "say": say, "language": language, "thanks": {"2": thanks},
            "callback_url": self.callbacks + "/voice", "ring_s": 60.0, "reference": ["tx1"],
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
        self._post("/v1/calls", json.dumps(body).encode(), headers)

    def next(self) -> tuple[str, dict[str, Any]]:
        return self.heard.get(timeout=HEARD_S)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path)
    yield bank
    bank.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


def opened(browser: Browser, bank: Bank, language: str) -> tuple[Page, list[str], list[str]]:
    """The page once it is connected, what it asks for, what it complains of."""
    page = browser.new_page(viewport={"width": 390, "height": 800}, device_scale_factor=2)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.add_init_script(VOICES)
    page.goto(f"{bank.phone}?lang={language}")
    expect(page.locator("#state")).not_to_be_empty()
    return page, asked, complaints


def picture(page: Page, name: str) -> None:
    for scheme, ending in (("dark", "-dark"), ("light", "")) if IMAGES else ():
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=Path(IMAGES or "") / f"{name}{ending}.png", animations="disabled", scale="css")


@pytest.mark.parametrize(("language", "no"), [("en", "NO"), ("zh-CN", "2")])
def test_a_text_is_answered_and_a_call_is_picked_up_spoken_and_answered(
    language: str, no: str, browser: Browser, bank: Bank
) -> None:
    page, asked, complaints = opened(browser, bank, language)
    words, say, thanks = SAID[language]
    bank.text("k0", language, words)
    assert bank.next() == ("/callbacks/sms", {"key": "k0", "call_id": "text_000001", "status": "delivered"})
    page.locator('[data-message="text_000001"]').wait_for()
    bank.text("k1", language, words, OTHER)
    bank.next()
    newest = page.locator(".thread").first
    expect(newest.locator(".bubble")).to_have_text([words])
    newest.locator("button.no").click()
    assert bank.next() == ("/callbacks/sms", {"from": OTHER, "text": no, "id": "text_000002_1"})
    bank.text("k2", language, thanks, OTHER)
    bank.next()
    expect(newest.locator(".bubble")).to_have_text([words, no, thanks])
    expect(newest.locator(".quick button")).to_have_count(0)
    bank.call("c1", language)
    ringing = page.locator(".ringing")
    expect(ringing.locator("button")).to_have_count(2)
    picture(page, f"phone-{language.split('-')[0]}")
    ringing.locator("button.answer").click()
    expect(ringing.locator(".say")).to_have_text(say)
    expect(ringing.locator(".note")).to_have_count(0)
    spoken = "en-GB" if language == "en" else "zh-CN"
    assert page.evaluate("window.spoken") == ["hush", [spoken, say]]
    picture(page, f"answered-{language}")
    page.keyboard.press("2")
    assert bank.next()[1] == {"key": "c1", "call_id": "call_000001", "status": "completed", "digits": "2"}
    expect(page.locator("#past li")).to_contain_text(thanks)
    assert page.evaluate("window.spoken.pop()") == [spoken, thanks]
    assert page.locator("html").get_attribute("lang") == language
    assert all(url.startswith(bank.address + "/") for url in asked)
    assert complaints == []
    page.close()


def test_the_keyboard_alone_will_do_and_what_is_typed_survives_news(browser: Browser, bank: Bank) -> None:
    page, _, complaints = opened(browser, bank, "en")
    bank.text("k1", "en", SAID["en"][0])
    bank.next()
    page.locator(".thread input").focus()
    page.keyboard.type("Who is th")
    bank.text("k2", "en", "Another word.")
    bank.next()
    expect(page.locator(".thread .bubble")).to_have_count(2)
    page.keyboard.type("is? <b>9</b>")
    page.keyboard.press("Enter")
    assert bank.next()[1]["text"] == "Who is this? <b>9</b>"
    expect(page.locator(".bubble.me")).to_have_text("Who is this? <b>9</b>")
    expect(page.locator(".receipt")).to_have_text("✓ Received by the bank")
    bank.call("c1", "en")
    page.locator("button.answer").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    assert bank.next()[1]["digits"] == "1"
    assert complaints == []
    page.close()


def test_nothing_moves_under_the_pointer_and_a_browser_without_a_voice_shows_the_words(
    browser: Browser, bank: Bank
) -> None:
    page, _, _ = opened(browser, bank, "en")
    bank.text("k1", "en", SAID["en"][0])
    page.locator(".thread button.yes").hover()
    bank.text("k2", "en", SAID["en"][0], OTHER)
    expect(page.locator("#new")).to_have_text("New messages: 1")
    expect(page.locator(".thread")).to_have_count(1)
    page.locator("h1").hover()
    expect(page.locator(".thread")).to_have_count(2)
    bank.call("c1", "fr")
    page.locator("button.answer").click()
    expect(page.locator(".ringing .note")).to_contain_text("please read")
    page.close()

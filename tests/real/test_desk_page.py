"""The desk in a real browser: what appears by itself, what is loaded, and what a keyboard can do."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))  # the records and the running desk of the desk's own tests

from desk_story import RunningDesk, command, decision, result, step
from reminding_story import NOW_MS, asked, projection, repayment, statement, told

from pipeline.desk.feed import Link

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CARDWATCH_TEST_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def desk() -> Iterator[RunningDesk]:
    with RunningDesk() as running:
        yield running


class Visit:
    """A page in a context of its own, with all it asked for and complained of."""

    def __init__(self, context: BrowserContext) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-US")
    yield Visit(context)
    context.close()


def live(visit: Visit, desk: RunningDesk, path: str = "/") -> Page:
    """The page, once its stream is open."""
    with visit.page.expect_response(lambda response: "/live" in response.url):
        visit.page.goto(desk.address + path)
    return visit.page


def test_an_alert_and_its_story_appear_without_a_reload(visit: Visit, desk: RunningDesk) -> None:
    page = live(visit, desk)
    expect(page.locator("#alerts")).to_contain_text("No alerts yet")
    projection = desk.projection
    desk.tell(lambda: projection.apply_decision(decision(0)))
    row = page.locator("#alert-t0-0")
    expect(row).to_contain_text("Golden Dragon")
    desk.tell(lambda: projection.apply_command(command("t0-0", "hold", "h1")))
    desk.tell(lambda: projection.apply_contact(step("t0-0", "sending")))
    expect(row.locator(".timeline")).to_have_count(2)
    desk.tell(lambda: projection.apply_contact(step("t0-0", "answered", answer="yes")))
    desk.tell(lambda: projection.apply_command(command("t0-0", "release", "r1", 2)))
    desk.tell(lambda: projection.apply_command_result(result("r1")))
    expect(row).to_contain_text("YES — it was them")
    expect(row.locator(".commands li").last).to_contain_text("Release done")
    assert visit.complaints == []


def test_the_stream_opens_however_late_its_script_comes(visit: Visit, desk: RunningDesk) -> None:
    def late(route: Route) -> None:
        time.sleep(0.3)  # the slow network this is about
        route.continue_()

    visit.page.route("**/hx-sse-*", late)
    live(visit, desk)
    assert len([url for url in visit.asked if "/live" in url]) == 1


def test_focus_stays_on_the_alert_being_read_while_others_arrive(visit: Visit, desk: RunningDesk) -> None:
    projection = desk.projection
    desk.tell(lambda: projection.apply_decision(decision(0)))
    page = live(visit, desk)
    page.locator("#alert-t0-0 a").focus()
    desk.tell(lambda: projection.apply_decision(decision(1, timestamp_ms=decision(0).timestamp + 1)))
    expect(page.locator(".alert").first).to_have_id("alert-t0-1")
    expect(page.locator("#alert-t0-0 a")).to_be_focused()


def test_nothing_is_asked_of_another_host_and_no_policy_is_broken(visit: Visit, desk: RunningDesk) -> None:
    desk.tell(lambda: desk.projection.apply_decision(decision(0)))
    page = live(visit, desk)
    expect(page.locator("#rate-chart canvas")).to_be_visible()
    page.goto(f"{desk.address}/alerts/t0-0")
    assert [url for url in visit.asked if not url.startswith(desk.address)] == []
    assert visit.complaints == []


def test_a_hostile_merchant_runs_nothing(visit: Visit, desk: RunningDesk) -> None:
    page = live(visit, desk)
    desk.tell(lambda: desk.projection.apply_decision(decision(0, merchant_name=HOSTILE)))
    expect(page.locator(".merchant")).to_contain_text("<script>window.owned = 1</script>")
    page.goto(f"{desk.address}/alerts/t0-0")
    expect(page.locator(".merchant")).to_contain_text("<script>")
    assert page.evaluate("window.owned") is None


def test_a_lost_broker_and_a_lost_desk_are_both_said(visit: Visit, desk: RunningDesk) -> None:
    page = live(visit, desk)
    expect(page.locator("#link")).to_have_text("Live")
    desk.tell(lambda: setattr(desk, "link", Link.reconnecting))
    expect(page.locator("#link")).to_contain_text("Reconnecting to the broker")
    expect(page.locator(".lost")).to_be_hidden()
    desk.stop()
    expect(page.locator(".lost")).to_be_visible()


def test_a_page_finds_its_way_back_to_a_restarted_desk(visit: Visit, desk: RunningDesk) -> None:
    page = live(visit, desk)
    desk.stop()
    expect(page.locator(".lost")).to_be_visible()
    with RunningDesk(desk_port=desk.port) as again:
        again.tell(lambda: again.projection.apply_decision(decision(0)))
        expect(page.locator("#alert-t0-0")).to_be_visible(timeout=20_000)
        expect(page.locator(".lost")).to_be_hidden()


def test_the_language_switch_is_remembered(visit: Visit, desk: RunningDesk) -> None:
    page = live(visit, desk)
    page.get_by_role("link", name="中文").click()
    expect(page.locator("h1")).to_have_text("最新告警")
    page.goto(desk.address)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_the_first_tab_skips_to_the_alerts_and_focus_is_seen(visit: Visit, desk: RunningDesk) -> None:
    page = live(visit, desk)
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    assert skip.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("path", ["/", "/alerts/t0-0"])
@pytest.mark.parametrize("width", [390, 768, 1366])
def test_no_page_scrolls_sideways(visit: Visit, desk: RunningDesk, width: int, path: str) -> None:
    desk.tell(lambda: desk.projection.apply_decision(decision(0, merchant_name="M" * 300)))
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = live(visit, desk, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_readable_on_its_ground(visit: Visit, desk: RunningDesk, scheme: str) -> None:
    """WCAG 2.1 contrast of at least 4.5 : 1, measured from the computed colours."""
    for number, outcome in enumerate(("notify", "review", "verify", "hold", "decline")):
        desk.tell(lambda number=number, outcome=outcome: desk.projection.apply_decision(decision(number, outcome)))  # type: ignore[misc]
    desk.tell(lambda: desk.projection.apply_contact(step("t0-3", "answered", answer="no")))
    desk.tell(lambda: desk.projection.apply_command(command("t0-3", "release", "r1")))
    visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = live(visit, desk)
    assert page.evaluate(CONTRAST) == []


CONTRAST = """() => {
  const rgb = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [...parts.slice(0, 3).map((x) => x * 255), parts[3] ?? 1] : [parts[0], parts[1], parts[2], parts[3] ?? 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((x) => x / 255).map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const behind = ground(element);
    const [a, b] = [light(over(rgb(getComputedStyle(element).color), behind)), light(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName}: ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize(("language", "out", "kept"), [("en", "Went out", "Kept"), ("zh-CN", "已送达", "已兑现")])
def test_a_reminder_goes_out_and_a_promise_is_kept_before_our_eyes(
    visit: Visit, language: str, out: str, kept: str
) -> None:
    with RunningDesk(projection(), now=lambda: NOW_MS / 1000 + time.monotonic() % 3_600) as desk:
        told_of = desk.projection
        desk.tell(lambda: told_of.apply_account(statement()))
        page = live(visit, desk, f"/reminders?lang={language}")
        desk.tell(lambda: told_of.apply_request(asked()))
        desk.tell(lambda: told_of.apply_contact(told("delivered", channel="sms")))
        row = page.locator("#told .rows tbody tr")
        expect(row).to_contain_text("CNY 500.00")
        expect(row).to_contain_text(out)
        desk.tell(lambda: told_of.apply_contact(told("answered", channel="sms", answer="promise", amount=40_000)))
        desk.tell(lambda: told_of.apply_account(repayment(40_000, NOW_MS + 1)))
        row.locator("a").click()
        expect(page.locator(".timeline.whole li")).to_have_count(2)
        expect(page.locator(".state")).to_have_text(kept)
        page.locator(".pages a").last.click()
        expect(page.locator(".rows tbody tr")).to_contain_text("CNY 400.00")
        assert all(url.startswith(desk.address) for url in visit.asked)
        assert visit.complaints == []
        page.set_viewport_size({"width": 390, "height": 844})
        for path in ("/reminders", "/promises", "/customers/c1"):
            page.goto(desk.address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path

"""The desk over HTTP: pages, API, and its locks."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_story import NOW_MS, RunningDesk, command, decision, result, say_en, step
from pydantic import ValidationError

from pipeline.desk import app as desk_app
from pipeline.desk.app import create_desk
from pipeline.desk.projection import Projection
from pipeline.desk.settings import DeskSettings

HOSTILE = '<script>alert("owned")</script><img src=x onerror=alert(1)>'
PAGE_LIMIT_BYTES = 300_000


@pytest.fixture
def desk() -> Iterator[RunningDesk]:
    with RunningDesk(now=lambda: NOW_MS / 1000 + 1, desk_phone_url="http://127.0.0.1:8090") as running:
        yield running


def told(desk: RunningDesk) -> RunningDesk:
    projection = desk.projection
    desk.tell(lambda: projection.apply_decision(decision(0)))
    desk.tell(lambda: projection.apply_contact(step("t0-0", "answered", answer="no")))
    desk.tell(lambda: projection.apply_command(command("t0-0", "block", "b1")))
    desk.tell(lambda: projection.apply_command_result(result("b1")))
    return desk


def test_the_page_tells_an_alert_in_both_languages(desk: RunningDesk) -> None:
    told(desk)
    english, chinese = desk.get("/").text, desk.get("/?lang=zh-CN").text
    for words in (
        "CNY 12,350.00",
        "Golden Dragon",
        "1 in 14",
        "Amount is 14 times the usual",
        "NO — not them",
        "tok_…beef",
    ):
        assert words in english
    for words in (
        '<html lang="zh-CN">',
        "CNY 12,350.00",
        "约 14 笔中有 1 笔",
        "金额是平时的 14 倍",
        "答“否”，非本人交易",
        "冻结",
    ):
        assert words in chinese


def test_the_full_card_token_is_on_no_page(desk: RunningDesk) -> None:
    told(desk)
    assert "feedbeef" not in desk.get("/").text + desk.get("/alerts/t0-0").text


def test_hostile_text_is_shown_as_text(desk: RunningDesk) -> None:
    projection = desk.projection
    hostile = decision(0, id='a"><b>/1', merchant_name=HOSTILE, country='"><i>', features={HOSTILE: 1.0})
    desk.tell(lambda: projection.apply_decision(hostile))
    pages = desk.get("/").text + desk.get("/alerts/a%22%3E%3Cb%3E/1").text
    assert "&lt;script&gt;alert" in pages
    assert "<script>alert" not in pages
    assert "<img" not in pages
    assert "<i>" not in pages
    assert "<b>/1" not in pages


def test_the_alert_page_explains_the_features(desk: RunningDesk) -> None:
    page = told(desk).get("/alerts/t0-0", accept_language="zh-CN").text
    for words in ("金额与平时之比", "14.2", "made_up", "当前版本无说明", "暂停用卡 · 向持卡人核实"):
        assert words in page


def test_an_unknown_alert_is_a_page_that_says_so(desk: RunningDesk) -> None:
    answer = desk.get("/alerts/nothing", accept_language="en")
    assert answer.status == 404
    assert "keeps the newest 2,000 alerts" in answer.text


def test_the_chosen_language_is_remembered_by_a_strict_cookie(desk: RunningDesk) -> None:
    answer = desk.get("/?lang=zh-CN")
    cookie = answer.headers["set-cookie"]
    assert "SameSite=strict" in cookie
    assert "HttpOnly" in cookie
    again = desk.get("/", cookie=cookie.split(";")[0], accept_language="en")
    assert '<html lang="zh-CN">' in again.text
    assert "set-cookie" not in again.headers


def test_every_answer_carries_the_locks(desk: RunningDesk) -> None:
    for path in ("/", "/api/v1/alerts", "/static/desk.js", "/alerts/none", "/nowhere"):
        headers = desk.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert "frame-src http://127.0.0.1:8090;" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_without_a_phone_nothing_may_be_framed() -> None:
    with RunningDesk() as desk:
        answer = desk.get("/")
        assert "frame-src 'none'" in answer.headers["content-security-policy"]
        assert "<iframe" not in answer.text


def test_the_phone_is_framed_in_the_pages_language(desk: RunningDesk) -> None:
    assert 'src="http://127.0.0.1:8090/phone?lang=zh-CN"' in desk.get("/?lang=zh-CN").text


def test_a_foreign_host_name_is_refused(desk: RunningDesk) -> None:
    assert desk.get("/api/v1/alerts", host="rebound.example:8080").status == 421
    assert desk.get("/api/v1/alerts", host=f"localhost:{desk.port}").status == 200


def test_the_desk_writes_nothing_for_anybody(desk: RunningDesk) -> None:
    schema = json.loads(desk.get("/api/openapi.json").text)
    assert {method for path in schema["paths"].values() for method in path} == {"get"}
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=10)
    connection.request("POST", "/api/v1/alerts", b"{}")
    assert connection.getresponse().status == 405
    connection.close()


def test_the_api_pages_through_the_alerts(desk: RunningDesk) -> None:
    projection = desk.projection
    for number in range(5):
        desk.tell(lambda number=number: projection.apply_decision(decision(number, "hold" if number % 2 else "notify")))  # type: ignore[misc]
    first = json.loads(desk.get("/api/v1/alerts?limit=3").text)
    assert [alert["id"] for alert in first["alerts"]] == ["t0-4", "t0-3", "t0-2"]
    second = json.loads(desk.get(f"/api/v1/alerts?limit=3&before={first['next']}").text)
    assert [alert["id"] for alert in second["alerts"]] == ["t0-1", "t0-0"]
    assert second["next"] is None
    held = json.loads(desk.get("/api/v1/alerts?outcome=hold").text)
    assert [alert["id"] for alert in held["alerts"]] == ["t0-3", "t0-1"]


def test_the_api_gives_an_alert_whole(desk: RunningDesk) -> None:
    (alert,) = json.loads(told(desk).get("/api/v1/alerts").text)["alerts"]
    assert alert["card"] == "tok_1_00000000feedbeef"
    assert (alert["amount"], alert["currency"], alert["outcome"]) == (1_235_000, "CNY", "hold")
    assert alert["reasons"] == [{"code": "amount_high", "detail": {"times": 14}}]
    assert [(entry["step"], entry["answer"]) for entry in alert["steps"]] == [("answered", "no")]
    assert [(entry["command"], entry["done"]) for entry in alert["commands"]] == [("block", True)]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "before=x", "before=1-2", "outcome=approve", "outcome=x"])
def test_a_wrong_query_is_refused(desk: RunningDesk, query: str) -> None:
    assert desk.get(f"/api/v1/alerts?{query}").status == 422


def test_the_summary_counts(desk: RunningDesk) -> None:
    projection = desk.projection
    for number in range(20):
        desk.tell(lambda number=number: projection.apply_decision(decision(number, "approve")))  # type: ignore[misc]
    summary = json.loads(desk.get("/api/v1/summary").text)
    assert summary["last_minute"]["approve"] == 20
    assert summary["transactions_per_second"] == 2.0
    assert 4 < summary["latency_p50_ms"] < 6
    assert summary["link"] == "live"


def test_healthz_answers(desk: RunningDesk) -> None:
    assert desk.get("/healthz").status == 200


def test_everything_a_page_loads_comes_from_the_desk_and_weighs_little(desk: RunningDesk) -> None:
    projection = desk.projection
    for number in range(60):
        desk.tell(lambda number=number: projection.apply_decision(decision(number)))  # type: ignore[misc]
    page = desk.get("/")
    weight = len(page.text.encode())
    loaded = re.findall(r'(?:src|href)="([^"]+\.(?:js|css|svg)\?[^"]*)"', page.text)
    assert len(loaded) == 7
    for address in loaded:
        assert address.startswith("/static/")
        answer = desk.get(address)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
        weight += len(answer.text.encode())
    assert weight <= PAGE_LIMIT_BYTES
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", page.text)


def test_every_vendored_file_has_its_licence_beside_it() -> None:
    vendor = Path(desk_app.STATIC) / "vendor"
    libraries = {"htmx": "htmx", "hx-sse": "htmx", "uplot": "uplot"}
    for path in vendor.glob("*.min.*"):
        name = libraries[re.sub(r"-\d.*", "", path.name)]
        assert (vendor / f"{name}.LICENSE").read_text().strip()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "desk.bank.example", "::", ""])
def test_a_desk_that_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match=r"no accounts yet.*127\.0\.0\.1"):
        DeskSettings(desk_host=host)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "phone"])
def test_a_phone_that_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        DeskSettings(desk_phone_url=url)  # type: ignore[arg-type]


def test_an_unknown_time_zone_or_a_missing_language_is_named() -> None:
    words = {"en": say_en, "zh-CN": say_en}
    with pytest.raises(ValueError, match="CARDWATCH_BANK_TIME_ZONE is 'Mars/Base'"):
        create_desk(Projection(), DeskSettings(bank_time_zone="Mars/Base"), words)
    with pytest.raises(ValueError, match="no words for reasons in zh-CN"):
        create_desk(Projection(), DeskSettings(), {"en": say_en})


def test_an_address_that_is_taken_is_an_error_not_a_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        desk = RunningDesk(desk_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            desk._run()

"""The pages and the JSON about reminders, promises and customers over HTTP."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from desk_story import RunningDesk, decision, step
from reminding_story import CARD, DAY_MS, NOW_MS, asked, projection, repayment, statement, told

HOSTILE = '"><script>alert(1)</script><img src=x>'
PHONE = "+8613800138000"
CARD_NUMBER = "4111111111111111"


@pytest.fixture
def desk() -> Iterator[RunningDesk]:
    with RunningDesk(projection(), now=lambda: NOW_MS / 1000 + 60) as running:
        yield running


def a_day(desk: RunningDesk) -> RunningDesk:
    told_of = desk.projection

    def tell() -> None:
        told_of.apply_account(statement())
        told_of.apply_request(asked())
        told_of.apply_contact(told("deferred", reason="outside_hours"))
        told_of.apply_contact(told("delivered", channel="sms", attempt=1))
        told_of.apply_contact(told("answered", channel="sms", answer="promise", by="2025-10-10", amount=30_000))
        told_of.apply_account(repayment(20_000, NOW_MS + 1))
        told_of.apply_account(statement("A2-0000", customer="c2"))
        told_of.apply_request(asked("m1", account="A2-0000", customer="c2"))
        told_of.apply_request(asked("m1", account="A2-0000", customer="c2", withdrawn="paid"))
        told_of.apply_decision(decision(0))
        told_of.apply_contact(step("t0-0", "answered", answer="no"))

    desk.tell(tell)
    return desk


def test_today_in_both_languages(desk: RunningDesk) -> None:
    a_day(desk)
    english, chinese = desk.get("/reminders?lang=en").text, desk.get("/reminders?lang=zh-CN").text
    for words in (
        "Days of grace",
        "M1 · 1–30 days late",
        "CNY 500.00",
        "answered",
        "tok_…beef",
        "account …2-0000",
        "0 of 1",
        "1 still within 7 days",
        "few",
    ):
        assert words in english, words
    for words in ("宽限期", "已还款", "卡 tok_…beef", "1 笔中 0 笔", "1 笔未满 7 天", "样本少"):
        assert words in chinese, words
    assert "feedbeef" not in english + chinese


def test_a_customers_timeline_holds_contacts_of_every_class(desk: RunningDesk) -> None:
    page = a_day(desk).get("/customers/c1?lang=en").text
    for words in ("Fraud", "NO — not them", "Deferred", "outside the permitted hours", "Promised to pay"):
        assert words in page, words
    for words in ("CNY 300.00", "2025-10-10", "Open", "CNY 200.00", "posted"):
        assert words in page, words
    assert "承诺还款" in desk.get("/customers/c1?lang=zh-CN").text


def test_promises_in_both_languages(desk: RunningDesk) -> None:
    a_day(desk)
    english = desk.get("/promises?lang=en").text
    assert "1 open · 0 kept · 0 broken · 0 replaced" in english
    assert "CNY 300.00" in english
    assert "待兑现 1" in desk.get("/promises?lang=zh-CN").text


def test_an_empty_desk_says_so(desk: RunningDesk) -> None:
    assert "No reminders yet" in desk.get("/reminders?lang=en").text
    assert "No promises yet" in desk.get("/promises?lang=en").text
    nobody = desk.get("/customers/nobody?lang=en")
    assert nobody.status == 404
    assert "Nothing known of this customer" in nobody.text


def test_hostile_ids_and_names_are_shown_as_text(desk: RunningDesk) -> None:
    name = HOSTILE[:30]

    def tell() -> None:
        kept = desk.projection
        kept.apply_account(statement(name, customer=HOSTILE))
        kept.apply_request(
            asked(
                customer=HOSTILE,
                template=HOSTILE,
                bill={"account": name, "statement": HOSTILE, "stage": HOSTILE},
                variables={"card": HOSTILE, "amount": HOSTILE, "currency": HOSTILE},
            )
        )
        kept.apply_contact(
            told("deferred", reason=HOSTILE, account=name, channel=HOSTILE, customer=HOSTILE, stage=HOSTILE)
        )
        kept.apply_contact(
            told("answered", answer="promise", by="2025-10-10", account=name, customer=HOSTILE, stage=HOSTILE)
        )
        kept.apply_account(repayment(1, NOW_MS, name, name=HOSTILE))

    desk.tell(tell)
    one = desk.get(f"/customers/{quote(HOSTILE, safe='')}")
    assert one.status == 200
    pages = one.text + desk.get("/reminders").text + desk.get("/promises").text
    assert "<script>alert" not in pages
    assert "<img" not in pages
    assert "&lt;script&gt;" in pages


@pytest.mark.parametrize("number", [PHONE, CARD_NUMBER])
def test_no_full_card_or_telephone_number_is_shown(desk: RunningDesk, number: str) -> None:
    def tell() -> None:
        kept = desk.projection
        kept.apply_account(statement(number, customer=number))
        kept.apply_request(asked(account=number, customer=number, id=number))
        kept.apply_contact(told("answered", answer="promise", account=number, customer=number, reason=number))
        kept.apply_account(repayment(1, NOW_MS, number, name=number))

    desk.tell(tell)
    path = quote(number, safe="")
    shown = "".join(
        desk.get(address).text
        for address in (
            "/reminders",
            "/promises",
            "/api/v1/reminders",
            "/api/v1/promises",
            f"/api/v1/customers/{path}/timeline",
        )
    )
    assert number not in shown
    assert number[-2:] in shown


def test_the_api_tells_the_day(desk: RunningDesk) -> None:
    day = json.loads(a_day(desk).get("/api/v1/reminders").text)
    assert day["today"] == {"asked": 2, "waiting": 0, "told": 1, "stopped": 1, "skipped": 0}
    assert day["stopped"] == {"paid": 1}
    assert day["cures"] == [
        {"stage": "grace", "channel": "sms", "hour": 16, "told": 1, "cured": 0, "running": 1, "unjudged": 0}
    ]
    latest = {each["id"]: each for each in day["latest"]}
    assert latest["S-A1/grace"]["card"] == CARD
    assert latest["S-A1/grace"]["state"] == "told"
    assert [each["id"] for each in json.loads(desk.get("/api/v1/reminders?limit=1").text)["latest"]] == ["S-A2-0000/m1"]


def test_the_api_tells_promises_and_a_timeline(desk: RunningDesk) -> None:
    promises = json.loads(a_day(desk).get("/api/v1/promises").text)
    assert promises["counts"] == {"open": 1, "kept": 0, "broken": 0, "replaced": 0}
    assert [(each["amount"], each["by"], each["state"]) for each in promises["promises"]] == [
        (30_000, "2025-10-10", "open")
    ]
    assert json.loads(desk.get("/api/v1/promises?state=kept").text)["promises"] == []
    timeline = json.loads(desk.get("/api/v1/customers/c1/timeline").text)
    assert [each["class_name"] for each in timeline["steps"]] == ["reminder", "reminder", "reminder", "fraud"]
    assert [(each["amount"], each["state"]) for each in timeline["payments"]] == [(20_000, "posted")]
    assert json.loads(desk.get("/api/v1/customers/nobody/timeline").text)["steps"] == []


def test_the_schema_describes_them(desk: RunningDesk) -> None:
    schema = json.loads(desk.get("/api/openapi.json").text)
    for path, model in {
        "/api/v1/reminders": "RemindersModel",
        "/api/v1/promises": "PromisesModel",
        "/api/v1/customers/{customer}/timeline": "TimelineModel",
    }.items():
        answer = schema["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer["$ref"].endswith(f"/{model}"), path
        assert schema["components"]["schemas"][model]["properties"]


@pytest.mark.parametrize("query", ["reminders?limit=0", "reminders?limit=201", "promises?state=paid"])
def test_a_wrong_query_is_refused(desk: RunningDesk, query: str) -> None:
    assert desk.get(f"/api/v1/{query}").status == 422


def test_a_day_later_it_is_another_day() -> None:
    with RunningDesk(projection(), now=lambda: (NOW_MS + DAY_MS) / 1000) as desk:
        assert json.loads(a_day(desk).get("/api/v1/reminders").text)["today"]["told"] == 0

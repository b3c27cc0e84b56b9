"""Records of contact-requests: what cannot be met is refused with the field to blame, and the rest goes on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cascade_world import MORNING
from contact_world import CONFIG, Read, own, until_done
from request_world import Requests, asked_for, request_config

from pipeline.core.ladders import Plans
from pipeline.core.plan import Plan, Rung
from pipeline.core.requests import TEMPLATES, BadRequest, Wanted, read_request, wanted
from pipeline.roles.contact.profile import read_texts

CARD_NUMBER = "4111 1111 1111 1111"
NOW = 1_700_000_000_000
DAY_MS = 86_400_000
ALL = ("fraud", "service", "reminder", "collection")
PLAN = Plan(
    ring_s=30, answer_grace_s=5, retry_s=60, attempts=3, later_s=600, exempt_s=3600, patience_s=7200, acknowledge_s=0,
    lease_s=15, asks=3, ask_again_s=2, hand_over_s=100, keep_s=1000,
    ladder=(Rung(channel="voice", classes=ALL), Rung(channel="sms", wait_s=60, classes=ALL)),
)  # fmt: skip
PLANS = Plans(PLAN, {})
GOOD = {
    "id": "r1", "customer": "cu1", "class": "reminder", "template": "due", "variables": {"due": "2026-03-05"},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _texts_read_once() -> Iterator[None]:
    texts = read_texts(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
        yield


def read(**more: Any) -> Wanted:
    value = msgspec.json.encode({name: value for name, value in (GOOD | more).items() if value is not None})
    return wanted(read_request(value), NOW, NOW, PLANS)


def test_a_request_is_told_by_the_channels_of_its_ladder_that_have_the_words() -> None:
    assert read().channels == ("voice", "sms")
    assert read(channels=["sms", "email"]).channels == ("sms",)
    assert read(**{"class": "service"}, template="greeting").channels == ("sms",), "no call is made for a greeting"
    notice = {"amount": 5, "currency": "CNY", "merchant": "Shop", "card": "tok_1"}
    told = read(**{"class": "fraud"}, template="notice", variables=notice)
    assert (told.channels, told.matter.card) == (("sms",), "tok_1")
    assert "card" not in told.matter.variables


def test_a_request_is_worth_telling_from_its_beginning_to_its_end() -> None:
    assert read().matter.until_ms == NOW + DAY_MS
    assert read(**{"class": "collection"}, template="overdue", variables=None).matter.until_ms == NOW + 2 * DAY_MS
    told = read(not_before="2023-11-20T00:00:00Z").matter
    assert (told.from_ms, told.until_ms) == (1_700_438_400_000, 1_700_438_400_000 + DAY_MS)
    assert read(expires_at="2023-11-15T08:00:00+08:00").matter.until_ms == 1_700_006_400_000


def test_only_what_tells_may_be_asked_for() -> None:
    assert TEMPLATES["fraud"] == {"notice"}
    assert TEMPLATES["reminder"] == {"due_soon", "due", "overdue", "thanks"}
    assert TEMPLATES["collection"] == {"overdue"}
    assert "transaction_done" in TEMPLATES["service"]


@pytest.mark.parametrize(
    ("changes", "field", "detail"),
    [
        ({"id": None}, "id", "missing required field"),
        ({"id": ""}, "id", "length"),
        ({"customer": ""}, "customer", "no customer"),
        ({"customer": None}, "customer", "missing required field"),
        ({"class": "dunning"}, "class", "Invalid enum value"),
        ({"class": "marketing", "template": "offer"}, "class", "no ladder"),
        ({"template": "ask_one"}, "template", "no such template: it has due, due_soon, overdue, thanks"),
        ({"template": "due_many"}, "template", "no such template"),
        ({"template": "due_confirmed"}, "template", "no such template"),
        ({"variables": {"due": "soon"}}, "variables.due", "due must be a day"),
        ({"variables": {"due": "2026-03-05", "minimum": 1.5}}, "variables.minimum", "a whole number"),
        ({"variables": {"due": "2026-03-05", "card": 5}}, "variables.card", "token"),
        ({"variables": {"due": "2026-03-05", "bank": "Mine"}}, "variables.bank", "no variable of a name"),
        ({"variables": {"due": "2026-03-05", "note": "x"}}, "variables", "no variable of a name"),
        ({"variables": [1]}, "variables", "Expected `object`"),
        ({"channels": ["email"]}, "channels", "the ladder of this class has none"),
        ({"channels": ["fax"]}, "channels", "Invalid enum value"),
        ({"channels": ["sms"], "variables": {}}, "variables", "the template needs due"),
        ({"class": "service", "template": "limit_changed", "variables": {"limit": 5, "last4": "4242"}}, "variables",
         "the template needs limit"),
        ({"class": "service", "template": "greeting", "channels": ["voice"]}, "template", "no such text for voice"),
        ({"not_before": "tomorrow"}, "not_before", "not a moment"),
        ({"expires_at": "2023-11-14T22:13:19Z"}, "expires_at", "has expired"),
        ({"expires_at": "2023-11-20T00:00:00Z", "not_before": "2023-11-21T00:00:00Z"}, "expires_at", "has expired"),
        ({"variables": {"due": "2026-03-05", "merchant": CARD_NUMBER}}, None, "clear card number"),
        ({"elsewhere": CARD_NUMBER}, None, "clear card number"),
        ({"class": CARD_NUMBER.replace(" ", "")}, "class", "Invalid enum value"),
    ],
)  # fmt: skip
def test_what_cannot_be_met_is_refused_with_the_field_to_blame(
    changes: dict[str, Any], field: str | None, detail: str
) -> None:
    with pytest.raises(BadRequest) as bad:
        read(**changes)
    assert bad.value.field == field
    assert detail in bad.value.detail
    assert "4111" not in bad.value.detail


@pytest.mark.parametrize("value", [None, b"", b"[]", b"\xff\xfe", b'{"id":5}', b"null"])
def test_whatever_the_bytes_the_error_is_ours(value: bytes | None) -> None:
    with pytest.raises(BadRequest):
        read_request(value)


def test_a_bad_request_goes_to_the_dead_letters_and_the_next_is_told(tmp_path: Path) -> None:
    requests = Requests(request_config(tmp_path / "config"))

    async def story() -> None:
        await requests.begin()
        await requests.role.requests(
            [
                Read(b"{"),
                asked_for("service", "r0", MORNING, customer=""),
                asked_for("service", "r1", MORNING, expires_at="2020-01-01T00:00:00Z"),
                asked_for("service", "r2", MORNING),
            ]
        )
        await until_done(requests.role)

    asyncio.run(story())
    assert requests.world.dead == [("contact-requests", "not_a_request")] * 3
    assert requests.world.sample("dead_letters_total", reason="not_a_request") == 3
    assert [step["subject"] for step in requests.world.log.values("contacts")] == [{"request": "r2"}] * 3
    assert requests.texts_sent() == ["Cardwatch Bank: card 4242, CNY 1,234.50."]


def test_the_worker_that_takes_a_request_need_not_be_the_one_that_tells_it(tmp_path: Path) -> None:
    requests = Requests(request_config(tmp_path / "config"))

    async def story() -> None:
        await requests.begin()
        await requests.role.requests([asked_for("service", "r1", MORNING)])
        await requests.role.stop()
        other = requests.world.worker()
        await own(other)
        await until_done(other)

    asyncio.run(story())
    assert len(requests.made) == 1

"""What a customer is told of payments, limits and cards, as they chose, and by whose clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pipeline.adapters.almanac import world_almanac
from pipeline.core.currencies import Money
from pipeline.core.notices import NoticeRules, Teller, choice_of
from pipeline.core.records import ContactRequest, Customer
from pipeline.core.transaction import decode

CARD = "tok_a_00000001"
MONEY = Money("CNY", {"CNY": 1.0, "THB": 0.2})
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # noon in Shanghai
NOW_MS = int(NOW.timestamp() * 1000)
ALMANAC = world_almanac()
SHANGHAI = ALMANAC.zone("Asia/Shanghai")


def teller(**rules: Any) -> Teller:
    assert SHANGHAI is not None
    return Teller(NoticeRules(**rules), ALMANAC, SHANGHAI)


def told(
    wishes: Mapping[str, object], zone: str | None = None, rules: Mapping[str, Any] | None = None, **more: Any
) -> ContactRequest | None:
    payment = {
        "id": "t1",
        "card": CARD,
        "time": "2026-03-02T04:00:00Z",
        "amount": 12_000,
        "currency": "CNY",
        "country": "CN",
        "home_country": "CN",
        "merchant_name": "Tea House",
        **more,
    }
    event = decode(msgspec.json.encode(payment), NOW_MS, MONEY)
    customer = Customer(customer="c1", notices=dict(wishes), time_zone=zone)
    return teller(**(rules or {})).payment(event, choice_of(customer), NOW_MS)


@pytest.mark.parametrize(
    ("wishes", "payment", "is_told"),
    [
        ({}, {}, False),
        ({"above_amount": 0}, {}, True),
        ({"above_amount": 12_000}, {}, True),
        ({"above_amount": 12_001}, {}, False),
        ({"above_amount": 2_400}, {"currency": "THB"}, True),  # worth 24.00 yuan
        ({"above_amount": 2_401}, {"currency": "THB"}, False),
        ({"above_amount": True}, {}, False),
        ({"abroad": True}, {}, False),
        ({"abroad": True}, {"country": "TH"}, True),
        ({"abroad": "yes"}, {"country": "TH"}, False),
        ({"abroad": True}, {"country": None}, False),
        ({"online": True}, {"entry_mode": "chip"}, False),
        ({"online": True}, {"entry_mode": "ecommerce"}, True),
        ({"above_amount": 0}, {"amount": 0}, False),
        ({"above_amount": 0}, {"kind": "refund"}, False),
        ({"above_amount": 0}, {"kind": "cash"}, True),
        ({"above_amount": 0}, {"type": "clearing"}, False),
    ],
)
def test_a_payment_is_told_as_the_customer_chose(
    wishes: dict[str, object], payment: dict[str, Any], is_told: bool
) -> None:
    assert (told(wishes, **payment) is not None) is is_told


def test_a_notice_names_the_payment_by_the_customers_own_clock() -> None:
    made = told({"above_amount": 0}, zone="Europe/Berlin")
    assert made is not None
    assert (made.class_, made.template, made.id) == ("service", "transaction_done", "transaction_done/t1")
    assert made.variables == {
        "amount": 12_000,
        "currency": "CNY",
        "card": CARD,
        "time": "2026-03-02T05:00:00+01:00",
        "merchant": "Tea House",
    }
    assert made.not_before is None


@pytest.mark.parametrize(("code", "template"), [("00", "transaction_done"), ("51", "transaction_failed")])
def test_a_payment_that_was_refused_is_told_as_one_that_did_not_go_through(code: str, template: str) -> None:
    made = told({"above_amount": 0}, response_code=code)
    assert made is not None
    assert made.template == template


@pytest.mark.parametrize(
    ("zone", "starts"), [(None, "2026-03-02T10:00:00.000Z"), ("America/New_York", "2026-03-02T23:00:00.000Z")]
)
def test_a_digest_waits_for_its_hour_by_the_customers_clock(zone: str | None, starts: str) -> None:
    made = told({"above_amount": 0}, zone=zone, rules={"digest": ("transaction_done",), "digest_at": "18:00"})
    assert made is not None
    assert made.not_before == starts


def test_the_hour_of_the_digest_itself_is_tomorrows() -> None:
    made = told({"above_amount": 0}, rules={"digest": ("transaction_done",), "digest_at": "12:00"})
    assert made is not None
    assert made.not_before == "2026-03-03T04:00:00.000Z"


def test_who_wants_no_digest_is_told_at_once_and_what_failed_always_is() -> None:
    rules = {"digest": ("transaction_done", "transaction_failed")}
    at_once = told({"above_amount": 0, "digest": False}, rules=rules)
    failed = told({"above_amount": 0}, rules=rules, response_code="05")
    assert at_once is not None
    assert failed is not None
    assert (at_once.not_before, failed.not_before) == (None, None)


def test_yesterdays_payment_is_not_told_any_more() -> None:
    assert told({"above_amount": 0}, time="2026-03-01T04:00:00Z") is None
    assert told({"above_amount": 0}, time="2026-03-01T04:00:01Z") is not None


def test_a_long_name_becomes_one_as_good() -> None:
    long, other = told({"above_amount": 0}, id="x" * 64), told({"above_amount": 0}, id="x" * 63 + "y")
    assert long is not None
    assert other is not None
    assert len(long.id) <= 64
    assert long.id != other.id


def test_what_is_told_of_a_card_can_be_declined() -> None:
    about: dict[str, Any] = {
        "name": "3-17",
        "card": CARD,
        "at_ms": NOW_MS,
        "now_ms": NOW_MS,
        "limit": 5_000_000,
        "currency": "CNY",
    }
    wants, declines = Customer(customer="c1"), Customer(customer="c1", notices={"limit": False})
    made = teller().about_card("limit_changed", choice=choice_of(wants), **about)
    assert made is not None
    assert made.variables == {"card": CARD, "limit": 5_000_000, "currency": "CNY"}
    assert teller().about_card("limit_changed", choice=choice_of(declines), **about) is None

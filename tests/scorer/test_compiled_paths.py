"""What is compiled for speed does what the readable form does: the same events of the same bytes, the same records of
the same decisions."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorer_world import NOW, card_in, delivered_curve, delivered_money, delivered_policy, records, transaction

from models.scorer import Model
from pipeline.core import encode
from pipeline.core import transaction as module
from pipeline.core.features import LAYOUT
from pipeline.core.poll import Part, Versions
from pipeline.core.scoring import score_poll
from pipeline.core.transaction import Event, Refused

MONEY = delivered_money()
NOW_MS = int(NOW * 1000)
CARDS = [card_in(0, number) for number in range(4)]
ORDINARY = transaction("x1", CARDS[0])
VERSIONS = Versions(delivered_policy(), Model.day_one(LAYOUT, delivered_curve()), MONEY)


def quickly(value: bytes) -> Event | None:
    return module._quick(value, NOW_MS, MONEY.billing, MONEY.rates)


def closely(value: bytes) -> Event | None:
    try:
        return module._closely(value, NOW_MS, MONEY)
    except Refused:
        return None


def message(**fields: Any) -> bytes:
    return json.dumps({**ORDINARY, **fields}, ensure_ascii=False).encode()


def test_ordinary_transactions_are_passed_at_once() -> None:
    for fields in (
        {},
        {"time": "2026-09-21T08:00:00+08:00"},
        {"time": "2026-09-21T00:00:00.123Z"},
        {"time": "2026-09-21T00:00:00.123456-03:30"},
        {"card": "tok_k1_0000000000000000000000004111"},
        {"merchant_name": "Corner shop", "city": "Leeds", "latitude": 53.8, "longitude": -1.5},
    ):
        value = message(**fields)
        event = quickly(value)
        assert event is not None, fields
        assert event == closely(value)


DATES = itertools.product(
    ("2026", "2025", "2024", "0000", "1900", "202x"), ("02", "11", "13", "00"), ("28", "29", "30", "31", "32", "00")
)
TIMES = itertools.product(("00", "23", "24", "1"), ("00", "59", "60"), ("59", "60"))
FRACTIONS = ("", ".5", ".12", ".123", ".1234", ".123456", ".1234567", ".12x", ".")
ZONES = ("Z", "z", "", "+08:00", "-23:59", "+24:00", "+0800", "+08", "+08:60", "+08:00:30", "Z0", "+08-00")


def test_a_time_passed_at_once_is_the_time_a_closer_look_reads() -> None:
    midnight, noon = ("00", "00", "00"), ("12", "00", "00")
    spelled = [f"{'-'.join(date)}T{':'.join(midnight)}Z" for date in DATES]
    spelled += [f"2026-09-21T{':'.join(time)}Z" for time in TIMES]
    spelled += [f"2026-09-21T{':'.join(noon)}{fraction}{zone}" for fraction in FRACTIONS for zone in ZONES]
    passed = 0
    for time in spelled:
        event = quickly(message(time=time))
        passed += event is not None
        assert event is None or event == closely(message(time=time)), time
    assert passed >= 15


@pytest.mark.parametrize(
    "hidden",
    [
        b"4111111111111111", b"4111 1111 1111 1111", b"4111-1111-1111-1111", b"\\u0034111111111111111",
        "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11".encode(),
    ],
)  # fmt: skip
def test_what_may_hide_a_card_number_is_always_looked_at_closely(hidden: bytes) -> None:
    value = message(merchant="HERE").replace(b"HERE", hidden)
    assert quickly(value) is None
    assert closely(value) is None


unusual = st.fixed_dictionaries(
    {},
    optional={
        "card": st.sampled_from(["tok_12345678", "tok_1234567", "tok_" + "a" * 81, "tok_abcd-efgh", "4111111111111111"])
        | st.text(max_size=20).map("tok_".__add__),
        "previous_card": st.sampled_from(["tok_12345678", "x", None]),
        "id": st.text(min_size=0, max_size=66)
        | st.sampled_from(["4111 1111 1111 1111", "4111-1111-1111-1111", "a\\b"]),
        "currency": st.sampled_from(["CNY", "USD", "XXX", "cny", "ABC"]),
        "country": st.sampled_from(["CN", "cn", "C1", None]),
        "home_country": st.sampled_from(["CN", "??", None]),
        "mcc": st.sampled_from(["5411", "54a1", None, "541"]),
        "amount": st.integers(-1, 10**16) | st.floats(0, 10),
        "billing_amount": st.integers(0, 10**6) | st.none(),
        "billing_currency": st.sampled_from([MONEY.billing, "USD", None]),
        "merchant_name": st.text(max_size=30) | st.just("call 138 0013 8000"),
        "latitude": st.floats(-100, 100, allow_nan=False),
    },
)


@settings(deadline=None)
@given(unusual)
def test_what_is_passed_at_once_is_what_a_closer_look_finds(fields: dict[str, Any]) -> None:
    value = message(**fields)
    event = quickly(value)
    assert event is None or event == closely(value)


@settings(deadline=None)
@given(unusual, st.integers(0, 400), st.integers(0, 255))
def test_damaged_bytes_too(fields: dict[str, Any], at: int, byte: int) -> None:
    value = bytearray(message(**fields))
    value[at % len(value)] = byte
    event = quickly(bytes(value))
    assert event is None or event == closely(bytes(value))


names = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["plain-1", 'quo"te', "back\\slash", "line\nend", "a\x7f", "é", "订单"]
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(names, st.none() | names, st.integers(0, 5_000_000), st.integers(0, 3)), min_size=1, max_size=12,
        unique_by=lambda drawn: drawn[0],
    )
)  # fmt: skip
def test_decisions_are_byte_for_byte_the_same(drawn: list[tuple[str, str | None, int, int]]) -> None:
    messages = []
    for number, (identifier, customer, amount, which) in enumerate(drawn):
        fields = transaction(identifier, CARDS[which], NOW + number, amount=amount)
        back = {"type": "reversal", "original_id": drawn[0][0]} if number and not amount % 3 else {}
        messages.append(fields | back | ({"customer": customer} if customer is not None else {}))

    def decided() -> list[Any]:
        part = Part(0, records(0, messages), {}, {})
        result = score_poll([part], VERSIONS, lambda card: 0, NOW, lambda: 0.0)
        return [result.decisions, result.scored, result.outcomes]

    with pytest.MonkeyPatch.context() as patch:
        compiled = decided()
        patch.setattr(encode, "COMPILED", False)
        assert decided() == compiled


def test_a_reversal_names_what_it_takes_back_and_how_much() -> None:
    taken_back = {"type": "reversal", "original_id": "订单-1"}
    messages = [transaction("x1", CARDS[0]), transaction("x2", CARDS[0], NOW + 1, amount=700) | taken_back]
    part = Part(0, records(0, messages), {}, {})
    paid, back = score_poll([part], VERSIONS, lambda card: 0, NOW, lambda: 0.0).decisions[0]
    assert "reverses" not in dict(paid.headers)
    assert dict(back.headers)["reverses"].decode() == "订单-1"
    decision = json.loads(back.value)
    assert (decision["outcome"], decision["reverses"], decision["amount"]) == ("approve", "订单-1", 700)


def test_the_compiled_forms_are_in_force() -> None:
    assert encode.COMPILED, "not built: is there a C compiler?"
    assert type(module._quick).__name__ == "Quick"


def test_scores_are_written_as_json_writes_them() -> None:
    values = [0.0, 1.0, 1e-9, 0.1 + 0.2, 100.0, 99.99999999999999, float(np.nextafter(1.0, 0.0))]
    assert b"[" + b",".join(encode._json_column(values)) + b"]" == json.dumps(values).encode().replace(
        b" ", b""
    ).replace(b"1e-09", b"1e-9")

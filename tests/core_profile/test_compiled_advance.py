"""The compiled form of `advance` and the Python one: equal rows to the byte, equal features to the bit.

Where a C compiler is at hand the compiled form must be in use; where none is, both sides of each comparison are the
Python form, and only which one is in force is shown.
"""

import math
import os
import random
import shlex
import subprocess
import sysconfig
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from card_events import DAY, NOON, event, purchase
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.core import profile_row as layout
from pipeline.core.advancing import COMPILED, Advance, advance_in_python, advance_part
from pipeline.core.currencies import Money
from pipeline.core.features import FEATURES
from pipeline.core.poll import Floats, Row
from pipeline.core.profile import EMPTY_ROW
from pipeline.core.transaction import MAX_AMOUNT, Event, decode
from pipeline.lab.simulate.places import FEN_PER_MINOR_UNIT
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.world import World

CARD = b"tok_k1_0123abcd"
U32 = layout.U32
NO_CHECKSUM = "63yu9nba"
"""A text whose CRC-32 is 0."""


class Outcome(NamedTuple):
    """What one form made of some events."""

    held: dict[bytes, bytes]
    dirty: dict[bytes, bytes]
    rows: list[Row]
    repeats: int
    features: Floats
    error: type[Exception] | None


def outcome(form: Advance, held: dict[bytes, bytes], parts: Iterable[Sequence[tuple[bytes, Event]]]) -> Outcome:
    """``form`` over polls of the given events; rows and features gathered over all polls."""
    held, repeats, error = dict(held), 0, None
    dirty: dict[bytes, bytes] = {}
    rows: list[Row] = []
    features = []
    for part in parts:
        given = [(None, one, card) for card, one in part]
        found: list[Row] = []
        matrix = np.full((len(given), len(FEATURES)), -7.0)
        try:
            repeats += form(held, dirty, given, found, matrix)  # type: ignore[arg-type]  # no record is looked at
        except (ValueError, OverflowError) as raised:
            error = type(raised)
            break
        rows += found
        features.append(matrix)
    return Outcome(held, dirty, rows, repeats, np.concatenate([np.empty((0, len(FEATURES))), *features]), error)


def bits(matrix: Floats) -> Any:
    """Equal for equal bits; every NaN is one."""
    return np.where(np.isnan(matrix), np.nan, matrix).view(np.uint64).tolist()


def assert_equal(held: dict[bytes, bytes], parts: Sequence[Sequence[tuple[bytes, Event]]]) -> Outcome:
    python, compiled = outcome(advance_in_python, held, parts), outcome(advance_part, held, parts)
    assert list(compiled.held.items()) == list(python.held.items())
    assert list(compiled.dirty.items()) == list(python.dirty.items())
    assert compiled.rows == python.rows
    assert all(type(row) is Row and type(row.exempt) is bool for row in compiled.rows)
    assert compiled.repeats == python.repeats
    assert bits(compiled.features) == bits(python.features)
    assert compiled.error == python.error
    return compiled


def compiler_works() -> bool:
    """Whether an extension for this Python can be compiled here."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    include = sysconfig.get_path("include")
    try:
        done = subprocess.run(
            [*shlex.split(command), f"-I{include}", "-fsyntax-only", "-x", "c", "-"],
            input=b"#include <Python.h>\n",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def test_the_compiled_form_is_in_use_wherever_it_can_be_built() -> None:
    assert COMPILED or not compiler_works(), "pipeline.core._advance is not built: run `make clean install`"
    assert (advance_part is advance_in_python) != COMPILED


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


TIMES = st.one_of(
    st.integers(0, 40).map(lambda days: NOON + days * 30_011.0),
    st.floats(NOON - 1e6, NOON + 1e6),
    st.integers(-62_135_596_800, 253_402_300_799).map(float),
    st.sampled_from([NOON, -0.25, -3_600.0, -5e-324, 0.0, 3_599.9999999999995, U32 - 0.5, U32 + 0.5, 2.0**32]),
)
AMOUNTS = st.one_of(
    st.just(0.0), st.integers(1, 30_000).map(float), st.floats(0, 1e5), st.floats(0, MAX_AMOUNT * 1e9), st.just(4_000.0)
)
IDS = st.sampled_from("abcdefghijkl") | st.text(min_size=1, max_size=64)
COUNTRIES = st.sampled_from(["CN", "NC", "FR", "US", "DE", "IT", "ES", "PT", "SE"])


@st.composite
def transactions(draw: st.DrawFn) -> Event:
    return event(
        draw(TIMES),
        draw(AMOUNTS),
        id=draw(IDS),
        type=draw(st.sampled_from(["authorisation", "authorisation", "advice", "reversal", "clearing"])),
        original_id=draw(optional(IDS)),
        kind=draw(optional(st.sampled_from(["purchase", "cash", "refund", "transfer", "payment", "verification"]))),
        entry_mode=draw(
            optional(st.sampled_from(["chip", "contactless", "magstripe", "manual", "ecommerce", "stored"]))
        ),
        merchant=draw(optional(st.sampled_from(["m1", "m2", "商户", ""]) | st.text(max_size=9))),
        mcc=draw(optional(st.sampled_from(["0000", "5411", "5411", "6010", "6011", "9999"]))),
        country=draw(optional(COUNTRIES)),
        home_country=draw(optional(st.sampled_from(["CN", "US", ""]))),
        latitude=draw(optional(st.floats(-90, 90) | st.just(31.23))),
        longitude=draw(optional(st.floats(-180, 180) | st.just(121.47))),
        response_code=draw(optional(st.sampled_from(["00", "08", "05", "", "51"]))),
    )


@st.composite
def known_cards(draw: st.DrawFn) -> bytes:
    """The row of a card with a past: any counts up to their maxima, any habits, any last place."""
    count = st.sampled_from([0, 1, 4, 5, 6, 63, 64, 65, U32 - 1, U32])
    byte = st.sampled_from([0, 1, 2, 3, 100, 254, 255])
    place = draw(st.booleans())
    numbers = layout.NUMBERS.pack(
        layout.VERSION, draw(count), draw(count), draw(st.sampled_from([0, int(NOON) - 86_400, U32])),
        draw(st.sampled_from([-math.inf, NOON - 50.0, NOON, -1e9])),
        *(draw(st.floats(0, 1e6, width=32)) for _ in range(15)),
        draw(st.floats(0, 55, width=32)), draw(st.sampled_from([0.0, 0.25, 0.75, 4.0])),
        draw(st.floats(0, 1e3, width=32)), draw(st.floats(0, 1e9, width=32)),
        31.0 if place else math.nan, 121.5 if place else math.nan, int(NOON) - 3_600 if place else 0,
    )  # fmt: skip
    counters = bytes(draw(st.lists(byte, min_size=38, max_size=38)))
    countries = "".join(draw(st.lists(COUNTRIES, min_size=6, max_size=6))).encode()
    return numbers + counters + countries + EMPTY_ROW[layout.MCCS : layout.SPARE] + bytes(range(64)) + bytes(144)


def polls(events: Sequence[tuple[bytes, Event]], size: int) -> list[Sequence[tuple[bytes, Event]]]:
    return [events[at : at + size] for at in range(0, len(events), size)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(st.tuples(st.sampled_from([CARD, b"tok_other"]), transactions()), max_size=20),
    optional(known_cards()),
    st.integers(1, 20),
)
@example([], None, 1)
def test_any_history_of_any_card(history: list[tuple[bytes, Event]], row: bytes | None, size: int) -> None:
    assert_equal({} if row is None else {CARD: row}, polls(history, size))


def test_thousands_of_transactions_of_a_simulated_bank() -> None:
    money = Money("CNY", dict(FEN_PER_MINOR_UNIT))
    events = []
    for attempt in Stream(World(11, 120, 1_790_000_000.0)).history():
        one = decode(attempt.value(), int(attempt.time * 1000), money)
        events.append((one.transaction.card.encode(), one))
        if len(events) == 6_000:
            break
    made = assert_equal({}, polls(events, 200))
    assert len(made.held) > 100
    assert len(made.rows) == 6_000


def busy_life(count: int) -> list[tuple[bytes, Event]]:
    """One card for years: every kind of message, repeats, reversals in whole and in part, late arrivals."""
    draw = random.Random(20_260_101)
    at, ids, events = NOON, ["first"], []
    for number in range(count):
        at += draw.expovariate(1 / 9_000.0)
        name = draw.choice(ids[-10:]) if draw.random() < 0.05 else f"t{number:09}"
        ids.append(name)
        amount = round(math.exp(draw.gauss(9, 1))) * 1.0 if draw.random() < 0.95 else 0.0
        one = event(
            at - (draw.random() * DAY if draw.random() < 0.1 else 0.0),
            amount,
            id=name,
            type=draw.choices(["authorisation", "advice", "reversal", "clearing"], [80, 4, 8, 8])[0],
            original_id=draw.choice(ids[-9:]) if draw.random() < 0.8 else None,
            kind=draw.choices(["purchase", "cash", "refund", "payment", "verification", None], [70, 10, 5, 5, 5, 5])[0],
            entry_mode=draw.choice(["chip", "chip", "contactless", "ecommerce", "stored", "magstripe", "manual", None]),
            merchant=f"shop-{int(draw.expovariate(0.1)):03}",
            mcc=f"{5400 + int(draw.expovariate(0.2)):04}",
            country=draw.choices(["CN", "JP", "TH", "FR", "US", "DE", "KR", "GB"], [60, 9, 8, 7, 6, 5, 3, 2])[0],
            home_country=draw.choice([None, None, "CN"]),
            latitude=draw.gauss(31, 2),
            longitude=draw.gauss(121, 2),
            response_code=draw.choices([None, "00", "05", "51"], [40, 40, 10, 10])[0],
        )
        events.append((CARD, one))
    return events


def test_years_of_one_card() -> None:
    made = assert_equal({}, polls(busy_life(8_000), 37))
    assert made.repeats > 100
    row = made.held[CARD]
    assert max(row[layout.HOURS : layout.MODES]) >= 128  # counted past what a byte holds, and halved
    assert 0.1 < sum(row.exempt for row in made.rows) / len(made.rows) < 0.4


def test_counts_at_their_maxima_stay_there() -> None:
    numbers = list(layout.NUMBERS.unpack_from(EMPTY_ROW))
    numbers[1:4] = U32, U32, int(NOON) - 500_000
    full = layout.NUMBERS.pack(*numbers) + bytes([255] * 38) + EMPTY_ROW[layout.COUNTRIES :]
    made = assert_equal({CARD: full}, [[(CARD, purchase(NOON + n)) for n in range(3)]])
    assert layout.NUMBERS.unpack_from(made.held[CARD])[1:3] == (U32, U32)


def test_the_first_visit_home_is_no_new_country() -> None:
    events = [(CARD, purchase(NOON + n, country="CN")) for n in range(6)]
    home, away = (purchase(NOON + 9, country=country, home_country="US") for country in ("US", "FR"))
    made = assert_equal({}, [[*events, (CARD, home), (CARD, away)]])
    assert made.features[6:, [feature.name for feature in FEATURES].index("new_country")].tolist() == [0.0, 1.0]


def test_a_merchant_whose_checksum_would_mark_an_empty_slot() -> None:
    assert zlib.crc32(NO_CHECKSUM.encode()) == 0
    made = assert_equal({}, [[(CARD, purchase(NOON + n, merchant=NO_CHECKSUM if n else "m")) for n in range(7)]])
    assert len(made.rows) == 7


@pytest.mark.parametrize("share", [0.5, 1 - 1e-4, 1 - 1e-5, 1 - 2e-6, 1 - 1e-6, 1 - 5e-7, 1.0, 1.5])
@pytest.mark.parametrize("fields", [{}, {"kind": "cash"}, {"kind": "verification"}, {"response_code": "05"}])
def test_reversals_of_about_the_whole(share: float, fields: dict[str, str]) -> None:
    amount = 1_234_567.0
    original = purchase(NOON, amount, id="o", **fields)
    back = event(NOON + 70, 0.0, type="reversal", original_id="o")
    reversals = [
        (CARD, Event(back.transaction, back.at, amount * share)),
        (CARD, event(NOON + 90, 0.0, type="reversal", original_id="o")),
    ]
    assert_equal({}, [[(CARD, purchase(NOON - 500, 77.0)), (CARD, original)], reversals, [(CARD, purchase(NOON + 99))]])


@pytest.mark.parametrize("length", [1, 8, 63, 127, 128, 129, 255, 256, 257])
@pytest.mark.parametrize("letter", ["x", "é", "漢", "🂡"])
def test_ids_and_merchants_of_any_length_and_script(length: int, letter: str) -> None:
    text = letter * (length // len(letter.encode()) or 1)
    events = [(CARD, purchase(NOON + n, id=text if n == 3 else f"n{n}", merchant=text)) for n in range(7)]
    back = event(NOON + 9, 0.0, type="reversal", original_id=text, id="back")
    made = assert_equal({}, [[*events, (CARD, back), (CARD, purchase(NOON + 9, id=text))]])
    assert made.repeats == 1
    assert made.features[6, [feature.name for feature in FEATURES].index("new_merchant")] == 0.0


@pytest.mark.parametrize("amount", [1e39, 3.5e38])
@pytest.mark.parametrize("before", [0, 3])
def test_an_amount_no_row_can_hold_is_an_error_and_leaves_what_came_before(amount: float, before: int) -> None:
    events = [(CARD, purchase(NOON + n)) for n in range(before)]
    huge = purchase(NOON + 9)
    made = assert_equal({}, [[*events, (CARD, Event(huge.transaction, huge.at, amount)), (CARD, purchase(NOON + 10))]])
    assert made.error is OverflowError
    assert len(made.held) == min(before, 1)


@pytest.mark.parametrize("at", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_none_is_an_error(at: float) -> None:
    assert assert_equal({}, [[(CARD, purchase(at))]]).error in (ValueError, OverflowError)


def test_a_repeat_leaves_the_very_same_row() -> None:
    one = purchase(NOON)
    for form in (advance_in_python, advance_part):
        held, dirty = outcome(form, {}, [[(CARD, one)]]).held, dict[bytes, bytes]()
        row = held[CARD]
        matrix, rows = np.zeros((1, len(FEATURES))), list[Row]()
        assert form(held, dirty, [(None, one, CARD)], rows, matrix) == 1  # type: ignore[list-item]  # as above
        assert held[CARD] is row
        assert not dirty
        assert not rows


def test_features_go_to_the_line_of_their_row() -> None:
    """Rows of an earlier part stand already in the matrix."""
    for form in (advance_in_python, advance_part):
        rows = [Row(None, purchase(NOON), False)] * 2  # type: ignore[arg-type]  # as above
        matrix = np.full((5, len(FEATURES)), -7.0)
        given = [(None, purchase(NOON + n, 50.0 + n), CARD) for n in range(2)]
        form({}, {}, given, rows, matrix)  # type: ignore[arg-type]  # as above
        assert len(rows) == 4
        assert matrix[:, 0].tolist() == [-7.0, -7.0, 50.0, 51.0, -7.0]


@pytest.mark.skipif(not COMPILED, reason="in Python NumPy itself looks after its memory")
@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((1, len(FEATURES))),
        np.zeros((2, len(FEATURES) - 1)),
        np.zeros((2, len(FEATURES)), dtype=np.float32),
        np.zeros((2, len(FEATURES)), order="F"),
        np.zeros(2 * len(FEATURES)),
        np.broadcast_to(np.zeros(len(FEATURES)), (2, len(FEATURES))),
    ],
    ids=["too short", "too narrow", "32 bits", "by columns", "flat", "read only"],
)
def test_no_other_memory_is_written_to(matrix: Any) -> None:
    given = [(None, purchase(NOON + n), CARD) for n in range(2)]
    with pytest.raises((ValueError, BufferError)):
        advance_part({}, {}, given, [], matrix)  # type: ignore[arg-type]  # as above


@pytest.mark.skipif(not COMPILED, reason="in Python no memory is read past an object's end")
@pytest.mark.parametrize("row", [b"", EMPTY_ROW[:-1], EMPTY_ROW + b"\0"])
def test_a_row_of_another_size_is_an_error(row: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        advance_part({CARD: row}, {}, [(None, purchase(NOON), CARD)], [], np.zeros((1, len(FEATURES))))  # type: ignore[list-item]  # as above


@pytest.mark.skipif(not COMPILED, reason="in Python every attribute is looked up")
def test_what_is_no_event_is_an_error() -> None:
    for one in (None, object(), Event(None, NOON, 1.0)):  # type: ignore[arg-type]  # on purpose
        with pytest.raises(TypeError, match="expected"):
            advance_part({}, {}, [(None, one, CARD)], [], np.zeros((1, len(FEATURES))))  # type: ignore[list-item]  # as above

"""What each kind of transaction does to a card's row, one rule of `pipeline.core.profile` at a time."""

import math

import pytest
from card_events import DAY, NOON, event, purchase, regular, seen, walk

from pipeline.core import profile_row as layout
from pipeline.core.features import FEATURES
from pipeline.core.profile import EMPTY_ROW, Handling, advance
from pipeline.core.profile_row import MAX_ROW_BYTES, ROW_BYTES, check_row
from pipeline.core.transaction import Event

near = pytest.approx


def test_the_layout_is_as_documented() -> None:
    assert len(EMPTY_ROW) == ROW_BYTES == 452 <= MAX_ROW_BYTES
    assert (layout.HOURS, layout.MODES, layout.COUNTRY_COUNTS, layout.COUNTRIES) == (110, 134, 142, 148)
    assert (layout.MCCS, layout.MERCHANTS, layout.SPARE, layout.RING) == (160, 180, 244, 308)
    assert layout.RING - layout.SPARE >= 16 * 4
    check_row(EMPTY_ROW)
    for wrong in (b"", EMPTY_ROW[:-1], b"\x09" + EMPTY_ROW[1:]):
        with pytest.raises(ValueError, match="card row"):
            check_row(wrong)


def test_the_first_transaction_counts_itself_and_has_nothing_to_compare_with() -> None:
    first = seen(EMPTY_ROW, purchase(NOON, 12_300.0, latitude=31.0, longitude=121.0, home_country="CN"))
    counted = {name for name in first if name.startswith(("count_", "sum_")) and not name.endswith("ratio")}
    assert {first[name] for name in counted} == {1.0, 12_300.0}
    missing = {name for name, value in first.items() if math.isnan(value)}
    assert missing == {
        "amount_ratio", "amount_z", "count_24h_ratio", "sum_24h_ratio", "new_merchant", "new_country", "new_mcc",
        "new_entry_mode", "entry_mode_rare", "hour_rarity", "seconds_since_last", "km_from_last", "speed_kmh",
        "mean_24h_ratio", "mean_7d_ratio", "max_14d_ratio",
    }  # fmt: skip
    assert (first["transactions_seen"], first["days_known"], first["abroad"], first["is_cash"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("suffix", "scale"), [("1m", 60.0), ("10m", 600.0), ("1h", 3_600.0), ("24h", 86_400.0), ("7d", 604_800.0)]
)
def test_an_event_weighs_a_third_one_scale_later(suffix: str, scale: float) -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, 1_000.0)])
    later = seen(row, purchase(NOON + scale, 500.0))
    assert later[f"count_{suffix}"] == near(1 + math.exp(-1))
    assert later[f"sum_{suffix}"] == near(500 + 1_000 * math.exp(-1))
    assert later["seconds_since_last"] == scale


def test_a_late_event_counts_as_if_in_time_and_moves_neither_newest_time_nor_place() -> None:
    early = purchase(NOON, 1_000.0, latitude=10.0, longitude=10.0)
    late = purchase(NOON + 100, 700.0, latitude=50.0, longitude=50.0)
    newest = purchase(NOON + 200, 300.0, latitude=11.0, longitude=11.0)
    probe = purchase(NOON + 500, 1.0, latitude=11.0, longitude=11.0)
    in_order = seen(walk(EMPTY_ROW, [early, late, newest]), probe)
    out_of_order = seen(walk(EMPTY_ROW, [early, newest, late]), probe)
    assert out_of_order == {name: near(value, rel=1e-5, nan_ok=True) for name, value in in_order.items()}
    assert out_of_order["km_from_last"] == near(0.0, abs=1e-3)
    assert out_of_order["seconds_since_last"] == 300
    assert math.isnan(seen(walk(EMPTY_ROW, [early, newest]), late)["seconds_since_last"])


def test_a_repeat_gives_the_same_row_and_no_features() -> None:
    one = purchase(NOON, id="same")
    row = walk(EMPTY_ROW, [one])
    again, features, handling = advance(row, purchase(NOON + 5, 77.0, id="same"))
    assert again is row
    assert features is None
    assert handling == Handling.repeat


def test_the_ring_holds_the_last_eight_ids() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON + n, id=f"r{n}") for n in range(9)])
    assert advance(row, purchase(NOON + 20, id="r1"))[2] == Handling.repeat
    assert advance(row, purchase(NOON + 20, id="r0"))[2] == Handling.scored


@pytest.mark.parametrize("code", ["05", "51", "N7"])
def test_a_declined_attempt_counts_in_attempts_and_declines_only(code: str) -> None:
    row = regular()
    declined = purchase(NOON + 60, 5_000.0, response_code=code, merchant="elsewhere", country="FR", mcc="7995")
    features = seen(row, declined)
    assert features["declines_1h"] == features["declines_24h"] == 1
    assert features["count_1m"] == near(1 + math.exp(-1))
    assert features["sum_1m"] == near(seen(row, purchase(NOON + 60, 5_000.0))["sum_1m"] - 5_000, rel=1e-5)
    after = walk(row, [declined])
    assert after[layout.HOURS : layout.SPARE] == row[layout.HOURS : layout.SPARE]
    assert seen(after, purchase(NOON + 120, 1.0))["declines_1h"] == near(math.exp(-60 / 3_600))
    assert seen(after, purchase(NOON + 120, merchant="elsewhere"))["new_merchant"] == 1


@pytest.mark.parametrize("code", [None, "", "00", "000", "08", "10", "11", "85"])
def test_approvals_are_spends(code: str | None) -> None:
    features = seen(EMPTY_ROW, purchase(NOON, 5_000.0, response_code=code))
    assert (features["declines_1h"], features["sum_1h"]) == (0, 5_000)


@pytest.mark.parametrize("fields", [{"amount": 0.0}, {"amount": 100.0, "kind": "verification"}])
def test_a_card_check_is_an_attempt_and_no_spend(fields: dict[str, object]) -> None:
    row = regular()
    check = purchase(NOON + 60, **fields)  # type: ignore[arg-type]  # a row of the table above
    features = seen(row, check)
    assert features["card_checks_1h"] == 1
    assert features["count_1m"] == near(1 + math.exp(-1))
    assert math.isnan(features["amount_z"])
    after = walk(row, [check])
    assert after[layout.HOURS : layout.SPARE] == row[layout.HOURS : layout.SPARE]
    assert seen(after, purchase(NOON + 120))["sum_1h"] == near(seen(row, purchase(NOON + 120))["sum_1h"])


@pytest.mark.parametrize("fields", [{"kind": "cash"}, {"mcc": "6010"}, {"mcc": "6011"}])
def test_cash_is_counted_by_day_and_week(fields: dict[str, str]) -> None:
    row = walk(regular(), [purchase(NOON + 10, **fields)])
    features = seen(row, purchase(NOON + 10 + DAY, **fields))
    assert features["cash_count_24h"] == near(1 + math.exp(-1))
    assert features["cash_count_7d"] == near(1 + math.exp(-1 / 7))
    assert features["is_cash"] == 1
    assert seen(row, purchase(NOON + 10 + DAY))["is_cash"] == 0


def counters(row: bytes) -> tuple[float, ...]:
    return layout.NUMBERS.unpack_from(row)[layout.COUNTS : layout.CASH + 2]


@pytest.mark.parametrize(
    "fields", [{}, {"kind": "cash"}, {"response_code": "05"}, {"amount": 0.0}, {"kind": "cash", "response_code": "05"}]
)
def test_a_reversal_takes_back_what_the_original_weighs_by_now(fields: dict[str, object]) -> None:
    before, original, after = purchase(NOON + 50, 800.0), purchase(NOON + 100, id="o", **fields), purchase(NOON + 400)  # type: ignore[arg-type]  # a row of the table above
    row = walk(regular(), [before, original, after])
    undone, features, handling = advance(row, event(NOON + 500, original.amount, type="reversal", original_id="o"))
    assert handling == Handling.reversal
    assert features is not None
    expected = counters(walk(regular(), [before, after]))
    assert counters(undone) == near(expected, rel=1e-4, abs=2e-3)  # sums are minor units: 0.002 of a cent
    assert counters(row) != near(expected, rel=1e-4, abs=2e-3)
    again = walk(undone, [event(NOON + 501, original.amount, type="reversal", original_id="o")])
    assert counters(again) == counters(undone)
    assert advance(again, original)[2] == Handling.repeat


def test_a_partial_reversal_takes_only_its_amount_and_only_from_the_sums() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, 10_000.0, id="o")])
    part = walk(row, [event(NOON + 1, 4_000.0, type="reversal", original_id="o")])
    assert counters(part)[:10] == near((1,) * 5 + (6_000,) * 5)
    rest = walk(part, [event(NOON + 2, 6_000.0, type="reversal", original_id="o")])
    assert counters(rest) == near((0,) * len(counters(rest)), abs=1e-3)


def test_reversing_more_than_there_is_stops_at_zero() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, 10_000.0, id="o")])
    undone = walk(row, [event(NOON + 1, 99_000.0, type="reversal", original_id="o")])
    assert min(counters(undone)) == 0 == max(counters(undone))


def test_a_reversal_without_an_amount_is_of_the_whole() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, 10_000.0, id="o")])
    undone = walk(row, [event(NOON + 1, 0.0, type="reversal", original_id="o")])
    assert min(counters(undone)) == 0 == max(counters(undone))


def test_rounding_takes_no_counter_below_zero() -> None:
    for later in range(1, 40):
        row = walk(EMPTY_ROW, [purchase(NOON, id="o", kind="cash"), purchase(NOON + later)])
        undone = walk(row, [event(NOON + later, 0.0, type="reversal", original_id="o")])
        assert min(counters(undone)) >= 0


def test_a_match_across_two_slots_is_none() -> None:
    assert layout.find(b"XCNY", b"CN") == -1
    assert layout.find(b"XCNYCN", b"CN") == 4
    digest, ring = b"87654321", EMPTY_ROW[layout.RING :]
    assert layout.find_entry(ring[:5] + digest + ring[13:], digest) == -1
    assert layout.find_entry(ring[:18] + digest + ring[26:], digest) == 18


@pytest.mark.parametrize(
    ("one", "handling"),
    [
        (event(NOON + 60, type="reversal", original_id="unknown"), Handling.reversal),
        (event(NOON + 60, type="reversal"), Handling.reversal),
        (event(NOON + 60, kind="refund"), Handling.credit),
        (event(NOON + 60, kind="payment"), Handling.credit),
        (event(NOON + 60, type="clearing", original_id="o"), Handling.clearing),
    ],
)
def test_what_is_no_spend_leaves_only_its_id(one: Event, handling: Handling) -> None:
    row = walk(regular(), [purchase(NOON + 1, id="o")])
    after, features, what = advance(row, one)
    assert what == handling
    assert features is not None
    assert len(features) == len(FEATURES)
    assert after[: layout.RING] == row[: layout.RING]
    assert after[layout.RING + layout.ENTRY.size :] == row[layout.RING : -layout.ENTRY.size]
    assert advance(after, one)[2] == Handling.repeat


@pytest.mark.parametrize("fields", [{"type": "clearing"}, {"type": "clearing", "original_id": "x"}, {"type": "advice"}])
def test_advices_and_lone_clearings_count_like_authorisations(fields: dict[str, str]) -> None:
    row, plain = regular(), purchase(NOON + 60, id="p")
    other = purchase(NOON + 60, id="p", **fields)
    assert advance(row, other) == (*advance(row, plain)[:1], *advance(row, other)[1:])
    assert advance(row, other)[2] == Handling.scored

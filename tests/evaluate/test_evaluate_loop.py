"""What happens when: labels, calls and ticks between transactions, by event time and nothing else."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.lab.evaluate.bank import Judged
from pipeline.lab.evaluate.folds import NEVER_S
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.loop import Clockwork, Pace, drive
from pipeline.lab.evaluate.run import new_bank
from pipeline.lab.evaluate.stream import Labelled
from pipeline.lab.evaluate.waiting import Truth, Waiting
from tests.evaluate.evaluate_world import DAY_S, MIDNIGHT, START, Diary, chunked, month, row

HOUR_S = 3_600.0


def through(rows: Sequence[Labelled], bank: object, pace: Pace, size: int = 2_000) -> tuple[list[Judged], LeftOut]:
    kept: list[Judged] = []
    left_out = LeftOut()
    drive(chunked(rows, size), bank, pace, lambda first: MIDNIGHT, lambda piece, judged: kept.append(judged), left_out)  # type: ignore[arg-type]  # both banks have the three methods
    return kept, left_out


def test_a_fraud_is_known_before_the_first_transaction_after_its_delay_and_a_genuine_one_by_the_next_tick() -> None:
    rows = [
        row(1, MIDNIGHT + 600, fraud=True),
        row(2, MIDNIGHT + 700),
        row(3, MIDNIGHT + DAY_S + 599),
        row(4, MIDNIGHT + DAY_S + 600),
        row(5, MIDNIGHT + DAY_S + 800),
        row(6, MIDNIGHT + DAY_S + 900),
    ]
    diary = Diary()
    through(rows, diary, Pace(DAY_S, 900.0))
    told = [entry for entry in diary.entries if entry[0] != "tick" or entry[1] == DAY_S + 900]
    assert told == [
        ("score", 1), ("score", 2), ("score", 3),
        ("label", "t1", True), ("score", 4), ("score", 5),
        ("label", "t2", False), ("tick", DAY_S + 900), ("score", 6),
    ]  # fmt: skip


def test_no_label_comes_before_its_time_and_each_comes_once() -> None:
    rows = month(rows=400)
    for calls in (0, 3):
        diary = Diary()
        through(rows, diary, Pace(2 * DAY_S, HOUR_S, calls))
        labelled = [label.transaction for label in diary.known]
        assert len(labelled) == len(set(labelled)) > 300
        at = {f"t{each.number}": each.at for each in rows}
        scored_at = MIDNIGHT
        known = 0
        for entry in diary.entries:
            if entry[0] == "score":
                scored_at = rows[int(str(entry[1])) - 1].at
            elif entry[0] == "label":
                label = diary.known[known]
                known += 1
                assert label.at >= at[label.transaction] + (2 * DAY_S if not calls else 0)
                assert label.at > scored_at - 2 * DAY_S


def test_called_cards_are_the_riskiest_of_the_day_and_their_labels_of_it_come_next_morning() -> None:
    rows = [
        row(1, MIDNIGHT + 10 * HOUR_S, card=1, amount=900, fraud=True),
        row(2, MIDNIGHT + 11 * HOUR_S, card=2, amount=500),
        row(3, MIDNIGHT + 12 * HOUR_S, card=1, amount=100),
        row(4, MIDNIGHT + 23 * HOUR_S, card=3, amount=800),
        row(5, MIDNIGHT + DAY_S + 7 * HOUR_S, card=2, amount=10),
        row(6, MIDNIGHT + DAY_S + 8 * HOUR_S, card=1, amount=10),
    ]
    diary = Diary()
    through(rows, diary, Pace(7 * DAY_S, HOUR_S, calls_per_day=2))
    known = [(label.transaction, label.at - MIDNIGHT - DAY_S, label.source) for label in diary.known]
    morning = 8 * HOUR_S
    assert known == [("t1", morning, "cardholder"), ("t3", morning, "cardholder"), ("t4", morning, "cardholder")]
    scored = [entry for entry in diary.entries if entry[0] != "tick"]
    assert scored.index(("score", 5)) < scored.index(("label", "t1", True)) < scored.index(("score", 6))


def test_labels_after_a_day_set_to_nothing_change_no_score_up_to_the_delay_later() -> None:
    rows = month(rows=600)
    day = MIDNIGHT + 12 * DAY_S
    forgetful = [each._replace(fraud=each.fraud and each.at < day) for each in rows]
    scores = []
    for some in (rows, forgetful):
        kept, _ = through(some, Diary(), Pace(7 * DAY_S, HOUR_S))
        scores.append(np.concatenate([judged.score for judged in kept]))
    early = np.array([each.at < day + 7 * DAY_S for each in rows])
    assert (scores[0][early] == scores[1][early]).all()
    assert (scores[0][~early] != scores[1][~early]).any()


def test_no_more_labels_wait_than_the_delay_holds() -> None:
    rows = month(rows=1_000)
    diary, most = Diary(), 0
    clockwork = Clockwork(diary, Pace(3 * DAY_S, HOUR_S, 1), rows[0].at, MIDNIGHT)
    for each in rows:
        clockwork.turn_to(each.at)
        clockwork.saw([each], diary.score([each]))
        most = max(most, clockwork.waiting)
    busiest = max(sum(one.at - 3 * DAY_S - HOUR_S <= other.at <= one.at for other in rows) for one in rows[::20])
    assert 80 < most <= busiest * 1.2


def test_ticks_lie_on_a_grid_from_midnight_also_over_a_gap() -> None:
    diary = Diary()
    through([row(1, MIDNIGHT + 100), row(2, MIDNIGHT + 4_000)], diary, Pace(DAY_S, 1_000.0))
    assert diary.entries == [("score", 1), *(("tick", at) for at in (1e3, 2e3, 3e3, 4e3)), ("score", 2)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 2))
def test_what_happens_when_does_not_depend_on_how_rows_are_read(sizes: list[int], calls: int) -> None:
    rows = month(rows=300)
    pace = Pace(3 * DAY_S, 2 * HOUR_S, calls)
    whole, pieces = Diary(), Diary()
    through(rows, whole, pace)
    cut, start = [], 0
    while start < len(rows):
        size = sizes[len(cut) % len(sizes)]
        cut.append(rows[start : start + size])
        start += size
    drive(cut, pieces, pace, lambda first: MIDNIGHT, lambda piece, judged: None, LeftOut())
    assert pieces.entries == whole.entries


@pytest.mark.parametrize("size", [1, 7])
def test_the_real_banks_scores_are_equal_to_the_bit_whatever_the_chunk(size: int) -> None:
    rows = month(rows=700, days=2)
    pace = Pace(DAY_S / 4, 3 * HOUR_S, 2)
    whole, pieces = (through(rows, new_bank(START), pace, some)[0] for some in (2_000, size))
    for column in ("score", "percentile", "raw", "amount", "outcome", "at"):
        one, other = (np.concatenate([getattr(judged, column) for judged in kept]) for kept in (whole, pieces))
        assert one.tobytes() == other.tobytes(), column
    assert max(len(judged.ids) for judged in whole) > 20
    assert len({float(raw) for judged in whole for raw in judged.raw}) > 50


def test_a_model_goes_into_force_at_a_tick_and_not_before() -> None:
    rows = [row(number, MIDNIGHT + number, card=number % 5, amount=100 * number) for number in range(1, 201)]
    bank = new_bank(START)
    kept, _ = through(rows, bank, Pace(DAY_S, 150.0))
    raw = np.concatenate([judged.raw for judged in kept])
    assert not raw[:149].any()  # the window of 60 was full long before
    assert raw[149:].any()
    assert bank.models == 1


def test_it_learns_from_every_transaction_whatever_the_learners_rate() -> None:
    plan = START.plan._replace(max_rate=0.001)
    rows = month(rows=300)
    slow, fast = (new_bank(each) for each in (START._replace(plan=plan), START))
    scores = [np.concatenate([j.score for j in through(rows, bank, Pace(DAY_S, 900.0))[0]]) for bank in (slow, fast)]
    assert scores[0].tobytes() == scores[1].tobytes()
    assert slow.models > 2


def test_a_transaction_that_cannot_be_used_and_a_repeat_are_left_out_and_told() -> None:
    rows = [
        row(1, MIDNIGHT + 1),
        replace_message(row(2, MIDNIGHT + 2), amount=-5),
        row(1, MIDNIGHT + 3)._replace(number=3),
        row(4, MIDNIGHT + 4),
    ]
    kept, left_out = through(rows, new_bank(START), Pace(DAY_S, 900.0))
    assert [id_ for judged in kept for id_ in judged.ids] == ["t1", "t4"]
    assert dict(left_out.reasons) == {"negative_amount": 1, "repeat": 1}
    assert left_out.told == [
        "row 2: amount is negative: amounts are given without a sign",
        "row 3: repeats a transaction of its card by id",
    ]


def replace_message(each: Labelled, **fields: object) -> Labelled:
    return each._replace(value=msgspec.json.encode(msgspec.json.decode(each.value) | fields))


def test_a_reversal_is_decided_but_not_scored() -> None:
    rows = [row(1, MIDNIGHT + 1), row(2, MIDNIGHT + 2, type="reversal", original_id="t1")]
    (judged,), _ = through(rows, new_bank(START), Pace(DAY_S, 900.0))
    assert judged.ids == ["t1", "t2"]
    assert judged.exempt.tolist() == [False, True]
    assert judged.score[1] == 0.0


def test_where_labels_never_come_none_waits() -> None:
    waiting = Waiting(NEVER_S, 0, MIDNIGHT)
    waiting.add([Truth("t1", "tok_c", True, None, MIDNIGHT, 0.5)])
    assert (len(waiting), waiting.next_fraud(), waiting.arrived(MIDNIGHT + 1e9)) == (0, NEVER_S, [])

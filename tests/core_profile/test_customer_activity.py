"""A customer's row: what was paid lately, held against sums made the slow way; nothing counted twice; frauds and bands."""

import math
import random
from dataclasses import dataclass

import pytest

from pipeline.core import customer_activity as rows
from pipeline.core.card_owners import NEWEST, CardOwners
from pipeline.core.customer_activity import FADE_S, band_after, figures, paid, said

DAY = 86_400.0
START = 1_790_000_000


@dataclass
class Pay:
    partition: int
    offset: int
    at: int
    card: int
    what: int
    amount: float
    score: float


def life(seed: int, count: int = 120) -> list[Pay]:
    draw = random.Random(seed)
    at, offsets, pays = float(START), [0, 0, 0], []
    for _ in range(count):
        at += draw.expovariate(1 / (0.7 * DAY))
        late = draw.uniform(0, 5 * DAY) if draw.random() < 0.1 else 0.0
        partition = draw.randrange(3)
        offsets[partition] += draw.randrange(1, 50)
        what = draw.choice((rows.PAID, rows.PAID, rows.PAID, rows.DECLINED, 0)) + draw.randrange(16) * 2
        what += rows.NEW_MERCHANT * (draw.random() < 0.3)
        pays.append(Pay(partition, offsets[partition], int(at - late), partition * 10 + draw.randrange(2), what,
                        draw.uniform(1, 9e6), draw.random() ** 4))  # fmt: skip
    return pays


def moved(row: bytes | None, pay: Pay) -> bytes | None:
    return paid(row, pay.partition, pay.offset, float(pay.at), pay.card, pay.what, pay.amount, pay.score)


def lived(pays: list[Pay]) -> bytes:
    row = None
    for pay in pays:
        row = moved(row, pay)
    assert row is not None
    return row


@pytest.mark.parametrize("seed", range(6))
def test_sums_are_those_made_the_slow_way(seed: int) -> None:
    pays = life(seed)
    known, newest = figures(lived(pays)), max(pay.at for pay in pays)

    def sum_of(bit: int, of: list[Pay], amount: bool = False) -> float:
        return sum(
            math.exp((p.at - newest) / FADE_S) * (p.amount if amount else 1) for p in of if not bit or p.what & bit
        )

    spends = [pay for pay in pays if pay.what & rows.PAID]
    refused = [pay for pay in pays if pay.what & rows.DECLINED and not pay.what & rows.PAID]
    n, declined = sum_of(0, spends), sum_of(0, refused)
    near = {"rel": 1e-4, "abs": 1e-6}
    assert known.payments_30d == pytest.approx(n, **near)
    assert known.amount_30d == pytest.approx(sum_of(0, spends, amount=True), **near)
    assert known.average_amount == pytest.approx(known.amount_30d / n, **near)
    for share, bit in (("abroad", rows.ABROAD), ("online", rows.ONLINE), ("cash", rows.CASH), ("night", rows.NIGHT),
                       ("new_merchant", rows.NEW_MERCHANT)):  # fmt: skip
        assert getattr(known, f"{share}_share") == pytest.approx(sum_of(bit, spends) / n, **near)
    assert known.declined_30d == pytest.approx(declined, **near)
    assert known.declined_share == pytest.approx(declined / (declined + n), **near)
    assert known.highest_24h == pytest.approx(max(p.score * math.exp((p.at - newest) / DAY) for p in pays), **near)
    assert known.highest_7d == pytest.approx(max(p.score * math.exp((p.at - newest) / DAY / 7) for p in pays), **near)
    assert known.cards_30d == len({p.card for p in pays if newest // DAY - p.at // DAY < 30})
    assert known.days_known == pytest.approx((newest - min(p.at for p in pays)) / DAY)
    assert known.risk == known.highest_7d


def test_what_is_read_again_changes_nothing() -> None:
    pays = life(9)
    row = lived(pays)
    again = row
    for pay in pays:
        assert moved(again, pay) is None
    for cut in range(1, len(pays), 7):
        then = lived(pays[:cut])
        for pay in pays[max(0, cut - 20) :]:
            then = moved(then, pay) or then
        assert then == row, "to the bit, whatever was read twice"
    assert rows.sound(row)
    assert not rows.sound(row[:-1])
    assert not rows.sound(b"\x09" + row[1:])


def test_a_row_is_small_and_stays_so() -> None:
    one = paid(None, 0, 0, START, 1, rows.PAID, 100.0, 0.1)
    assert one is not None
    assert len(one) <= 79, "with its object no more than 112 bytes"
    row: bytes | None = None
    for number in range(100):
        row = paid(row, number, number, START + number, number, rows.PAID, 100.0, 0.1)
        assert row is not None
        row = said(row, number, True, 1, START) or row
    assert row is not None
    assert (row[1], row[2], row[3]) == (rows.MOST_PARTITIONS, rows.MOST_CARDS, rows.MOST_FRAUDS)
    assert rows.cards_of(row) == tuple(range(92, 100)), "the newest ones"


def test_frauds_are_open_until_others_confirm_them_and_can_be_unsaid() -> None:
    row = paid(None, 0, 0, START, 1, rows.PAID, 100.0, 0.01)
    assert row is not None
    no = said(row, 77, True, 1, START)
    assert no is not None
    assert (figures(no).frauds_open, figures(no).frauds_confirmed, round(figures(no).risk, 2)) == (1, 0, 0.9)
    assert said(no, 77, True, 1, START) is None, "told again"
    sure = said(no, 77, True, 3, START)
    assert sure is not None
    assert (figures(sure).frauds_open, figures(sure).frauds_confirmed) == (0, 1)
    assert said(sure, 77, False, 1, START) is None, "the weaker does not unsay the stronger"
    assert said(row, 77, False, 1, START) is None
    cleared = said(sure, 77, False, 3, START)
    assert cleared is not None
    assert figures(cleared).risk == figures(row).risk
    assert said(cleared, 77, True, 1, START) is None
    assert said(sure, 77, None, 3, START) == row, "withdrawn: as if nothing had been said"
    later = paid(sure, 0, 1, START + 91 * DAY, 1, rows.PAID, 1.0, 0.0)
    assert later is not None
    assert figures(later).frauds_confirmed == 0
    week = paid(sure, 0, 1, START + 7 * DAY, 1, rows.PAID, 1.0, 0.0)
    assert week is not None
    assert figures(week).risk == pytest.approx(0.9 * math.exp(-7 / 30), rel=1e-3)


def test_bands_are_left_later_than_entered() -> None:
    band, seen = 0, []
    for risk in (0.05, 0.12, 0.08, 0.12, 0.06, 0.09, 0.55, 0.4, 0.3, 0.09, 0.01):
        band = band_after(band, risk)
        seen.append(band)
    assert seen == [0, 1, 1, 1, 0, 0, 2, 2, 1, 1, 0]


def test_band_and_tags_stand_in_the_row_and_nothing_else_moves() -> None:
    row = lived(life(3))
    other = rows.with_standing(row, 2, 0x80000001)
    assert rows.standing(other) == (2, 0x80000001)
    assert figures(other) == figures(row)
    assert rows.with_standing(other, *rows.standing(row)) == row


def test_the_owner_of_a_card_is_known_before_and_after_sorting_in() -> None:
    owners, people = CardOwners(), {b"a": b"", b"b": b""}
    draw = random.Random(1)
    cards = [draw.getrandbits(48) for _ in range(NEWEST + 500)]
    for card in cards:
        owners.note(card, b"a" if card % 2 else b"b", people)
    assert [owners.of(card) for card in cards] == [b"a" if card % 2 else b"b" for card in cards]
    assert owners.of(draw.getrandbits(48)) is None
    again = CardOwners()
    again.begin([7, 5, 7], [b"a", b"b", b"b"])
    assert (again.of(7), again.of(5), again.of(6)) == (b"b", b"b", None), "the later one"
    again.begin([], [])
    assert again.of(7) is None
    owners.note(cards[0], b"a", people)
    del people[b"b"]
    for card in range(NEWEST):
        owners.note(card, b"a", people)
    assert owners.of(cards[0]) == b"a", "the newest owner counts"
    assert not any(owners.of(card) == b"b" for card in cards[1:500]), "those let go of have no cards"

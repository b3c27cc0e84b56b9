"""What a card's history makes of its next transaction: `advance`.

**A row depends only on the prior row and the card's transactions in order** — not on scores, policies, labels, the
clock or how many transactions come at once — so replay rebuilds it to the byte. All windows are by event time.

*What counts as what.* Authorisations, advices and clearings without an original in the ring are **attempts**. An
attempt with a response code that is no approval is **declined**: it counts in attempts and declines, not in sums, cash
or habits. A verification, or an attempt of amount zero, is a **card check**: an attempt, not a spend, nothing is learned
from it. The rest are **spends**: they enter the sums, and the card's habits are learned from them. A spend of kind cash,
or at MCC 6010 or 6011, is **cash**.

*What only leaves its id.* An id still in the ring is a repeat: the row stays as it is, the same object. Refunds and
payments are no spend. A clearing whose original is in the ring was counted then. A reversal whose original is in the
ring takes back what the original weighs by now (never below zero); one by a smaller amount takes only that from the
sums. What was learned as a habit stays. A reversal of anything else changes nothing.

*Counters.* An event weighs 1 (or its amount) when it happens and e⁻¹ of it one scale later. They are decayed lazily, to
the newest event time. A late event adds what it would weigh by then, and moves neither that time nor the last place:
the order of arrival changes counters by rounding only.

*Habits.* Amounts by a slow mean and mean absolute deviation of log(1 + amount), with weight 1/n for the first 64 spends
and 1/64 after; a spend moves them by no more than three deviations' worth, so one huge amount does not pass for a habit.
The usual day is an average decayed over 30 days, its sum capped alike. Hours, entry modes and countries are counted,
merchants and categories kept in the order last seen. Comparisons are with the row *before* the transaction; counts and
sums of the windows include it.

*Young cards.* A comparison with habits is missing (NaN) until five spends are known; ``transactions_seen`` and
``days_known`` tell how much there is to compare with.

*Places.* Where a terminal is says where the card is only if the card was there: e-commerce and stored credentials have
no place. Distances are great circles; times between places count at least a minute.
"""

import math
import struct
from enum import IntEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from pipeline.core import profile_row as layout
from pipeline.core.profile_habits import CLIP_DEVIATIONS, MIN_DEVIATION, MIN_SPENDS, habits_of, learn_amount
from pipeline.core.profile_row import (
    CASHED,
    CHECKED,
    COUNTED,
    DECLINED,
    EMPTY_ROW,
    NUMBERS,
    REVERSED,
    SPENT,
    U32,
    entry,
    find_entry,
    remember,
)
from pipeline.core.transaction import Event, Transaction

__all__ = ["EMPTY_ROW", "SCALES_S", "Handling", "Reversed", "advance", "reversed_by"]

SCALES_S: Final = (60.0, 600.0, 3_600.0, 86_400.0, 604_800.0)
USUAL_DAYS: Final = 30.0
RECENT_S: Final = 14 * 86_400.0
"""Within which the largest of the last amounts counts."""
MIN_TRAVEL_S: Final = 60.0
EARTH_KM: Final = 6_371.0

APPROVED: Final = frozenset({None, "", "00", "000", "08", "10", "11", "85"})
"""Response codes (DE 39) that are approvals, wholly or in part, or no answer at all."""
CASH_MCCS: Final = frozenset({"6010", "6011"})
CREDITS: Final = frozenset({"refund", "payment"})
CARD_ABSENT: Final = frozenset({"ecommerce", "stored"})

_AMOUNT_AND_FLAGS: Final = struct.Struct("<fB")
"""The end of an entry of the ring."""

_nan = math.nan
_exp = math.exp


class Handling(IntEnum):
    """What a transaction was to its card's row. Only a scored one is compared with the card's habits; a reversal, a
    clearing of something counted before, and a credit get the counters as they stand; a repeat gets nothing."""

    scored = 0
    repeat = 1
    reversal = 2
    clearing = 3
    credit = 4


_SCORED, _REPEAT, _REVERSAL, _CLEARING, _CREDIT = (int(handling) for handling in Handling)


def advance(row: bytes, event: Event) -> tuple[bytes, tuple[float, ...] | None, int]:
    """The row after ``event``, the event's features in the order of `pipeline.core.features.FEATURES` (NaN: missing; None
    for a repeat), and its `Handling`."""
    transaction = event.transaction
    digest = _digest(transaction.id)
    ring = row[layout.RING :]
    if find_entry(ring, digest) >= 0:
        return row, None, _REPEAT
    if transaction.type == "reversal":
        row = _reverse(row, event, digest)
        return row, _standing(row, event.amount), _REVERSAL
    if transaction.kind in CREDITS:
        return remember(row, digest, event.at), _standing(row, event.amount), _CREDIT
    if (
        transaction.type == "clearing"
        and transaction.original_id is not None
        and find_entry(ring, _digest(transaction.original_id)) >= 0
    ):
        return remember(row, digest, event.at), _standing(row, event.amount), _CLEARING
    return _count(row, event, digest)


def _digest(identifier: str) -> bytes:
    return blake2b(identifier.encode(), digest_size=8).digest()


def _count(row: bytes, event: Event, digest: bytes) -> tuple[bytes, tuple[float, ...], int]:
    """An attempt: the row with it counted (and learned from, if it is a spend), and its features."""
    transaction, at, amount = event.transaction, event.at, event.amount
    declined = transaction.response_code not in APPROVED
    check = amount == 0.0 or transaction.kind == "verification"
    spend = not (declined or check)
    is_cash = transaction.kind == "cash" or transaction.mcc in CASH_MCCS
    spent = amount if spend else 0.0
    (
        version, seen, spends, first, newest, c1, c2, c3, c4, c5, s1, s2, s3, s4, s5, d3, d4, k3, w4, w5,
        mean, deviation, usual_count, usual_sum, latitude, longitude, place_at,
    ) = NUMBERS.unpack_from(row)  # fmt: skip

    since = at - newest
    if since >= 0.0:  # the newest event: the past fades, this one weighs 1
        f1, f2, f3 = _exp(since / -60.0), _exp(since / -600.0), _exp(since / -3_600.0)
        f4, f5, f6 = _exp(since / -86_400.0), _exp(since / -604_800.0), _exp(since / -2_592_000.0)
        e1 = e2 = e3 = e4 = e5 = e6 = 1.0
        newest = at
    else:  # a late one: the past stays, this one has faded already
        f1 = f2 = f3 = f4 = f5 = f6 = 1.0
        e1, e2, e3 = _exp(since / 60.0), _exp(since / 600.0), _exp(since / 3_600.0)
        e4, e5, e6 = _exp(since / 86_400.0), _exp(since / 604_800.0), _exp(since / 2_592_000.0)
    c1, c2, c3, c4, c5 = c1 * f1 + e1, c2 * f2 + e2, c3 * f3 + e3, c4 * f4 + e4, c5 * f5 + e5
    s1, s2, s3 = s1 * f1 + spent * e1, s2 * f2 + spent * e2, s3 * f3 + spent * e3
    s4, s5 = s4 * f4 + spent * e4, s5 * f5 + spent * e5
    d3, d4 = (d3 * f3 + e3, d4 * f4 + e4) if declined else (d3 * f3, d4 * f4)
    k3 = k3 * f3 + e3 if check else k3 * f3
    w4, w5 = (w4 * f4 + e4, w5 * f5 + e5) if spend and is_cash else (w4 * f4, w5 * f5)
    usual_count, usual_sum = usual_count * f6, usual_sum * f6

    days = (newest - first) / 86_400.0 if seen and newest > first else 0.0
    ratio, z, count_ratio, sum_ratio = _unusual_amount(
        amount, check, spends, mean, deviation, c4, s4, usual_count, usual_sum, days
    )
    km, speed, here = _journey(transaction, at, latitude, longitude, place_at)
    habits, novel = habits_of(row, transaction, int(at // 3_600.0) % 24, spends, spend)
    features = (
        amount, ratio, z, c1, c2, c3, c4, c5, s1, s2, s3, s4, s5, count_ratio, sum_ratio, w4, w5,
        1.0 if is_cash else 0.0, *novel[:6], since if seen and since >= 0.0 else _nan, km, speed,
        d3, d4, k3, novel[6], float(seen), days,
        *_recent_amounts(row[layout.RING :], at, spends, mean, s4 / max(c4, 1.0), s5 / max(c5, 1.0)),
    )  # fmt: skip

    if spend:
        cap = _exp(mean + CLIP_DEVIATIONS * max(deviation, MIN_DEVIATION)) if spends >= MIN_SPENDS else amount
        usual_count, usual_sum = usual_count + e6, usual_sum + e6 * min(amount, cap)
        mean, deviation = learn_amount(math.log1p(amount), spends, mean, deviation)
        spends += spends < U32
        if here and since >= 0.0:
            latitude, longitude, place_at = transaction.latitude, transaction.longitude, min(max(int(at), 0), U32)
    second = min(max(int(at), 0), U32)
    numbers = NUMBERS.pack(
        version, seen + (seen < U32), spends, min(first, second) if seen else second, newest,
        c1, c2, c3, c4, c5, s1, s2, s3, s4, s5, d3, d4, k3, w4, w5,
        mean, deviation, usual_count, usual_sum, latitude, longitude, place_at,
    )  # fmt: skip
    flags = COUNTED | SPENT * spend | CASHED * (spend and is_cash) | CHECKED * check | DECLINED * declined
    remembered = entry(digest, at, spent, flags)
    parts = (numbers, habits, row[layout.SPARE : layout.RING], remembered, row[layout.RING : -layout.ENTRY.size])
    return b"".join(parts), features, _SCORED


def _standing(row: bytes, amount: float) -> tuple[float, ...]:
    """Features of what is not scored: its amount, the counters as of the newest event, no comparison."""
    (
        _, seen, _, first, newest, c1, c2, c3, c4, c5, s1, s2, s3, s4, s5, d3, d4, k3, w4, w5, *_,
    ) = NUMBERS.unpack_from(row)  # fmt: skip
    days = (newest - first) / 86_400.0 if seen and newest > first else 0.0
    return (
        amount, _nan, _nan, c1, c2, c3, c4, c5, s1, s2, s3, s4, s5, _nan, _nan, w4, w5,
        0.0, _nan, _nan, _nan, _nan, _nan, _nan, _nan, _nan, _nan, d3, d4, k3, _nan, float(seen), days, _nan, _nan, _nan,
    )  # fmt: skip


def _unusual_amount(
    amount: float, check: bool, spends: int, mean: float, deviation: float,
    count_24h: float, sum_24h: float, usual_count: float, usual_sum: float, days: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """amount_ratio, amount_z, count_24h_ratio, sum_24h_ratio; NaN without habits. The counters hold this transaction
    itself, so the usual day is taken with one usual spend more: an ordinary transaction has a ratio about 1."""
    if spends < MIN_SPENDS:
        return _nan, _nan, _nan, _nan
    usual = _exp(mean)
    observed_days = max(USUAL_DAYS * (1.0 - _exp(days / -USUAL_DAYS)), 1.0)
    count_ratio = count_24h / (1.0 + usual_count / observed_days)
    sum_ratio = sum_24h / (usual + usual_sum / observed_days)
    if check:
        return _nan, _nan, count_ratio, sum_ratio
    # 1.2533 mean absolute deviations are one standard deviation of a normal distribution
    z = (math.log1p(amount) - mean) / (1.2533 * max(deviation, MIN_DEVIATION))
    return amount / usual, z, count_ratio, sum_ratio


def _recent_amounts(
    ring: bytes, at: float, spends: int, mean: float, mean_24h: float, mean_7d: float
) -> tuple[float, float, float]:
    """mean_24h_ratio, mean_7d_ratio, max_14d_ratio: what was spent lately against the card's usual amount; NaN without
    habits. The largest is of the ring before this transaction."""
    if spends < MIN_SPENDS:
        return _nan, _nan, _nan
    largest = 0.0
    for _, second, tick, amount, _ in layout.ENTRY.iter_unpack(ring):
        if amount > largest and at - (second + tick / 256.0) < RECENT_S:
            largest = amount
    usual = _exp(mean)
    return mean_24h / usual, mean_7d / usual, largest / usual


def _journey(
    transaction: Transaction, at: float, latitude: float, longitude: float, place_at: int
) -> tuple[float, float, bool]:
    """Kilometres from the last place, the speed that takes (km/h), and whether this transaction has a place. Haversine
    formula on a sphere (R. W. Sinnott, Sky & Telescope 68, 1984)."""
    here_latitude, here_longitude = transaction.latitude, transaction.longitude
    if here_latitude is None or here_longitude is None or transaction.entry_mode in CARD_ABSENT:
        return _nan, _nan, False
    if latitude != latitude:
        return _nan, _nan, True
    a, b = math.radians(latitude), math.radians(here_latitude)
    across = math.sin((b - a) / 2.0)
    along = math.sin(math.radians(here_longitude - longitude) / 2.0)
    chord = across * across + math.cos(a) * math.cos(b) * along * along
    km = 2.0 * EARTH_KM * math.asin(math.sqrt(min(chord, 1.0)))
    return km, km / (max(abs(at - place_at), MIN_TRAVEL_S) / 3_600.0), True


class Reversed(NamedTuple):
    """What a reversal takes back: of the ``place``-th transaction of the ring, counted ``at``, of which ``remaining`` was
    still counted, so much. ``whole``: nothing of it is left."""

    place: int
    at: float
    remaining: float
    flags: int
    taken: float
    whole: bool


def reversed_by(row: bytes, event: Event) -> Reversed | None:
    """What the reversal ``event`` takes back from ``row``; None when its original is not there, or not any more."""
    original_id = event.transaction.original_id
    place = find_entry(row[layout.RING :], _digest(original_id)) if original_id is not None else -1
    if place < 0:
        return None
    _, seconds, ticks, remaining, flags = layout.ENTRY.unpack_from(row, layout.RING + place)
    if not flags & COUNTED or flags & REVERSED:
        return None
    # a reversal without an amount is of the whole; 32-bit amounts are exact to 6e-8
    whole = event.amount == 0.0 or event.amount >= remaining * (1.0 - 1e-6)
    taken = remaining if whole else event.amount
    return Reversed(place // layout.ENTRY.size, seconds + ticks / 256.0, remaining, flags, taken, whole)


def _reverse(row: bytes, event: Event, digest: bytes) -> bytes:
    """The row without what the reversed transaction still weighs."""
    original = reversed_by(row, event)
    if original is None:
        return remember(row, digest, event.at)
    place, at, remaining, flags, taken, whole = original
    numbers = list(NUMBERS.unpack_from(row))
    age = max(numbers[layout.NEWEST] - at, 0.0)
    weights = [_exp(-age / scale) for scale in SCALES_S]
    for scale, weight in enumerate(weights):
        _take(numbers, layout.SUMS + scale, weight * taken)
        if whole:
            _take(numbers, layout.COUNTS + scale, weight)
    if whole and flags & DECLINED:
        _take(numbers, layout.DECLINES, weights[2])
        _take(numbers, layout.DECLINES + 1, weights[3])
    if whole and flags & CHECKED:
        _take(numbers, layout.CHECKS, weights[2])
    if whole and flags & CASHED:
        _take(numbers, layout.CASH, weights[3])
        _take(numbers, layout.CASH + 1, weights[4])
    start = layout.RING + place * layout.ENTRY.size
    marked = _AMOUNT_AND_FLAGS.pack(remaining - taken, flags | REVERSED if whole else flags)
    end = start + layout.ENTRY.size
    kept = row[: end - len(marked)] + marked + row[end:]
    return NUMBERS.pack(*numbers) + remember(kept, digest, event.at)[NUMBERS.size :]


def _take(numbers: list[float], index: int, weight: float) -> None:
    numbers[index] = max(numbers[index] - weight, 0.0)

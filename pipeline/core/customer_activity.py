"""What a customer's payments amount to lately: one small row of bytes a customer, moved on by each payment.

Sums fade by event time: a payment weighs 1 when it happens and e⁻¹ of it 30 days later (the highest scores: 24 hours and 7
days), decayed lazily to the newest payment; a late one adds what it would weigh by then. **A row depends only on the row
before and the payment**, so what is read twice is known by where it stands: for each partition the row knows the source
offset from which on nothing was counted. What is read a second time, after a restart or because a scorer wrote it
twice, changes nothing.

A *payment* is an attempt with an amount that was not declined; a declined attempt counts as declined and nothing else; a
card check counts for nothing. All of them raise the highest score and name the card. Frauds are known by their
transaction: telling one again changes nothing.

Of a customer at most `MOST_CARDS` cards, `MOST_FRAUDS` labelled frauds and `MOST_PARTITIONS` places are kept, the newest.
"""

import math
import struct
from bisect import bisect_right
from typing import Final, NamedTuple

VERSION: Final = 1
FADE_S: Final = 30 * 86_400.0
DAY_S: Final = 86_400.0
WEEK_S: Final = 7 * 86_400.0
FRAUD_DAYS: Final = 90
"""A labelled fraud is told of for so long."""
FRAUD_RISK: Final = 0.9
"""What a labelled fraud makes of the risk on its day; e⁻¹ of it 30 days later."""
BANDS: Final = ("low", "elevated", "high")
ENTERED: Final = (0.1, 0.5)
LEFT: Final = (0.07, 0.35)
"""From which risk on the bands above `low` begin, and below which they are left again: less, so that bands do not flap."""
MOST_CARDS: Final = 8
MOST_FRAUDS: Final = 8
MOST_PARTITIONS: Final = 16

PAID, ABROAD, ONLINE, CASH, NIGHT, DECLINED, NEW_MERCHANT = (1 << bit for bit in range(7))
"""What an attempt was, together in one number."""

_HEAD: Final = struct.Struct("<5BII10fI")
"""Version, places, cards, frauds, band; first and newest second; the sums; highest scores; tags, a bit each."""
_STANDING: Final = struct.Struct("<B48xI")
_TAILS: Final = tuple(struct.Struct(f"<{count}Q") for count in range(MOST_CARDS + MOST_FRAUDS + MOST_PARTITIONS + 1))
_TAGS_AT: Final = _HEAD.size - 4
_BAND_AT: Final = 4
_U32: Final = (1 << 32) - 1
_U48: Final = (1 << 48) - 1
_KEY_BITS: Final = 40
_exp = math.exp


class Figures(NamedTuple):
    """What conditions may speak of and `customer-state` tells. Sums and counts fade over 30 days; shares are of the
    payments, ``declined_share`` of the attempts, 0 where there is none; ``amount_30d`` and ``average_amount`` in minor
    units of the billing currency; ``cards_30d`` cards used within 30 days; ``days_known`` since the first payment seen;
    ``risk`` 0…1 with the highest scores fading over 24 hours and 7 days; frauds of the last 90 days, ``frauds_open`` as
    the customer says, ``frauds_confirmed`` by others."""

    payments_30d: float
    amount_30d: float
    average_amount: float
    abroad_share: float
    online_share: float
    cash_share: float
    night_share: float
    declined_30d: float
    declined_share: float
    new_merchants_30d: float
    new_merchant_share: float
    cards_30d: float
    days_known: float
    risk: float
    highest_24h: float
    highest_7d: float
    frauds_open: float
    frauds_confirmed: float


def paid(
    row: bytes | None,
    partition: int,
    offset: int,
    at: float,
    card: int,
    what: int,
    amount: float,
    score: float,
) -> bytes | None:
    """The row after an attempt that stands at source ``offset`` of ``partition``; None: it was counted before. ``at`` unix
    seconds; ``card`` its digest; ``what`` the sum of what it was; ``amount`` minor units; ``score`` 0…1."""
    second = min(max(int(at), 0), _U32)
    if row is None:
        _, places_count, cards_count, frauds_count, band = VERSION, 0, 0, 0, 0
        first = newest = second
        payments = spent = abroad = online = cash = night = declined = new = day = week = 0.0
        tags, tail = 0, []
    else:
        (
            _, places_count, cards_count, frauds_count, band, first, newest,
            payments, spent, abroad, online, cash, night, declined, new, day, week, tags,
        ) = _HEAD.unpack_from(row)  # fmt: skip
        tail = list(_TAILS[places_count + cards_count + frauds_count].unpack_from(row, _HEAD.size))
    places, cards = tail[:places_count], tail[places_count : places_count + cards_count]
    for number, place in enumerate(places):
        if place >> 48 == partition:
            if offset < place & _U48:
                return None
            del places[number]
            break
    places.append(partition << 48 | (offset + 1) & _U48)

    since = second - newest
    if since >= 0:
        fade, weight, today, weekly = _exp(since / -FADE_S), 1.0, score, score
        day, week = day * _exp(since / -DAY_S), week * _exp(since / -WEEK_S)
        newest = second
    else:
        fade, weight = 1.0, _exp(since / FADE_S)
        today, weekly = score * _exp(since / DAY_S), score * _exp(since / WEEK_S)
        first = min(first, second)
    day, week = max(day, today), max(week, weekly)
    payments, spent, abroad, online = payments * fade, spent * fade, abroad * fade, online * fade
    cash, night, declined, new = cash * fade, night * fade, declined * fade, new * fade
    if what & PAID:
        payments, spent = payments + weight, spent + amount * weight
        abroad += weight * bool(what & ABROAD)
        online += weight * bool(what & ONLINE)
        cash += weight * bool(what & CASH)
        night += weight * bool(what & NIGHT)
        new += weight * bool(what & NEW_MERCHANT)
    elif what & DECLINED:
        declined += weight

    named = card & _U48
    last = second // 86_400
    for number, known in enumerate(cards):
        if known >> 16 == named:
            last = max(last, known & 0xFFFF)
            del cards[number]
            break
    cards.append(named << 16 | last & 0xFFFF)
    places, cards = places[-MOST_PARTITIONS:], cards[-MOST_CARDS:]
    tail = [*places, *cards, *tail[len(tail) - frauds_count :]]
    head = _HEAD.pack(
        VERSION, len(places), len(cards), frauds_count, band, first, newest,
        payments, min(spent, 3e38), abroad, online, cash, night, declined, new, day, week, tags,
    )  # fmt: skip
    return head + _TAILS[len(tail)].pack(*tail)


def said(row: bytes, transaction: int, fraud: bool | None, rank: int, at: float) -> bytes | None:
    """The row after a label of a transaction (its digest), of a source of this ``rank``, said ``at`` unix seconds; None: it
    changes nothing. ``fraud`` None: withdrawn. A weaker source does not unsay a stronger one."""
    _, places, cards, count = row[:4]
    tail = list(_TAILS[places + cards + count].unpack_from(row, _HEAD.size))
    frauds = tail[places + cards :]
    key = transaction & ((1 << _KEY_BITS) - 1)
    entry = key << 24 | (min(max(int(at // DAY_S), 0), 0xFFFF) << 8) | rank << 1 | bool(fraud)
    known = next((one for one in frauds if one >> 24 == key), None)
    if known is None:
        if not fraud:
            return None
    else:
        if rank < known >> 1 & 0x7F or known & 0xFF == entry & 0xFF:
            return None
        frauds.remove(known)
    if fraud is not None:
        frauds.append(entry)
    frauds = frauds[-MOST_FRAUDS:]
    tail = [*tail[: places + cards], *frauds]
    head = bytearray(row[: _HEAD.size])
    head[3] = len(frauds)
    return bytes(head) + _TAILS[len(tail)].pack(*tail)


def figures(row: bytes, confirmed_rank: int = 2) -> Figures:
    """What ``row`` says as of its newest payment. Sources from ``confirmed_rank`` up confirm a fraud, those below say so."""
    (
        _, places, cards, frauds, _, first, newest,
        payments, spent, abroad, online, cash, night, declined, new, day, week, _,
    ) = _HEAD.unpack_from(row)  # fmt: skip
    tail = _TAILS[places + cards + frauds].unpack_from(row, _HEAD.size)
    today = newest // 86_400
    used = 0
    for card in tail[places : places + cards]:
        used += today - (card & 0xFFFF) < 30
    opened = confirmed = 0
    risk = week
    for entry in tail[places + cards :]:
        age = max(today - (entry >> 8 & 0xFFFF), 0)
        if entry & 1 and age <= FRAUD_DAYS:
            if entry >> 1 & 0x7F >= confirmed_rank:
                confirmed += 1
            else:
                opened += 1
            risk = max(risk, FRAUD_RISK * _exp(-age / 30.0))
    per = 1.0 / payments if payments > 0.0 else 0.0
    attempts = payments + declined
    return Figures(
        payments, spent, spent * per, abroad * per, online * per, cash * per, night * per,
        declined, declined / attempts if attempts > 0.0 else 0.0, new, new * per, float(used),
        (newest - first) / 86_400.0, risk, day, week, float(opened), float(confirmed),
    )  # fmt: skip


def band_after(band: int, risk: float) -> int:
    """The number of the band of ``risk`` for a customer who was in ``band``."""
    if risk < LEFT[0]:
        return 0
    if risk >= ENTERED[1]:
        return 2
    return max(bisect_right(ENTERED, risk), min(band, bisect_right(LEFT, risk)))


def standing(row: bytes) -> tuple[int, int]:
    """The number of the row's band, and its tags, a bit each."""
    band, tags = _STANDING.unpack_from(row, _BAND_AT)
    return band, tags


def with_standing(row: bytes, band: int, tags: int) -> bytes:
    """``row`` with another band and other tags."""
    return (
        row[:_BAND_AT] + bytes((band,)) + row[_BAND_AT + 1 : _TAGS_AT] + tags.to_bytes(4, "little") + row[_HEAD.size :]
    )


def newest_at(row: bytes) -> int:
    """When the newest payment was, unix seconds."""
    return int(_HEAD.unpack_from(row)[6])


def cards_of(row: bytes) -> tuple[int, ...]:
    """The cards known, as `card_key` has them."""
    places, cards = row[1], row[2]
    return tuple(card >> 16 for card in _TAILS[cards].unpack_from(row, _HEAD.size + 8 * places))


def card_key(digest: int) -> int:
    """How a row knows the card of this digest: 48 bits of it."""
    return digest & _U48


def sound(row: bytes) -> bool:
    """Whether ``row`` is one of this version."""
    if len(row) < _HEAD.size or row[0] != VERSION or row[_BAND_AT] >= len(BANDS):
        return False
    if row[1] > MOST_PARTITIONS or row[2] > MOST_CARDS or row[3] > MOST_FRAUDS:
        return False
    if len(row) != _HEAD.size + 8 * (row[1] + row[2] + row[3]):
        return False
    return all(math.isfinite(number) and number >= 0.0 for number in _HEAD.unpack_from(row)[7:17])

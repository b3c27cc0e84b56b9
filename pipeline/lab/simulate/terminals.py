"""Preset ``terminals``: a stream as widely published, made anew from its description.

Cards and terminals lie on a plane; a card pays at the terminals within its reach, with an average amount and an
average number of payments a day of its own. Fraud is of three kinds: amounts above a fixed one; terminals whose
payments of four weeks are all fraud; cards whose numbers leaked, a third of whose payments of two weeks are five times
as large. The description is that of the transaction simulator in "Reproducible Machine Learning for Credit Card Fraud
Detection — Practical Handbook" (Le Borgne, Siblini, Lebichot, Bontempi; Université Libre de Bruxelles, 2022).

It is held as numbers, 25 bytes a transaction, for the second and third kind look ahead; text is made a day at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.lab.simulate.places import HOME_CURRENCY
from pipeline.lab.simulate.table import MAX_TRANSACTIONS, Batch, NotWritten, texts, times_of_day

DAY_S = 86_400
FIRST_DAY = date(2018, 4, 1)
FRAUD_TYPES = (None, "high_amount", "compromised_terminal", "leaked_card")
HIGH_AMOUNT, COMPROMISED_TERMINAL, LEAKED_CARD = 1, 2, 3


@dataclass(frozen=True)
class TerminalsParameters:
    """Amounts in minor units, places and reach in units of the plane's side, ``*_daily`` per day, ``noon_sd_s`` the
    spread of the time of day around noon."""

    cards: int = 5_000
    days: int = 183
    terminals: int = 10_000
    side: float = 100.0
    reach: float = 5.0
    mean_amount: tuple[float, float] = (500.0, 10_000.0)
    amount_sd: float = 0.5
    most_daily: float = 4.0
    noon_sd_s: float = 20_000.0
    high_amount: int = 22_000
    compromised_daily: int = 2
    compromised_days: int = 28
    leaked_daily: int = 3
    leaked_days: int = 14
    leaked_share: int = 3
    leaked_factor: int = 5


class Payments(NamedTuple):
    """In order of time, arrays of equal length. ``day`` counts from 0, ``second`` from midnight (UTC), ``amount`` minor
    units, ``fraud_type`` an index into `FRAUD_TYPES`."""

    day: NDArray[np.int32]
    second: NDArray[np.int32]
    card: NDArray[np.int32]
    terminal: NDArray[np.int32]
    amount: NDArray[np.int64]
    fraud_type: NDArray[np.int8]


class _Reach(NamedTuple):
    """The terminals of card c are ``terminals[first[c] : first[c] + number[c]]``."""

    terminals: NDArray[np.int32]
    first: NDArray[np.int64]
    number: NDArray[np.int64]


def payments(seed: int, parameters: TerminalsParameters) -> Payments:
    """All payments of ``seed``. Raises NotWritten when there would be more than `MAX_TRANSACTIONS`."""
    p = parameters
    expected = p.cards * p.days * p.most_daily / 2
    if expected > MAX_TRANSACTIONS:
        raise NotWritten(
            f"{p.cards} cards over {p.days} days make about {expected:.0f} transactions; at most {MAX_TRANSACTIONS} "
            "are made at once: give fewer cards or days"
        )
    draws = _draws(seed, "cards")
    x, y = draws.uniform(0, p.side, p.cards), draws.uniform(0, p.side, p.cards)
    mean, rate = draws.uniform(*p.mean_amount, p.cards), draws.uniform(0, p.most_daily, p.cards)
    reach = _reach(_draws(seed, "terminals"), x, y, p)
    days = [_genuine_day(_draws(seed, "payments", day), day, mean, rate, reach, p) for day in range(p.days)]
    whole = Payments(*(np.concatenate(parts) for parts in zip(*days, strict=True)))
    _mark_fraud(whole, _draws(seed, "fraud"), p)
    return whole


def _draws(seed: int, what: str, day: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(b"preset terminals: " + what.encode()), day])


def _reach(
    draws: np.random.Generator, x: NDArray[np.float64], y: NDArray[np.float64], p: TerminalsParameters
) -> _Reach:
    """Terminals sorted by x, so that a card looks at a strip of the plane only."""
    at_x, at_y = draws.uniform(0, p.side, p.terminals), draws.uniform(0, p.side, p.terminals)
    order = np.argsort(at_x)
    at_x, at_y = at_x[order], at_y[order]
    low, high = np.searchsorted(at_x, x - p.reach), np.searchsorted(at_x, x + p.reach)
    found = []
    for card in range(p.cards):
        strip = slice(low[card], high[card])
        near = (at_x[strip] - x[card]) ** 2 + (at_y[strip] - y[card]) ** 2 < p.reach**2
        found.append(order[strip][near])
    number = np.array([len(terminals) for terminals in found], dtype=np.int64)
    return _Reach(np.concatenate(found).astype(np.int32), np.cumsum(number) - number, number)


def _genuine_day(
    draws: np.random.Generator,
    day: int,
    mean: NDArray[np.float64],
    rate: NDArray[np.float64],
    reach: _Reach,
    p: TerminalsParameters,
) -> Payments:
    card = np.repeat(np.arange(p.cards, dtype=np.int32), draws.poisson(rate))
    second = draws.normal(DAY_S / 2, p.noon_sd_s, len(card)).astype(np.int32)
    amount = draws.normal(mean[card], p.amount_sd * mean[card])
    amount = np.where(amount < 0, draws.uniform(0, 2 * mean[card]), amount)
    choice = reach.first[card] + (draws.random(len(card)) * reach.number[card]).astype(np.int64)
    kept = np.flatnonzero((second > 0) & (second < DAY_S) & (reach.number[card] > 0))
    kept = kept[np.argsort(second[kept], kind="stable")]
    return Payments(
        np.full(len(kept), day, dtype=np.int32),
        second[kept],
        card[kept],
        reach.terminals[choice[kept]],
        np.rint(amount[kept]).astype(np.int64),
        np.zeros(len(kept), dtype=np.int8),
    )


def _mark_fraud(whole: Payments, draws: np.random.Generator, p: TerminalsParameters) -> None:
    """In place, the later kind over the earlier: amounts, terminals, cards. A card that leaked twice at once may pay
    twenty-five times."""
    whole.fraud_type[whole.amount > p.high_amount] = HIGH_AMOUNT
    starts = np.searchsorted(whole.day, np.arange(p.days + 1))
    for day in range(p.days):
        compromised = draws.choice(p.terminals, min(p.compromised_daily, p.terminals), replace=False)
        span = slice(starts[day], starts[min(p.days, day + p.compromised_days)])
        whole.fraud_type[span][np.isin(whole.terminal[span], compromised)] = COMPROMISED_TERMINAL
    for day in range(p.days):
        leaked = draws.choice(p.cards, min(p.leaked_daily, p.cards), replace=False)
        begin, end = starts[day], starts[min(p.days, day + p.leaked_days)]
        theirs = begin + np.flatnonzero(np.isin(whole.card[begin:end], leaked))
        chosen = draws.choice(theirs, len(theirs) // p.leaked_share, replace=False)
        whole.amount[chosen] *= p.leaked_factor
        whole.fraud_type[chosen] = LEAKED_CARD


def batches(seed: int, parameters: TerminalsParameters, first_day: date = FIRST_DAY) -> Iterator[Batch]:
    """The transactions of ``seed`` from ``first_day`` on, one batch a day (days without any are left out)."""
    p, whole = parameters, payments(seed, parameters)
    series = blake2b(b"%d" % seed, digest_size=4, person=b"terminals").hexdigest()
    tokens = texts(
        f"tok_t1_{blake2b(b'%d:%d' % (seed, card), digest_size=16, person=b'terminals card').hexdigest()}"
        for card in range(p.cards)
    )
    customers = texts(f"C{card + 1:07d}" for card in range(p.cards))
    terminals = texts(f"T{terminal + 1:05d}" for terminal in range(p.terminals))
    merchants = texts(f"M{terminal + 1:05d}" for terminal in range(p.terminals))
    kinds, times = texts(FRAUD_TYPES), times_of_day(0)
    starts = np.searchsorted(whole.day, np.arange(p.days + 1))
    midnight = int(datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC).timestamp())
    for day in range(p.days):
        span = slice(starts[day], starts[day + 1])
        number = span.stop - span.start
        if not number:
            continue
        today = datetime.fromtimestamp(midnight + day * DAY_S, UTC).date().isoformat()
        yield {
            "id": texts(f"p{series}n{place}" for place in range(span.start, span.stop)),
            "card": tokens[whole.card[span]],
            "time": today + times[whole.second[span]],
            "amount": whole.amount[span],
            "currency": np.full(number, HOME_CURRENCY, dtype=object),
            "customer": customers[whole.card[span]],
            "merchant": merchants[whole.terminal[span]],
            "terminal": terminals[whole.terminal[span]],
            "fraud": (whole.fraud_type[span] > 0).astype(np.int8),
            "fraud_type": kinds[whole.fraud_type[span]],
        }

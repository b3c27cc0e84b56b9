"""A day's load of contacts over the hours in which they may be made, to what the channels carry: who begins when.

Time is cut into slots. From the first slot on, each gives its capacity to the most urgent that may begin in it: collection
before reminders, then more days past due, then larger amounts. That is the same as letting everybody, in the order of
urgency, take their first free slot. Whoever finds none before the load's hours are over waits for another day's. Several
accounts of one customer begin at the same moment, so that one contact tells them all.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contact_hours import Hours, Place, is_open

SLOT_MS: Final = 15 * 60_000
HOUR_MS: Final = 3_600_000
MAX_SLOTS: Final = 14 * 24 * 4
"""Two weeks: what does not begin by then was not worth asking for."""
NEVER: Final = -1
Ints = NDArray[np.int64]

Reason = Literal["", "capacity", "hours"]
REASONS: Final[tuple[Reason, ...]] = ("", "capacity", "hours")


class Load(NamedTuple):
    """What is to begin, a row each, int64[n]. ``customer``: any number, equal for accounts of one customer; ``place`` and
    ``channel``: rows of the hours and capacities given with it; ``rank``: 0 goes first (collection), then 1 (reminder);
    ``amount`` in minor units of one currency; to begin at or after ``from_ms`` and before ``until_ms``."""

    customer: Ints
    place: Ints
    channel: Ints
    rank: Ints
    days_past_due: Ints
    amount: Ints
    from_ms: Ints
    until_ms: Ints


class Spread(NamedTuple):
    """``moment_ms`` int64[n]: when each begins, `NEVER` where no slot was left. ``reason`` uint8[n]: why later than it might
    have, or never, as the number of it in `REASONS`: ``capacity``, the channels were busy with more urgent ones; ``hours``,
    nothing is open between from and until."""

    moment_ms: Ints
    reason: NDArray[np.uint8]


def open_slots(places: Sequence[tuple[Sequence[Hours], Place]], begin_ms: int, slots: int) -> NDArray[np.bool_]:
    """bool[places, slots]: which slots of `SLOT_MS` from ``begin_ms`` on are open from their beginning to their end."""
    begins = [begin_ms + slot * SLOT_MS for slot in range(slots)]
    return np.array(
        [
            [is_open(hours, place, at) and is_open(hours, place, at + SLOT_MS - 1) for at in begins]
            for hours, place in places
        ],
        dtype=np.bool_,
    ).reshape(len(places), slots)


def spread(load: Load, opened: NDArray[np.bool_], per_hour: Mapping[int, int], begin_ms: int) -> Spread:
    """``opened``: as `open_slots` makes it, from ``begin_ms`` on; ``per_hour``: by the load's channels, how many customers
    may begin in an hour; a channel that is not named carries any number. Raises ValueError for more than `MAX_SLOTS`."""
    slots = opened.shape[1]
    if slots > MAX_SLOTS:
        raise ValueError(f"{slots} slots: a load is spread over at most {MAX_SLOTS}")
    lead, group, from_ms, until_ms = _together(load)
    moment = np.full(len(lead), NEVER, dtype=np.int64)
    first = np.full(len(lead), slots, dtype=np.int64)
    channels = load.channel[lead]
    for channel in np.unique(channels):
        members = np.flatnonzero(channels == channel)
        places = load.place[lead[members]]
        moment[members], first[members] = _fill(
            places, from_ms[members], until_ms[members], opened, per_hour.get(int(channel)), begin_ms
        )
    begun = (moment - begin_ms) // SLOT_MS
    reason = np.zeros(len(lead), dtype=np.uint8)
    reason[(moment == NEVER) | (begun > first)] = REASONS.index("capacity")
    reason[first == slots] = REASONS.index("hours")
    return Spread(moment[group], reason[group])


def _together(load: Load) -> tuple[Ints, Ints, Ints, Ints]:
    """Groups of rows that begin together, the most urgent first: the row that speaks for each, which group each row is of,
    and from when until when the whole group may begin. Accounts of one customer are no group where no moment suits all."""
    n = len(load.customer)
    order = np.lexsort((np.arange(n), load.customer, -load.amount, -load.days_past_due, load.rank))
    lead_of, group = _groups(load.customer, order)
    from_ms = np.full(len(lead_of), np.iinfo(np.int64).min)
    until_ms = np.full(len(lead_of), np.iinfo(np.int64).max)
    np.maximum.at(from_ms, group, load.from_ms)
    np.minimum.at(until_ms, group, load.until_ms)
    apart = (from_ms >= until_ms)[group]
    if apart.any():
        _, codes = np.unique(load.customer, return_inverse=True)
        alone = np.where(apart, n + np.arange(n), codes)
        lead_of, group = _groups(alone, order)
        from_ms = np.full(len(lead_of), np.iinfo(np.int64).min)
        until_ms = np.full(len(lead_of), np.iinfo(np.int64).max)
        np.maximum.at(from_ms, group, load.from_ms)
        np.minimum.at(until_ms, group, load.until_ms)
    return lead_of, group, from_ms, until_ms


def _groups(codes: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Rows of equal ``codes`` together, in the order in which ``order`` first comes upon them: the first row of each, and
    for each row its group."""
    _, first, inverse = np.unique(codes[order], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    group = np.empty(len(codes), dtype=np.int64)
    group[order] = rank[inverse]
    return order[np.sort(first)], group


def _fill(
    places: Ints, from_ms: Ints, until_ms: Ints, opened: NDArray[np.bool_], per_hour: int | None, begin_ms: int
) -> tuple[Ints, Ints]:
    """For one channel's groups, the most urgent first: when each begins (`NEVER`: not at all), and the first slot in which
    it might have."""
    n, slots = len(places), opened.shape[1]
    moment = np.full(n, NEVER, dtype=np.int64)
    first = np.full(n, slots, dtype=np.int64)
    left = np.arange(n)
    for slot in range(slots):
        if not len(left):
            break
        here = opened[:, slot]
        if not here.any():
            continue
        starts = begin_ms + slot * SLOT_MS
        may = here[places[left]] & (from_ms[left] < starts + SLOT_MS) & (until_ms[left] > starts)
        able = left[may]
        first[able] = np.minimum(first[able], slot)
        capacity = len(able) if per_hour is None else _share(per_hour, slot)
        taken = able[:capacity]
        if not len(taken):
            continue
        room = max(capacity, 1)
        even = starts + np.arange(len(taken)) * SLOT_MS // room
        moment[taken] = np.clip(even, from_ms[taken], until_ms[taken] - 1)
        done = np.flatnonzero(may)[:capacity]
        left = np.delete(left, done)
    return moment, first


def _share(per_hour: int, slot: int) -> int:
    """Of an hour's capacity what falls into that slot; the slots of an hour add up to it, the first has the odd ones."""
    parts = HOUR_MS // SLOT_MS
    part = slot % parts
    return -(-per_hour * (part + 1) // parts) - -(-per_hour * part // parts)

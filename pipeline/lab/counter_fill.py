"""The policy's own counters of stored rows, out of the archive: no waiting until a new counter's window has passed.

Only while no scorer is at work: a row then is what it was at its checkpoint, and nothing but its counters is replaced, in
one step under the scorers' own fence. A card's counters are taken over when the archive proves to hold its past: the row
made of it is the stored row in everything else; or the archive reaches back far enough, and both end in the same
transactions. Any other card keeps what it has, and its new counter begins as it would have.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from pipeline.core import profile_row as layout
from pipeline.core.counter_backfill import history_s
from pipeline.core.counter_slots import without_counters
from pipeline.core.counters import Counters
from pipeline.lab.backfill import Rebuilt, put_rows, settled
from pipeline.ports import ProfileStore, Taken
from pipeline.roles.scorer.beside import Beside, rows_and_others

CLEARED_WITHIN_S: Final = 31 * 86_400
"""A clearing counts only where its authorisation is not known: so much further than the windows must the past reach."""


class Past(NamedTuple):
    """``rows`` out of the archive, with the policy's counters; it holds all transactions since ``since`` (unix seconds),
    but not all of the cards ``torn``."""

    rows: Rebuilt
    since: float
    torn: Collection[bytes]


class CountersFilled(NamedTuple):
    """Cards whose counters were taken over, those that had them already, and those whose past is not proven."""

    filled: int
    there: int
    unproven: int


async def fill_counters(
    store: ProfileStore, past: Past, counters: Counters, places: Mapping[int, Taken]
) -> CountersFilled:
    """``places``: partition → where its rows stand, which ``past`` goes up to and not beyond. Raises BackfillRefused when
    a scorer came between, StoreDown."""
    changes: dict[int, dict[bytes, bytes]] = {}
    there = unproven = 0
    for number in places:
        stored: dict[bytes, bytes] = {}
        notes = Beside()
        async for some in store.load(number):
            rows, others = rows_and_others(some)
            stored.update(rows)
            notes.load(others)
        changes[number] = {}
        for card, row in stored.items():
            made = past.rows.rows[number].get(card)
            united = bool(notes.note(card).origins)
            if made is None or not proven(row, made, past, counters, card in past.torn or united):
                unproven += 1
                continue
            new = row[: layout.SPARE] + made[layout.SPARE : layout.RING] + row[layout.RING :]
            if new == row:
                there += 1
            else:
                changes[number][card] = new
    for number, rows in changes.items():
        following = places[number].next_offset
        if rows and following is not None:
            await put_rows(store, number, places[number], rows, following)
    return CountersFilled(sum(map(len, changes.values())), there, unproven)


def proven(row: bytes, made: bytes, past: Past, counters: Counters, torn: bool) -> bool:
    """Whether ``made`` counted all that the stored ``row`` would have. ``torn``: some of its past is missing, or came from
    another card."""
    if without_counters(made) == without_counters(row):
        return True
    newest: float = layout.NUMBERS.unpack_from(row)[layout.NEWEST]
    reaches = past.since <= newest - history_s(counters) - CLEARED_WITHIN_S
    same_end = layout.NUMBERS.unpack_from(made)[layout.NEWEST] == newest and made[layout.RING :] == row[layout.RING :]
    return reaches and same_end and not torn


async def places_of(store: ProfileStore, partitions: int) -> dict[int, Taken]:
    """Where the rows of each partition stand that has any. Raises StoreDown."""
    found = {number: await settled(store, number) for number in range(partitions)}
    return {number: place for number, place in found.items() if place.next_offset is not None}

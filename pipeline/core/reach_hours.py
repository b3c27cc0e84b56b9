"""Is there a better hour for it, later today? For contacts that can wait.

Blocks of hours are compared by how often customers like this one were reached in them. Only what is left of the
customer's own day counts, so nothing is put off twice, and nothing beyond its expiry.
"""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.core.contact_hours import Hours, Place, day_over_ms, next_open
from pipeline.core.reach import BLOCK_HOURS, BLOCKS, Tally, block_of

CAN_WAIT = frozenset({"service", "reminder", "marketing"})
"""Classes that may be put off to a better hour."""
LEAST_TRIED = 50
"""A block of which less is known (faded counts) is neither left nor waited for."""
LEAST_GAIN = 0.05
"""A better chance by less than this is not worth waiting for."""


class Later(NamedTuple):
    """``block`` begins, or opens, at ``moment_ms``."""

    block: int
    moment_ms: int


def better_hour(
    class_: str,
    place: Place,
    now_ms: int,
    expires_ms: int,
    reach: Callable[[int], Tally],
    opening: Callable[[int], int | None],
) -> Later | None:
    """The block of today worth waiting for; None: now. ``reach``: what is known of a block; ``opening``: the first
    moment from then on at which the contact may be made, None if there is none."""
    present = block_of(place, now_ms)
    if class_ not in CAN_WAIT or present is None or len(place.zones) != 1:
        return None
    best, chance = None, _chance(reach(present))
    if chance is None:
        return None
    threshold = chance + LEAST_GAIN
    for block in range(present + 1, BLOCKS):
        there = _chance(reach(block))
        if there is None or there <= threshold:
            continue
        moment_ms = _opens(place, block, now_ms, opening)
        if moment_ms is not None and moment_ms < min(expires_ms, day_over_ms(place, now_ms, 1)):
            best, threshold = Later(block, moment_ms), there
    return best


def _opens(place: Place, block: int, now_ms: int, opening: Callable[[int], int | None]) -> int | None:
    """When the contact may be made in that block; None if not within it."""
    hours = Hours(block * BLOCK_HOURS * 60, (block + 1) * BLOCK_HOURS * 60)
    begins_ms = next_open([hours], place, now_ms)
    moment_ms = None if begins_ms is None else opening(begins_ms)
    return moment_ms if moment_ms is not None and block_of(place, moment_ms) == block else None


def _chance(tally: Tally) -> float | None:
    return tally.reached / tally.tried if tally.tried >= LEAST_TRIED else None

"""Which way first? Ask of what reached this customer and others like them, and count what the first attempts came to.

Nothing here waits for the store: an order is made of the counts at hand, outcomes are gathered, and once a second, beside
everything else, counts that were asked for are read and gathered outcomes written. A kind of customer never met before
is asked in the plan's order; a worker that dies takes a second's outcomes with it, which changes no figure worth having.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from pipeline.core.contact_order import Climb, Person, marked, placed, reached_last
from pipeline.core.conversation import (
    Conversation,
    Event,
)
from pipeline.core.plan import Plan, Rung
from pipeline.core.reach import BLOCKS, PERIODS, Arm, Tally, cohort_of, faded, outcome, period_of, pools_of, with_pools
from pipeline.core.reach_hours import CAN_WAIT, better_hour
from pipeline.ports_contact import Reach
from pipeline.roles.contact.profile import Profile

FRESH_MS = 60_000
"""How old counts may be."""
FORGET_MS = 7 * 86_400_000
"""Counts nobody asked for in so long are read no more."""
MAX_ARMS = 5_000
"""Counts kept at a time; who comes when there are so many is asked in the plan's order."""

Ranking = Callable[[Sequence[tuple[float, float]], int], Sequence[int]]
"""Of how often each way reached somebody, and a seed: the ways' places, the one to try first first. Ways of which
nothing is known stay as they are given."""


class Ways:
    """One worker's knowledge of what reaches whom. ``reach`` None: nothing is counted. ``hours``: contacts that can wait
    are put off to hours at which customers are reached more often."""

    def __init__(self, reach: Reach | None = None, ranking: Ranking | None = None, hours: bool = False) -> None:
        self._reach = reach
        self._ranking = ranking
        self._hours = hours
        self._known: dict[Arm, Tally] = {}
        self._read_ms: dict[Arm, int] = {}
        self._asked_ms: dict[Arm, int] = {}
        self._gathered: dict[Arm, Tally] = {}

    def climb(self, contact: str, class_: str, ladder: Sequence[Rung], person: Person, now_ms: int) -> Climb:
        """The order of a conversation of which no attempt was made. The same counts give the same order to the same
        contact: a step made again does not draw again."""
        movable = marked(ladder)
        last = reached_last(ladder, person)
        ways = list(dict.fromkeys(ladder[number].way for number in (*([] if last is None else [last]), *movable)))
        cohort, tallies, ranks = "", {}, {}
        if self._counts(class_, movable):
            cohort = cohort_of(class_, person.customer, person.place, now_ms, "" if last is None else ladder[last].way)
            tallies = self._helped(cohort, ways, now_ms)
        if self._ranking is not None and tallies:
            order = self._ranking(list(tallies.values()), _seed(contact))
            ranks = {ways[place]: rank for rank, place in enumerate(order)}
        return Climb(placed(ladder, person, last, ranks, tallies), cohort)

    def counted(self, climb: Climb, ladder: Sequence[Rung], place: int) -> str:
        """The cohort under which an attempt from that place of ``climb`` counts, if it is the first; "" if it does not:
        the way was chosen for this customer, or has nothing to learn."""
        placing = climb.placings[place]
        learns = ladder[placing.number].learn or self._hours
        return climb.cohort if learns and placing.why != "preferred" else ""

    def later(
        self,
        class_: str,
        ladder: Sequence[Rung],
        person: Person,
        now_ms: int,
        expires_ms: int,
        opening: Callable[[int], int | None],
    ) -> int | None:
        """The moment today worth waiting for; None: now. ``opening``: as for `better_hour`."""
        if not self._hours or class_ not in CAN_WAIT:
            return None
        ways = list(dict.fromkeys(rung.way for rung in ladder))

        def reach(block: int) -> Tally:
            cohort = cohort_of(class_, person.customer, person.place, now_ms, "*", block)
            return sum_of(self._tallies(cohort, ways, now_ms))

        for block in range(BLOCKS):
            reach(block)  # whatever is decided now, all of them are wanted next time
        found = better_hour(class_, person.place, now_ms, expires_ms, reach, opening)
        return None if found is None else found.moment_ms

    def happened(self, before: Conversation, event: Event, plan: Plan) -> None:
        """Count what a stored transition says about the conversation's first attempt."""
        reached = outcome(before, event)
        if reached is None or self._reach is None:
            return
        way = plan.rung(before.rung, before.order).way
        for cohort in (before.cohort, *pools_of(before.cohort)):
            arm = Arm(cohort, way)
            self._gathered[arm] = self._gathered.get(arm, Tally()).plus(Tally(int(reached), 1))

    async def refresh(self, now_ms: int) -> None:
        """Write what was gathered, read what was asked for. Raises `StoreDown`: then again next time."""
        if self._reach is None:
            return
        if self._gathered:
            gathered, self._gathered = self._gathered, {}
            try:
                await self._reach.add(period_of(now_ms), gathered)
            except Exception:
                for arm, tally in gathered.items():
                    self._gathered[arm] = self._gathered.get(arm, Tally()).plus(tally)
                raise
        for arm in [arm for arm, asked_ms in self._asked_ms.items() if asked_ms <= now_ms - FORGET_MS]:
            for kept in (self._asked_ms, self._read_ms, self._known):
                kept.pop(arm, None)
        stale = [arm for arm in self._asked_ms if self._read_ms.get(arm, 0) <= now_ms - FRESH_MS]
        if stale:
            newest = period_of(now_ms)
            counts = await self._reach.counts(range(newest, newest - PERIODS, -1), stale)
            self._known |= {arm: faded(tallies) for arm, tallies in counts.items()}
            self._read_ms |= dict.fromkeys(stale, now_ms)

    def _counts(self, class_: str, movable: Sequence[int]) -> bool:
        return self._reach is not None and bool(movable or (self._hours and class_ in CAN_WAIT))

    def _helped(self, cohort: str, ways: Sequence[str], now_ms: int) -> dict[str, Tally]:
        """What is known of these ways, with the help of what is known of more customers."""
        own = self._tallies(cohort, ways, now_ms)
        pools = [self._tallies(pool, ways, now_ms) for pool in pools_of(cohort)]
        return {way: with_pools(tally, [pool[way] for pool in pools if pool]) for way, tally in own.items()}

    def _tallies(self, cohort: str, ways: Sequence[str], now_ms: int) -> dict[str, Tally]:
        """What is known of these ways; nothing, where one of them was not read yet: it is next time."""
        arms = {way: Arm(cohort, way) for way in ways}
        for arm in arms.values():
            if arm in self._asked_ms or len(self._asked_ms) < MAX_ARMS:
                self._asked_ms[arm] = now_ms
        known = all(arm in self._known for arm in arms.values())
        return {way: self._known[arm] for way, arm in arms.items()} if known else {}


def _seed(contact: str) -> int:
    return int.from_bytes(blake2b(contact.encode(), digest_size=4).digest(), "big")


def sum_of(tallies: Mapping[str, Tally]) -> Tally:
    """Of all ways together."""
    total = Tally()
    for tally in tallies.values():
        total = total.plus(tally)
    return total


def ways_of(profile: Profile, reach: Reach | None, drawn: bool = True) -> Ways:
    """For a profile's marks. River takes 70 MB and most of a second: where no rung is marked it is not loaded. ``drawn`` False: the ways' order
    is what is expected of them, without chance; for people who ask."""
    if not marked(profile.plans.rungs):
        return Ways(reach, None, profile.hours)
    from models.reach import expected_order, ranked

    return Ways(reach, ranked if drawn else lambda counted, _: expected_order(counted), profile.hours)

"""What a worker knows of ways: read beside everything else, written a second later, never waited for."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from gate_world import HOME, customer_of

from models.reach import ranked
from pipeline.adapters.memory_reach import MemoryReach
from pipeline.core.contact_history import NOTHING, Entry, History
from pipeline.core.contact_hours import Place
from pipeline.core.contact_order import Person
from pipeline.core.conversation import (
    Attempt,
    Conversation,
    Ended,
    Silent,
)
from pipeline.core.plan import Plan, Rung
from pipeline.core.reach import PERIOD_MS, Arm, Tally, cohort_of, period_of, pools_of
from pipeline.ports import StoreDown
from pipeline.roles.contact import ways as ways_module
from pipeline.roles.contact.ways import FORGET_MS, FRESH_MS, Ways

PLACE = Place((ZoneInfo("Asia/Shanghai"),), (), lambda calendar, day: None)
NOW_MS = 1_767_229_200_000
"""09:00 in Shanghai."""
LADDER = (Rung(channel="sms", wait_s=1, learn=True), Rung(channel="voice", learn=True), Rung(channel="email", wait_s=1))
PLAN = Plan(
    ring_s=1, answer_grace_s=1, ladder=LADDER, retry_s=1, attempts=3, later_s=1, lease_s=1, asks=1, ask_again_s=1,
    hand_over_s=1, patience_s=1, acknowledge_s=0, exempt_s=1, keep_s=1,
)  # fmt: skip
WHO = Person(customer_of("CN"), PLACE, NOTHING, {})
COHORT = cohort_of("reminder", WHO.customer, PLACE, NOW_MS)
SMS, VOICE = Arm(COHORT, "sms"), Arm(COHORT, "voice")
KINDS = (COHORT, *pools_of(COHORT))
CALLS_REACH = {SMS: Tally(20, 100), VOICE: Tally(80, 100)}


class Watched(MemoryReach):
    """Remembers which arms were read; ``down``: is away."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Sequence[Arm]] = []
        self.down = False

    async def add(self, period: int, counted: Mapping[Arm, Tally]) -> None:
        if self.down:
            raise StoreDown("away")
        await super().add(period, counted)

    async def counts(self, periods: Sequence[int], arms: Sequence[Arm]) -> Mapping[Arm, Sequence[Tally]]:
        self.read.append(list(arms))
        return await super().counts(periods, arms)


def counting(counted: Mapping[Arm, Tally], period: int = period_of(NOW_MS)) -> Watched:
    reach = Watched()
    reach.counted.update({(period, arm): tally for arm, tally in counted.items()})
    return reach


def order(ways: Ways, contact: str = "ct_1", now_ms: int = NOW_MS) -> tuple[int, ...]:
    return tuple(each.number for each in ways.climb(contact, "reminder", LADDER, WHO, now_ms).placings)


def test_a_kind_hardly_ever_met_begins_from_what_is_known_of_more_customers() -> None:
    reach = counting({Arm(KINDS[1], "sms"): Tally(2, 100), Arm(KINDS[1], "voice"): Tally(90, 100)})
    ways = Ways(reach, ranked)

    async def story() -> None:
        order(ways)
        await ways.refresh(NOW_MS)
        assert {order(ways, f"ct_{number}") for number in range(9)} == {(1, 0, 2)}

    asyncio.run(story())


def test_what_reached_this_customer_last_begins_and_is_counted_apart() -> None:
    entry = Entry(NOW_MS - 1, "reminder", "voice", "ct_0", "effective")
    last = WHO._replace(history=History((entry,)), numbers={HOME: History((entry,))})
    ways = Ways(counting({}), ranked)

    async def story() -> None:
        climb = ways.climb("ct_1", "reminder", LADDER, last, NOW_MS)
        assert climb.cohort == f"{COHORT}voice"
        assert (climb.placings[0].why, climb.order) == ("reached_last", (1, 0, 2))
        assert ways.counted(climb, LADDER, 0) == climb.cohort

    asyncio.run(story())


def ended(cohort: str = COHORT, climbed: tuple[int, ...] = ()) -> Conversation:
    attempts = (Attempt(covers=("tx1",)),)
    return Conversation(id="ct", card="tok", state="ringing", attempts=attempts, cohort=cohort, order=climbed)


def test_a_kind_of_customer_never_met_is_asked_by_plan_and_its_counts_are_read_meanwhile() -> None:
    reach = counting(CALLS_REACH)
    ways = Ways(reach, ranked)

    async def story() -> None:
        await ways.refresh(NOW_MS)
        assert reach.read == []
        assert order(ways) == (0, 1, 2)
        await ways.refresh(NOW_MS)
        assert reach.read == [[Arm(kind, way) for kind in KINDS for way in ("sms", "voice")]]
        assert order(ways) == (1, 0, 2), "the third is not marked"
        climb = ways.climb("ct_1", "reminder", LADDER, WHO, NOW_MS)
        assert [(each.why, each.tally) for each in climb.placings] == [
            ("learned", CALLS_REACH[VOICE]),
            ("learned", CALLS_REACH[SMS]),
            ("plan", None),
        ]

    asyncio.run(story())


def test_the_same_contact_draws_the_same_order_another_perhaps_another() -> None:
    ways = Ways(counting({SMS: Tally(3, 9), VOICE: Tally(4, 9)}), ranked)

    async def story() -> None:
        order(ways)
        await ways.refresh(NOW_MS)
        assert order(ways, "ct_7") == order(ways, "ct_7")
        assert {order(ways, f"ct_{number}") for number in range(40)} == {(0, 1, 2), (1, 0, 2)}

    asyncio.run(story())


def test_counts_are_read_again_when_they_are_old_and_forgotten_when_nobody_asks() -> None:
    reach = counting(CALLS_REACH)
    ways = Ways(reach, ranked)

    async def story() -> None:
        order(ways)
        for later_ms, reads in ((0, 1), (FRESH_MS - 1, 1), (FRESH_MS, 2), (FORGET_MS, 2), (FORGET_MS + 1, 2)):
            await ways.refresh(NOW_MS + later_ms)
            assert len(reach.read) == reads, later_ms
        assert order(ways) == (0, 1, 2)

    asyncio.run(story())


def test_what_was_counted_months_ago_counts_less() -> None:
    reach = counting(CALLS_REACH, period_of(NOW_MS) - 2)
    ways = Ways(reach, ranked)

    async def story() -> None:
        order(ways)
        await ways.refresh(NOW_MS)
        tallies = [each.tally for each in ways.climb("ct", "reminder", LADDER, WHO, NOW_MS).placings]
        assert Tally(20, 25) in tallies

    asyncio.run(story())


def test_outcomes_are_written_together_a_little_later_under_the_way_they_went() -> None:
    reach = Watched()
    ways = Ways(reach, ranked)

    async def story() -> None:
        ways.happened(ended(), Silent(1), PLAN)
        ways.happened(ended(), Ended(1, "hung_up"), PLAN)
        ways.happened(ended(climbed=(1, 0, 2)), Ended(1, "no_answer"), PLAN)
        ways.happened(ended(cohort=""), Silent(1), PLAN)
        assert reach.counted == {}
        await ways.refresh(NOW_MS)
        told = {Arm(kind, "sms"): Tally(1, 2) for kind in KINDS} | {Arm(kind, "voice"): Tally(0, 1) for kind in KINDS}
        assert reach.counted == {(period_of(NOW_MS), arm): tally for arm, tally in told.items()}
        await ways.refresh(NOW_MS + PERIOD_MS)
        assert len(reach.counted) == len(told), "once"

    asyncio.run(story())


def test_while_the_store_is_away_outcomes_are_kept() -> None:
    reach = Watched()
    ways = Ways(reach, ranked)

    async def story() -> None:
        reach.down = True
        ways.happened(ended(), Silent(1), PLAN)
        with pytest.raises(StoreDown):
            await ways.refresh(NOW_MS)
        ways.happened(ended(), Ended(1, "hung_up"), PLAN)
        reach.down = False
        await ways.refresh(NOW_MS)
        assert reach.counted == {(period_of(NOW_MS), Arm(kind, "sms")): Tally(1, 2) for kind in KINDS}

    asyncio.run(story())


def test_an_attempt_counts_unless_its_way_was_chosen_for_this_customer() -> None:
    ways = Ways(Watched(), ranked)
    climb = ways.climb("ct", "reminder", LADDER, WHO, NOW_MS)
    assert [ways.counted(climb, LADDER, place) for place in range(3)] == [COHORT, COHORT, ""]
    wished = WHO._replace(customer=customer_of("CN", preferred_channel="voice"))
    climb = ways.climb("ct", "reminder", LADDER, wished, NOW_MS)
    assert [ways.counted(climb, LADDER, place) for place in range(3)] == ["", COHORT, ""]


def test_without_marks_or_counts_nothing_is_asked_or_counted() -> None:
    reach = Watched()
    unmarked = (Rung(channel="sms", wait_s=1), Rung(channel="voice"))
    climb = Ways(reach).climb("ct", "reminder", unmarked, WHO, NOW_MS)
    assert (climb.order, climb.cohort) == ((), "")
    assert Ways().climb("ct", "reminder", LADDER, WHO, NOW_MS).cohort == ""


def test_only_so_many_counts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_module, "MAX_ARMS", 7)
    reach = Watched()
    ways = Ways(reach, ranked)

    async def story() -> None:
        for country in ("CN", "US"):
            who = WHO._replace(customer=customer_of(country))
            ways.climb("ct", "reminder", LADDER, who, NOW_MS)
        await ways.refresh(NOW_MS)
        assert [len(arms) for arms in reach.read] == [7]
        first = ways.climb("ct", "reminder", LADDER, WHO, NOW_MS)
        other = ways.climb("ct", "reminder", LADDER, WHO._replace(customer=customer_of("US")), NOW_MS)
        assert first.placings[0].why == "learned"
        assert other.placings[0].why == "plan"

    asyncio.run(story())


def test_what_can_wait_waits_for_the_hour_that_reaches_more() -> None:
    def at(block: int, way: str) -> Arm:
        return Arm(cohort_of("reminder", WHO.customer, PLACE, NOW_MS, "*", block), way)

    reach = counting({at(1, "sms"): Tally(10, 60), at(3, "sms"): Tally(20, 40), at(3, "email"): Tally(20, 40)})
    ways = Ways(reach, None, hours=True)

    def later(**more: Any) -> int | None:
        asked = {"class_": "reminder", "expires_ms": NOW_MS + 86_400_000} | more
        return ways.later(ladder=LADDER, person=WHO, now_ms=NOW_MS, opening=lambda moment_ms: moment_ms, **asked)

    async def story() -> None:
        assert later() is None, "nothing is read yet"
        await ways.refresh(NOW_MS)
        assert later() == NOW_MS + 9 * 3_600_000
        assert later(class_="fraud") is None
        assert later(expires_ms=NOW_MS + 3_600_000) is None
        assert ways.counted(ways.climb("ct", "reminder", LADDER, WHO, NOW_MS), LADDER, 2) == COHORT, "hours learn too"

    asyncio.run(story())

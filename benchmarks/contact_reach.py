"""What is it worth to learn which channel reaches whom, and what does it cost where there is nothing to learn?

    python benchmarks/contact_reach.py [SEEDS [CONVERSATIONS [WORLD ...]]]

Simulated customers are asked something now and then for half a year, along a ladder of three ways that may change
places. Whether a way reaches somebody is drawn beforehand for each conversation and way, so that all policies meet the
same luck. Compared are the plan's own order, what reached this customer last, the bandit, both (as the contact role has
it), and an oracle that knows every customer's chances. The product's own code orders, counts and fades; time is
simulated. Prints, for each world and policy, which share is reached at the first attempt, and how many attempts it takes
to reach somebody who is reached at all: means over the seeds; the differences from the plan's order with intervals of 95 %,
paired by seed.
"""

import asyncio
import math
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from models.reach import ranked
from pipeline.adapters.memory_reach import MemoryReach
from pipeline.core.contact_history import NOTHING, Entry, History, noted
from pipeline.core.contact_hours import DAY_MS, Place
from pipeline.core.contact_order import Climb, Person
from pipeline.core.conversation import (
    Attempt,
    Conversation,
    Ended,
)
from pipeline.core.plan import Plan, Rung
from pipeline.core.records import Customer, Phone
from pipeline.roles.contact.ways import Ways

SEEDS, CONVERSATIONS = 20, 3_000
DAYS = 180
CUSTOMERS = 300
READ_EVERY = 4
"""Conversations between two looks at the counts: a few simulated hours."""
WAYS = ("sms", "voice", "push")
LADDER = tuple(Rung(channel=way, wait_s=300.0, learn=True) for way in WAYS)  # type: ignore[arg-type] # they are channels
LANGUAGES = ("zh", "en")
PHONE = "+8613800138042"
PLACE = Place((ZoneInfo("Asia/Shanghai"),), (), lambda calendar, day: None)
NOON_MS = 1_767_240_000_000
"""12:00 in Shanghai on 2026-01-01."""
POLICIES = ("plan", "last", "bandit", "both", "oracle")


class World(NamedTuple):
    """``chances``: language → each way's chance to reach somebody; ``spread``: how much customers differ (standard
    deviation, in log-odds); ``turned``: halfway the chances are these."""

    title: str
    chances: Mapping[str, Sequence[float]]
    spread: float = 0.0
    turned: Mapping[str, Sequence[float]] | None = None


APART = {"zh": (0.25, 0.55, 0.20), "en": (0.30, 0.20, 0.50)}
WORLDS = {
    "segments": World("(a) depends on the segment", APART),
    "persons": World("(a) depends on the segment, and on the person", APART, spread=1.0),
    "alike": World("(b) all channels alike: nothing to learn", {"zh": (0.4,) * 3, "en": (0.4,) * 3}),
    "right": World("(b) the plan is right already", {"zh": (0.5, 0.35, 0.3), "en": (0.5, 0.35, 0.3)}),
    "turned": World("(c) turns round halfway", APART, turned={"zh": (0.25, 0.20, 0.55), "en": (0.30, 0.50, 0.20)}),
}


class Question(NamedTuple):
    """One conversation to come: when, with whom, and by which ways it would reach them."""

    at_ms: int
    customer: int
    reaches: tuple[bool, ...]
    chances: tuple[float, ...]


class Found(NamedTuple):
    """``first``: share reached at the first attempt, ``late`` in the last sixth of the time; ``attempts`` for each
    customer reached; ``changed``: share of orders that are not the plan's."""

    first: float
    late: float
    attempts: float
    changed: float


def questions(world: World, seed: int, conversations: int) -> list[Question]:
    """The same for every policy."""
    draws = random.Random(f"{world.title} {seed}")
    leaning = [[draws.gauss(0.0, world.spread) for _ in WAYS] for _ in range(CUSTOMERS)]
    found = []
    for number in range(conversations):
        customer = draws.randrange(CUSTOMERS)
        at_ms = NOON_MS + number * DAYS * DAY_MS // conversations
        now = world.turned if world.turned and 2 * number >= conversations else world.chances
        means = now[LANGUAGES[customer % 2]]
        chances = tuple(_moved(mean, lean) for mean, lean in zip(means, leaning[customer], strict=True))
        found.append(Question(at_ms, customer, tuple(draws.random() < chance for chance in chances), chances))
    return found


def _moved(chance: float, log_odds: float) -> float:
    return 1 / (1 + (1 - chance) / chance * math.exp(-log_odds)) if log_odds else chance


def asked(policy: str, told: Sequence[Question]) -> Found:
    """All questions put by one policy."""
    return asyncio.run(_asked(policy, told))


async def _asked(policy: str, told: Sequence[Question]) -> Found:
    ways = Ways(MemoryReach(), ranked) if policy in ("bandit", "both") else Ways()
    remembers = policy in ("last", "both")
    histories: dict[int, History] = {}
    firsts, steps, changed = [], [], 0
    for number, question in enumerate(told):
        if number % READ_EVERY == 0:
            await ways.refresh(question.at_ms)
        history = histories.get(question.customer, NOTHING) if remembers else NOTHING
        climb = _climb(policy, ways, question, number, history)
        order = tuple(placing.number for placing in climb.placings)
        changed += bool(climb.order)
        reached = [question.reaches[way] for way in order]
        firsts.append(reached[0])
        if any(reached):
            place = reached.index(True)
            steps.append(place + 1)
            entry = Entry(question.at_ms, "reminder", WAYS[order[place]], str(number), "effective")
            histories[question.customer] = noted(history, entry)
        _count(ways, climb, reached[0])
    sixth = len(firsts) // 6
    return Found(
        statistics.fmean(firsts), statistics.fmean(firsts[-sixth:]), statistics.fmean(steps), changed / len(told)
    )


def _climb(policy: str, ways: Ways, question: Question, number: int, history: History) -> Climb:
    customer = Customer(
        customer=str(question.customer),
        country="CN",
        language=LANGUAGES[question.customer % 2],
        phones=[Phone(PHONE)],
        app_id="a",
    )
    person = Person(customer, PLACE, history, {PHONE: history})
    climb = ways.climb(f"ct_{number}", "reminder", LADDER, person, question.at_ms)
    if policy != "oracle":
        return climb
    best = sorted(climb.placings, key=lambda placing: -question.chances[placing.number])
    return climb._replace(placings=tuple(best))


def _count(ways: Ways, climb: Climb, reached: bool) -> None:
    """The end of the first attempt, as the contact role would tell it."""
    number = climb.placings[0].number
    attempt = Attempt(covers=(), channel=LADDER[number].channel)
    cohort = ways.counted(climb, LADDER, 0)
    open_one = Conversation(id="ct", card="", state="ringing", attempts=(attempt,), order=climb.order, cohort=cohort)
    ways.happened(open_one, Ended(1, "hung_up" if reached else "no_answer"), PLAN)


PLAN = Plan(
    ring_s=1, answer_grace_s=1, ladder=LADDER, retry_s=1, attempts=3, later_s=1, lease_s=1, asks=1, ask_again_s=1,
    hand_over_s=1, patience_s=1, acknowledge_s=0, exempt_s=1, keep_s=1,
)  # fmt: skip


def compared(
    world: World, seeds: int, conversations: int, policies: Sequence[str] = POLICIES
) -> dict[str, list[Found]]:
    """Policy → what it found in each seed's world."""
    found: dict[str, list[Found]] = {policy: [] for policy in policies}
    for seed in range(seeds):
        told = questions(world, seed, conversations)
        for policy in policies:
            found[policy].append(asked(policy, told))
    return found


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its interval of 95 %."""
    many = len(differences)
    return statistics.fmean(differences), 1.96 * statistics.stdev(differences) / math.sqrt(many)


def lines(world: World, found: Mapping[str, Sequence[Found]]) -> list[str]:
    told = [f"\n{world.title}", f"{'':8}{'first':>8}{'vs plan':>18}{'last month':>13}{'attempts':>10}{'changed':>9}"]
    for policy, each in found.items():
        mean = partial(_mean, each)
        better, wide = interval([one.first - plan.first for one, plan in zip(each, found["plan"], strict=True)])
        told.append(
            f"{policy:8}{mean('first'):8.1%}{100 * better:+9.2f} ± {100 * wide:.2f} pp{mean('late'):13.1%}"
            f"{mean('attempts'):10.3f}{mean('changed'):9.0%}"
        )
    return told


def _mean(found: Sequence[Found], what: str) -> float:
    return statistics.fmean(getattr(one, what) for one in found)


def main(seeds: int = SEEDS, conversations: int = CONVERSATIONS, *worlds: str) -> None:
    print(f"{seeds} seeds, {conversations} conversations with {CUSTOMERS} customers in {DAYS} days")
    for name in worlds or WORLDS:
        world = WORLDS[name]
        print("\n".join(lines(world, compared(world, seeds, conversations))), flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]), *sys.argv[3:])

"""The world's traffic in order of event time: months at once for warm-up and files, or live on the wall clock.

``history`` plays every card's days as they are. Only the plan of one day is held (a few numbers per occasion);
transactions are made when their time comes, in a heap of what is under way.

``live`` must show much in minutes, so it is not a sample of the same bank: a few thousand cards would naturally pay
about once every ten seconds between them. Genuine occasions come as a Poisson process of the ``rate`` asked for; each
picks a card by how busy it is and by what its holder does at this hour, and is then played exactly as in a history.
So places, amounts, merchants and hours are each card's own, but every card pays ``rate`` / (its natural share) times
as often as in its history, and the traffic does not follow the day. Fraud begins every ``fraud_every_s``, far more
often than in life and at once a few times over, and thieves hurry by ``pace``. Subscriptions are left out. What is alerted is for the scorer to find: nothing here is marked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from pipeline.lab.simulate.attempt import Attempt
from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.customer_events import Happened
from pipeline.lab.simulate.draws import Draws, Source
from pipeline.lab.simulate.reissue import Reissues, Replaced
from pipeline.lab.simulate.switch import Switch
from pipeline.lab.simulate.world import World

FIRST_LIVE_OCCASION = 1_000_000
"""Live occasions are numbered from here on, apart from those of a planned day."""
NUMBERS_A_SECOND = 20_000
"""A stream begun later numbers its occasions from higher up, so that one started again never repeats an identifier."""
TRIES_FOR_A_CARD = 200


@dataclass(frozen=True)
class LiveParameters:
    """``rate``: genuine transactions per second, on average. ``fraud_every_s``: from, to, evenly spread, after
    ``opening`` episodes that begin within the first ``opening_s``. ``pace`` divides the gaps within an episode.
    ``reissue_s``: a blocked card is replaced so long after, from and to."""

    rate: float = 5.0
    fraud_every_s: tuple[float, float] = (20.0, 60.0)
    opening: int = 4
    opening_s: float = 12.0
    pace: float = 10.0
    reissue_s: tuple[float, float] = (60.0, 180.0)


class Stream:
    """Traffic of ``world``, answered by ``switch``: a holder stops using a blocked card, a thief gives up a card that
    keeps being refused."""

    def __init__(self, world: World, switch: Switch | None = None) -> None:
        self._world = world
        self._switch = switch or Switch()
        self._reissues = Reissues(world.seed, self._switch)
        self._under_way: list[tuple[float, int, Attempt]] = []
        self._events: list[tuple[float, int, Happened]] = []
        self._exposed: set[tuple[int, int]] = set()
        self._made = 0

    def happened(self, now: float) -> Iterator[Happened]:
        """What became of customers by unix ``now``, each once, in order of time: ask with the traffic going on."""
        while self._events and self._events[0][0] <= now:
            yield heappop(self._events)[2]

    def replaced(self) -> Iterator[Replaced]:
        """Cards replaced since this was asked last: ask before the traffic that goes on."""
        yield from self._reissues.told()

    def history(self, days: int | None = None) -> Iterator[Attempt]:
        """All traffic from the world's start for ``days`` times 24 hours (None: for ever), in order of time."""
        world = self._world
        end = None if days is None else world.start + days * 86_400
        day = world.calendar.day(world.start)
        while end is None or world.calendar.midnight(day) < end:
            for attempt in self._day(day):
                if end is not None and attempt.time >= end:
                    return
                if attempt.time >= world.start:
                    yield attempt
            day += 1

    def live(self, start: float, parameters: LiveParameters | None = None) -> Iterator[Attempt]:
        """Endless traffic from unix time ``start``; emit each attempt when the wall clock reaches its ``time``."""
        p = parameters or LiveParameters()
        self._reissues = Reissues(self._world.seed, self._switch, p.reissue_s)
        source = Source(self._world.seed, "live")
        number = FIRST_LIVE_OCCASION + int(start % 86_400 * NUMBERS_A_SECOND)
        draws = source.at(int(start), 0)
        genuine = start + draws.exponential(1 / p.rate)
        opening = sorted((start + draws.uniform() * p.opening_s for _ in range(p.opening)), reverse=True)
        fraud = opening.pop() if opening else start + draws.between(*p.fraud_every_s)
        while True:
            number += 1
            time = min(genuine, fraud)
            yield from self._until(time)
            draws = source.at(int(start), 1, number)
            if fraud <= genuine:
                self._begin_fraud(draws.integer(0, len(self._world.fraud) - 1), time, draws, p.pace)
                fraud = opening.pop() if opening else fraud + draws.between(*p.fraud_every_s)
                continue
            card = self._out_now(time, draws)
            played = self._world.life.play(card, time, self._world.calendar.day(time), number)
            self._add(played)
            genuine += sum(draws.exponential(1 / p.rate) for _ in played)

    def _day(self, day: int) -> Iterator[Attempt]:
        """Plays one day; what it leaves unfinished goes on the next."""
        world = self._world
        world_day = day - world.calendar.day(world.start)
        plan: list[tuple[float, int, int]] = []
        for index in range(world.cards):
            card = world.cardholders.get(index)
            for number, time in enumerate(world.life.plan(card, day, world_day)):
                plan.append((time, index, number))
            if card.subscriptions and world_day >= card.first_day:
                self._add(world.life.subscriptions(card, day))
        plan += self._fraud_plan(day)
        self._tell(tuple(world.customers_days.of(day, world.cards)))
        plan.sort()
        for time, index, number in plan:
            yield from self._until(time)
            if index >= 0:
                card = world.cardholders.get(index)
                if not self._blocked(card, time):
                    self._add(world.life.play(card, time, day, number))
            else:
                kind = -1 - index
                draws = Source(world.seed, world.fraud[kind].name).at(day, 1, number)
                self._begin_fraud(kind, time, draws, 1.0)
        yield from self._until(world.calendar.midnight(day + 1))

    def _fraud_plan(self, day: int) -> list[tuple[float, int, int]]:
        """When episodes begin: (time, −1 − kind, number)."""
        world = self._world
        midnight = world.calendar.midnight(day)
        plan = []
        for kind, population in enumerate(world.fraud):
            draws = Source(world.seed, population.name).at(day, 0)
            number, time = 0, draws.exponential(1.0)
            mean_gap = 1.0 / (population.per_card_day * world.cards) if population.per_card_day > 0 else float("inf")
            while time * mean_gap < 1.0:
                plan.append((midnight + time * mean_gap * 86_400, -1 - kind, number))
                time += draws.exponential(1.0)
                number += 1
        return plan

    def _begin_fraud(self, kind: int, time: float, draws: Draws, pace: float) -> None:
        victims = [card for card in self._world.victims(time, draws) if not self._blocked(card, time)]
        if victims:
            self._add(self._world.fraud[kind].episode(victims, time, draws, pace))

    def _out_now(self, time: float, draws: Draws) -> Cardholder:
        """A card, by how busy its holder is, in general and at this hour."""
        world = self._world
        hour, today = world.calendar.hour(time), world.world_day(time)
        limit = world.parameters.cardholders.daily_limit
        card = world.cardholders.get(draws.integer(0, world.cards - 1))
        for _ in range(TRIES_FOR_A_CARD):
            likely = card.daily / limit * world.life.active(card, hour) if card.first_day <= today else 0.0
            if draws.chance(likely) and not self._blocked(card, time):
                break
            card = world.cardholders.get(draws.integer(0, world.cards - 1))
        return card

    def _blocked(self, card: Cardholder, time: float) -> bool:
        return self._switch.status(self._reissues.in_hand(card.token), time) == "blocked"

    def _add(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self._made += 1
            heappush(self._under_way, (attempt.time, self._made, attempt))
            if attempt.events:
                self._tell(attempt.events)

    def _tell(self, events: Sequence[Happened]) -> None:
        for event in events:
            self._made += 1
            heappush(self._events, (event.time, self._made, event))

    def _exposing(self, attempt: Attempt) -> Attempt:
        """``attempt``, the place named that it exposed its card at; what thieves will do with the card is under way."""
        compromise = self._world.compromised.exposing(attempt)
        if compromise is None or attempt.time < self._world.start:  # what nobody is shown exposes nobody
            return attempt
        if (compromise.number, attempt.card) not in self._exposed:
            self._exposed.add((compromise.number, attempt.card))
            self._add(self._world.compromised.use(compromise, self._world.cardholders.get(attempt.card)))
        return attempt._replace(truth=attempt.truth._replace(point=compromise.merchant.id))

    def _until(self, time: float) -> Iterator[Attempt]:
        """What is under way and due before ``time``, answered by the switch."""
        heap = self._under_way
        self._reissues.turn_to(time)
        while heap and heap[0][0] <= time:
            attempt = heappop(heap)[2]
            episode = attempt.episode
            if episode is not None and episode.patience <= 0:
                continue
            self._reissues.turn_to(attempt.time)
            if not attempt.truth.fraud:
                self._reissues.pay(attempt.transaction)
            self._reissues.seen(attempt.transaction.card, attempt.card)
            if not self._switch.authorise(attempt.transaction, attempt.time) and episode is not None:
                episode.patience -= 1
            yield self._exposing(attempt)

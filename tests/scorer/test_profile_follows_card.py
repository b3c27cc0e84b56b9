"""A card's history follows it to the card that takes its place: once, whole, and whatever breaks on the way.

The rows of these stories are letters, one for each transaction; to unite two rows is to write one behind the other. So a
row tells what went into it, and how often.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import convert
from prometheus_client import CollectorRegistry
from scorer_world import NOW, PARTITIONS, card_in, letters_of, place_of, row_of, transaction
from test_scorer_role import Desk

from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryPartsReader, MemoryProfiles
from pipeline.core import card_findings
from pipeline.core.features import FEATURES
from pipeline.core.profile import advance
from pipeline.core.profile_row import EMPTY_ROW
from pipeline.core.row_union import united
from pipeline.core.scored import decode
from pipeline.core.topics import CARD_EVENTS, MOVED_ROWS, SCORED
from pipeline.core.transaction import Event, Transaction
from pipeline.ports import Outgoing, Saved, StoreDown
from pipeline.roles.scorer import beside, role
from pipeline.roles.scorer.beside import Coming
from pipeline.roles.scorer.following import Following
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.owned import Checkpoint, OwnedPartition, own

SEEN = [feature.name for feature in FEATURES].index("transactions_seen")
BOUND_S = 30.0
CARDS = [card_in(number % PARTITIONS, number // PARTITIONS) for number in range(6)]
"""Two in each partition. In these stories a card is only replaced by a later one."""


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        _write_letters(patched)
        yield


def _write_letters(patched: pytest.MonkeyPatch) -> None:
    for module in (beside, card_findings):
        patched.setattr(module, "united", lambda a, b: row_of(letters_of(a) + letters_of(b)))


async def _always() -> bool:
    return True


class Store(MemoryProfiles):
    """``fails``: what becomes of the next save."""

    fails = "not"

    async def save(self, *arguments: object) -> Saved:  # handed on as they are
        if self.fails == "before":
            raise StoreDown("not reached")
        answer = await super().save(*arguments)  # type: ignore[arg-type]
        if self.fails == "after":
            raise StoreDown("the answer was lost")
        return answer


class World:
    """Scorers on fakes: one object per partition, transactions in lists, time that stands still unless told."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.log = MemoryLog(PARTITIONS)
        self.store = Store()
        self.clock = FixedClock()
        self.following = Following(self.log, self.store, place_of, self.clock, ScorerMetrics(CollectorRegistry()))
        self.transactions: dict[int, list[tuple[int, str, bytes, str | None]]] = {n: [] for n in range(PARTITIONS)}
        self.met: dict[bytes, bytes] = {}
        self.doubt = False
        self.expected: list[tuple[str, str, frozenset[int]]] = []
        self.saving: dict[int, Checkpoint] = {}
        self.owned: dict[int, OwnedPartition] = {}
        self.past: list[OwnedPartition] = []
        for number in range(PARTITIONS):
            self.take(number)

    def run(self, awaitable) -> object:  # type: ignore[no-untyped-def]  # of any
        return self.runner.run(awaitable)

    def take(self, number: int) -> None:
        self.saving.pop(number, None)
        if number in self.owned:
            self.past.append(self.owned[number])
        self.owned[number] = self.run(own(self.store, number, None, _always))  # type: ignore[assignment]
        self.owned[number].next = self.owned[number].next or 0
        self.reader = MemoryPartsReader(self.log)

    def _now(self) -> int:
        self.log.timestamp_ms += 1
        return self.log.timestamp_ms

    def pay(self, card: str, previous: str | None = None) -> None:
        count = sum(map(len, self.transactions.values()))
        if count < 40:
            number = place_of(card.encode())
            self.transactions[number].append((self._now(), card, b"%c" % (48 + count), previous))

    def paid(self, card: str) -> bytes:
        part = self.transactions[place_of(card.encode())]
        return b"".join(letter for _, whose, letter, _ in part if whose == card)

    def replaced(self, old: str, new: str) -> None:
        self._now()
        event = {"card": old, "type": "replaced", "new_card": new, "time": "2026-01-01T00:00:00Z"}
        self.run(self.log.send(CARD_EVENTS, [Outgoing(old.encode(), json.dumps(event).encode())]))
        self.expect(old, new, self.paid(old))

    def expect(self, old: str, new: str, paid: bytes) -> None:
        """At the end the new card's row holds what the old card had paid when this was said first."""
        if (old, new) not in {(older, newer) for older, newer, _ in self.expected}:
            self.expected.append((old, new, frozenset(paid)))

    def poll(self, number: int, count: int) -> None:
        """What the role does with a poll, as far as rows go."""
        owned = self.owned[number]
        assert owned.next is not None
        named = []
        for at, card, letter, previous in self.transactions[number][owned.next : owned.next + count]:
            key = card.encode()
            before = owned.rows.get(key, EMPTY_ROW)
            if not self.doubt:
                assert self.met.setdefault(letter, letters_of(before)) == letters_of(before), "read again, another row"
            owned.rows[key] = owned.dirty[key] = row_of(letters_of(before) + letter)
            owned.next, owned.beside.heard_ms = owned.next + 1, at
            if previous is not None:
                named.append((number, key, previous))
                self.expect(previous, card, b"")
        if named:
            self._now()
            self.run(self.following.ask(self.owned, named))

    def follow(self, lag: bool) -> None:
        left = {n: len(part) - (self.owned[n].next or 0) for n, part in self.transactions.items()}
        if lag:
            self.following.lag = lambda: left
        self._now()
        self.run(self._follow(self.owned, self.reader))

    async def _follow(self, owned: dict[int, OwnedPartition], reader: MemoryPartsReader) -> None:
        await self.following.read_once(reader, lambda: owned)
        await asyncio.gather(*(each.beside.handling for each in owned.values() if each.beside.handling is not None))
        assert self.following.failed is None

    def begin_save(self, number: int) -> None:
        if number not in self.saving and self.owned[number].behind:
            self.saving[number] = self.owned[number].checkpoint()

    def end_save(self, number: int, fails: str) -> None:
        if (checkpoint := self.saving.pop(number, None)) is not None:
            self.store.fails = fails
            self.doubt |= fails == "after"
            self.run(self.owned[number].save(self.store, checkpoint))
            self.owned[number].beside.moving = frozenset()
            self.store.fails = "not"

    def ancestors(self, card: str) -> set[str]:
        olds = {old for old, new, _ in self.expected if new == card}
        return olds.union(*(self.ancestors(old) for old in olds))

    def settle(self) -> None:
        """Let all that is under way come to an end."""
        for number in range(PARTITIONS):
            self.end_save(number, "not")
        quiet, rounds = 0, 0
        while quiet < 3:
            rounds += 1
            assert rounds < 100, "it never ends"
            before = [len(self.log.all(topic)) for topic in (CARD_EVENTS, MOVED_ROWS)]
            for number in range(PARTITIONS):
                self.poll(number, 100)
            self.follow(lag=True)
            self.follow(lag=True)
            for number in range(PARTITIONS):
                self.begin_save(number)
                self.end_save(number, "not")
            busy = any(
                each.behind or any(box.waiting for box in each.beside.inboxes.values()) for each in self.owned.values()
            )
            quiet = 0 if busy or before != [len(self.log.all(t)) for t in (CARD_EVENTS, MOVED_ROWS)] else quiet + 1

    def letters(self, card: str) -> bytes:
        return letters_of(self.owned[place_of(card.encode())].rows.get(card.encode(), EMPTY_ROW))

    def check(self) -> None:
        for card in CARDS:
            row, own_letters = self.letters(card), self.paid(card)
            assert len(set(row)) == len(row), "nothing entered a row twice"
            allowed = set(own_letters).union(*(self.paid(old) for old in self.ancestors(card)))
            assert set(row) <= allowed
            assert bytes(letter for letter in row if letter in own_letters) == own_letters
        for old, new, paid_before in self.expected:
            assert paid_before <= set(self.letters(new)), f"{old} → {new}"
            for older, other, before in self.expected:
                if other in self.ancestors(new):
                    assert before <= set(self.letters(new)), f"{older} → {other} → … → {new}"
        for number, owned in self.owned.items():
            stored, _ = beside.rows_and_others(self.store.rows.get(number, {}))
            assert stored == owned.rows


class Story(RuleBasedStateMachine):
    """Anything may happen at any time: payments, replacements (announced, or named by a payment), polls, saves whose
    answers are lost, crashes, and workers that go on though their partition has another owner."""

    @initialize()
    def begin(self) -> None:
        self.patched = pytest.MonkeyPatch()
        _write_letters(self.patched)
        self.world = World()
        self.successor: dict[int, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.settle()
                self.world.check()
            finally:
                self.patched.undo()
                self.world.runner.close()

    cards = st.integers(0, len(CARDS) - 1)
    partitions = st.integers(0, PARTITIONS - 1)

    def _new(self, old: int, drawn: int) -> int | None:
        """A card has one successor, and that is a later one."""
        if old + 1 == len(CARDS):
            return None
        return self.successor.setdefault(old, old + 1 + drawn % (len(CARDS) - 1 - old))

    @rule(card=cards)
    def pay(self, card: int) -> None:
        self.world.pay(CARDS[card])

    @rule(old=cards, drawn=cards)
    def replaced(self, old: int, drawn: int) -> None:
        if (new := self._new(old, drawn)) is not None:
            self.world.replaced(CARDS[old], CARDS[new])

    @rule(old=cards, drawn=cards)
    def named(self, old: int, drawn: int) -> None:
        if (new := self._new(old, drawn)) is not None:
            self.world.pay(CARDS[new], CARDS[old])

    @rule(number=partitions, count=st.integers(1, 4))
    def poll(self, number: int, count: int) -> None:
        owned = self.world.owned[number]
        if number in self.world.saving and owned.beside.moving:  # the hold: the save ends first
            self.world.end_save(number, "not")
        self.world.poll(number, count)

    @rule(number=partitions)
    def poll_that_waits_no_longer(self, number: int) -> None:
        if number in self.world.saving and self.world.owned[number].beside.moving:
            self.world.doubt = True
        self.world.poll(number, 2)

    @rule(lag=st.booleans())
    def follow(self, lag: bool) -> None:
        self.world.follow(lag)

    @rule(number=partitions)
    def begin_save(self, number: int) -> None:
        self.world.begin_save(number)

    @rule(number=partitions, fails=st.sampled_from(["not", "not", "before", "after"]))
    def end_save(self, number: int, fails: str) -> None:
        self.world.end_save(number, fails)

    @rule(number=partitions)
    def crash(self, number: int) -> None:
        self.world.take(number)

    @precondition(lambda self: self.world.past)
    @rule()
    def a_former_owner_goes_on(self) -> None:
        owned, self.world.following.lag = self.world.past[-1], dict
        self.world.run(self.world._follow({owned.partition: owned}, MemoryPartsReader(self.world.log)))
        if owned.behind:
            self.world.run(owned.save(self.world.store))
            assert owned.lost or owned is self.world.owned[owned.partition]

    @invariant()
    def nothing_is_twice(self) -> None:
        for owned in self.world.owned.values():
            for row in owned.rows.values():
                letters = letters_of(row)
                assert len(set(letters)) == len(letters)


Story.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestStory = Story.TestCase


class Gated(MemoryProfiles):
    """Answers a save when the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def save(self, *arguments: Any) -> Saved:
        await self.gate.wait()
        return await super().save(*arguments)


def seen_before(desk: Desk) -> float:
    """Of the last transaction scored."""
    return float(decode(desk.log.all(SCORED)[-1].value or b"").matrix()[-1, SEEN])


def test_a_decision_waits_for_the_save_that_brings_its_cards_history_but_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history = EMPTY_ROW
    for number in range(7):
        history = advance(history, Event(convert(transaction(f"old{number}", OLD), Transaction), NOW, 5_000.0))[0]

    async def story() -> None:
        monkeypatch.setattr(beside, "united", united)
        desk = Desk(store := Gated())
        await desk.take(0)
        mine, other = card_in(0), card_in(0, 1)
        await desk.poll(0, [transaction("t0", mine)])
        desk.later(1_000)
        await desk.boundary()
        owned = desk.scorer._owned[0]
        for brought, (first, hold_s) in enumerate(((1, BOUND_S), (4, 0.001))):
            owned.beside.coming, owned.changed_at = Coming({}, ((mine.encode(), history),), {}), desk.clock.now()
            store.gate.clear()
            desk.later(1_000)
            await desk.scorer.boundary()  # begins the save
            monkeypatch.setattr(role, "HOLD_S", hold_s)
            await desk.poll(0, [transaction(f"t{first}", other)], first)
            polling = asyncio.create_task(desk.poll(0, [transaction(f"t{first + 1}", mine)], first + 1))
            if not brought:
                await asyncio.sleep(0.01)
                assert not polling.done()
                store.gate.set()
            await polling
            assert seen_before(desk) == 8.0 + brought, "with the history the first time, without it the second"
            store.gate.set()
            await desk.saves()
            assert (owned.beside.coming is None) == (not brought)
        desk.later(1_000)
        await desk.boundary()
        assert owned.beside.coming is None
        await desk.poll(0, [transaction("t9", mine)], 6)
        assert seen_before(desk) == 17.0, "1 + 7 + 1 + 1 and 7 more"

    asyncio.run(story())


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.runner.close()


FIRST, OLD, NEW = CARDS[0], CARDS[1], CARDS[2]
"""In three partitions."""


def saved(world: World, number: int, fails: str = "not") -> None:
    world.begin_save(number)
    world.end_save(number, fails)


def test_the_history_is_the_new_cards_once_the_store_has_it(world: World) -> None:
    for _ in range(3):
        world.pay(OLD)
    world.poll(1, 3)
    world.replaced(OLD, NEW)
    world.poll(2, 0)
    world.follow(lag=True)
    world.follow(lag=True)
    world.follow(lag=True)
    assert world.letters(NEW) == b"", "not before it is saved"
    saved(world, 2, "before")
    assert world.letters(NEW) == b""
    saved(world, 2)
    assert world.letters(NEW) == b"012"
    world.pay(OLD)
    world.poll(1, 1)
    assert world.letters(NEW) == b"012", "what the old card goes on doing is its own"
    assert world.letters(OLD) == b"0123"


def test_a_question_waits_for_transactions_that_are_older(world: World) -> None:
    world.pay(OLD)
    world.pay(OLD)
    world.replaced(OLD, NEW)
    world.follow(lag=False)
    world.poll(1, 1)
    world.follow(lag=False)
    assert world.log.all(MOVED_ROWS) == []
    world.poll(1, 1)
    world.follow(lag=False)
    assert world.log.all(MOVED_ROWS) == [], "later ones may be written in the same moment"
    world.follow(lag=True)
    world.follow(lag=True)
    assert len(world.log.all(MOVED_ROWS)) == 1
    world.settle()
    world.check()


def test_a_row_that_went_on_during_the_save_keeps_what_it_did_and_gets_the_history_with_the_next(world: World) -> None:
    world.pay(OLD)
    world.replaced(OLD, NEW)
    world.poll(1, 1)
    for _ in range(3):
        world.follow(lag=True)
    world.begin_save(1)
    world.end_save(1, "not")
    world.begin_save(2)
    world.pay(NEW)
    world.poll(2, 1)
    world.end_save(2, "not")
    assert world.letters(NEW) == b"1"
    saved(world, 2)
    assert world.letters(NEW) == b"10"
    world.settle()
    world.check()


def test_who_has_the_second_cards_history_and_lacks_the_firsts_asks_for_it(world: World) -> None:
    """The second card's worker dies after it handed the row over and before it saved that; then it takes in the first
    card's history before it is asked again, and what it hands over then holds a history that the third has already."""
    world.pay(FIRST)
    world.pay(OLD)
    world.poll(0, 1)
    world.poll(1, 1)
    for number in range(PARTITIONS):
        saved(world, number)
    world.replaced(OLD, NEW)
    world.follow(lag=True)
    world.follow(lag=True)  # handed over, and not saved
    assert len(world.log.all(MOVED_ROWS)) == 1
    world.take(1)
    world.owned[1].beside.inboxes[CARD_EVENTS].next = len(world.log.part(CARD_EVENTS, 1))  # it comes late this time
    world.replaced(FIRST, OLD)
    for _ in range(3):
        world.follow(lag=True)
        for number in range(PARTITIONS):
            saved(world, number)
    assert world.letters(OLD) == b"10"
    assert world.letters(NEW) == b"1"
    world.take(1)
    world.settle()
    world.check()
    assert sorted(world.letters(NEW)) == sorted(b"10")


def test_neither_a_repeated_event_nor_a_way_back_moves_anything_twice(world: World) -> None:
    world.pay(OLD)
    world.pay(NEW)
    world.replaced(OLD, NEW)
    world.replaced(OLD, NEW)
    world.settle()
    world.replaced(NEW, OLD)
    world.pay(NEW, previous=OLD)
    world.settle()
    assert world.letters(NEW) == b"102"
    assert world.letters(OLD) == b"0", "who was replaced does not come back with its successor's history"


def test_what_has_just_been_handed_to_a_card_goes_on_with_it(world: World) -> None:
    world.pay(FIRST)
    world.pay(OLD)
    for number in range(PARTITIONS):
        world.poll(number, 1)
        saved(world, number)
    world.replaced(FIRST, OLD)
    for _ in range(2):
        world.follow(lag=True)
    world.pay(NEW, previous=OLD)
    world.poll(2, 1)
    assert [record.partition for record in world.log.all(MOVED_ROWS)] == [1, 1], "both wait for the second card"
    world.pay(OLD)
    world.poll(1, 1)
    world.follow(lag=False)
    assert len(world.log.all(MOVED_ROWS)) == 3, "both were looked at together"
    world.settle()
    assert world.letters(NEW) == b"2130"

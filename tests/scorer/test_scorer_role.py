"""The scorer as a role on ports: the order of what it writes, when it saves, and what it does with its partitions."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from scorer_world import (
    KEY,
    NOW,
    PARTITIONS,
    card_in,
    delivered_curve,
    delivered_money,
    delivered_policy,
    parse,
    place_of,
    records,
    transaction,
)

from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryProfiles, StoredRecord
from pipeline.core.topics import DEAD_LETTERS, DECISIONS, SCORED, Topic
from pipeline.ports import Outgoing
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.role import PATIENCE_S, Scorer
from pipeline.roles.scorer.settings import ScorerSettings

MEMBER = "member-1"
CHECKPOINT_MS = 250


class NotAcknowledged(Exception):
    """A send that failed for good."""


class WatchedLog(MemoryLog):
    """Writes down the order of appends; fails those on ``failing``."""

    def __init__(self) -> None:
        super().__init__(PARTITIONS)
        self.order: list[str] = []
        self.failing: Topic | None = None
        self.gate: asyncio.Event | None = None

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        self.order.append(topic.name)
        await (asyncio.sleep(0) if self.gate is None else self.gate.wait())
        if topic == self.failing:
            raise NotAcknowledged(topic.name)
        await super().append(topic, batches)


class Group:
    """The Membership port: answers in turn, the last answer for ever; counts the questions."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def proven(self, partition: int) -> bool:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Desk:
    """A scorer on fakes, and what its tests do with it."""

    def __init__(self, store: MemoryProfiles | None = None, rows: int = 1_000, dormant_days: int = 0) -> None:
        self.log = WatchedLog()
        self.store = store or MemoryProfiles()
        self.clock = FixedClock(NOW)
        self.metrics = ScorerMetrics(registry := CollectorRegistry())
        self.registry = registry
        knowledge = Knowledge(delivered_policy(), delivered_money(), delivered_curve(), KEY, parse)
        settings = ScorerSettings(
            scorer_checkpoint_ms=CHECKPOINT_MS,
            scorer_checkpoint_rows=rows,
            scorer_dormant_days=dormant_days,
            topic_prefix="",
            snapshot_key=None,
        )
        self.loaded = 0
        self.scorer = Scorer(
            self.log, self.store, knowledge, place_of, self.clock, settings, self.metrics, loaded=self._count_loaded
        )

    def _count_loaded(self) -> None:
        self.loaded += 1

    async def take(self, *partitions: int, generation: int = 1) -> None:
        for partition in partitions:
            await self.scorer.load(partition, Group(True), MEMBER, generation)

    async def poll(self, partition: int, messages: Iterable[dict[str, Any]], first: int = 0) -> list[StoredRecord]:
        batch = records(partition, messages, first)
        await self.scorer.polled({partition: batch})
        await self.scorer.settled()
        return batch

    async def boundary(self) -> Sequence[int]:
        """A boundary, and the saves it began."""
        lost = await self.scorer.boundary()
        await self.saves()
        return lost

    async def saves(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    def later(self, ms: float) -> None:
        self.clock.time += ms / 1000

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in self.log.all(DECISIONS)]

    def value(self, series: str) -> float:
        found = self.registry.get_sample_value(f"cardwatch_{series}")
        assert found is not None, series
        return found


def some(partition: int, count: int, start: int = 0) -> list[dict[str, Any]]:
    """``count`` transactions of as many cards."""
    return [transaction(f"t{partition}-{n}", card_in(partition, n)) for n in range(start, start + count)]


def test_scored_is_written_before_decisions_and_both_before_a_save() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 3))
        assert desk.log.order == [SCORED.name, DECISIONS.name]
        assert desk.store.rows == {}, "a poll saves nothing by itself"
        assert [record.partition for record in desk.log.all(DECISIONS)] == [0, 0, 0]
        assert [dict(record.headers)["source_offset"] for record in desk.log.all(DECISIONS)] == [b"0", b"1", b"2"]

    asyncio.run(story())


@pytest.mark.parametrize("topic", [SCORED, DECISIONS, DEAD_LETTERS])
def test_what_is_not_acknowledged_is_never_saved(topic: Topic) -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        saved, place = dict(desk.store.rows[0]), desk.store.places[0]
        desk.log.failing = topic
        with pytest.raises(NotAcknowledged):
            await desk.poll(0, [*some(0, 3, start=1), {"id": "bad", "card": "x"}], first=1)
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        await desk.scorer.revoked(clean=False)
        assert (desk.store.rows[0], desk.store.places[0]) == (saved, place)

    asyncio.run(story())


def test_a_change_is_saved_at_a_boundary_once_it_has_waited_long_enough() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0, 1)
        await desk.poll(0, some(0, 2))
        desk.later(CHECKPOINT_MS - 1)
        await desk.boundary()
        assert desk.store.rows == {}
        desk.later(1)
        await desk.boundary()
        assert set(desk.store.rows) == {0}, "a partition without changes is left alone"
        assert len(desk.store.rows[0]) == 2
        assert desk.store.places[0][1:] == (1, 2)
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        assert desk.store.places[0][1] == 1, "nothing new, nothing saved"

    asyncio.run(story())


def test_many_changed_rows_are_saved_at_the_next_boundary_without_waiting() -> None:
    async def story() -> None:
        desk = Desk(rows=3)
        await desk.take(0)
        await desk.poll(0, some(0, 2))
        await desk.boundary()
        assert desk.store.rows == {}
        await desk.poll(0, some(0, 1, start=2), first=2)
        await desk.boundary()
        assert len(desk.store.rows[0]) == 3

    asyncio.run(story())


def test_refused_messages_alone_move_the_saved_offset_too() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, [{"id": "bad", "card": "x"}])
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        assert desk.store.places[0][2] == 1
        assert desk.decisions() == []

    asyncio.run(story())


def test_while_the_store_is_down_decisions_go_on_and_everything_is_saved_later() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        desk.store.down = True
        for first in range(3):
            await desk.poll(0, some(0, 1, start=first), first)
            desk.later(CHECKPOINT_MS)
            assert await desk.boundary() == []
        assert len(desk.decisions()) == 3
        assert desk.value("checkpoints_failed_total") == 3
        desk.store.down = False
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        assert len(desk.store.rows[0]) == 3
        assert desk.store.places[0][2] == 3

    asyncio.run(story())


def test_a_clean_hand_over_saves_and_the_next_owner_goes_on_from_there() -> None:
    async def story() -> None:
        first = Desk()
        await first.take(0)
        await first.poll(0, some(0, 2))
        await first.scorer.revoked(clean=True)
        second = Desk(first.store)
        assert await second.scorer.load(0, Group(True), "member-2", 2) == 2
        assert first.store.rows[0].keys() == {card_in(0, 0).encode(), card_in(0, 1).encode()}

    asyncio.run(story())


def test_a_large_partition_says_when_its_rows_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.roles.scorer.role.MANY_ROWS", 2)

    async def story() -> tuple[Desk, Desk]:
        first = Desk()
        await first.take(0, 1)
        await first.poll(0, some(0, 2))
        await first.poll(1, some(1, 1))
        await first.scorer.revoked(clean=True)
        second = Desk(first.store)
        await second.take(0, 1)
        return first, second

    assert [desk.loaded for desk in asyncio.run(story())] == [0, 1]


def test_an_unclean_hand_over_saves_nothing_and_forgets_everything() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 2))
        await desk.scorer.revoked(clean=False)
        assert desk.store.rows == {}
        assert desk.scorer.keep([0], MEMBER, 2) == {}
        assert await desk.scorer.load(0, Group(True), MEMBER, 2) is None, "from the beginning again"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("member", "generation", "kept"),
    [(MEMBER, 2, {0: 2}), (MEMBER, 3, {}), (MEMBER, 1, {}), ("another", 2, {})],
    ids=["the next generation", "one later", "the same", "another member"],
)
def test_rows_stay_warm_only_from_one_generation_to_the_next(
    member: str, generation: int, kept: dict[int, int]
) -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0, generation=1)
        await desk.poll(0, some(0, 2))
        await desk.scorer.revoked(clean=True)
        assert desk.scorer.keep([0, 1], member, generation) == kept

    asyncio.run(story())


def test_warm_rows_need_no_store() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        await desk.scorer.revoked(clean=True)
        desk.store.down = True
        assert desk.scorer.keep([0], MEMBER, 2) == {0: 1}
        await desk.poll(0, some(0, 1), first=1)
        assert len(desk.decisions()) == 1, "the row still knows the transaction that is sent again"

    asyncio.run(story())


def test_a_partition_taken_by_another_is_dropped_and_taken_again_only_after_proof() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        await desk.store.take(0, "somebody else")
        desk.later(CHECKPOINT_MS)
        assert await desk.boundary() == []
        assert desk.store.rows == {}, "refused"
        await desk.poll(0, some(0, 1, start=1), first=1)
        assert len(desk.decisions()) == 1, "rows under another's token are not used"
        assert await desk.boundary() == [0]
        group = Group(False, False, True)
        asked_when_taken: list[int] = []
        take = desk.store.take

        async def watched(partition: int, token: str) -> Any:
            asked_when_taken.append(group.asked)
            return await take(partition, token)

        desk.store.take = watched  # type: ignore[method-assign]
        assert await desk.scorer.load(0, group, MEMBER, 1) is None
        assert asked_when_taken == [3], "asked until the group said yes, and only then taken"

    asyncio.run(story())


def test_a_bug_in_saving_ends_the_worker_at_the_next_boundary() -> None:
    class Broken(MemoryProfiles):
        async def save(self, *arguments: Any) -> Any:
            raise ZeroDivisionError

    async def story() -> None:
        desk = Desk(Broken())
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        with pytest.raises(ZeroDivisionError):
            await desk.scorer.boundary()

    asyncio.run(story())


def test_a_transaction_sent_again_is_counted_and_gets_no_second_decision() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 2))
        rows = dict(desk.scorer._owned[0].rows)
        await desk.poll(0, some(0, 1), first=2)
        assert [decision["id"] for decision in desk.decisions()] == ["t0-0", "t0-1"]
        assert desk.value("duplicates_total") == 1
        assert desk.scorer._owned[0].rows == rows

    asyncio.run(story())


def test_a_reversal_is_approved_without_a_score() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        card = card_in(0)
        await desk.poll(0, [transaction("t", card), transaction("r", card, NOW + 1, type="reversal", original_id="t")])
        paid, reversed_ = desk.decisions()
        assert paid["score"] > 0
        assert (reversed_["outcome"], reversed_["score"], reversed_["percentile"]) == ("approve", 0.0, 0.0)
        assert (reversed_["reverses"], "reverses" in paid) == ("t", False)
        assert desk.registry.get_sample_value("cardwatch_score_count") == 1, "what has no score is not counted as one"

    asyncio.run(story())


def test_a_poll_over_several_partitions_keeps_each_in_its_own() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0, 1, 2)
        await desk.scorer.polled({number: records(number, some(number, 2)) for number in range(3)})
        await desk.scorer.settled()
        assert desk.log.order == [SCORED.name, DECISIONS.name], "all partitions at once"
        for number in range(3):
            ids = [json.loads(record.value or b"")["id"] for record in desk.log.part(DECISIONS, number)]
            assert ids == [f"t{number}-0", f"t{number}-1"]

    asyncio.run(story())


def test_a_card_in_the_wrong_partition_is_put_aside() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, [transaction("stray", card_in(1)), transaction("mine", card_in(0))])
        assert [decision["id"] for decision in desk.decisions()] == ["mine"]
        (letter,) = [json.loads(record.value or b"") for record in desk.log.all(DEAD_LETTERS)]
        assert (letter["reason"], letter["partition"], letter["offset"]) == ("wrong_partition", 0, 0)
        assert desk.registry.get_sample_value("cardwatch_dead_letters_total", {"reason": "wrong_partition"}) == 1

    asyncio.run(story())


def test_the_next_poll_is_scored_meanwhile_and_its_records_wait_for_all_acknowledgements() -> None:
    async def story() -> None:
        desk = Desk()
        gate = desk.log.gate = asyncio.Event()
        await desk.take(0)
        await desk.scorer.polled({0: records(0, some(0, 2))})
        second = asyncio.create_task(desk.scorer.polled({0: records(0, some(0, 2, start=2), 2)}))
        for _ in range(10):
            await asyncio.sleep(0)
        assert desk.scorer._owned[0].unsaved == 4, "the second poll is scored"
        assert desk.log.order == [SCORED.name], "and waits for the first one's acknowledgement"
        gate.set()
        await second
        await desk.scorer.settled()
        assert desk.log.order == [SCORED.name, DECISIONS.name] * 2
        assert [decision["id"] for decision in desk.decisions()] == [m["id"] for m in some(0, 4)]

    asyncio.run(story())


def test_nothing_is_saved_while_something_is_on_its_way() -> None:
    async def story() -> None:
        desk = Desk()
        gate = desk.log.gate = asyncio.Event()
        await desk.take(0)
        await desk.scorer.polled({0: records(0, some(0, 1))})
        gate.set()
        await desk.scorer.settled()
        gate.clear()
        await desk.scorer.polled({0: records(0, some(0, 1, start=1), 1)})
        desk.later(CHECKPOINT_MS)
        await desk.scorer.boundary()
        assert desk.store.rows == {}, "due, but it can wait for a better moment"
        desk.later(PATIENCE_S * 1000 + 1)
        boundary = asyncio.create_task(desk.scorer.boundary())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not boundary.done()
        assert desk.store.rows == {}
        gate.set()
        await boundary
        await desk.saves()
        assert (len(desk.store.rows[0]), desk.store.places[0][1:]) == (2, (1, 2))

    asyncio.run(story())


def test_a_hand_over_without_acknowledgement_in_time_forgets_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.roles.scorer.role.SETTLE_S", 0.01)

    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        desk.log.gate = asyncio.Event()
        await desk.scorer.polled({0: records(0, some(0, 1, start=1), 1)})
        await desk.scorer.revoked(clean=True)
        assert desk.store.rows == {}
        assert desk.scorer.keep([0], MEMBER, 2) == {}
        desk.log.gate.set()

    asyncio.run(story())


def test_a_hand_over_while_a_boundary_waits_saves_nothing_ahead_of_what_is_acknowledged() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        gate = desk.log.gate = asyncio.Event()
        await desk.scorer.polled({0: records(0, some(0, 1, start=1), 1)})
        desk.later(CHECKPOINT_MS + PATIENCE_S * 1000 + 1)
        boundary = asyncio.create_task(desk.scorer.boundary())
        handed_over = asyncio.create_task(desk.scorer.revoked(clean=True))
        for _ in range(20):
            await asyncio.sleep(0)
        assert desk.store.rows == {}, "neither may save yet"
        gate.set()
        await asyncio.gather(boundary, handed_over)
        await desk.saves()
        assert (len(desk.store.rows[0]), desk.store.places[0][1:]) == (2, (1, 2))

    asyncio.run(story())

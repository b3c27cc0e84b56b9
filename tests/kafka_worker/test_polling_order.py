"""Which records of a fetch are handed over: those that follow on from where we are, and no others."""

import asyncio
from collections.abc import Iterable
from typing import Any, NoReturn

import pytest
from aiokafka import TopicPartition

from pipeline.adapters.kafka import polling
from pipeline.adapters.kafka.polling import EXIT_OUTSIDE_LOG, PollConsumer
from pipeline.adapters.memory import StoredRecord

TOPIC = "transactions"


class Ended(Exception):
    """What `end_process` does in these tests."""


class Consumer(PollConsumer):  # type: ignore[misc]  # Faust has no types
    """`PollConsumer` at the positions ``next``, over a log that reaches from ``first`` to ``end``, without Faust."""

    def __init__(self, next: dict[int, int], first: int = 0, end: int = 1_000) -> None:
        # not super().__init__(): it wants a transport, an application and a thread
        self.topic = TOPIC
        self.next = next
        self.holes = {}
        self.sought: list[dict[int, int]] = []
        self._first, self._end = first, end

    async def earliest_offsets(self, *partitions: TopicPartition) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._first)

    async def highwaters(self, *partitions: TopicPartition) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._end)

    async def seek_wait(self, positions: dict[Any, int]) -> None:
        self.sought.append({tp.partition: offset for tp, offset in positions.items()})

    def fetch(self, parts: dict[int, Iterable[int]]) -> dict[int, list[int]]:
        """What is handed over of fetched offsets, by partition."""
        fetched = {
            TopicPartition(TOPIC, number): [StoredRecord(number, offset, 0, None, b"x") for offset in offsets]
            for number, offsets in parts.items()
        }
        poll = asyncio.run(self._in_order(fetched))
        return {number: [record.offset for record in part] for number, part in poll.items()}


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, dict[str, Any]]]:
    calls: list[tuple[int, str, dict[str, Any]]] = []

    def end(code: int, why: str, **facts: Any) -> NoReturn:
        calls.append((code, why, facts))
        raise Ended

    monkeypatch.setattr(polling, "end_process", end)
    return calls


def test_what_follows_on_is_handed_over() -> None:
    consumer = Consumer({0: 5, 1: 7})
    assert consumer.fetch({0: [5, 6], 1: [7]}) == {0: [5, 6], 1: [7]}
    assert consumer.sought == []


def test_records_of_a_partition_that_is_not_ours_are_left() -> None:
    consumer = Consumer({0: 5})
    assert consumer.fetch({0: [5], 3: [0, 1]}) == {0: [5]}
    assert consumer.sought == []


def test_stale_records_are_dropped_and_what_follows_on_behind_them_is_kept() -> None:
    consumer = Consumer({0: 5})
    assert consumer.fetch({0: [3, 4, 5, 6]}) == {0: [5, 6]}
    assert consumer.sought == []


def test_after_nothing_but_stale_records_we_ask_from_where_we_are() -> None:
    consumer = Consumer({0: 5, 1: 2})
    assert consumer.fetch({0: [3, 4], 1: [2]}) == {1: [2]}
    assert consumer.sought == [{0: 5}]


def test_a_hole_is_asked_for_once_more_and_then_taken_as_the_log_s_own() -> None:
    consumer = Consumer({0: 5})
    assert consumer.fetch({0: [8, 9]}) == {}
    assert consumer.sought == [{0: 5}]
    assert consumer.fetch({0: [8, 9]}) == {0: [8, 9]}, "compaction or a transaction marker: nothing was ever there"
    assert consumer.sought == [{0: 5}]


def test_a_hole_that_was_a_lost_fetch_is_filled() -> None:
    consumer = Consumer({0: 5})
    assert consumer.fetch({0: [8, 9]}) == {}
    assert consumer.fetch({0: [5, 6, 7, 8]}) == {0: [5, 6, 7, 8]}
    consumer.next[0] = 9
    assert consumer.fetch({0: [12]}) == {}, "the next hole is asked for anew"
    assert consumer.sought == [{0: 5}, {0: 9}]


def test_another_hole_than_the_one_asked_for_is_asked_for_again() -> None:
    consumer = Consumer({0: 5})
    assert consumer.fetch({0: [8]}) == {}
    assert consumer.fetch({0: [20]}) == {}
    assert consumer.sought == [{0: 5}, {0: 5}]


def test_a_hole_behind_stale_records_is_one_too() -> None:
    consumer = Consumer({0: 5})
    assert consumer.fetch({0: [4, 7]}) == {}
    assert consumer.sought == [{0: 5}]


@pytest.mark.parametrize(("first", "end"), [(6, 1_000), (0, 4)], ids=["retention passed us", "the log is shorter"])
def test_a_position_outside_the_log_ends_the_process_by_name(
    ended: list[tuple[int, str, dict[str, Any]]], first: int, end: int
) -> None:
    consumer = Consumer({2: 5}, first, end)
    with pytest.raises(Ended):
        consumer.fetch({2: [8, 9]})
    (code, why, facts) = ended[0]
    assert code == EXIT_OUTSIDE_LOG
    assert "the log no longer holds the next record" in why
    assert facts == {"topic": TOPIC, "partition": 2, "next": 5, "log": [first, end]}
    assert consumer.sought == [], "never a silent reset"


def test_a_position_at_either_end_of_the_log_is_inside() -> None:
    for first, end in ((5, 1_000), (0, 5)):
        consumer = Consumer({2: 5}, first, end)
        assert consumer.fetch({2: [8, 9]}) == {}
        assert consumer.sought == [{2: 5}]

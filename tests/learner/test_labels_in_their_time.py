"""A learner that reads yesterday's log again takes labels in among the rows they came among; today it holds none back."""

import asyncio

from labelled_world import course, label, label_entry, learn, numbers, row_record
from learner_world import Clock, Entry, MemoryLog, MemoryReader

from pipeline.core.topics import LABELS
from pipeline.roles.learner.inputs import EVERYTHING_MS, LIVE_MS, LabelsRead, in_order, up_to


def test_a_label_waits_until_what_was_scored_before_it_is_read() -> None:
    clock = Clock()
    log = MemoryLog(clock)
    for number, at in ((1, 10.0), (2, 20.0), (3, 15.0)):  # a clock was set back
        clock.time = at
        log.put(LABELS, label_entry(label(number), 0).value)
    one, _ = course()
    learn(one, row_record(0, 20, 0))

    async def scenario() -> list[int]:
        reader = MemoryReader(log, LABELS)
        await reader.start()
        heard, done = LabelsRead(reader), []
        for now in (9_999, 10_000, 19_999, 20_000, EVERYTHING_MS):
            await heard.hear(one, now)
            assert one.labelled is not None
            done.append(one.labelled.reading.get(0, 0))
        return done

    assert asyncio.run(scenario()) == [0, 1, 1, 3, 3], "each in its partition's order"
    other, _ = course()
    learn(other, row_record(0, 20, 0))
    for number in (1, 2, 3):
        other.label(label(number))
    assert numbers(one) == numbers(other)


def test_partitions_are_read_by_the_logs_time_each_in_its_own_order() -> None:
    def entry(partition: int, offset: int, timestamp: int) -> Entry:
        return Entry(partition, offset, timestamp, None, None)

    poll = {0: [entry(0, 0, 5), entry(0, 1, 3), entry(0, 2, 9)], 1: [entry(1, 0, 4), entry(1, 1, 8)]}
    found = [(one.partition, one.offset) for one in in_order(poll)]
    assert found == [(1, 0), (0, 0), (0, 1), (1, 1), (0, 2)]


def test_at_present_nothing_said_is_held_back_whatever_the_clocks() -> None:
    assert up_to(1_000_000, 1_000_000 + LIVE_MS) == 1_000_000
    assert up_to(1_000_000, 1_000_000 + LIVE_MS - 1) == EVERYTHING_MS
    assert up_to(1_005_000, 1_000_000) == EVERYTHING_MS

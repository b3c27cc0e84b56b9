"""What the worker promises any role, on any broker: a test module imports these and has a `bootstrap` fixture."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipeline.adapters.kafka import polling
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.worker import Worker
from pipeline.core.topics import TRANSACTIONS, Outgoing
from pipeline.ports import Membership, Poll
from pipeline.settings import Settings

PARTITIONS = 3
BOUND_S = 40.0


class Ledger:
    """A store shared by roles: per partition the next offset, and everything handled, in order."""

    def __init__(self) -> None:
        self.next: dict[int, int] = {}
        self.handled: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}

    @property
    def total(self) -> int:
        return sum(len(offsets) for offsets in self.handled.values())


class Recorder:
    """A role that writes down what it is given. Raises when polls overlap."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.busy = False
        self.loaded: list[int] = []
        self.sizes: list[int] = []
        self.revocations = 0

    def keep(self, partitions: Iterable[int], member: str, generation: int) -> dict[int, int]:
        return {}

    async def load(self, partition: int, membership: Membership, member: str, generation: int) -> int | None:
        self.loaded.append(partition)
        return self.ledger.next.get(partition)

    async def polled(self, poll: Poll) -> None:
        assert not self.busy, "polls overlap"
        self.busy = True
        await asyncio.sleep(0)
        for number, records in poll.items():
            self.ledger.handled[number].extend(record.offset for record in records)
            self.ledger.next[number] = records[-1].offset + 1
        self.sizes.append(sum(len(records) for records in poll.values()))
        self.busy = False

    def waits(self) -> bool:
        return False

    async def boundary(self) -> Sequence[int]:
        assert not self.busy, "a boundary inside a poll"
        return ()

    async def revoked(self, clean: bool) -> None:
        assert clean
        self.revocations += 1


@asynccontextmanager
async def installation(bootstrap: str, prefix: str) -> AsyncIterator[tuple[Settings, KafkaLog]]:
    settings = Settings(kafka_bootstrap=bootstrap, topic_prefix=prefix)
    await create_topics(settings, PARTITIONS)
    log = KafkaLog(settings)
    await log.start()
    try:
        yield settings, log
    finally:
        await log.stop()


async def feed(log: KafkaLog, count: int) -> None:
    records = [Outgoing(b"card%d" % number, b"%d" % number) for number in range(count)]
    await log.append(TRANSACTIONS, {number: records[number::PARTITIONS] for number in range(PARTITIONS)})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():
            await asyncio.sleep(0.02)


def assert_each_once(ledger: Ledger, total: int) -> None:
    for offsets in ledger.handled.values():
        assert offsets == list(range(len(offsets)))
    assert ledger.total == total


def test_every_record_is_handed_over_once_in_order_many_at_a_time(bootstrap: str) -> None:
    async def scenario() -> None:
        ledger = Ledger()
        async with installation(bootstrap, "order.") as (settings, log):
            await feed(log, 3_000)
            role = Recorder(ledger)
            worker = Worker(settings, TRANSACTIONS, "recorder", role)
            await worker.start()
            await until(lambda: ledger.total == 3_000)
            await worker.stop()
        assert_each_once(ledger, 3_000)
        assert max(role.sizes) > 100, "load by itself sets the poll's size"
        assert role.revocations > 0

    asyncio.run(scenario())


def test_a_member_stays_in_its_group_however_long_its_own_consumer_has_not_polled(bootstrap: str) -> None:
    async def scenario() -> None:
        ledger = Ledger()
        async with installation(bootstrap, "long.") as (settings, log):
            role = Recorder(ledger)
            worker = Worker(settings, TRANSACTIONS, "recorder", role)
            await worker.start()
            await feed(log, 300)
            await until(lambda: ledger.total == 300)
            before = role.revocations
            consumer = worker.consumer._thread._consumer
            consumer._subscription._last_fetch_ended -= 86_400.0
            beats = _heartbeats(consumer._coordinator)
            await until(lambda: len(beats) >= 3)
            await feed(log, 300)
            await until(lambda: ledger.total == 600)
            assert role.revocations == before
            await worker.stop()

    asyncio.run(scenario())


def _heartbeats(coordinator: Any) -> list[bool]:
    """What each heartbeat from now on comes to."""
    beats: list[bool] = []
    beat = coordinator._do_heartbeat

    async def counted() -> bool:
        beats.append(await beat())
        return beats[-1]

    coordinator._do_heartbeat = counted
    return beats


def test_workers_share_the_partitions_and_hand_over_without_gap_or_repeat(bootstrap: str) -> None:
    async def scenario() -> None:
        ledger = Ledger()
        async with installation(bootstrap, "share.") as (settings, log):
            roles = [Recorder(ledger), Recorder(ledger)]
            workers = [Worker(settings, TRANSACTIONS, "recorder", role) for role in roles]
            await workers[0].start()
            await until(workers[0].ready)
            await feed(log, 600)
            await workers[1].start()
            await until(lambda: bool(roles[1].loaded) and ledger.total == 600)
            await workers[0].stop()
            await feed(log, 600)
            await until(lambda: ledger.total == 1_200)
            await workers[1].stop()
        assert_each_once(ledger, 1_200)

    asyncio.run(scenario())


def test_a_stored_offset_outside_the_log_ends_the_worker_by_name(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[int, str]] = []

    def end(code: int, why: str, **facts: object) -> None:
        ended.append((code, why))
        raise asyncio.CancelledError

    monkeypatch.setattr(polling, "end_process", end)

    async def scenario() -> None:
        ledger = Ledger()
        ledger.next[1] = 77
        async with installation(bootstrap, "outside.") as (settings, _):
            worker = Worker(settings, TRANSACTIONS, "recorder", Recorder(ledger))
            await worker.start()
            await until(lambda: bool(ended))
            await worker.stop()
        assert ended[0][0] == polling.EXIT_OUTSIDE_LOG
        assert "outside the log" in ended[0][1]

    asyncio.run(scenario())


def test_membership_is_proven_by_the_coordinator_only_for_a_member(bootstrap: str) -> None:
    async def scenario() -> None:
        async with installation(bootstrap, "proof.") as (settings, _log):
            worker = Worker(settings, TRANSACTIONS, "recorder", Recorder(Ledger()))
            await worker.start()
            await until(worker.ready)
            assert await worker.consumer.proven(0)
            coordinator = worker.consumer._thread._consumer._coordinator
            generation, coordinator.generation = coordinator.generation, coordinator.generation - 1
            assert not await worker.consumer.proven(0), "a member of an earlier generation"
            coordinator.generation = generation
            await worker.stop()

    asyncio.run(scenario())

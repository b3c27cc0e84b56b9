"""Faust with one event per poll.

Faust's cost is per event (100–300 µs of tasks, queues and acknowledgements), not per byte. So its consumer here yields
ONE message per poll, whose value carries the records of all partitions, and does not fetch again until that poll is
handled: load by itself sets the batch size. Faust keeps what it is good at: membership, rebalancing, supervision.

Ownership hangs on four facts of Faust 0.15 and aiokafka 0.14:

- After a rebalance Faust seeks to the group's committed offsets in `perform_seek`. Our offsets live in the store with
  the state they belong to, so that hook is overridden. Faust bounds it and ends its recovery task silently when it takes
  too long: it never waits for the store. Partitions still warm are read on at once; the others are loaded in the
  background, one by one, and read when they are.
- aiokafka's own fetching throws away records of a fetch in flight at a rebalance while its position moves on, and reads
  no partition of which something waits. Records are read by `fetching.Fetching` instead, which holds our positions.
- An event handed to Faust around a rebalance may never reach the agent. The wait for a poll ends when it is handled or
  dropped; `_read_offset` is cleared first, or Faust would take the event for an old one.
- With no active partition Faust sleeps a second; nothing of ours asks it for records. aiokafka in turn has a member leave
  the group that asks for none for `broker_max_poll_interval`, and take no part again: that time is set to years.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
import uvloop
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from pipeline.adapters.kafka.ending import EXIT_CRASHED, EXIT_OUTSIDE_LOG, end_process
from pipeline.adapters.kafka.fetching import Fetching
from pipeline.adapters.kafka.membership import MembershipThread
from pipeline.ports import Poll, PolledRole, Record

IDLE_POLL_S = 0.25
"""How long a fetch may wait for records; a boundary with nothing in flight comes at least this often."""
DRAIN_S = 3.0
"""How long a revoke or a stop waits for the poll in flight."""
PROOF_S = 5.0

log = structlog.get_logger()


class Handed:
    """One poll on its way through Faust: to be handled by the agent, or dropped by a rebalance."""

    __slots__ = ("done", "dropped", "poll", "started")

    def __init__(self, poll: Poll) -> None:
        self.poll = poll
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started = False
        self.dropped = False

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def drop(self) -> None:
        self.dropped = True
        self.finish()


class PollConsumer(driver.Consumer):
    """Faust's consumer, yielding whole polls and asking the role where to read."""

    role: PolledRole
    topic: str
    fetching: Fetching

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.role = self.transport.role
        self.topic = self.transport.topic
        self.fetching = self.transport.fetching
        self.fetching.outside = self._outside_log
        self.open = False
        self.epoch = 0
        self.next: dict[int, int] = {}
        self.handed: Handed | None = None
        self.loading: dict[int, asyncio.Task[None]] = {}
        self.handled = 0

    def _new_consumer_thread(self) -> driver.ConsumerThread:
        return MembershipThread(self, loop=self.loop, beacon=self.beacon, thread_loop=uvloop.new_event_loop())

    # --- who we are in the group

    def owned(self) -> list[int]:
        return sorted(tp.partition for tp in self.assignment() if tp.topic == self.topic)

    def member(self) -> str:
        return str(self._thread._consumer._coordinator.member_id)

    async def proven(self, partition: int) -> bool:
        """A commit that the coordinator accepts only from a member of the present generation. (Faust's own commit
        drops partitions it does not think assigned and then answers True; generation −1 is accepted by an empty
        group.)"""

        async def commit() -> bool:
            consumer = self._thread._consumer
            coordinator = consumer._coordinator
            generation = coordinator.generation
            if generation <= 0 or generation != self.app.consumer_generation_id:
                return False
            offset = OffsetAndMetadata(max(self.next.get(partition, 0), 0), "")
            try:
                await asyncio.wait_for(consumer.commit({TopicPartition(self.topic, partition): offset}), PROOF_S)
            except (KafkaError, TimeoutError) as error:
                log.warning("membership not proven", partition=partition, error=repr(error))
                return False
            return bool(coordinator.generation == generation)

        return bool(await self._thread.call_thread(commit))

    async def commit_positions(self) -> None:
        """Tell the group how far we are, for lag tools; nothing of ours reads it."""
        for partition in list(self.next):
            if not await self.proven(partition):
                return

    async def lag(self) -> dict[int, int]:
        """Records not yet handled, per partition, by the broker's present end of log."""
        mine = [TopicPartition(self.topic, number) for number in self.next]
        ends = await self.highwaters(*mine) if mine else {}
        return {tp.partition: max(0, end - self.next.get(tp.partition, end)) for tp, end in ends.items()}

    # --- taking partitions

    async def perform_seek(self) -> None:
        self._committed_offset.clear()
        self._read_offset.clear()
        self.epoch += 1
        self.open = True
        mine = self.owned()
        self.next = self.role.keep(mine, self.member(), self.app.consumer_generation_id)
        for number, offset in self.next.items():
            self.fetching.read(number, offset)
        self._load([number for number in mine if number not in self.next])

    def _load(self, numbers: Sequence[int]) -> None:
        """Load in the background, one task a partition; the others flow on."""
        self.fetching.leave(numbers)
        for number in numbers:
            self.next.pop(number, None)
            task = asyncio.ensure_future(self._load_one(number))
            self.loading[number] = task
            task.add_done_callback(functools.partial(self._loaded, number, self.epoch))

    def _loaded(self, number: int, epoch: int, task: asyncio.Task[None]) -> None:
        if self.loading.get(number) is task:
            del self.loading[number]
        if task.cancelled() or epoch != self.epoch:
            return  # taken away meanwhile
        if (error := task.exception()) is not None:
            named = f"{type(error).__name__}: {error}"
            end_process(EXIT_CRASHED, "a partition could not be loaded", partition=number, error=named)

    async def _load_one(self, number: int) -> None:
        epoch = self.epoch
        offset = await self.role.load(number, self, self.member(), self.app.consumer_generation_id)
        tp = TopicPartition(self.topic, number)
        first = (await self.earliest_offsets(tp))[tp]
        end = (await self.highwaters(tp))[tp]
        if epoch != self.epoch:
            return
        if offset is None:
            offset = first
        if not first <= offset <= end:
            end_process(
                EXIT_OUTSIDE_LOG,
                "the stored offset lies outside the log: records are missing or this is another cluster; restore the "
                "topic, or clear this partition's state to begin anew",
                topic=self.topic,
                partition=number,
                stored=offset,
                log=[first, end],
            )
        self.next[number] = offset
        self.fetching.read(number, offset)

    # --- reading

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
            return
        await self.fetching.arrival(min(timeout, IDLE_POLL_S))
        if self.open:
            lost = await self.role.boundary()  # as late as can be: less is on its way to the log
            if lost:
                self._load(lost)
        if not (poll := self._take()):
            return
        last = list(poll.values())[-1][-1]
        tp = TP(self.topic, last.partition)
        handed = self.handed = Handed(poll)
        self._read_offset[tp] = None
        epoch = self.epoch
        yield tp, self._message(tp, last, handed)
        await handed.done
        self.handed = None
        if handed.dropped or epoch != self.epoch:
            return
        self.handled += 1
        for number, part in poll.items():
            self.next[number] = part[-1].offset + 1

    def _take(self) -> Poll:
        return {} if self.should_stop or not self.flow_active or not self.open else self.fetching.take()

    def _message(self, tp: TP, last: Record, handed: Handed) -> Any:
        return ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp / 1000, 0, (), last.key, handed, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _outside_log(self, number: int, offset: int) -> None:
        """The broker says that the next record is not in its log. If that is so it is lost: go no further."""
        tp = TopicPartition(self.topic, number)
        first = (await self.earliest_offsets(tp))[tp]
        end = (await self.highwaters(tp))[tp]
        if not first <= offset <= end:
            end_process(
                EXIT_OUTSIDE_LOG, "the log no longer holds the next record: retention or an unclean election took it",
                topic=self.topic, partition=number, next=offset, log=[first, end],
            )  # fmt: skip

    # --- letting go

    async def drain(self, why: str) -> None:
        """Stop intake, let the poll in flight end, hand everything back. Bounded."""
        self.open = False
        self.epoch += 1
        self.fetching.clear()
        for task in self.loading.values():
            task.cancel()
        self.loading.clear()
        clean = True
        if (handed := self.handed) is not None:
            if not handed.started:
                handed.drop()
            else:
                done, _ = await asyncio.wait({handed.done}, timeout=DRAIN_S)
                clean = bool(done)
        await self.role.revoked(clean)
        log.info("partitions handed back", why=why, partitions=sorted(self.next), clean=clean)
        self.next = {}

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.drain("rebalance")
        await super().on_partitions_revoked(revoked)

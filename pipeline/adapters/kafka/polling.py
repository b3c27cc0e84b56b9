"""Faust with one event per poll.

Faust's cost is per event (100–300 µs of tasks, queues and acknowledgements), not per byte. So its consumer here yields
ONE message per poll, whose value carries the records of all partitions, and does not fetch again until that poll is
handled: load by itself sets the batch size. Faust keeps what it is good at: membership, rebalancing, supervision.

Ownership hangs on four facts of Faust 0.15 and aiokafka 0.14:

- After a rebalance Faust seeks to the group's committed offsets in `perform_seek`. Our offsets live in the store with
  the state they belong to, so that hook is overridden. Faust bounds it and ends its recovery task silently when it takes
  too long: it never waits for the store. Partitions still warm are sought at once; the others are paused, loaded in the
  background one by one, and resumed.
- Records of a fetch in flight at a rebalance may be thrown away while the position moves on. Only a record whose
  offset is exactly the next expected one is handed over: older ones are stale, and a hole is asked for once more.
- An event handed to Faust around a rebalance may never reach the agent. The wait for a poll ends when it is handled or
  dropped; `_read_offset` is cleared first, or Faust would take the event for an old one.
- With no active partition Faust sleeps a second; we return early instead.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import structlog
import uvloop
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from pipeline.adapters.kafka.ending import EXIT_CRASHED, EXIT_OUTSIDE_LOG, end_process
from pipeline.adapters.kafka.fetching import PollThread
from pipeline.ports import Poll, PolledRole, Record

IDLE_POLL_S = 0.25
"""How long a fetch may wait for records; a boundary with nothing in flight comes at least this often."""
LOADING_PAUSE_S = 0.02
DRAIN_S = 3.0
"""How long a revoke or a stop waits for the poll in flight."""
PROOF_S = 5.0
RELOAD_PAUSE_S = 0.5

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.role = self.transport.role
        self.topic = self.transport.topic
        self.open = False
        self.epoch = 0
        self.next: dict[int, int] = {}
        self.handed: Handed | None = None
        self.loading: dict[int, asyncio.Task[None]] = {}
        self.holes: dict[int, int] = {}
        self.handled = 0

    def _new_consumer_thread(self) -> driver.ConsumerThread:
        return PollThread(self, loop=self.loop, beacon=self.beacon, thread_loop=uvloop.new_event_loop())

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
        return {tp.partition: max(0, end - self.next[tp.partition]) for tp, end in ends.items()}

    # --- taking partitions

    async def perform_seek(self) -> None:
        self._committed_offset.clear()
        self._read_offset.clear()
        self.epoch += 1
        self.open = True
        mine = self.owned()
        self.next = self.role.keep(mine, self.member(), self.app.consumer_generation_id)
        await self.seek_wait({TP(self.topic, number): offset for number, offset in self.next.items()})
        self._load(number for number in mine if number not in self.next)

    def _load(self, numbers: Iterable[int]) -> None:
        """Load in the background, one task a partition; the others flow on."""
        for number in numbers:
            self.pause_partitions({TP(self.topic, number)})
            self.next.pop(number, None)
            task = asyncio.ensure_future(self._load_one(number))
            self.loading[number] = task
            task.add_done_callback(functools.partial(self._loaded, number, self.epoch))

    def _loaded(self, number: int, epoch: int, task: asyncio.Task[None]) -> None:
        if self.loading.get(number) is task:
            del self.loading[number]
        if task.cancelled() or epoch != self.epoch:
            return  # taken away meanwhile: a seek then fails, and rightly so
        if (error := task.exception()) is not None:
            end_process(EXIT_CRASHED, "a partition could not be loaded", partition=number, error=repr(error))

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
        await self.seek_wait({TP(self.topic, number): offset})
        if epoch == self.epoch:
            self.next[number] = offset
            self.holes.pop(number, None)
            self.resume_partitions({TP(self.topic, number)})

    # --- reading

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
            return
        if self.open:
            lost = await self.role.boundary()
            if lost:
                self._load(lost)
        if not self._get_active_partitions():
            if self.loading:
                await asyncio.wait(self.loading.values(), timeout=IDLE_POLL_S, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(LOADING_PAUSE_S)
            return
        records, _ = await self._wait_next_records(min(timeout, IDLE_POLL_S))
        if not records or self.should_stop or not self.flow_active or not self.open:
            return
        poll = await self._in_order(records)
        if not poll:
            return
        last = poll[next(reversed(poll))][-1]
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

    def _message(self, tp: TP, last: Record, handed: Handed) -> Any:
        return ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp / 1000, 0, (), last.key, handed, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _in_order(self, records: Mapping[Any, list[Any]]) -> dict[int, list[Record]]:
        """Keep what continues exactly where we are; ask once more for what does not."""
        poll: dict[int, list[Record]] = {}
        again: dict[int, int] = {}
        for tp, part in records.items():
            number = tp.partition
            expected = self.next.get(number)
            if expected is None or not part:
                continue
            if part[0].offset < expected:
                part = [record for record in part if record.offset >= expected]
                if not part:
                    again[number] = expected
                    continue
            if part[0].offset != expected and self.holes.get(number) != part[0].offset:
                self.holes[number] = part[0].offset
                again[number] = expected
                continue
            self.holes.pop(number, None)
            poll[number] = part
        if again:
            await self._ask_again(again)
        return poll

    async def _ask_again(self, positions: dict[int, int]) -> None:
        """Seek back to where we are — after making sure that this is still inside the log: past its end or before its
        beginning aiokafka would silently start elsewhere."""
        tps = [TopicPartition(self.topic, number) for number in positions]
        first = await self.earliest_offsets(*tps)
        ends = await self.highwaters(*tps)
        for tp in tps:
            offset = positions[tp.partition]
            if not first[tp] <= offset <= ends[tp]:
                end_process(
                    EXIT_OUTSIDE_LOG, "the log no longer holds the next record: retention or an unclean election took it",
                    topic=self.topic, partition=tp.partition, next=offset, log=[first[tp], ends[tp]],
                )  # fmt: skip
        log.info("asking once more for records that did not follow on", positions=positions)
        await self.seek_wait({TP(self.topic, number): offset for number, offset in positions.items()})

    # --- letting go

    async def drain(self, why: str) -> None:
        """Stop intake, let the poll in flight end, hand everything back. Bounded."""
        self.open = False
        self.epoch += 1
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

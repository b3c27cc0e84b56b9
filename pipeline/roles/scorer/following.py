"""The profile follows the card: a scorer's part in it, for the partitions it owns.

Beside the polls of transactions the scorer reads the same partitions of ``card-events`` (what the bank says of its cards)
and of ``moved-rows`` (what the scorers say to one another, see `succession`). Both are quiet: whoever has no such records
pays for one waiting request.

An event may reach us before transactions that are older: after an outage, or when a partition is read from its beginning
once more. So what the *old* card's partition is asked waits until transactions were read up to the moment the question
was written to its log, or until none are left to read. What the *new* card's partition is handed may come at any time.

What is found in some records is sent first and saved then (`beside`): after a crash between the two it is sent again, and
whoever reads it knows it by the card it comes from.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from pipeline.core.card_findings import Findings
from pipeline.core.succession import Asked, Handed, decode_moved, encode_moved
from pipeline.core.topics import CARD_EVENTS, DEAD_LETTERS, MOVED_ROWS, Record, Topic
from pipeline.ports import Clock, Log, Outgoing, PartsReader, ProfileStore
from pipeline.roles.scorer.beside import MAX_WAITING, TOPICS, Coming
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.owned import OwnedPartition

READ_S = 0.5
LOOK_S = 0.05
"""How soon to look again at records that wait for transactions to be read, or for a save."""
RETRY_S = 2.0
STUCK_S = 10.0
"""A reader that answers nothing for so long, not even that nothing came, is given up for another."""
HANDLED_TOGETHER = 500
"""Records of one topic and partition that one save brings: their rows are all in one message to the store."""

log = structlog.get_logger()


class Following:
    """``lag`` is asked how many records of `transactions` are not yet handled, per partition: another mapping whenever the
    broker has told. ``failed``: why the scorer must not go on."""

    def __init__(
        self,
        log_port: Log,
        store: ProfileStore,
        partition_of: Callable[[bytes], int],
        clock: Clock,
        metrics: ScorerMetrics,
    ) -> None:
        self._log = log_port
        self._store = store
        self._partition_of = partition_of
        self._clock = clock
        self._metrics = metrics
        self.lag: Callable[[], Mapping[int, int]] = dict
        self.failed: BaseException | None = None

    async def follow(
        self,
        open_reader: Callable[[], PartsReader],
        owned: Callable[[], Mapping[int, OwnedPartition]],
        stop: asyncio.Event,
    ) -> None:
        """Read for the partitions that are ``owned`` at the time. When that can't be done transactions are decided
        without it, and reading begins again."""
        while not stop.is_set():
            reader = open_reader()
            try:
                await reader.start()
                while not stop.is_set():
                    await self.read_once(reader, owned)
            except Exception as error:  # the port names no errors of its own, and a scorer outlives any of its broker's
                log.warning("card-events and moved-rows can't be read: cards wait for their history", error=repr(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_S)
            finally:
                with contextlib.suppress(Exception):  # the connection may be gone already
                    await asyncio.wait_for(reader.stop(), STUCK_S)

    async def read_once(self, reader: PartsReader, owned: Callable[[], Mapping[int, OwnedPartition]]) -> None:
        """Take in what has come, and begin to look at what waits."""
        asked = dict(owned())
        inboxes = {
            (topic, number): partition.beside.inboxes[topic] for number, partition in asked.items() for topic in TOPICS
        }
        reader.read({place: box.next for place, box in inboxes.items() if len(box.waiting) < MAX_WAITING})
        async with asyncio.timeout(STUCK_S):
            found = await reader.poll(LOOK_S if any(box.waiting for box in inboxes.values()) else READ_S)
        lag, mine = self.lag(), owned()
        for (topic, number), records in found.items():
            if number in asked and mine.get(number) is asked[number]:
                inboxes[topic, number].take(records, lag)
        for partition in mine.values():
            beside = partition.beside
            if beside.handling is None and beside.coming is None and partition.next is not None:
                ready = {topic: self._ready(topic, partition) for topic in TOPICS}
                if any(ready.values()):
                    beside.handling = asyncio.create_task(self._handle(partition, ready))

    def _ready(self, topic: Topic, partition: OwnedPartition) -> list[Record]:
        """What may be looked at by now, in order."""
        records: list[Record] = []
        lag = self.lag()
        for record, came in partition.beside.inboxes[topic].waiting:
            old_cards = topic is CARD_EVENTS or _asks(record)
            caught_up = lag is not came and lag.get(partition.partition) == 0
            if len(records) == HANDLED_TOGETHER or (
                old_cards and partition.beside.heard_ms < record.timestamp and not caught_up
            ):
                break
            records.append(record)
        return records

    async def _handle(self, partition: OwnedPartition, ready: Mapping[Topic, Sequence[Record]]) -> None:
        try:
            await self.handle(partition, ready)
        except Exception as error:  # of the log, for good, or a bug: the scorer must not go on
            self.failed = error
        finally:
            partition.beside.handling = None

    async def handle(self, partition: OwnedPartition, ready: Mapping[Topic, Sequence[Record]]) -> None:
        """Find what these records come to, send what is to be sent, and leave the rest to the next save."""
        beside = partition.beside
        findings = Findings(beside.note, partition.rows, self._partition_of)
        for topic, records in ready.items():
            for record in records:
                findings.look_at(topic, record)
        beside.busy = findings.cards()
        while await partition.wake(self._store, beside.busy):
            pass
        if partition.lost:
            return
        findings.take()
        if findings.refused:
            await self._log.send(DEAD_LETTERS, findings.refused)
        await self.send(findings.messages)
        for topic, records in ready.items():
            for _ in records:
                beside.inboxes[topic].waiting.popleft()
        places = {topic.name: records[-1].offset + 1 for topic, records in ready.items() if records}
        beside.coming = Coming(findings.notes, tuple(findings.histories), places)
        partition.changed_at = partition.changed_at or self._clock.now()
        self._metrics.moved_profiles.inc(len(findings.histories))
        for reason in findings.refusals:
            self._metrics.dead_letters.labels(reason).inc()

    async def ask(self, owned: Mapping[int, OwnedPartition], named: Iterable[tuple[int, bytes, str]]) -> None:
        """Transactions (partition, card) named their previous card: ask for the history that the row does not hold."""
        asked = []
        for number, card, previous in named:
            beside = owned[number].beside
            if beside.asks(card, previous) and previous not in beside.note(card).origins and previous != card.decode():
                asked.append(Asked(previous, card.decode()))
        await self.send(asked)

    async def send(self, messages: Iterable[Asked | Handed]) -> None:
        """To the partitions of their cards; returns when all are acknowledged."""
        batches: dict[int, list[Outgoing]] = {}
        for message in messages:
            record = encode_moved(message)
            batches.setdefault(self._partition_of(record.key or b""), []).append(record)
        if batches:
            await self._log.append(MOVED_ROWS, batches)


def _asks(record: Record) -> bool:
    try:
        return isinstance(decode_moved(record.value), Asked)
    except ValueError:
        return False

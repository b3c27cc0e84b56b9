"""Reading parts of quiet topics: whatever becomes of the set of partitions, each record is read in its turn, and a broker
that says nothing more is noticed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import pytest
from prometheus_client import CollectorRegistry
from scorer_world import PARTITIONS, place_of

from pipeline.adapters.kafka import parts
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.parts import KafkaPartsReader
from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryProfiles
from pipeline.core.topics import CARD_EVENTS, MOVED_ROWS, Outgoing, Record, Topic
from pipeline.embedded.broker import start_broker
from pipeline.roles.scorer import following
from pipeline.roles.scorer.beside import TOPICS, Inbox
from pipeline.roles.scorer.following import Following
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.settings import Settings

BOUND_S = 30.0
Places = dict[tuple[Topic, int], int | None]
Story = Callable[[Settings, KafkaLog], Awaitable[None]]


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = start_broker(tmp_path_factory.mktemp("parts-broker"), partition_mb=1)
    yield broker.bootstrap
    broker.stop()


def play(bootstrap: str, prefix: str, story: Story) -> None:
    """On topics of its own; nothing goes on when it has ended."""

    async def whole() -> None:
        settings = Settings(kafka_bootstrap=bootstrap, topic_prefix=prefix)
        await create_topics(settings, PARTITIONS)
        log = KafkaLog(settings)
        await log.start()
        async with asyncio.timeout(BOUND_S):
            await story(settings, log)
        await log.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


def test_nothing_is_lost_or_twice_however_often_the_partitions_change(bootstrap: str) -> None:
    async def story(settings: Settings, log: KafkaLog) -> None:
        reader, drawn = KafkaPartsReader(settings), random.Random(1)
        await reader.start()
        every = [(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        inboxes = {place: Inbox() for place in every}
        read: dict[tuple[Topic, int], list[int]] = {place: [] for place in every}
        written = dict.fromkeys(every, 0)

        async def once(owned: Sequence[tuple[Topic, int]]) -> None:
            reader.read({place: inboxes[place].next for place in owned})
            for place, records in (await reader.poll(drawn.choice([0.0, 0.002, 0.02]))).items():
                assert place in owned
                inboxes[place].take(records, None)
                read[place] += [record.offset for record in records]

        for _ in range(100):
            place = drawn.choice(every)
            await log.append(place[0], {place[1]: [Outgoing(b"k", b"v")] * 3})
            written[place] += 3
            for owned in (drawn.sample(every, drawn.randrange(len(every))) for _ in range(3)):
                await once(owned)
        while any(inboxes[place].next != (written[place] or None) for place in every):
            await once(every)
        assert {place: list(range(count)) for place, count in written.items()} == read
        await reader.stop()

    play(bootstrap, "often.", story)


def test_a_reader_that_has_nothing_to_read_yet_says_so_and_reads_on(bootstrap: str) -> None:
    """A worker's reader may be there before its first partition."""

    async def story(settings: Settings, log: KafkaLog) -> None:
        reader = KafkaPartsReader(settings)
        await reader.start()
        await log.append(CARD_EVENTS, {0: [Outgoing(b"k", b"v")]})
        place = (CARD_EVENTS, 0)
        for _ in range(2):
            reader.read({})
            assert await reader.poll(0.01) == {}
            reader.read({place: None})
            found: Mapping[tuple[Topic, int], Sequence[Record]] = {}
            while not found:
                found = await reader.poll(0.1)
            assert [record.offset for record in found[place]] == [0]
        await reader.stop()

    play(bootstrap, "nothing.", story)


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(bootstrap: str) -> None:
    async def story(settings: Settings, log: KafkaLog) -> None:
        reader, inbox = KafkaPartsReader(settings), Inbox()
        await reader.start()
        inbox.next = 57
        for count in range(1, 4):
            await log.append(MOVED_ROWS, {0: [Outgoing(b"k", b"v")]})
            while inbox.next != count:
                reader.read({(MOVED_ROWS, 0): inbox.next})
                for records in (await reader.poll(0.1)).values():
                    inbox.take(records, None)
        assert [record.offset for record, _ in inbox.waiting] == [0, 1, 2]
        await reader.stop()

    play(bootstrap, "anew.", story)


def test_a_request_that_is_not_answered_is_told(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ANSWER_S", 0.1)

    async def story(settings: Settings, log: KafkaLog) -> None:
        reader = KafkaPartsReader(settings)
        await reader.start()
        reader.read({(CARD_EVENTS, 0): None})  # nothing comes within that time
        with pytest.raises(TimeoutError):
            await until_told(reader)
        await reader.stop()

    play(bootstrap, "silent.", story)


def test_an_end_waits_for_no_answer(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FETCH_WAIT_MS", int(3_000 * BOUND_S))
    monkeypatch.setattr(parts, "ANSWER_S", 3 * BOUND_S)

    async def story(settings: Settings, log: KafkaLog) -> None:
        reader = KafkaPartsReader(settings)
        await reader.start()
        reader.read({(CARD_EVENTS, 0): None})
        assert await reader.poll(0.1) == {}
        await reader.stop()

    play(bootstrap, "end.", story)


async def until_told(reader: KafkaPartsReader) -> None:
    while not await reader.poll(0.01):
        pass


class Reader:
    """Says nothing, not even that nothing came."""

    def __init__(self, opened: list["Reader"]) -> None:
        opened.append(self)
        self.stopped = False

    async def start(self) -> None: ...

    def read(self, places: Mapping[tuple[Topic, int], int | None]) -> None: ...

    async def poll(self, timeout_s: float) -> Mapping[tuple[Topic, int], Sequence[Record]]:
        await asyncio.Event().wait()
        return {}

    async def stop(self) -> None:
        self.stopped = True


def test_a_reader_that_says_nothing_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "STUCK_S", 0.01)
    monkeypatch.setattr(following, "RETRY_S", 0.01)

    async def story() -> None:
        metrics = ScorerMetrics(CollectorRegistry())
        role = Following(MemoryLog(PARTITIONS), MemoryProfiles(), place_of, FixedClock(), metrics)
        opened: list[Reader] = []
        stop = asyncio.Event()

        def open_reader() -> Reader:
            if len(opened) == 2:
                stop.set()
            return Reader(opened)

        async with asyncio.timeout(BOUND_S):
            await role.follow(open_reader, dict, stop)
        assert [reader.stopped for reader in opened] == [True, True, True]

    asyncio.run(story())

"""One role's worker: a Faust application that hands polls of one topic to the role, and a watchdog beside it."""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import faust
import structlog
from yarl import URL

from pipeline.adapters.kafka.connection import client_arguments, faust_credentials
from pipeline.adapters.kafka.ending import EXIT_CRASHED, end_process
from pipeline.adapters.kafka.fetching import Fetching
from pipeline.adapters.kafka.polling import PollConsumer
from pipeline.adapters.kafka.transport import PassThrough, PollTransport
from pipeline.adapters.kafka.watchdog import Watchdog
from pipeline.core.topics import Topic
from pipeline.ports import MAX_POLL_RECORDS, PolledRole
from pipeline.settings import Settings

SESSION_S = 6.0
HEARTBEAT_S = 1.0
REBALANCE_S = 30.0
UNPOLLED_S = 10 * 365 * 86_400.0
"""aiokafka has a member leave its group that has not polled for so long (Faust's default: 1,000 s), and ours never polls:
records are read elsewhere. Whether work goes on is the watchdog's to see."""
REQUEST_S = 90.0
"""Faust refuses a session longer than this; it also bounds its recovery."""
STREAM_BUFFER = 4
"""Never filled: one event is under way at a time. A full buffer would stall the fetch loop for a second."""

log = structlog.get_logger()


class FaustApp(faust.App):
    """Faust's application; a stop drains the poll in flight before the consumer leaves the group."""

    async def on_stop(self) -> None:
        if isinstance(self.consumer, PollConsumer):
            await self.consumer.drain("stop")
        await super().on_stop()


class Worker:
    """Runs ``role`` on its share of ``topic``'s partitions until `stop`.

    ``name`` is the consumer group; ``ahead``: records are fetched while a poll is being handled (`fetching`); `lag` and
    `loading` serve metrics and readiness; `lag_asked_at`: when the broker was asked that told this lag, unix seconds.
    """

    def __init__(self, settings: Settings, topic: Topic, name: str, role: PolledRole, ahead: bool = True) -> None:
        self.role = role
        self._settings = settings
        self._topic = settings.topic_prefix + topic.name
        self._group = f"{settings.topic_prefix}{name}"
        self._scratch = tempfile.TemporaryDirectory(prefix="cardwatch-")  # Faust insists on a directory
        self._fetching = Fetching(client_arguments(settings), self._topic, ahead)
        self._app = self._build()
        self._watchdog = Watchdog()
        self._observer: asyncio.Task[None] | None = None
        self.lag: dict[int, int] = {}
        self.lag_asked_at = 0.0

    def _build(self) -> FaustApp:
        broker = f"kafka://{self._settings.kafka_bootstrap.replace(',', ';kafka://')}"
        app = FaustApp(
            self._group,
            broker=broker,
            broker_credentials=faust_credentials(self._settings),
            broker_session_timeout=SESSION_S,
            broker_heartbeat_interval=HEARTBEAT_S,
            broker_rebalance_timeout=REBALANCE_S,
            broker_request_timeout=REQUEST_S,
            broker_max_poll_interval=UNPOLLED_S,
            broker_max_poll_records=MAX_POLL_RECORDS,
            consumer_auto_offset_reset="earliest",  # positions are sought and checked by ourselves
            consumer_group_instance_id=None,
            topic_disable_leader=True,
            stream_buffer_maxsize=STREAM_BUFFER,
            stream_wait_empty=False,
            store="memory://",
            web_enabled=False,
            worker_redirect_stdouts=False,
            datadir=self._scratch.name,
        )
        app.transport = PollTransport(
            [URL(url) for url in broker.replace("kafka://", "aiokafka://").split(";")],
            app,
            app.loop,
            role=self.role,
            topic=self._topic,
            fetching=self._fetching,
        )
        source = app.topic(self._topic, schema=PassThrough(), acks=False)
        role = self.role

        @app.agent(source, name=f"{self._group}.polled")  # type: ignore[untyped-decorator]  # Faust has no types
        async def polled(stream: Any) -> None:
            async for handed in stream.noack():
                if handed.dropped or handed.done.done():
                    continue
                handed.started = True
                try:
                    await role.polled(handed.poll)
                except BaseException as error:
                    log.exception("a poll could not be handled")
                    end_process(EXIT_CRASHED, "starting again from the last checkpoint", error=repr(error))
                handed.finish()

        return app

    @property
    def consumer(self) -> PollConsumer:
        consumer = self._app.consumer
        assert isinstance(consumer, PollConsumer)
        return consumer

    def ready(self) -> bool:
        """True when every partition that is ours is loaded."""
        consumer = self.consumer
        return consumer.open and not consumer.loading

    async def start(self) -> None:
        await self._fetching.start()
        await self._app.start()
        self._watchdog.start()
        self._observer = asyncio.create_task(self._observe())

    async def _observe(self) -> None:
        """Once a second: how far behind, for metrics; every few seconds: tell lag tools; and feed the watchdog."""
        count = 0
        while True:
            await asyncio.sleep(1.0)
            count += 1
            consumer = self.consumer
            try:
                asked_at = time.time()
                self.lag = await asyncio.wait_for(consumer.lag(), 10)
                self.lag_asked_at = asked_at
                behind = left_waiting(self.lag, consumer.open)
                if count % 5 == 0 and consumer.open:
                    await consumer.commit_positions()
            except Exception as error:
                log.info("the broker did not tell how far behind we are", error=repr(error))
                behind = 0
            self._watchdog.beat(consumer.handled, behind, waiting=bool(consumer.loading) or self.role.waits())

    async def stop(self) -> None:
        self._watchdog.stop()
        if self._observer is not None:
            self._observer.cancel()
        await self._app.stop()
        await self._fetching.stop()
        self._scratch.cleanup()


def left_waiting(lag: Mapping[int, int], is_open: bool) -> int:
    """How many records wait, for the watchdog. A member that handed everything back and was given nothing since, not even
    the word that nothing is its own, knows of none: it counts as if one waited, for its rebalance must end some time."""
    return sum(lag.values()) if is_open else max(1, sum(lag.values()))

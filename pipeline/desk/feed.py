"""Keeps the projection fed from the topics, through broker failures and restarts.

Each topic has a loop of its own, so one that does not exist yet holds up no other. A client library that silently
retries would leave the page looking live while nothing comes: every few seconds the feed asks for the ends of the log,
and an answer that does not come is a lost connection, shown on the page until it is back.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from enum import Enum

import structlog

from pipeline.core.topics import (
    ACCOUNTS,
    CARD_COMMAND_RESULTS,
    CARD_COMMANDS,
    CONTACT_REQUESTS,
    CONTACTS,
    DECISIONS,
    Topic,
)
from pipeline.desk.projection import Projection
from pipeline.ports import Reader, Record

BACKLOG_RECORDS = 20_000
"""Per partition of `decisions`: how far before the end a starting desk begins."""
STORY_BACKLOG_RECORDS = 5_000
"""The same for the topics that tell what followed."""
REMINDING_BACKLOG_RECORDS = 20_000
"""The same for what reminders are told from: further back, for a cure rate needs its days."""
POLL_S = 0.2
HEARTBEAT_S = 3.0
ANSWER_S = 5.0
"""How long the broker may take to say where its logs end."""
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 8.0

OpenReader = Callable[[Topic], Reader]
log = structlog.get_logger()


class Link(Enum):
    """What the page says about the broker."""

    connecting = "connecting"
    live = "live"
    reconnecting = "reconnecting"


class Feed:
    """Runs one loop per topic until cancelled. ``open_reader`` makes a new reader for every attempt to connect."""

    def __init__(
        self,
        open_reader: OpenReader,
        projection: Projection,
        backlog: int = BACKLOG_RECORDS,
        heartbeat_s: float = HEARTBEAT_S,
        first_retry_s: float = FIRST_RETRY_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._open_reader = open_reader
        self._projection = projection
        self._heartbeat_s = heartbeat_s
        self._first_retry_s = first_retry_s
        self._answer_s = answer_s
        self._plan: Mapping[Topic, tuple[Callable[[Record], None], int]] = {
            DECISIONS: (projection.apply_decision, backlog),
            CONTACTS: (projection.apply_contact, min(backlog, REMINDING_BACKLOG_RECORDS)),
            CONTACT_REQUESTS: (projection.apply_request, min(backlog, REMINDING_BACKLOG_RECORDS)),
            ACCOUNTS: (projection.apply_account, min(backlog, REMINDING_BACKLOG_RECORDS)),
            CARD_COMMANDS: (projection.apply_command, min(backlog, STORY_BACKLOG_RECORDS)),
            CARD_COMMAND_RESULTS: (projection.apply_command_result, min(backlog, STORY_BACKLOG_RECORDS)),
        }
        self._links = dict.fromkeys(self._plan, Link.connecting)
        self._positions: dict[Topic, dict[int, int]] = {topic: {} for topic in self._plan}

    @property
    def link(self) -> Link:
        """Live while decisions come and no topic's connection is lost."""
        if Link.reconnecting in self._links.values():
            return Link.reconnecting
        return self._links[DECISIONS]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as loops:
            for topic in self._plan:
                loops.create_task(self._keep_reading(topic))

    async def _keep_reading(self, topic: Topic) -> None:
        retry_s = self._first_retry_s
        while True:
            reader = self._open_reader(topic)
            try:
                await self._begin(topic, reader)
                self._links[topic] = Link.live
                retry_s = self._first_retry_s
                await self._follow(topic, reader)
            except Exception as error:  # the port names no errors of its own, and a desk outlives any of its broker's
                self._links[topic] = Link.reconnecting
                log.warning("the desk lost a topic and tries again", topic=topic.name, error=repr(error), in_s=retry_s)
            finally:
                with contextlib.suppress(Exception):  # the connection may be gone already; a new one is made
                    async with asyncio.timeout(self._answer_s):
                        await reader.stop()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _begin(self, topic: Topic, reader: Reader) -> None:
        """Start where we left off; the first time, or in a log that began anew, a bounded way before the end."""
        positions = self._positions[topic]
        await reader.start(positions)
        ends = await self._ends(reader)
        _, backlog = self._plan[topic]
        anew = any(ends.get(partition, 0) < position for partition, position in positions.items())
        if anew:
            log.warning("the log is shorter than it was: the broker began anew, and so does the desk", topic=topic.name)
            self._projection.log_began_anew(topic.name)
        elif positions:
            return
        await reader.stop()
        positions.clear()
        positions.update({partition: max(0, end - backlog) for partition, end in ends.items()})
        await reader.start(positions)

    async def _follow(self, topic: Topic, reader: Reader) -> None:
        apply, _ = self._plan[topic]
        positions = self._positions[topic]
        clock = asyncio.get_running_loop().time
        heartbeat_at = clock() + self._heartbeat_s
        while True:
            poll = await reader.poll(POLL_S)
            for partition, records in poll.items():
                for record in records:
                    apply(record)
                positions[partition] = records[-1].offset + 1
            if clock() >= heartbeat_at:
                await self._ends(reader)
                heartbeat_at = clock() + self._heartbeat_s
            await asyncio.sleep(0)  # a reader that always has records must not keep the page from being served

    async def _ends(self, reader: Reader) -> dict[int, int]:
        async with asyncio.timeout(self._answer_s):
            return await reader.ends()

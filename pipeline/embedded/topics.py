"""The broker's topics: what may be created, and where a partition's log is."""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.embedded import wire
from pipeline.embedded.log import PartitionLog

MAX_PARTITIONS: Final = 256
"""Of one topic."""
MAX_TOPICS: Final = 1_000

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Topics:
    """All topics by name. ``auto_create`` is the number of partitions of a topic that is made because somebody asked
    for it, 0 for never."""

    def __init__(self, partition_bytes: int, auto_create: int = 0, default_partitions: int = 1) -> None:
        self._logs: dict[str, list[PartitionLog]] = {}
        self._partition_bytes = partition_bytes
        self._auto_create = auto_create
        self._default_partitions = default_partitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._logs)

    def create(self, name: str, partitions: int, compacted: bool = False, only_check: bool = False) -> int:
        """Make a topic; answers a Kafka error code. −1 partitions means the default number."""
        count = self._default_partitions if partitions == -1 else partitions
        if not _NAME.fullmatch(name) or name in (".", ".."):
            return wire.INVALID_TOPIC
        if name in self._logs:
            return wire.TOPIC_ALREADY_EXISTS
        if not 1 <= count <= MAX_PARTITIONS:
            return wire.INVALID_PARTITIONS
        if len(self._logs) >= MAX_TOPICS:
            return wire.POLICY_VIOLATION
        if not only_check:
            self._logs[name] = [
                PartitionLog(f"{name}-{number}", self._partition_bytes, compacted) for number in range(count)
            ]
        return wire.NONE

    def asked_for(self, name: str) -> int:
        """A client wants to know about a topic: make it if that is allowed. Answers a Kafka error code."""
        if name in self._logs:
            return wire.NONE
        if not _NAME.fullmatch(name):
            return wire.INVALID_TOPIC
        if not self._auto_create:
            return wire.UNKNOWN_TOPIC_OR_PARTITION
        return self.create(name, self._auto_create)

    def partitions(self, name: str) -> int:
        """How many partitions the topic has, 0 when there is no such topic."""
        return len(self._logs.get(name, ()))

    def log(self, name: str, partition: int) -> PartitionLog | None:
        logs = self._logs.get(name)
        return logs[partition] if logs and 0 <= partition < len(logs) else None

"""Transactions that were scored by the scorer's own core, on a log in memory, and archives of them."""

import asyncio
import atexit
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from models.calibrate import parse_prior
from models.scorer import Model
from pipeline.adapters import parquet_ids as ids
from pipeline.adapters.kafka.log import partition_of
from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryReader
from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.parquet_writing import ParquetShelf, connected
from pipeline.core.archive_counters import COUNTED
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.decision import HEADER_SOURCE_OFFSET
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.policy import Policy, parse_policy
from pipeline.core.poll import Part, Versions
from pipeline.core.scored import decode as decode_scored
from pipeline.core.scoring import score_poll
from pipeline.core.topics import DECISIONS, SCORED, TRANSACTIONS, Outgoing, Topic
from pipeline.core.transaction import decode
from pipeline.ports import Poll
from pipeline.roles.archive.metrics import ArchiveMetrics
from pipeline.roles.archive.run import ArchiveRun, Pace, World

CONFIG = Path(__file__).parents[2] / "config"
MONEY = parse_rates((CONFIG / "rates.toml").read_text(), "rates.toml")
NOON = 1_790_078_400.0
"""Unix seconds, 2026-09-22 12:00 UTC."""
DAY_S = 86_400.0
AT_ONCE = Pace(file_rows=1_000, file_s=0, poll_s=0, gather_s=0, look_s=0, files_s=0, retry_s=0)


def policy(version: str = "") -> Policy:
    text = (CONFIG / "policies" / "default.toml").read_text()
    return parse_policy(text + f"\n# {version}\n", "default.toml", SCHEMA)


def versions(number: int = 0) -> Versions:
    """What is decided under; another ``number``: other versions."""
    curve = parse_prior((CONFIG / "models" / "prior.toml").read_text(), "prior.toml")
    return Versions(policy(str(number)), Model.day_one(LAYOUT, curve), MONEY)


def cards_of(partition: int, partitions: int) -> list[str]:
    cards = (f"tok_a_{attempt:08}" for attempt in count())
    return list(islice((card for card in cards if partition_of(card.encode(), partitions) == partition), 3))


def at_once(waits_for_nothing: Coroutine[Any, Any, None]) -> None:
    """Run what a log in memory does, without a loop of its own each time."""
    with suppress(StopIteration):
        waits_for_nothing.send(None)


class Traffic:
    """Transactions of one bank, and the scorer's work on them. ``log.timestamp_ms`` is the log's clock."""

    def __init__(self, partitions: int = 2) -> None:
        self.log = MemoryLog(partitions)
        self.log.timestamp_ms = int(NOON * 1000)
        self.partitions = partitions
        self.cards = {number: cards_of(number, partitions) for number in range(partitions)}
        self._rows: dict[int, list[tuple[int, dict[bytes, bytes]]]] = {n: [(0, {})] for n in range(partitions)}
        self._count = 0

    def pay(self, partition: int, card: int = 0, **changes: Any) -> str:
        """One transaction; its id."""
        self._count += 1
        message = {
            "id": f"t{self._count}",
            "card": self.cards[partition][card % 3],
            "time": np.datetime64(self.log.timestamp_ms, "ms").item().isoformat() + "+00:00",
            "amount": 1_000 + 700 * (self._count % 7),
            "currency": "CNY",
            "customer": f"c{card}",
            "merchant": f"m{self._count % 3}",
            "merchant_name": "Tea House",
            "country": "CN" if self._count % 4 else "TH",
            "home_country": "CN",
        } | changes
        self.put(TRANSACTIONS, partition, json.dumps({k: v for k, v in message.items() if v is not None}).encode())
        return str(message["id"])

    def put(self, topic: Topic, partition: int, value: bytes) -> None:
        at_once(self.log.append(topic, {partition: [Outgoing(None, value)]}))

    def score(
        self,
        partition: int,
        most: int = 1_000,
        under: Versions | None = None,
        only: Sequence[Topic] = (SCORED, DECISIONS),
    ) -> None:
        """Decide the next ``most`` transactions of a partition in one poll; ``only`` these topics get to hear of it."""
        start, rows = self._rows[partition][-1]
        records = self.log.part(TRANSACTIONS, partition)[start : start + most]
        if not records:
            return
        rows = dict(rows)
        part = Part(partition, records, rows, {})
        scored = score_poll(
            [part], under or UNDER, lambda card: partition_of(card, self.partitions), NOON, lambda: 0.0
        )  # fmt: skip
        batches = {SCORED: scored.scored, DECISIONS: scored.decisions}
        at_once(self.log.append_together({topic: batches[topic] for topic in only}))
        self._rows[partition].append((records[-1].offset + 1, rows))

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """Card → row as its scorer has them now."""
        return self._rows[partition][-1][1]

    def crash(self, partition: int, polls: int = 1) -> None:
        """The scorer of a partition goes back to the checkpoint before its last ``polls`` polls."""
        kept = self._rows[partition]
        del kept[max(1, len(kept) - polls) :]

    def expected(self) -> dict[tuple[int, int], dict[str, Any]]:
        """(partition, source offset) → what the archive must hold of it, found out the slow way."""
        found = {}
        for partition in range(self.partitions):
            transactions = {record.offset: record for record in self.log.part(TRANSACTIONS, partition)}
            scores: dict[tuple[int, str, str], tuple[Any, int]] = {}
            for record in self.log.part(SCORED, partition):
                block = decode_scored(record.value or b"")
                for index, offset in enumerate(block.source_offsets().tolist()):
                    scores.setdefault((offset, block.policy_version, block.model_version), (block, index))
            following = 0
            for record in self.log.part(DECISIONS, partition):
                offset = int(dict(record.headers)[HEADER_SOURCE_OFFSET])
                if offset < following:
                    continue
                following = offset + 1
                told = json.loads(record.value or b"")
                source = transactions[offset]
                event = decode(source.value, source.timestamp, MONEY)
                block, index = scores.get((offset, told["policy_version"], told["model_version"]), (None, 0))
                found[partition, offset] = _row(partition, source, event, told, block, index)
        return found


def _row(partition: int, source: Any, event: Any, told: Mapping[str, Any], block: Any, index: int) -> dict[str, Any]:
    transaction = event.transaction
    fields = {name: getattr(transaction, name) for name in transaction.__struct_fields__ if name != "amount"}
    features = [None] * len(CATALOGUE) if block is None else block.matrix()[index].tolist()
    actions = told["actions"]
    return {
        "source_partition": partition,
        "source_offset": source.offset,
        "timestamp_ms": source.timestamp,
        "at": event.at,
        "billing_value": event.amount,
        "transaction_amount": transaction.amount,
        **fields,
        **{name: told[name] for name in ("outcome", "policy_version", "model_version", "decided_at")},
        **{f"{name}_action": actions[name] for name in ("transaction", "card", "contact", "queue")},
        "scope": actions.get("scope"),
        "warming_up": told.get("warming_up", False),
        "degraded": told.get("degraded", False),
        "scored": block is not None,
        "shadow": None,
        "counters": None,
        "tags": None if block is None or transaction.customer is None else "",
        **dict.fromkeys(COUNTED),
        "layout": None if block is None else LAYOUT,
        "raw": None if block is None else np.frombuffer(block.raw)[index],
        "score": None if block is None else np.frombuffer(block.score)[index],
        "percentile": None if block is None else np.frombuffer(block.percentile)[index],
        **{f.name: None if v is None or v != v else v for f, v in zip(CATALOGUE, features, strict=True)},
    }


UNDER = versions()
_connection = connected()
atexit.register(_connection.close)
"""One for all that is read: making one takes longer than the rest of a test."""


class SlowReader(MemoryReader):
    """Hands over no more than ``shown`` records of each partition, all told."""

    def __init__(self, log: MemoryLog, topic: Topic, shown: Mapping[str, int]) -> None:
        super().__init__(log, topic)
        self._shown = shown

    async def poll(self, timeout_s: float) -> Poll:
        before = dict(self._next)
        poll: dict[int, Any] = {}
        for number, records in (await super().poll(timeout_s)).items():
            end = self._shown.get(self._topic.name, len(self._log.part(self._topic, number)))
            poll[number] = [record for record in records if record.offset < end]
            self._next[number] = max(before[number], min(self._next[number], end))
        return {number: records for number, records in poll.items() if records}


class Place:
    """A directory that is archived into. ``shown``: topic → how many records of each partition are there to be read."""

    def __init__(self, traffic: Traffic, root: Path, pace: Pace = AT_ONCE) -> None:
        self.traffic = traffic
        self.root = root
        self.pace = pace
        self.shown: dict[str, int] = {}
        self.clock = FixedClock(NOON + 1)
        self.metrics = ArchiveMetrics(CollectorRegistry())
        self.shelf = ParquetShelf(root)

    def world(self) -> World:
        return World(lambda topic: SlowReader(self.traffic.log, topic, self.shown), self.shelf, self.clock, MONEY)

    def work(self, turns: int = 6) -> None:
        """Open the archive, take ``turns`` turns, each with what it put together done, close it."""

        async def turn(run: ArchiveRun) -> None:
            for _ in range(turns):
                await run.turn()
                if run.compacting is not None:
                    await run.compacting

        self.during(turn)

    def during(self, steps: Callable[[ArchiveRun], Awaitable[None]]) -> None:
        asyncio.run(self._during(steps))

    async def _during(self, steps: Callable[[ArchiveRun], Awaitable[None]]) -> None:
        self.shelf.open()
        run = ArchiveRun(self.world(), self.pace, self.metrics)
        try:
            await run.start()
            await steps(run)
        finally:
            await run.end()
            self.shelf.close()

    @property
    def archive(self) -> ParquetArchive:
        return ParquetArchive(self.root, _connection)

    def rows(self, kind: str = "scored") -> list[dict[str, Any]]:
        """Every row of every file that counts."""
        assert kind == "scored"
        days = self.archive.days()
        if not days:
            return []
        relation = self.archive.relation(days[0], days[-1])
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]

    def files(self, kind: str = "scored") -> list[str]:
        """Of rows: what lies beside them is left out."""
        found = (path for path in (self.root / kind).rglob("p*") if path.suffix != ids.SUFFIX)
        return sorted(str(path.relative_to(self.root / kind)) for path in found)


def without_day(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """By partition and offset; fails where one is there twice."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        key = row["source_partition"], row["source_offset"]
        assert key not in found, f"{key} is archived twice"
        found[key] = {name: value for name, value in row.items() if name != "day"}
    return found

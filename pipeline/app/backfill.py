"""Wiring of `cardwatch backfill`: files or the archive into the profiles in Redis."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.adapters.kafka.admin import group_members
from pipeline.adapters.kafka.log import partition_of
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.adapters.transaction_files import TransactionFile
from pipeline.app.configuration import WrongInstallation, load_money, policy_parser, read
from pipeline.core.topics import TRANSACTIONS
from pipeline.core.transaction import Transaction
from pipeline.lab.backfill import BackfillRefused, Filled, PastRecord, Rebuilt, fill, rebuild
from pipeline.lab.counter_fill import CountersFilled, Past, fill_counters, places_of
from pipeline.ports import MAX_POLL_RECORDS
from pipeline.roles.scorer.settings import ScorerSettings
from pipeline.settings import Settings

SCORER_GROUP = "scorer"
_FIELDS = Transaction.__struct_fields__
_COLUMNS = {("transaction_amount" if name == "amount" else name): name for name in _FIELDS}
_WHOLE = frozenset({"amount", "billing_amount", "available_credit"})
_FLAGS = frozenset({"recurring", "preauthorisation"})


class BackfillPlan(NamedTuple):
    """Either ``files``, in order of time, or an ``archive`` directory. ``partitions`` None: Kafka tells, and is asked
    whether scorers are at work; else Kafka is not asked."""

    files: Sequence[Path]
    archive: Path | None
    partitions: int | None


class CountersReport(NamedTuple):
    """What `backfill_counters` did; ``names``: the counters."""

    names: Sequence[str]
    read: int
    done: CountersFilled


class Report(NamedTuple):
    """What was done."""

    rebuilt: Rebuilt
    filled: Filled
    left_out: int


async def backfill(plan: BackfillPlan, progress: Callable[[int], None]) -> Report:
    """All of ``plan``. Raises BackfillRefused, FileRefused, WrongInstallation (sentences), StoreDown, BrokerDown."""
    settings = ScorerSettings()
    if plan.partitions is None and await group_members(settings, SCORER_GROUP):
        raise BackfillRefused("scorers are at work: stop them all, fill the history in, start them again")
    partitions = plan.partitions or len(await _places(settings, None))
    redis = connect(settings.redis_url)
    try:
        store = RedisProfiles(redis, settings.topic_prefix)
        stored = await store.layout(partitions)
        if stored != partitions:
            raise WrongInstallation(
                f"the card profiles stored are made for {stored} partitions, not {partitions}: give the topic's number"
            )
        history = History(plan)
        rebuilt = rebuild(
            history.pieces(),
            load_money(settings),
            policy_parser(settings)(*read(settings, settings.scorer_policy)).counters,
            partitions,
            lambda card: partition_of(card, partitions),
            progress,
        )
        if not any(rebuilt.rows.values()):
            raise BackfillRefused("the history has no usable transaction: nothing was written")
        if plan.partitions is None:
            places = await _places(settings, int(rebuilt.newest * 1_000) + 1)
        else:
            places = dict.fromkeys(range(partitions), 0)
        return Report(rebuilt, await fill(store, rebuilt, places), history.left_out)
    finally:
        await redis.aclose()


async def backfill_counters(archive: Path, partitions: int | None, progress: Callable[[int], None]) -> CountersReport:
    """The policy's own counters of the rows stored, out of ``archive``; ``partitions`` as in `BackfillPlan`. Raises as
    `backfill` does."""
    settings = ScorerSettings()
    counters = policy_parser(settings)(*read(settings, settings.scorer_policy)).counters
    if not counters:
        raise BackfillRefused(f"{settings.scorer_policy}: this policy has no [counters]: there is nothing to fill in")
    if partitions is None and await group_members(settings, SCORER_GROUP):
        raise BackfillRefused("scorers are at work: stop them all, fill the counters in, start them again")
    redis = connect(settings.redis_url)
    try:
        store = RedisProfiles(redis, settings.topic_prefix)
        number = partitions or len(await _places(settings, None))
        stored = await store.layout(number)
        if stored != number:
            raise WrongInstallation(
                f"the card profiles stored are made for {stored} partitions, not {number}: give the topic's number"
            )
        places = await places_of(store, number)
        if not places:
            raise BackfillRefused(
                "no card profiles are stored: fill the history in with its counters, without --counters"
            )
        history = History(
            BackfillPlan((), archive, partitions), {one: place.next_offset or 0 for one, place in places.items()}
        )
        rebuilt = rebuild(
            history.pieces(), load_money(settings), counters, number, lambda card: partition_of(card, number), progress
        )
        past = Past(rebuilt, history.since, history.torn)
        return CountersReport(counters.names, rebuilt.read, await fill_counters(store, past, counters, places))
    finally:
        await redis.aclose()


async def _places(settings: Settings, since_ms: int | None) -> Mapping[int, int]:
    """Partition of `transactions` → offset of its first record from ``since_ms`` on (None: of the first there is). Where
    there is none so late, of the last: should the history have it, its id is known and it changes nothing."""
    reader = KafkaReader(settings, TRANSACTIONS, since_ms)
    try:
        await reader.start()
        return await reader.places()
    finally:
        await reader.stop()


class History:
    """The transactions of a plan; ``left_out`` counts those that could not be put in order of time, or of which only the
    decision is left; ``torn`` are the cards of these. ``until``: partition → source offset before which the archive is
    read, None: all of it. ``since``: from then on (unix seconds) the archive was there."""

    def __init__(self, plan: BackfillPlan, until: Mapping[int, int] | None = None) -> None:
        self._plan = plan
        self._until = until
        self.left_out = 0
        self.torn: set[bytes] = set()
        self.since = math.inf

    def pieces(self) -> Iterator[Sequence[PastRecord]]:
        if self._plan.archive is not None:
            yield from self._archived(self._plan.archive)
        newest = -math.inf
        for path in self._plan.files:
            for some in TransactionFile(path, labelled=False).rows(MAX_POLL_RECORDS):
                piece = []
                for row in some:
                    if row.at is not None and row.at < newest:
                        self.left_out += 1
                        continue
                    newest = newest if row.at is None else row.at
                    piece.append(PastRecord(row.value, int(max(newest, 0.0) * 1_000)))
                yield piece

    def _archived(self, root: Path) -> Iterator[Sequence[PastRecord]]:
        """Partition by partition, in the order of their offsets: each card's in the order that scorers had them in."""
        archive = ParquetArchive(root)
        days = archive.days()
        if not days:
            raise BackfillRefused(f"{root}: no archive there")
        midnight = datetime.combine(days[0], time.min, UTC)  # it may have begun at any time of its first day
        self.since = (midnight + timedelta(days=1)).timestamp()
        wanted = [*_COLUMNS, "timestamp_ms"]
        for columns in archive.columns(days[0], days[-1], wanted, self._condition(), MAX_POLL_RECORDS):
            moments = columns.pop("timestamp_ms").tolist()
            lists = {_COLUMNS[name]: column.tolist() for name, column in columns.items()}
            piece = []
            for place, moment in enumerate(moments):
                message = {name: _plain(name, values[place]) for name, values in lists.items()}
                if message["currency"] is None:  # the log did not hold it any more when it was archived
                    self.left_out += 1
                    self.torn.add(str(message["card"]).encode())
                    continue
                told = {name: value for name, value in message.items() if value is not None}
                piece.append(PastRecord(msgspec.json.encode(told), int(moment)))
            yield piece

    def _condition(self) -> str:
        """SQL over the archive's rows."""
        if self._until is None:
            return ""
        parts = (f"source_partition = {one} AND source_offset < {end}" for one, end in self._until.items())
        return " OR ".join(f"({part})" for part in parts)


def _plain(name: str, value: object) -> object:
    """An archived value as it stands in a message; None: missing."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return bool(value) if name in _FLAGS else int(value) if name in _WHOLE else value
    return value

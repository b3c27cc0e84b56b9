"""Making the contact store again from the topics, and comparing it with them: what `cardwatch contact rebuild` and
`reconcile` do."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.kafka.admin import missing_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.redis.connection import connect, refusal
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.adapters.redis.rights import RIGHTS
from pipeline.app.contact_reports import ExplainSettings, NotAnswered
from pipeline.core.account_alerts import CONTACT as NO_CONVERSATION
from pipeline.core.conversation import OPEN
from pipeline.core.topics import CONTACT_REQUESTS, CONTACTS, CUSTOMER_EVENTS, CUSTOMERS, Topic
from pipeline.ports import Record, StoreDown
from pipeline.ports_contact import ContactStore
from pipeline.roles.contact.ledger import LATEST_MS, TOLD_BY, Ledger, Progress, read_everything, read_whole
from pipeline.roles.contact.outbox import HEADER_RECORD_ID
from pipeline.roles.contact.profile import read_profile
from pipeline.roles.contact.rebuild import Restored, restored
from pipeline.roles.contact.rebuild_writer import Writer, Written
from pipeline.roles.contact.reconcile import Difference, differences, repair
from pipeline.settings import Settings

DAY_MS = 86_400_000
WHOLE = (CUSTOMERS, CUSTOMER_EVENTS, CONTACT_REQUESTS, CONTACTS)
"""Read from their beginnings: the directory, and what customers said for good, what is to be told on a later day."""


class NotEmpty(Exception):
    """There is something in the store already: a sentence."""


class Rebuilt(NamedTuple):
    """What was found, and what was written of it: None in a dry run."""

    ledger: Ledger
    found: Restored
    written: Written | None

    def figures(self) -> dict[str, int]:
        """By name, in the order of their telling."""
        # what only remembers where a request is told besides is no contact of its own
        states = Counter(one.conversation.state for one in self.found.conversations if not one.conversation.into)
        told: dict[str, int] = {
            "customers": len(self.ledger.customers),
            **{str(state): states[state] for state in sorted(OPEN)},
            "ended": sum(count for state, count in states.items() if state not in OPEN),
            "forgotten": self.found.forgotten,
            "notes": len(self.found.notes),
            "records_to_publish": sum(len(one.change.outbox) for one in self.found.conversations),
            "decisions_to_take_in": self.found.again,
            "decisions_in_doubt": self.found.doubtful,
            "requests_to_take_in": self.found.requests,
            "requests_in_doubt": self.found.requests_doubtful,
            "requests_lost": self.found.lost,
            "unclear": self.found.unclear,
            "nameless": self.found.nameless,
            "unreadable": self.ledger.unreadable,
        }
        if self.written is not None:
            told |= {"already_there": self.written.present, "positions_already_there": self.written.moved}
        return told

    def as_json(self) -> str:
        return json.dumps({"written": self.written is not None, **self.figures()}, indent=2)

    def lines(self) -> list[str]:
        """For people."""
        head = (
            "Nothing is written (--dry-run). The store would be:" if self.written is None else "The store is rebuilt:"
        )
        return [head, *(f"  {name.replace('_', ' ')}: {count:,}" for name, count in self.figures().items())]


async def rebuild(
    settings: ExplainSettings, days: int, dry_run: bool, into_nonempty: bool, progress: Progress
) -> Rebuilt:
    """Raises NotAnswered, `NotEmpty`, BrokerDown and ProfileError."""
    plans = read_profile(settings.config_dir, settings.contact_profile, world_almanac()).plans
    now_ms = _now_ms()
    async with _store(settings) as store:
        writer = Writer(store, now_ms)
        if not (dry_run or into_nonempty) and not await writer.is_empty(await _partitions(settings)):
            raise NotEmpty(
                "the contact store is not empty: with --into-nonempty, what it has stays and the rest is added"
            )
        ledger = await _read(settings, now_ms - days * DAY_MS, progress)
        found = restored(ledger, plans, now_ms)
        return Rebuilt(ledger, found, None if dry_run else await writer.write(ledger, found))


async def is_lost(settings: Settings, store: ContactStore) -> bool:
    """Whether contacts are on record and the store knows nothing of any, the newest included. Raises `StoreDown`."""
    newest: set[str] = set()

    def take(_: int, records: Sequence[Record]) -> None:
        ids = (dict(record.headers).get(HEADER_RECORD_ID, b"").decode() for record in records)
        newest.update(name.partition(":")[0] for name in ids if name and not name.startswith(NO_CONVERSATION))

    begun = await read_whole(KafkaReader(settings, CONTACTS, since_ms=LATEST_MS), take, lambda *_: None, CONTACTS)
    if not newest or not await Writer(store, 0).is_empty(begun):
        return False
    return not any([await store.conversation(name) or await store.dossier(name) for name in newest])


async def _partitions(settings: Settings) -> Sequence[int]:
    reader = KafkaReader(settings, CONTACTS)
    try:
        return await reader.start()
    finally:
        await reader.stop()


async def _read(settings: ExplainSettings, since_ms: int, progress: Progress) -> Ledger:
    ledger = Ledger(since_ms, settings.digests())

    def reader_of(topic: Topic) -> KafkaReader:
        return KafkaReader(settings, topic, None if topic in WHOLE else since_ms)

    await read_everything(ledger, reader_of, progress)
    return ledger


@asynccontextmanager
async def _store(settings: ExplainSettings) -> AsyncIterator[RedisContactStore]:
    """The store, when both servers let us in."""
    if missing := await missing_topics(settings, TOLD_BY):
        raise NotAnswered(f"Kafka has no topic {missing[0]}: is CARDWATCH_TOPIC_PREFIX right?")
    if (why := await refusal(settings.store_url, RIGHTS["contact"], settings.topic_prefix)) is not None:
        raise NotAnswered(f"the contact store {why}")
    client = connect(settings.store_url)
    try:
        yield RedisContactStore(client, settings.topic_prefix)
    except StoreDown as error:
        raise NotAnswered(f"the contact store does not answer: {error}") from None
    finally:
        await client.aclose()


class Compared(NamedTuple):
    """What differed, and how much of it was mended: None if nobody asked for that."""

    differences: Sequence[Difference]
    mended: int | None

    def as_json(self) -> str:
        told = [one._asdict() for one in self.differences]
        return json.dumps({"differences": told, "mended": self.mended}, indent=2)

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{one.what} {one.name} {one.detail}".rstrip() for one in self.differences]
        lines.append(f"{len(self.differences):,} differences")
        return lines if self.mended is None else [*lines, f"{self.mended:,} mended"]


async def reconcile(settings: ExplainSettings, days: int, mend: bool, progress: Progress) -> Compared:
    """Raises NotAnswered, BrokerDown and ProfileError."""
    plans = read_profile(settings.config_dir, settings.contact_profile, world_almanac()).plans
    async with _store(settings) as store:
        ledger = await _read(settings, _now_ms() - days * DAY_MS, progress)
        found = await differences(ledger, store, plans, _now_ms())
        if not mend:
            return Compared(found, None)
        log = KafkaLog(settings)
        await log.start()
        try:
            return Compared(found, await repair(found, ledger, store, log, plans, _now_ms()))
        finally:
            await log.stop()


def _now_ms() -> int:
    return round(SystemClock().now() * 1000)

"""The contact role: decisions in, one verification conversation per card, its answer out as command and label.

Fed by polls of ``decisions`` (partitions shared among workers), by ``customers`` and ``answers``, and by the provider's
call-backs. All that must survive is in the contact store before a call returns: a worker may be killed at any moment.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from pipeline.core.contact_hours import Almanac
from pipeline.core.contact_policy import CLASSES
from pipeline.core.conversation import (
    CALL_CLASS,
    Conversation,
    Event,
    decode,
    parse_key,
)
from pipeline.core.keys import Pressed
from pipeline.core.topics import DECISIONS
from pipeline.ports import Clock, Log, Membership, Poll, Record, StoreDown
from pipeline.ports_channels import CallOrder, CallReport
from pipeline.ports_contact import Asked, ContactStore, Move, Reach, ReadUpTo
from pipeline.roles.contact.conversations import Applied, Conversations
from pipeline.roles.contact.digests import Digests
from pipeline.roles.contact.feeds import Feeds
from pipeline.roles.contact.intake import Intake, Sifted, Taken, chunks, sift
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels, Orders
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, Outbox
from pipeline.roles.contact.permission import Permission
from pipeline.roles.contact.profile import check_channels, read_profile, read_texts
from pipeline.roles.contact.repair import Repair
from pipeline.roles.contact.replies import Replies
from pipeline.roles.contact.request_reader import STORE_RETRY_S, DeadLetters, RequestReader
from pipeline.roles.contact.requests import Requests
from pipeline.roles.contact.reversals import Reversals
from pipeline.roles.contact.settings import ContactSettings
from pipeline.roles.contact.ways import ways_of
from pipeline.roles.contact.work import Work, event_of
from pipeline.roles.contact.writing import Writing

BEAT_S = 0.1
SWEEP_S = 1.0
POSITIONS_S = 1.0
"""How long a position with nothing taken in may stay unwritten."""
STOP_S = 3.0
SWEEP_ENTRIES = 500
NOTHING = ReadUpTo(0, 0)

log = structlog.get_logger()


class _Place:
    """How far a partition is: ``now`` handled, ``written`` to the store."""

    def __init__(self, written: ReadUpTo | None) -> None:
        self.written = written
        self.now = written or NOTHING


class ContactRole:
    """A PolledRole of ``decisions``. Reads its plan and call texts when made: raises ProfileError, TemplateError."""

    def __init__(
        self,
        log: Log,
        store: ContactStore,
        channels: Channels,
        clock: Clock,
        almanac: Almanac,
        settings: ContactSettings,
        metrics: ContactMetrics,
        dead_letter: DeadLetters,
        reach: Reach | None = None,
    ) -> None:
        profile = read_profile(settings.config_dir, settings.contact_profile, almanac)
        check_channels(profile.plans, channels.messages)
        texts = read_texts(settings.config_dir)
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._dead_letter = dead_letter
        self._digests = Digests(settings.digest_key())
        self._ways = ways_of(profile, reach)
        permission = Permission(profile.policy, profile.plans, self._digests, self._ways)
        orders = Orders(texts, settings.bank_name, profile.plans.asking.ring_s, self._digests)
        writing = Writing(orders, permission, profile.plans)
        self._conversations = Conversations(store, clock, profile.plans, permission, writing, metrics)
        self._outbox = Outbox(log, store)
        self._repair = Repair(store, metrics)
        self.work = Work(
            self._conversations,
            self._outbox,
            channels,
            settings.contact_calls_in_flight,
            metrics,
        )
        feeds = Feeds(store, self._conversations, self.work, metrics, dead_letter)
        self.customers, self.customer_events = feeds.customers, feeds.customer_events
        self.answers, self.results = feeds.answers, feeds.results
        self._replies = Replies(store, self._conversations, metrics, self._digests)
        self._intake = Intake(self._conversations, store)
        self._reversals = Reversals(self._conversations, store)
        self.told = Requests(self._conversations, store)
        self.requests = RequestReader(self.told, self._conversations, self.work, metrics, dead_letter).take
        self._places: dict[int, _Place] = {}
        self._lost: set[int] = set()
        self._held: set[int] = set()
        self._written_at = 0.0
        self._swept_at = 0.0
        self._beating: asyncio.Task[None] | None = None

    # --- life

    async def start(self) -> None:
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
            self._beating = None
        await self.work.stop(STOP_S)
        with suppress(StoreDown):
            await self._outbox.tidy()

    async def _beat(self) -> None:
        while True:
            try:
                await self.tick()
            except StoreDown as error:
                log.warning("the contact store is away", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
            except Exception as error:
                self._metrics.failures.inc()
                log.exception("a beat failed", error=type(error).__name__)
                await asyncio.sleep(STORE_RETRY_S)
            await asyncio.sleep(BEAT_S)

    async def tick(self) -> int:
        """Begin what is due, as far as there is room; publish what others left behind. Answers how many pieces began.
        Raises `StoreDown`, and what the log raises."""
        claimed = 0
        if self.work.free:
            now_ms, lease_ms = self._conversations.now_ms(), self._conversations.lease_ms
            ripe = await self._store.claim(now_ms, lease_ms, self.work.free, self.work.spare)
            for kept in ripe:
                self.work.begin(self.work.due(kept))
            claimed = len(ripe)
        await self._outbox.tidy()
        if self._clock.now() >= self._swept_at + SWEEP_S:
            self._swept_at = self._clock.now()
            open_counts = {class_: await self._store.open_count(class_) for class_ in CLASSES}
            for class_, number in open_counts.items():
                self._metrics.open.labels(class_).set(number)
            await self._outbox.sweep(self._conversations.now_ms(), OUTBOX_LEASE_MS, SWEEP_ENTRIES)
            await self._repair.go_on(open_counts[CALL_CLASS], self._conversations.now_ms())
            await self._ways.refresh(self._conversations.now_ms())
        return claimed

    # --- decisions

    def keep(self, partitions: Iterable[int], member: str, generation: int) -> dict[int, int]:
        return {}  # a position costs one read of the store: nothing is worth keeping

    async def load(self, partition: int, membership: Membership, member: str, generation: int) -> int | None:
        while True:
            try:
                found = await self._store.position(partition)
            except StoreDown as error:
                log.warning("waiting for the contact store", partition=partition, error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
                continue
            self._places[partition] = _Place(found)
            return None if found is None else found.log_next

    def waits(self) -> bool:
        return bool(self._held)

    async def polled(self, poll: Poll) -> None:
        await asyncio.gather(*(self._take(number, records) for number, records in poll.items()))

    async def _take(self, partition: int, records: Sequence[Record]) -> None:
        place = self._places.get(partition)
        if place is None:
            return
        sifted = sift(records, place.now)
        self._metrics.duplicates.inc(sifted.repeats)
        for record, reason, detail in sifted.unusable:
            self._metrics.dead_letters.labels(reason).inc()
            await self._dead_letter(DECISIONS, record, reason, None, detail)
        if await self._take_in(partition, place, sifted):
            place.now = sifted.after

    async def _take_in(self, partition: int, place: _Place, sifted: Sifted) -> bool:
        """False: the partition is no longer this worker's."""
        for chunk, after in chunks(sifted):
            while True:
                if self._places.get(partition) is not place:
                    self._held.discard(partition)
                    return False
                try:
                    applied = await self._taken(chunk, partition, place, after)
                    self._held.discard(partition)
                    break
                except StoreDown as error:
                    self._held.add(partition)
                    log.warning("decisions wait for the contact store", partition=partition, error=str(error))
                    await asyncio.sleep(STORE_RETRY_S)
            if applied is None:
                self._give_up(partition)
                return False
            for one in applied:
                self.work.begin(self.work.follow(one))
        return True

    async def _taken(
        self, chunk: Sequence[Taken], partition: int, place: _Place, after: ReadUpTo
    ) -> Sequence[Applied] | None:
        """None: the partition is somebody else's. A position behind a reversal is written only when all of it is done:
        it may come twice."""
        if chunk[0].is_reversal:
            return await self._reversals.take(chunk)
        applied = await self._intake.take(chunk, partition, place.written, after, self.work.free)
        if applied is not None:
            place.written = after
        return applied

    def _give_up(self, partition: int) -> None:
        log.info("the position was moved by another worker", partition=partition)
        self._places.pop(partition, None)
        self._lost.add(partition)

    async def boundary(self) -> Sequence[int]:
        if self._clock.now() >= self._written_at + POSITIONS_S:
            self._written_at = self._clock.now()
            await self._write_positions()
        lost, self._lost = sorted(self._lost), set()
        return lost

    async def _write_positions(self) -> None:
        """All at once: decisions wait meanwhile."""
        await asyncio.gather(*(self._write_position(number, place) for number, place in list(self._places.items())))

    async def _write_position(self, partition: int, place: _Place) -> None:
        if place.now in (place.written, NOTHING):
            return
        after = place.now
        now_ms, keep_ms = self._conversations.now_ms(), self._conversations.keep_ms
        try:
            committed = await self._store.commit(
                [], now_ms, OUTBOX_LEASE_MS, keep_ms, Move(partition, place.written, after)
            )
        except StoreDown as error:
            log.warning("a position waits for the contact store", partition=partition, error=str(error))
            return
        if committed.outcome == "moved":
            self._give_up(partition)
        else:
            place.written = after

    async def revoked(self, clean: bool) -> None:
        if clean:
            await self._write_positions()
        self._places.clear()
        self._lost.clear()

    # --- what providers and front ends say

    async def reported(self, report: CallReport) -> str:
        """Take a verified call-back; when this returns it is stored. Answers "taken" or why it changed nothing. Raises
        `StoreDown`: the provider is to report again."""
        try:
            contact, attempt = parse_key(report.key)
        except ValueError:
            self._metrics.refusal("unknown_contact")
            return "unknown_contact"
        return await self.answered(contact, event_of(report, attempt)) or "unknown_contact"

    async def answered(self, contact: str, event: Event | Pressed) -> str | None:
        """Take what a front end or a provider says; when this returns it is stored. Answers "taken" or why it changed
        nothing; None: there is no such conversation. Raises `StoreDown`."""
        applied = await self._conversations.apply(contact, event)
        if applied is None:
            return None
        if applied.refused is None:
            self.work.begin(self.work.follow(applied))
        return applied.refused or "taken"

    async def replied(self, channel: str, number: str, text: str, provider_id: str) -> str:
        """Take a text message that came from ``number``. Answers as `answered`. Raises `StoreDown`."""
        return await self._replies.took(channel, number, text, provider_id, self.answered)

    async def script(self, key: str) -> CallOrder | None:
        """The words of the call of this key. Raises `StoreDown`."""
        try:
            contact, attempt = parse_key(key)
        except ValueError:
            return None
        kept = await self._store.conversation(contact)
        if kept is None:
            return None
        return self._conversations.writing.call(decode(kept.value), attempt, kept.customer, kept.notes)

    async def promised(self, contact: str) -> int | None:
        """Until when people have promised to call back, unix milliseconds. Raises `StoreDown`."""
        kept = await self._store.conversation(contact)
        return None if kept is None else decode(kept.value).call_back_ms

    async def open_for(self, card: str) -> Conversation | None:
        """The card's open conversation. Raises `StoreDown`."""
        (seen,) = await self._store.look([Asked(card, None, "")])
        return decode(seen.open.value) if seen.open else None

"""The scorer: whole polls of transactions in, `scored` and `decisions` out, card rows kept and saved.

Per poll: score everything, append `scored` and `decisions` together; while they are on their way the next poll is
scored, and its records wait for the acknowledgement of all before. Rows are saved only when every decision made from
them is acknowledged. After a crash the same records are produced again, and readers take the first of each
(`first_wins`).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import structlog

from pipeline.core.poll import Part, ScoredPoll
from pipeline.core.scoring import DecodedPoll, decode_poll, score_decoded
from pipeline.core.topics import DEAD_LETTERS, DECISIONS, SCORED
from pipeline.ports import Clock, Log, Membership, PartsReader, Poll, ProfileStore, Record, StoreDown
from pipeline.roles.scorer.beside import HOLD_S
from pipeline.roles.scorer.following import Following
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.owned import FINAL_SAVE_S, Checkpoint, OwnedPartition, own, wake_all
from pipeline.roles.scorer.settings import ScorerSettings

SETTLE_S = 3.0
"""How long a hand-over waits for acknowledgements; without them, the rows are dropped and the next owner replays."""

PATIENCE_S = 0.1
PATIENCE_ROWS = 8
"""A save that is due makes the next poll wait for acknowledgements only when it is so much later than it should be, or
so many times larger: most find a boundary with nothing on its way by themselves."""

MANY_ROWS = 50_000
"""A partition of fewer loads without a word to ``loaded``."""

SWEEP_RETRY_S = 60.0
"""When a sweep met a store that is down, it goes on after so long."""

log = structlog.get_logger()


class Scorer:
    """A PolledRole on the topic `transactions`.

    ``partition_of`` says where a card belongs: a card in the wrong partition would have two histories. ``loaded`` is
    called in a thread when the rows of a large partition have come.
    """

    def __init__(
        self,
        log_port: Log,
        store: ProfileStore,
        knowledge: Knowledge,
        partition_of: Callable[[bytes], int],
        clock: Clock,
        settings: ScorerSettings,
        metrics: ScorerMetrics,
        loaded: Callable[[], object] = lambda: None,
    ) -> None:
        self._log = log_port
        self._store = store
        self._knowledge = knowledge
        self._partition_of = partition_of
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._loaded = loaded
        self._owned: dict[int, OwnedPartition] = {}
        self._warm: dict[int, OwnedPartition] = {}
        self._suspect: set[int] = set()
        self._failed: BaseException | None = None
        self._lag: Mapping[int, int] = {}
        self._heard_at = clock.now()
        self._sending: asyncio.Task[None] | None = None
        self._waking = False
        self.following = Following(log_port, store, partition_of, clock, metrics)

    # --- ownership

    def keep(self, partitions: Iterable[int], member: str, generation: int) -> dict[int, int]:
        kept: dict[int, int] = {}
        for partition in partitions:
            warm = self._warm.get(partition)
            if warm is not None and warm.member == (member, generation - 1) and warm.next is not None:
                warm.member = (member, generation)
                self._owned[partition] = self._warm.pop(partition)
                kept[partition] = warm.next
        return kept

    async def load(self, partition: int, membership: Membership, member: str, generation: int) -> int | None:
        async def proven() -> bool:
            return await membership.proven(partition)

        if partition in self._suspect:  # somebody else saved under its own token: take it back only if it is ours
            while not await proven():
                await asyncio.sleep(self._settings.scorer_checkpoint_ms / 1000)
            self._suspect.discard(partition)
        started = time.perf_counter()
        owned = await own(self._store, partition, self._warm.pop(partition, None), proven)
        if len(owned.rows) >= MANY_ROWS:
            asyncio.get_running_loop().run_in_executor(None, self._loaded)  # decisions need not wait for it
        owned.member = (member, generation)
        self._owned[partition] = owned
        log.info(
            "partition ready", partition=partition, next=owned.next, cards=len(owned.rows),
            seconds=round(time.perf_counter() - started, 3),
        )  # fmt: skip
        return owned.next

    async def boundary(self) -> Sequence[int]:
        if (failed := self._failed or self.following.failed) is not None:
            raise failed
        if self._sending is not None and self._sending.done():
            await self.settled()
        now = self._clock.now()
        lost = [number for number, owned in self._owned.items() if owned.lost]
        for number in lost:
            del self._owned[number]
            self._suspect.add(number)
        if self._sending is not None and self._overdue(now):
            await self.settled()  # what is saved is all acknowledged
        if self._sending is None and (due := self._due(now)):
            under_way = sum(owned.unsaved for owned in self._owned.values() if owned.saving is not None)
            for owned in due:
                if under_way >= self._settings.scorer_checkpoint_rows:
                    break  # its turn comes: many rows of several partitions at once would hold up the store
                under_way += owned.unsaved
                owned.saving = asyncio.create_task(self._save(owned, owned.checkpoint()))
        elif days := self._settings.scorer_dormant_days:
            for owned in self._owned.values():
                if owned.saving is None and owned.sweep_at <= now:
                    owned.saving = asyncio.create_task(self._sweep(owned, now, days))
                    break
        return lost

    def _overdue(self, now: float) -> bool:
        """Whether a save that is due waits no longer for a boundary with nothing on its way to the log."""
        patience_s = PATIENCE_S + self._settings.scorer_checkpoint_ms / 1000
        return any(
            owned.unsaved >= PATIENCE_ROWS * self._settings.scorer_checkpoint_rows
            or (owned.waiting_since is not None and now - owned.waiting_since >= patience_s)
            for owned in self._due(now)
        )

    def _due(self, now: float) -> list[OwnedPartition]:
        """Partitions to be saved now, the one that waits longest first."""
        waits: list[tuple[float, OwnedPartition]] = []
        for owned in self._owned.values():
            if owned.saving is None and owned.behind:
                since = now if owned.waiting_since is None else owned.waiting_since
                if now >= owned.retry_at and (
                    (now - since) * 1000 >= self._settings.scorer_checkpoint_ms
                    or owned.unsaved >= self._settings.scorer_checkpoint_rows
                ):
                    waits.append((since, owned))
        return [owned for _, owned in sorted(waits, key=lambda wait: wait[0])]

    async def _save(self, owned: OwnedPartition, checkpoint: Checkpoint) -> None:
        started = time.perf_counter()
        try:
            if await owned.save(self._store, checkpoint):
                self._metrics.checkpoint.observe(time.perf_counter() - started)
            else:
                self._metrics.checkpoints_failed.inc()
                owned.retry_at = self._clock.now() + self._settings.scorer_checkpoint_ms / 1000
        except Exception as error:
            self._failed = error  # a bug, not an outage: the next boundary ends the worker
        finally:
            owned.free()

    async def _sweep(self, owned: OwnedPartition, now: float, days: int) -> None:
        try:
            await owned.sweep(self._store, now, days)
        except StoreDown:
            owned.sweep_at = now + SWEEP_RETRY_S
        except Exception as error:
            self._failed = error
        finally:
            owned.free()

    async def revoked(self, clean: bool) -> None:
        owned, self._owned = self._owned, {}
        self._warm = {}
        self._suspect.clear()
        if not clean or not await self._settled_in_time():
            for partition in owned.values():
                partition.lost = True  # a poll that waits for the store must not go on with them
            return  # rows are ahead of what is acknowledged: forget them
        saves = [partition.hand_over(self._store) for partition in owned.values()]
        if saves:
            _, late = await asyncio.wait(saves, timeout=FINAL_SAVE_S)
            for save in late:
                save.cancel()  # what it set apart stays so
        self._warm = {number: partition for number, partition in owned.items() if not partition.lost}

    async def follow(self, open_reader: Callable[[], PartsReader], stop: asyncio.Event) -> None:
        """Have the profiles follow the cards, until ``stop``, for the partitions owned at the time."""
        await self.following.follow(open_reader, lambda: self._owned, stop)

    # --- the work

    def waits(self) -> bool:
        return self._waking

    async def polled(self, poll: Poll) -> None:
        owned = {
            number: self._owned[number] for number in poll if number in self._owned and not self._owned[number].lost
        }
        parts = [
            Part(number, poll[number], partition.rows, partition.dirty, partition.beside.notes)
            for number, partition in owned.items()
        ]
        moment, versions = self._clock.now(), self._knowledge.current
        decoded = decode_poll(parts, versions.money, self._partition_of, time.perf_counter)
        if await self._held(owned, decoded):
            return await self.polled(poll)
        if any(partition.dormant for partition in owned.values()):
            needed = zip(owned.values(), ([card for _, _, card in part] for part in decoded.events), strict=True)
            self._waking = True
            await wake_all(self._store, list(needed))
            self._waking = False
            if any(partition.lost for partition in owned.values()):
                return await self.polled(poll)  # without those
        scored = score_decoded(parts, decoded, versions, moment, time.perf_counter)
        await self.settled()
        self._sending = asyncio.create_task(self._send(scored, poll, owned, moment))

    async def _held(self, owned: Mapping[int, OwnedPartition], decoded: DecodedPoll) -> bool:
        """Wait a moment for a save that puts a history into the row of one of these cards; True when that showed that a
        partition is not ours."""
        for partition, events in zip(owned.values(), decoded.events, strict=True):
            moving = partition.beside.moving
            if moving and partition.saving is not None and any(card in moving for _, _, card in events):
                await asyncio.wait({partition.saving}, timeout=HOLD_S)
        return any(partition.lost for partition in owned.values())

    async def _send(self, scored: ScoredPoll, poll: Poll, owned: Mapping[int, OwnedPartition], moment: float) -> None:
        """Append what a poll came to, and note how far its partitions are when all is acknowledged."""
        started = time.perf_counter()
        if scored.refused:
            await self._log.send(DEAD_LETTERS, scored.refused)
        if scored.decisions:
            await self._log.append_together({SCORED: scored.scored, DECISIONS: scored.decisions})
        if scored.previous:
            await self.following.ask(owned, scored.previous)
        self._metrics.stages.observe(time.perf_counter() - started, "append")
        for number, partition in owned.items():
            partition.next = poll[number][-1].offset + 1
            partition.changed_at = partition.changed_at or moment
            partition.beside.heard_ms = poll[number][-1].timestamp
        self._count(scored, poll, self._clock.now())

    async def settled(self) -> None:
        """Wait until nothing is on its way to the log. Raises what went wrong there: the role must not go on."""
        if (sending := self._sending) is not None:
            await asyncio.wait({sending})  # known until it ends: a hand-over that comes meanwhile waits for it too
            if self._sending is sending:
                self._sending = None
            sending.result()

    async def _settled_in_time(self) -> bool:
        if self._sending is not None:
            done, _ = await asyncio.wait({self._sending}, timeout=SETTLE_S)
            if not done:
                return False
            await self.settled()
        return True

    def _count(self, scored: ScoredPoll, poll: Mapping[int, Sequence[Record]], now: float) -> None:
        metrics = self._metrics
        metrics.poll_size.observe(sum(len(records) for records in poll.values()))
        for stage, seconds in scored.seconds.items():
            metrics.stages.observe(seconds, stage)
        for outcome, count in scored.outcomes.items():
            metrics.transactions.labels(outcome).inc(count)
        for outcome, count in scored.withheld.items():
            metrics.withheld.labels(outcome).inc(count)
        for rule, count in scored.rule_hits.items():
            metrics.rule_hits.labels(rule).inc(count)
        for reason in scored.refusals:
            metrics.dead_letters.labels(reason).inc()
        if scored.repeats:
            metrics.duplicates.inc(scored.repeats)
        if len(scored.timestamps):
            metrics.latency.observe_many(np.maximum(now - scored.timestamps / 1000.0, 0.0))
            metrics.score.observe_many(scored.scores)

    def refresh_metrics(self, lag: Mapping[int, int]) -> None:
        """Gauges that are looked up when asked for. ``lag``: what the broker told last, the same mapping until it tells
        again."""
        now = self._clock.now()
        metrics = self._metrics
        if lag is not self._lag:
            self._lag, self._heard_at = lag, now
        metrics.broker_silent.set(max(0.0, now - self._heard_at))
        metrics.unsaved_profiles.set(sum(owned.unsaved for owned in self._owned.values()))
        metrics.resident_profiles.set(sum(len(owned.rows) for owned in self._owned.values()))
        metrics.archived_profiles.set(sum(len(owned.dormant) for owned in self._owned.values()))
        since = [owned.waiting_since for owned in self._owned.values() if owned.waiting_since is not None]
        metrics.checkpoint_age.set(max(0.0, now - min(since)) if since else 0.0)
        metrics.lag.clear()
        for number, records in lag.items():
            metrics.lag.labels("scorer", str(number)).set(records)
        current = self._knowledge.current
        metrics.model_info.clear()
        metrics.model_info.labels(current.model.version).set(1)
        metrics.model_frozen.set(self._knowledge.frozen)
        metrics.policy_info.clear()
        metrics.policy_info.labels(current.policy.version).set(1)
        if current.model.as_of is not None:
            metrics.model_age.set(max(0.0, now - current.model.as_of))

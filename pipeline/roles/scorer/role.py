"""The scorer: whole polls of transactions in, `scored` and `decisions` out, card rows kept and saved.

Per poll: score everything, append `scored`, then `decisions`, await every acknowledgement; only then may the changed
rows be saved. After a crash the same records are produced again, and readers take the first of each (`first_wins`).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import structlog

from pipeline.core.poll import Part, ScoredPoll
from pipeline.core.scoring import score_poll
from pipeline.core.topics import DEAD_LETTERS, DECISIONS, SCORED
from pipeline.ports import Clock, Log, Membership, Poll, ProfileStore, Record
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.owned import FINAL_SAVE_S, OwnedPartition, own
from pipeline.roles.scorer.settings import ScorerSettings

log = structlog.get_logger()


class Scorer:
    """A PolledRole on the topic `transactions`.

    ``partition_of`` says where a card belongs: a card in the wrong partition would have two histories.
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
    ) -> None:
        self._log = log_port
        self._store = store
        self._knowledge = knowledge
        self._partition_of = partition_of
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._owned: dict[int, OwnedPartition] = {}
        self._warm: dict[int, OwnedPartition] = {}
        self._suspect: set[int] = set()
        self._failed: BaseException | None = None

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
        owned.member = (member, generation)
        self._owned[partition] = owned
        log.info(
            "partition ready", partition=partition, next=owned.next, cards=len(owned.rows),
            seconds=round(time.perf_counter() - started, 3),
        )  # fmt: skip
        return owned.next

    async def boundary(self) -> Sequence[int]:
        if self._failed is not None:
            raise self._failed
        now = self._clock.now()
        lost = [number for number, owned in self._owned.items() if owned.lost]
        for number in lost:
            del self._owned[number]
            self._suspect.add(number)
        for owned in self._owned.values():
            if owned.saving is None and owned.behind:
                waited_ms = (now - owned.changed_at) * 1000 if owned.changed_at is not None else 0.0
                if (
                    waited_ms >= self._settings.scorer_checkpoint_ms
                    or len(owned.dirty) >= self._settings.scorer_checkpoint_rows
                ):
                    owned.changed_at = None
                    owned.saving = asyncio.create_task(self._save(owned))
        return lost

    async def _save(self, owned: OwnedPartition) -> None:
        started = time.perf_counter()
        try:
            if await owned.save(self._store):
                self._metrics.checkpoint.observe(time.perf_counter() - started)
            else:
                self._metrics.checkpoints_failed.inc()
                owned.changed_at = owned.changed_at or self._clock.now()
        except Exception as error:
            self._failed = error  # a bug, not an outage: the next boundary ends the worker
        finally:
            owned.saving = None

    async def revoked(self, clean: bool) -> None:
        owned, self._owned = self._owned, {}
        self._warm = {}
        self._suspect.clear()
        if not clean:
            return  # rows are ahead of what is acknowledged: forget them
        saves = [asyncio.create_task(partition.save_finally(self._store)) for partition in owned.values()]
        if saves:
            await asyncio.wait(saves, timeout=FINAL_SAVE_S)
        self._warm = {number: partition for number, partition in owned.items() if not partition.lost}

    # --- the work

    async def polled(self, poll: Poll) -> None:
        owned = {
            number: self._owned[number] for number in poll if number in self._owned and not self._owned[number].lost
        }
        parts = [Part(number, poll[number], owned[number].rows, owned[number].dirty) for number in owned]
        moment = self._clock.now()
        scored = score_poll(parts, self._knowledge.current, self._partition_of, moment, time.perf_counter)
        started = time.perf_counter()
        await self._append(scored)
        self._metrics.stages.observe(time.perf_counter() - started, "append")
        now = self._clock.now()
        for number, partition in owned.items():
            partition.next = poll[number][-1].offset + 1
            partition.changed_at = partition.changed_at or moment
        self._count(scored, poll, now)

    async def _append(self, scored: ScoredPoll) -> None:
        if scored.refused:
            await self._log.send(DEAD_LETTERS, scored.refused)
        if scored.scored:
            await self._log.append(SCORED, scored.scored)
        if scored.decisions:
            await self._log.append(DECISIONS, scored.decisions)

    def _count(self, scored: ScoredPoll, poll: Mapping[int, Sequence[Record]], now: float) -> None:
        metrics = self._metrics
        metrics.poll_size.observe(sum(len(records) for records in poll.values()))
        for stage, seconds in scored.seconds.items():
            metrics.stages.observe(seconds, stage)
        for outcome, count in scored.outcomes.items():
            metrics.transactions.labels(outcome).inc(count)
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
        """Gauges that are looked up when asked for."""
        now = self._clock.now()
        metrics = self._metrics
        metrics.resident_profiles.set(sum(len(owned.rows) for owned in self._owned.values()))
        since = [owned.changed_at for owned in self._owned.values() if owned.changed_at is not None]
        metrics.checkpoint_age.set(max(0.0, now - min(since)) if since else 0.0)
        metrics.lag.clear()
        for number, records in lag.items():
            metrics.lag.labels("scorer", str(number)).set(records)
        current = self._knowledge.current
        metrics.model_info.clear()
        metrics.model_info.labels(current.model.version).set(1)
        metrics.policy_info.clear()
        metrics.policy_info.labels(current.policy.version).set(1)
        if current.model.as_of is not None:
            metrics.model_age.set(max(0.0, now - current.model.as_of))

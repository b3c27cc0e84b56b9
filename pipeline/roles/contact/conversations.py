"""Applying one event to one stored conversation: read, advance, write if nobody was faster, else read again."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.contacting import Call, Effect
from pipeline.core.conversation import OPEN, Conversation, Event, Plan, decode, encode
from pipeline.core.records import CardCommand, ContactStep, Label
from pipeline.core.verification import Symbol, advance
from pipeline.ports import Change, Clock, ContactStore, Kept, OutboxEntry
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, entries

MAX_CONFLICTS = 50
"""Writers of one conversation: a worker, a call-back, a joining alert. So many lost races mean a bug."""


class Applied(NamedTuple):
    """What an event did. ``refused``: why it did nothing, None if it did something."""

    conversation: Conversation
    effects: Sequence[Effect]
    outbox: Sequence[OutboxEntry]
    customer: bytes | None
    refused: Symbol | None = None

    @property
    def call(self) -> bool:
        return any(isinstance(effect, Call) for effect in self.effects)


class Conversations:
    """The stored conversations, seen as state machines."""

    def __init__(self, store: ContactStore, clock: Clock, plan: Plan, metrics: ContactMetrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self.plan = plan

    def now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    @property
    def lease_ms(self) -> int:
        return int(self.plan.lease_s * 1000)

    @property
    def keep_ms(self) -> int:
        return int(self.plan.keep_s * 1000)

    async def apply(self, contact: str, event: Event, kept: Kept | None = None) -> Applied | None:
        """Advance the conversation by ``event``, starting from ``kept`` if it was read already. None: there is no such
        conversation. Raises `StoreDown`."""
        for _ in range(MAX_CONFLICTS):
            kept = kept or await self._store.conversation(contact)
            if kept is None:
                self._metrics.refusal("unknown_contact")
                return None
            before = decode(kept.value)
            now_ms = self.now_ms()
            advanced = advance(before, event, now_ms, self.plan)
            if advanced.refused is not None:
                self._metrics.refusal(advanced.refused)
                return Applied(before, (), (), kept.customer, advanced.refused)
            outbox = entries(contact, kept.version + 1, advanced.effects)
            change = self.change(advanced.conversation, kept.version, outbox)
            committed = await self._store.commit([change], now_ms, OUTBOX_LEASE_MS, self.keep_ms)
            if committed.outcome == "stored":
                self.count(advanced.conversation, advanced.effects, now_ms)
                return Applied(advanced.conversation, advanced.effects, committed.outbox, kept.customer)
            kept = None
        raise RuntimeError(f"conversation {contact} changed {MAX_CONFLICTS} times while one event was applied")

    def change(
        self,
        after: Conversation,
        version: int,
        outbox: Sequence[OutboxEntry],
        alerts: Sequence[str] = (),
    ) -> Change:
        """The store's form of ``after``, read at ``version``."""
        return Change(
            after.id,
            after.card,
            after.customer,
            version,
            encode(after),
            after.due_ms,
            after.state in OPEN,
            alerts,
            outbox,
        )

    def count(self, after: Conversation, effects: Sequence[Effect], now_ms: int) -> None:
        """Show a stored transition to Prometheus."""
        metrics = self._metrics
        results = {}
        for effect in effects:
            match effect:
                case ContactStep(step="failed"):
                    results["failed"] = effect.reason or "failed"
                case ContactStep(step="accepted" | "unknown" | "completed" | "escalated" | "cancelled" | "expired"):
                    results[effect.step] = effect.step
                case Label(fraud=bool(fraud)):
                    metrics.labels.labels(effect.source, str(fraud).lower()).inc()
                case CardCommand(command="release") if after.held_ms is not None:
                    metrics.hold.observe((now_ms - after.held_ms) / 1000)
        for result in results.values():
            metrics.result(result)

"""Applying one event to one stored conversation: read, advance, write if nobody was faster, else read again."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.core import agenda
from pipeline.core.contact_history import KEEP_MS
from pipeline.core.contacting import Call, Effect
from pipeline.core.conversation import OPEN, Absent, Answered, Claimed, Conversation, Event, Refused, decode, encode
from pipeline.core.course import advance
from pipeline.core.dossier_entry import Grounds, Happened, recorded
from pipeline.core.exemption import Exemption, with_exemptions
from pipeline.core.keys import Pressed, heard
from pipeline.core.ladders import Plans
from pipeline.core.records import CardCommand, ContactStep, Label
from pipeline.core.verification import Advanced
from pipeline.ports import Clock
from pipeline.ports_contact import Change, ContactStore, Kept, Note, Notes, OutboxEntry, card_note
from pipeline.roles.contact.directory import agenda_note, renewal
from pipeline.roles.contact.dunning import Dunning, Verified
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, entries
from pipeline.roles.contact.permission import Permission
from pipeline.roles.contact.writing import NOTHING, Writing, Written

MAX_CONFLICTS = 50
"""Writers of one conversation: a worker, a call-back, a joining alert. So many lost races mean a bug."""


class Applied(NamedTuple):
    """What an event did. ``written``: what it orders, in words; ``refused``: why it did nothing, None if it did
    something."""

    conversation: Conversation
    effects: Sequence[Effect]
    outbox: Sequence[OutboxEntry]
    written: Written = NOTHING
    refused: str | None = None


class Attempting:
    """In place of an event: the next attempt, if the gates allow one."""


ATTEMPT = Attempting()


class Conversations:
    """The stored conversations, seen as state machines."""

    def __init__(
        self,
        store: ContactStore,
        clock: Clock,
        plans: Plans,
        permission: Permission,
        writing: Writing,
        metrics: ContactMetrics,
    ) -> None:
        self._dunning = Dunning(store)
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self.plans = plans
        self.permission = permission
        self.writing = writing

    def now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    @property
    def lease_ms(self) -> int:
        return int(self.plans.asking.lease_s * 1000)

    @property
    def keep_ms(self) -> int:
        return int(self.plans.asking.keep_s * 1000)

    def advance(self, conversation: Conversation, event: Event, now_ms: int) -> Advanced:
        """What ``event`` makes of it, by its own machine and plan."""
        return advance(conversation, event, now_ms, self.plans.of(conversation))

    async def apply(
        self, contact: str, event: Event | Attempting | Pressed, kept: Kept | None = None
    ) -> Applied | None:
        """Advance the conversation by ``event``, starting from ``kept`` if it was read already; `ATTEMPT` is what the
        gates make of it now. None: there is no such conversation. Raises `StoreDown`."""
        for _ in range(MAX_CONFLICTS):
            kept = kept or await self._store.conversation(contact)
            if kept is None:
                self._metrics.refusal("unknown_contact")
                return None
            if await self.renew([(kept.customer, kept.notes)]):
                kept = None
                continue
            before = self.permission.renewed(decode(kept.value), kept.customer)
            if before.into:
                contact, kept = before.into, None
                continue
            now_ms = self.now_ms()
            happens, notes, grounds = self._happens(event, before, kept, now_ms)
            if _goes_out(happens, before) and (verified := await self._dunning.verified(before, now_ms)):
                before, happens, notes = _as_owed(before, happens, notes, verified)
            advanced = self.advance(before, happens, now_ms)
            if advanced.refused is not None:
                self._metrics.refusal(advanced.refused)
                return Applied(before, (), (), refused=advanced.refused)
            outbox = entries(contact, kept.version + 1, advanced.effects)
            written = self.writing.written(advanced.conversation, advanced.effects, kept.customer, kept.notes)
            happened = Happened(happens, advanced.conversation, advanced.effects, now_ms, grounds, written.told)
            after, link = recorded(happened)
            change = self.change(after, kept.version, outbox, dossier=[link.value])
            notes = [
                *notes,
                *self._allowed(before.card, kept.notes, advanced.effects, now_ms),
                *self.agenda_notes(after, kept.notes, now_ms),
            ]
            committed = await self._store.commit([change], now_ms, OUTBOX_LEASE_MS, self.keep_ms, notes=notes)
            if committed.outcome == "stored":
                self.count(after, advanced.effects, now_ms)
                if before.call_back_ms is not None and after.call_back_ms is None:
                    self._metrics.call_backs.labels("kept" if isinstance(happens, Answered) else "overdue").inc()
                self.permission.ways.happened(before, happens, self.plans.of(before))
                return Applied(after, advanced.effects, committed.outbox, written)
            kept = None
        raise RuntimeError(f"conversation {contact} changed {MAX_CONFLICTS} times while one event was applied")

    async def renew(self, found: Iterable[tuple[bytes | None, Notes]]) -> bool:
        """Write customers anew whom an earlier version wrote otherwise; ``found``: their records and the notes on them.
        True: read them again."""
        renewals = [new for record, notes in found if (new := renewal(record, notes, self.permission.digests))]
        for one in renewals:
            notes = [await self._unless_there(note) for note in one.notes]
            done = await self._store.commit([], self.now_ms(), OUTBOX_LEASE_MS, self.keep_ms, notes=notes)
            if done.outcome == "stored":  # else somebody was faster, with these notes or with others
                await self._store.put_customers([one.entry])
        return bool(renewals)

    async def _unless_there(self, note: Note) -> Note:
        """A new note, or what stands in its place already: that was written later."""
        there = b"" if note.before else await self._store.note(note.key)
        return note._replace(before=there, after=there) if there else note

    def _happens(
        self, event: Event | Attempting | Pressed, conversation: Conversation, kept: Kept, now_ms: int
    ) -> tuple[Event, Sequence[Note], Grounds | None]:
        """The event with the notes that go with it, and why."""
        if isinstance(event, Attempting):
            permit = self.permission.ask(conversation, kept.customer, kept.notes, now_ms)
            return permit.event, permit.notes, permit.grounds
        if isinstance(event, Pressed):
            event = heard(event, conversation.class_)
        if isinstance(event, Absent) and conversation.state in ("sending", "unknown"):
            event = self._once_more(event, conversation, kept, now_ms)
        event = self.permission.weighed(event, conversation, kept.customer, kept.notes, now_ms)
        left = self.permission.left_behind(event, conversation, conversation.customer, kept.notes, now_ms)
        return event, left, None

    def _once_more(self, event: Absent, conversation: Conversation, kept: Kept, now_ms: int) -> Absent | Refused:
        """The provider never had the attempt: it is sent again if the gates still allow it and all that it says has still
        to be told, else planned again."""
        gone = {matter.id for matter in conversation.matters if matter.over}
        if gone.isdisjoint(conversation.attempts[-1].covers) and self.permission.still(
            conversation, kept.customer, kept.notes, now_ms
        ):
            return event
        return Refused(event.attempt, permanent=False, reason="lost")

    def agenda_notes(self, after: Conversation, notes: Notes, now_ms: int) -> Sequence[Note]:
        """What is still to be told to the customer, once ``after`` is stored."""
        if not agenda.kept_for(after) or (key := agenda_note(after.customer or "")) not in notes:
            return ()
        before = notes[key]
        left = agenda.after(before, after, now_ms)
        return [Note(key, before, left, KEEP_MS)] if left != before else ()

    def _allowed(self, card: str, notes: Notes, effects: Sequence[Effect], now_ms: int) -> Sequence[Note]:
        """What a transition allows on its card, or allows no longer."""
        allowed = [effect for effect in effects if isinstance(effect, Exemption)]
        key = card_note(card)
        before = notes.get(key, b"")
        if before and any(_forbids(effect) for effect in effects):
            return [Note(key, before, b"", None)]
        if not allowed:
            return ()
        return [Note(key, before, with_exemptions(before, allowed, now_ms), int(self.plans.asking.exempt_s * 1000))]

    def change(
        self,
        after: Conversation,
        version: int,
        outbox: Sequence[OutboxEntry],
        alerts: Sequence[str] = (),
        dossier: Sequence[bytes] = (),
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
            dossier,
            int(self.plans.asking.dossier_s * 1000),
            after.class_,
            after.tells,
        )

    def count(self, after: Conversation, effects: Sequence[Effect], now_ms: int) -> None:
        """Show a stored transition to Prometheus."""
        metrics = self._metrics
        results: dict[str, str] = {}
        channel = after.attempts[-1].channel if after.attempts else self.plans.of(after).ladder[0].channel
        for effect in effects:
            match effect:
                case ContactStep(step="failed"):
                    results["failed"] = effect.reason or "failed"
                case ContactStep(step="deferred"):
                    metrics.deferral(effect.reason or "other", after.class_)
                case ContactStep(step="escalated", call_back_by=str()):
                    results["escalated"] = "escalated"
                    metrics.call_backs.labels("promised").inc()
                case ContactStep(step="accepted" | "unknown" | "completed" | "escalated" | "cancelled" | "expired"):
                    results[effect.step] = effect.step
                case Call(attempt=1) if after.asks == 0:
                    metrics.first_attempt(after.class_, bool(after.order))
                case Label(fraud=fraud):
                    metrics.labels.labels(effect.source, "withdrawn" if fraud is None else str(fraud).lower()).inc()
                case CardCommand(command="release") if after.held_ms is not None:
                    metrics.hold.observe((now_ms - after.held_ms) / 1000)
        for result in results.values():
            metrics.result(result, channel, after.class_)


def _goes_out(event: Event, conversation: Conversation) -> bool:
    """Whether something is said because of ``event``: an attempt, or one that its provider never had once more."""
    lost = isinstance(event, Absent) and conversation.state in ("sending", "unknown")
    return lost or isinstance(event, Claimed)


def _as_owed(
    conversation: Conversation, event: Event, notes: Sequence[Note], verified: Verified
) -> tuple[Conversation, Event, Sequence[Note]]:
    """The conversation in the words of now, and what happens to it if that is not an attempt. An attempt that its
    provider never had is sent again only in its own words."""
    instead, matters = verified.checked
    if isinstance(event, Absent):
        if instead is None and matters == conversation.matters:
            return conversation, event, [*notes, *verified.compared]
        return conversation, Refused(event.attempt, permanent=False, reason="lost"), verified.compared
    if instead is not None:
        return conversation, instead, verified.compared
    return replace(conversation, matters=matters), event, [*notes, *verified.compared]


def _forbids(effect: Effect) -> bool:
    """Whether what an earlier yes allowed is allowed no longer: the cardholder has said no."""
    return isinstance(effect, CardCommand) and (effect.command == "block" or effect.reason == "no_after_yes")

"""From decisions to conversations: which records matter, and one step per chunk that takes them in.

Nearly every decision is an approval; a header says so, and nothing else of it is read. Every record moves the
partition's position, because the first record of a source offset is the decision, whatever it says.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec
import structlog

from pipeline.core.contacting import Effect
from pipeline.core.conversation import Alert, Channel, Conversation, Event, Raised, contact_id, decode
from pipeline.core.decision import (
    HEADER_OUTCOME,
    HEADER_REVERSES,
    HEADER_SOURCE_OFFSET,
    HEADER_SOURCE_TIMESTAMP,
    Decision,
)
from pipeline.core.dossier_entry import Grounds, Happened, recorded
from pipeline.core.exemption import read_exemptions
from pipeline.core.matters import Requested
from pipeline.core.requests import notice_of
from pipeline.core.verification import Advanced, begin
from pipeline.ports import Record
from pipeline.ports_contact import Asked, Change, ContactStore, Kept, Move, Note, Notes, ReadUpTo, Seen, card_note
from pipeline.roles.contact.conversations import Applied, Conversations
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, entries
from pipeline.roles.contact.writing import NOTHING, Writing, Written

MAX_ALERTS = 100
"""Alerts taken in by one step."""
APPROVE = b"approve"
_decoder = msgspec.json.Decoder(Decision)
log = structlog.get_logger()


class Unusable(NamedTuple):
    """A record that is no decision."""

    record: Record
    reason: str
    detail: str


class Taken(NamedTuple):
    """A decision that asks for something, or takes a payment back; ``after``: the partition's position once it is taken
    in."""

    decision: Decision
    source_ms: int
    after: ReadUpTo

    @property
    def is_reversal(self) -> bool:
        return self.decision.reverses is not None

    @property
    def asked(self) -> Asked:
        return Asked(self.decision.card, self.decision.customer, self.decision.reverses or self.decision.id)


class Sifted(NamedTuple):
    """What a partition's records hold, and the position behind all of them."""

    taken: Sequence[Taken]
    unusable: Sequence[Unusable]
    after: ReadUpTo
    repeats: int


def sift(records: Sequence[Record], position: ReadUpTo) -> Sifted:
    """Drop repeats and plain approvals, decode the rest. ``records`` are one partition's, in order."""
    source_next = position.source_next
    taken: list[Taken] = []
    unusable: list[Unusable] = []
    repeats = 0
    for record in records:
        headers = dict(record.headers)
        try:
            source = int(headers[HEADER_SOURCE_OFFSET])
        except (KeyError, ValueError):
            unusable.append(Unusable(record, "no_source_offset", "the header source_offset must be a whole number"))
            continue
        if source < source_next:
            repeats += 1
            continue
        source_next = source + 1
        if headers.get(HEADER_OUTCOME) == APPROVE and HEADER_REVERSES not in headers:
            continue
        try:
            decision = _decoder.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            unusable.append(Unusable(record, "not_a_decision", str(error)))
            continue
        wants = decision.actions.contact != "none" or decision.actions.card != "none"
        if wants or decision.reverses is not None:
            stamp = headers.get(HEADER_SOURCE_TIMESTAMP, b"")
            source_ms = int(stamp) if stamp.isdigit() else record.timestamp
            taken.append(Taken(decision, source_ms, ReadUpTo(record.offset + 1, source_next)))
    log_next = records[-1].offset + 1 if records else position.log_next
    return Sifted(taken, unusable, ReadUpTo(log_next, source_next), repeats)


def chunks(sifted: Sifted) -> Iterator[tuple[Sequence[Taken], ReadUpTo]]:
    """At most MAX_ALERTS at a time, each with the position behind it; reversals by themselves."""
    done = 0
    for _, group in groupby(sifted.taken, key=lambda one: one.is_reversal):
        taken = list(group)
        for start in range(0, len(taken), MAX_ALERTS):
            chunk = taken[start : start + MAX_ALERTS]
            done += len(chunk)
            yield chunk, sifted.after if done == len(sifted.taken) else chunk[-1].after


class _Draft:
    """A conversation being changed by a chunk."""

    def __init__(self, conversation: Conversation, version: int, found: Seen) -> None:
        self.conversation = conversation
        self.version = version
        self.found = found
        self.effects: list[Effect] = []
        self.alerts: list[str] = []
        self.dossier: list[bytes] = []
        self.written: Written = NOTHING

    def become(
        self,
        advanced: Advanced,
        event: Event,
        now_ms: int,
        writing: Writing,
        notes: Notes,
        grounds: Grounds | None = None,
    ) -> None:
        """Make the transition, write what it orders, and put it on record."""
        written = writing.written(advanced.conversation, advanced.effects, self.found.record, notes)
        self.written = written if written is not NOTHING else self.written
        happened = Happened(event, advanced.conversation, advanced.effects, now_ms, grounds, written.told)
        self.conversation, link = recorded(happened)
        self.effects.extend(advanced.effects)
        self.dossier.append(link.value)


class Intake:
    """Takes chunks of decisions into the store."""

    def __init__(self, conversations: Conversations, store: ContactStore) -> None:
        self._conversations = conversations
        self._store = store
        self._notices = conversations.plans.channels("fraud")

    async def take(
        self, chunk: Sequence[Taken], partition: int, before: ReadUpTo | None, after: ReadUpTo, calls: int
    ) -> Sequence[Applied] | None:
        """One step: the conversations that ``chunk`` begins or joins, with the position. The first ``calls`` new ones
        are claimed in the same step, to be called at once. None: the position is somebody else's by now; []: this step
        was made already. Raises `StoreDown`."""
        move = Move(partition, before, after) if before != after else None
        unseen_only = False
        while True:
            now_ms = self._conversations.now_ms()
            seen = await self._store.look([one.asked for one in chunk])
            if await self._conversations.renew([(found.record, found.notes) for found in seen]):
                continue
            drafts = await self._drafts(chunk, seen, now_ms, unseen_only)
            notes = self._attempt(drafts, now_ms, calls)
            changes = [self._change(draft) for draft in drafts]
            keep_ms = self._conversations.keep_ms
            committed = await self._store.commit(changes, now_ms, OUTBOX_LEASE_MS, keep_ms, move, notes)
            if committed.outcome == "moved":
                return None
            if committed.outcome == "already":
                return []
            if committed.outcome == "stored":
                break
            unseen_only = True
        published = iter(committed.outbox)
        applied = []
        for draft, change in zip(drafts, changes, strict=True):
            self._conversations.count(draft.conversation, draft.effects, now_ms)
            outbox = [next(published) for _ in change.outbox]
            applied.append(Applied(draft.conversation, draft.effects, outbox, draft.written))
        return applied

    async def _drafts(
        self, chunk: Sequence[Taken], seen: Sequence[Seen], now_ms: int, unseen_only: bool
    ) -> Sequence[_Draft]:
        """``unseen_only``: after a conflict, new conversations are first looked up by name; one that is kept longer
        than its alert is remembered must not be begun again."""
        drafts: dict[str, _Draft] = {}
        others: list[_Draft] = []
        for one, found in zip(chunk, seen, strict=True):
            if found.known:
                continue
            decision = one.decision
            raised = raised_by(decision, found, now_ms)
            contact = contact_id(decision.card, decision.id)
            apart = raised.notice or raised.exempt
            if apart and any(other.conversation.id == contact for other in others):
                continue  # the same decision twice in one chunk
            draft = None if apart else drafts.get(decision.card)
            if draft is None:
                kept = None if apart else found.open
                if kept is None and unseen_only and await self._store.conversation(contact) is not None:
                    continue
                told = self._notices if raised.notice else ()
                draft = self._telling(contact, one, found, told) if told else _draft(kept, contact, one, found)
                if apart:
                    others.append(draft)
                else:
                    drafts[decision.card] = draft
            event: Event = raised
            if draft.conversation.tells:
                patience_s = self._conversations.plans.asking.patience_s
                event = Requested(notice_of(raised.alert, decision.card, now_ms, patience_s))
            advanced = self._conversations.advance(draft.conversation, event, now_ms)
            if advanced.refused is None:
                draft.become(advanced, event, now_ms, self._conversations.writing, found.notes)
                draft.alerts.append(decision.id)
        return [draft for draft in (*drafts.values(), *others) if draft.alerts]

    def _attempt(self, drafts: Sequence[_Draft], now_ms: int, calls: int) -> Sequence[Note]:
        """Make the first attempt of new conversations, as far as the gates allow. Several may be of one customer: each
        is asked with what those before it leave behind."""
        new = [draft for draft in drafts if draft.version == 0 and draft.conversation.state == "planned"]
        left: dict[str, Note] = {}
        for draft in new[:calls]:
            notes = {key: left[key].after if key in left else note for key, note in draft.found.notes.items()}
            try:
                permit = self._conversations.permission.ask(draft.conversation, draft.found.record, notes, now_ms)
            except Exception as error:  # one customer's record must not stop a partition: tried again from the schedule
                log.exception("an alert is left planned", contact=draft.conversation.id, error=type(error).__name__)
                continue
            advanced = self._conversations.advance(draft.conversation, permit.event, now_ms)
            draft.become(advanced, permit.event, now_ms, self._conversations.writing, notes, permit.grounds)
            for note in permit.notes:
                left[note.key] = note._replace(before=left[note.key].before) if note.key in left else note
        return tuple(left.values())

    def _telling(self, contact: str, one: Taken, found: Seen, channels: tuple[Channel, ...]) -> _Draft:
        """The draft of a notice: it asks nothing, and no alert joins it."""
        prefers = None
        if found.record is not None:
            prefers = self._conversations.permission.customer(found.record, found.notes).preferred_channel
        started = begin(contact, one.decision.card, found.customer, one.source_ms)
        return _Draft(msgspec.structs.replace(started, channels=channels, prefers=prefers or ""), 0, found)

    def _change(self, draft: _Draft) -> Change:
        outbox = entries(draft.conversation.id, draft.version + 1, draft.effects)
        return self._conversations.change(draft.conversation, draft.version, outbox, draft.alerts, draft.dossier)


def _draft(kept: Kept | None, contact: str, one: Taken, found: Seen) -> _Draft:
    if kept is not None:
        return _Draft(decode(kept.value), kept.version, found)
    return _Draft(begin(contact, one.decision.card, found.customer, one.source_ms), 0, found)


def alert_of(decision: Decision) -> Alert:
    """The alert that a decision raises."""
    actions = decision.actions
    return Alert(
        id=decision.id,
        command=actions.card,
        scope=actions.scope if isinstance(actions.scope, str) else "all",
        amount=decision.amount,
        currency=decision.currency,
        merchant=decision.merchant_name,
        policy_version=decision.policy_version,
        score=decision.score,
        exposure=(decision.features or {}).get("amount"),
        merchant_id=decision.merchant,
        mcc=decision.mcc,
        country=decision.country,
        hard=decision.hard,
    )


def raised_by(decision: Decision, found: Seen, now_ms: int) -> Raised:
    """The event a decision is to its card's conversation; ``found``: what the store knows about it."""
    actions = decision.actions
    alert = alert_of(decision)
    if found.open is None and any(
        one.covers(alert, now_ms) for one in read_exemptions(found.notes.get(card_note(decision.card), b""))
    ):
        return Raised(alert, exempt=True)
    if actions.contact == "none":
        return Raised(alert, cannot_call="policy_wants_no_contact")
    if actions.contact == "notify" and actions.card == "none":
        return Raised(alert, notice=True)
    return Raised(alert)

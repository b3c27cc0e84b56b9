"""What a customer is still to be told, over all conversations: one note for each customer, so that workers who race for
one customer make one contact at a time, in order.

A conversation stands on the agenda while it is planned. The note is swapped by compare-and-set in the step that plans,
defers, claims or ends it, so two workers can't both find themselves first. Questions about payments are not on it: they
wait for nobody. The others wait for them at the gate named cool-down (`contact_limits`).
"""

from collections.abc import Sequence

import msgspec

from pipeline.core.contact_history import History
from pipeline.core.contact_policy import URGENCY
from pipeline.core.conversation import CALL_CLASS, Conversation
from pipeline.core.matters import Matter, kind_of, until_ms

NEXT_MS = 60_000
"""How far apart contacts of one customer are that are due together."""
MOST = 100
"""Entries kept, the first to go: what is not on a full agenda goes when the gates let it."""


class Planned(msgspec.Struct, frozen=True, array_like=True):
    """One conversation. ``since_ms``: when it was asked for; ``from_ms``: wanted no earlier; ``due_ms``: when it is looked at
    next; ``until_ms``: useless from then on; ``fresh``: nothing has left yet, so others may join it."""

    contact: str
    class_: str
    template: str
    since_ms: int
    from_ms: int
    due_ms: int
    until_ms: int
    fresh: bool

    @property
    def place(self) -> tuple[int, int, str]:
        return URGENCY.index(self.class_), self.since_ms, self.contact


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Planned, ...])


def read_agenda(note: bytes) -> Sequence[Planned]:
    """A customer's note; b"" is none."""
    return _decoder.decode(note) if note else ()


def after(note: bytes, conversation: Conversation, now_ms: int) -> bytes:
    """The note as ``conversation`` now stands on it, without what is useless by now."""
    if not kept_for(conversation):
        return note
    others = [each for each in read_agenda(note) if each.contact != conversation.id and each.until_ms > now_ms]
    mine = [_planned(conversation)] if conversation.state == "planned" and conversation.matters else []
    entries = sorted([*others, *mine], key=lambda each: each.place)[:MOST]
    return _encoder.encode(entries) if entries else b""


def both(some: bytes, more: bytes) -> bytes:
    """All that stands on either note; of a conversation on both, as it stands on the first."""
    entries = {each.contact: each for note in (more, some) for each in read_agenda(note)}
    return _encoder.encode(sorted(entries.values(), key=lambda each: each.place)[:MOST])


def kept_for(conversation: Conversation) -> bool:
    """Whether conversations like this one have an agenda."""
    return conversation.tells and conversation.class_ != CALL_CLASS


def _planned(conversation: Conversation) -> Planned:
    return Planned(
        conversation.id,
        conversation.class_,
        conversation.matters[0].template,
        conversation.source_ms,
        max(each.from_ms for each in conversation.matters),
        conversation.due_ms or 0,
        until_ms(conversation.matters),
        not conversation.attempts,
    )


def ahead(note: bytes, conversation: Conversation, now_ms: int) -> int:
    """How many conversations of the customer are due now and go before this one."""
    mine = _planned(conversation).place
    return sum(
        each.due_ms <= now_ms < each.until_ms and each.place < mine and each.contact != conversation.id
        for each in read_agenda(note)
    )


def gone_ms(history: History, conversation: Conversation) -> int:
    """Until when there is a pause after what the customer was last told by others than ``conversation``."""
    gone = [
        entry.time_ms + NEXT_MS
        for entry in history.entries
        if entry.class_ != CALL_CLASS and entry.kind in ("dial", "message") and entry.event != conversation.id
    ]
    return max(gone, default=0)


def joinable(note: bytes, class_: str, matter: Matter, now_ms: int) -> Sequence[str]:
    """Planned contacts that may tell ``matter`` too, the first to go first: of its class and kind, where neither
    waits for the other longer than it has to."""
    start_ms = max(now_ms, matter.from_ms)
    return [
        each.contact
        for each in read_agenda(note)
        if each.fresh
        and (each.class_, kind_of(each.template)) == (class_, kind_of(matter.template))
        and each.from_ms <= start_ms
        and matter.from_ms <= max(now_ms, each.due_ms)
        and start_ms < each.until_ms
    ]

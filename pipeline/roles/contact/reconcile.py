"""The contact store compared with what the topics tell, while the workers run: what is only in one of them, and what nobody
will look at any more."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, NamedTuple

from pipeline.core.conversation import (
    OPEN,
    decode,
)
from pipeline.core.ladders import Plans
from pipeline.core.rebuild import Retold
from pipeline.ports import Log
from pipeline.ports_contact import ContactStore, Opened
from pipeline.roles.contact.ledger import Ledger
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, Outbox
from pipeline.roles.contact.rebuild import restored, told
from pipeline.roles.contact.rebuild_writer import Writer
from pipeline.roles.contact.repair import scheduled

SETTLED_MS = 60_000
"""A change this young may still be on its way to a topic, or to the store."""
SWEEP_ENTRIES = 500
STRAYS_AT_ONCE = 1_000
"""Keys of the store that are looked at in one step."""


class Difference(NamedTuple):
    """``missing``: open by its records, and not in the store; ``behind``: the records tell of a later version than the
    store's; ``stuck``: open and in no schedule; ``unpublished``: a record that nobody has published in its time.
    ``name``: of the conversation, or the record's id."""

    what: Literal["missing", "behind", "stuck", "unpublished"]
    name: str
    detail: str = ""


async def differences(ledger: Ledger, store: ContactStore, plans: Plans, now_ms: int) -> list[Difference]:
    """What differs now. Raises `StoreDown`."""
    stored: dict[str, Opened] = {}
    async for some in store.opened():
        stored.update((one.contact, one) for one in some)
    found = [
        difference
        for one in told(ledger, plans)
        if one.at_ms < now_ms - SETTLED_MS
        and (difference := await _difference(one, stored.get(one.conversation.id), store)) is not None
    ]
    found += [
        Difference("stuck", one.contact, decode(one.value).state) for one in stored.values() if one.due_ms is None
    ]
    found += [Difference("stuck", contact) async for contact in _strays(store) if contact not in stored]
    found += [Difference("unpublished", name) for name in await store.overdue(now_ms - SETTLED_MS)]
    return found


async def _strays(store: ContactStore) -> AsyncIterator[str]:
    """What tells, is open, and in no schedule."""
    cursor = -1
    while cursor:
        strays = await store.strays(max(cursor, 0), STRAYS_AT_ONCE)
        cursor = strays.cursor
        for contact in strays.contacts:
            kept = await store.conversation(contact)
            if kept is not None and decode(kept.value).state in OPEN:
                yield contact


async def _difference(one: Retold, opened: Opened | None, store: ContactStore) -> Difference | None:
    contact, state = one.conversation.id, one.conversation.state
    if opened is None and state not in OPEN:
        return None  # it may be forgotten by now
    stored = opened or await store.conversation(contact)
    if stored is None:
        return Difference("missing", contact, state)
    behind = stored.version < one.version
    return Difference("behind", contact, f"{stored.version} < {one.version}") if behind else None


async def repair(
    found: Sequence[Difference], ledger: Ledger, store: ContactStore, log: Log, plans: Plans, now_ms: int
) -> int:
    """Put back what is missing, give a time to what is stuck, publish what was left behind; answers how many differences
    that mends. Raises `StoreDown`, and what the log raises."""
    missing = {one.name for one in found if one.what == "missing"}
    writer = Writer(store, now_ms)
    mended = 0
    if missing:
        again = restored(ledger, plans, now_ms).conversations
        mended += await writer.put_back([one for one in again if one.change.contact in missing])
    for one in found:
        if one.what == "stuck":
            mended += await scheduled(one.name, store, now_ms, at_once=True)
    outbox = Outbox(log, store)
    while swept := await outbox.sweep(now_ms, OUTBOX_LEASE_MS, SWEEP_ENTRIES):
        mended += swept
    return mended

"""The contact store compared with what the topics tell, while the workers run: what is only in one of them, and what nobody
will look at any more."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from pipeline.core.conversation import (
    OPEN,
    decode,
    encode,
)
from pipeline.core.plan import Plan
from pipeline.core.rebuild import Retold
from pipeline.ports import Change, ContactStore, Log, Opened
from pipeline.roles.contact.ledger import Ledger
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, Outbox
from pipeline.roles.contact.rebuild import restored, told
from pipeline.roles.contact.rebuild_writer import Writer

SETTLED_MS = 60_000
"""A change this young may still be on its way to a topic, or to the store."""
SWEEP_ENTRIES = 500


class Difference(NamedTuple):
    """``missing``: open by its records, and not in the store; ``behind``: the records tell of a later version than the
    store's; ``stuck``: open and in no schedule; ``unpublished``: a record that nobody has published in its time.
    ``name``: of the conversation, or the record's id."""

    what: Literal["missing", "behind", "stuck", "unpublished"]
    name: str
    detail: str = ""


async def differences(ledger: Ledger, store: ContactStore, plan: Plan, now_ms: int) -> list[Difference]:
    """What differs now. Raises `StoreDown`."""
    stored: dict[str, Opened] = {}
    async for some in store.opened():
        stored.update((one.contact, one) for one in some)
    found = [
        difference
        for one in told(ledger, plan)
        if one.at_ms < now_ms - SETTLED_MS
        and (difference := await _difference(one, stored.get(one.conversation.id), store)) is not None
    ]
    found += [
        Difference("stuck", one.contact, decode(one.value).state) for one in stored.values() if one.due_ms is None
    ]
    found += [Difference("unpublished", name) for name in await store.overdue(now_ms - SETTLED_MS)]
    return found


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
    found: Sequence[Difference], ledger: Ledger, store: ContactStore, log: Log, plan: Plan, now_ms: int
) -> int:
    """Put back what is missing, give a time to what is stuck, publish what was left behind; answers how many differences
    that mends. Raises `StoreDown`, and what the log raises."""
    missing = {one.name for one in found if one.what == "missing"}
    writer = Writer(store, now_ms)
    mended = 0
    if missing:
        again = restored(ledger, plan, now_ms).conversations
        mended += await writer.put_back([one for one in again if one.change.contact in missing])
    for one in found:
        if one.what == "stuck":
            mended += await _looked_at(one.name, store, now_ms)
    outbox = Outbox(log, store)
    while swept := await outbox.sweep(now_ms, OUTBOX_LEASE_MS, SWEEP_ENTRIES):
        mended += swept
    return mended


async def _looked_at(contact: str, store: ContactStore, now_ms: int) -> bool:
    """Whether the conversation is in the schedule again: unless somebody changed it meanwhile, and it was anyway."""
    kept = await store.conversation(contact)
    if kept is None:
        return False
    conversation = replace(decode(kept.value), due_ms=now_ms)
    if conversation.state not in OPEN:
        return False
    change = Change(
        contact, conversation.card, conversation.customer, kept.version, encode(conversation), now_ms, open=True
    )
    return (await store.commit([change], now_ms, OUTBOX_LEASE_MS, 1)).outcome == "stored"

"""Before each attempt about a bill: is it still owed? Read in the store, and compared there once more in the step that
claims the attempt, so that a repayment stored in between makes that step fail and the bill be looked at again."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.bill_check import Checked, Seen, account_of, billed, checked
from pipeline.core.conversation import Conversation
from pipeline.ports_contact import ContactStore, Note, account_note, read_up_to_note


class Verified(NamedTuple):
    """``compared``: the records it was decided upon, to be the same still when it is stored."""

    checked: Checked
    compared: Sequence[Note]


class Dunning:
    """Looks at the accounts of a contact. Every method may raise `StoreDown`."""

    def __init__(self, store: ContactStore) -> None:
        self._store = store

    async def verified(self, conversation: Conversation, now_ms: int) -> Verified | None:
        """What is owed now makes of an attempt; None: it is not about bills."""
        bills = [matter.bill for matter in billed(conversation, now_ms) if matter.bill is not None]
        if not bills:
            return None
        found = {account: await self._seen(account) for account in dict.fromkeys(bill.account for bill in bills)}
        compared = [Note(account_note(name), seen.record, seen.record, None) for name, seen in found.items()]
        return Verified(checked(conversation, found, now_ms), compared)

    async def _seen(self, account: str) -> Seen:
        """The mark is read after the record, and holds for it all the same: should the record be older than the mark says,
        it is no longer what is stored, and the comparison fails."""
        record = await self._store.note(account_note(account))
        known = account_of(record)
        if known is None:
            return Seen(record, None)
        mark = await self._store.note(read_up_to_note(known.partition))
        return Seen(record, int(mark) if mark.isdigit() else None)

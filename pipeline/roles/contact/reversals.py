"""Payments that are taken back while somebody is asked about them.

Most reversals are of payments that nobody asks about: one look at the store tells, and nothing is written.
"""

from collections.abc import Sequence

from pipeline.core.conversation import Reversed
from pipeline.ports_contact import ContactStore
from pipeline.roles.contact.conversations import Applied, Conversations
from pipeline.roles.contact.intake import Taken


class Reversals:
    """Tells open conversations of reversals. One that is told twice changes nothing the second time."""

    def __init__(self, conversations: Conversations, store: ContactStore) -> None:
        self._conversations = conversations
        self._store = store

    async def take(self, chunk: Sequence[Taken]) -> Sequence[Applied]:
        """What they did; when this returns it is stored. Raises `StoreDown`."""
        found = []
        for one, seen in zip(chunk, await self._store.look([one.asked for one in chunk]), strict=True):
            decision = one.decision
            if seen.open is None or not seen.known or decision.reverses is None:
                continue
            event = Reversed(decision.reverses, decision.amount or 0, decision.currency or "")
            applied = await self._conversations.apply(seen.open.contact, event)
            if applied is not None and applied.refused is None:
                found.append(applied)
        return found

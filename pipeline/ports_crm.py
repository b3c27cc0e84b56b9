"""What the crm role needs from the world: the systems it tells, and a way to the bank's own people."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.core.crm_event import CrmEvent
from pipeline.core.crm_outcome import Told


class OtherSystem(Protocol):
    """Where contact history, complaints and tags go. Does not raise for a system that is away."""

    async def tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        """What became of each event, in their order. Events of one customer are told in order: behind one that is for
        later, none of the same customer is told. An event told before may come again, under the same id."""


class Notifier(Protocol):
    """How the bank's own people are told something at once."""

    async def notify(self, title: str, body: str) -> bool:
        """False when not everybody it goes to can have got it."""

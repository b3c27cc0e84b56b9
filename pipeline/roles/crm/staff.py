"""Escalated contacts, complaints and overdue call-backs to the bank's own people, never more than so many a minute.

What there is no room for is summed up in the minute's last message, however much it is. What comes when the minute's
messages are used up waits for the next minute: nothing is dropped, and nobody's telephone rings a thousand times.
"""

from collections.abc import Collection, Sequence

from pipeline.core.crm_event import CrmEvent
from pipeline.core.crm_outcome import NOT_TRIED, NOT_WANTED, TAKEN, Told
from pipeline.core.staff_alerts import Message, Wording, about_many, about_one, kind_of
from pipeline.ports import Clock
from pipeline.ports_crm import Notifier

MINUTE_S = 60.0
NO_ROOM = Told("later", "minute_full")


class StaffAlerts:
    """The OtherSystem port. ``overdue``: reasons of a step that say a promised call-back is late."""

    def __init__(
        self, notifier: Notifier, overdue: Collection[str], wording: Wording, per_minute: int, clock: Clock
    ) -> None:
        self._notifier = notifier
        self._overdue = overdue
        self._wording = wording
        self._per_minute = per_minute
        self._clock = clock
        self._sent: list[float] = []

    async def start(self) -> None:
        """A notifier keeps no connections."""

    async def stop(self) -> None:
        """Nothing to leave."""

    async def tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        told = [NOT_WANTED] * len(events)
        alerts = [(position, kind) for position, event in enumerate(events) if (kind := kind_of(event, self._overdue))]
        room = self._room()
        one_by_one = alerts if len(alerts) <= room else alerts[: max(0, room - 1)]
        together = alerts[len(one_by_one) :]
        for position, _ in alerts:
            told[position] = NOT_TRIED if room else NO_ROOM
        for position, kind in one_by_one:
            told[position] = await self._say(about_one(events[position], kind, self._wording))
            if told[position].result == "later":
                return told
        if together and room:
            outcome = await self._say(about_many([kind for _, kind in together], self._wording))
            for position, _ in together:
                told[position] = outcome
        return told

    def _room(self) -> int:
        """Messages that may still go within this minute."""
        now = self._clock.now()
        self._sent = [moment for moment in self._sent if 0 <= now - moment < MINUTE_S]
        return self._per_minute - len(self._sent)

    async def _say(self, message: Message) -> Told:
        self._sent.append(self._clock.now())  # one that failed may have reached some
        return TAKEN if await self._notifier.notify(message.title, message.body) else Told("later", "not_sent")

"""A telephone company and a text message centre, with their bad days.

Neither knows an order it has had before: what is ordered twice rings twice, so a second order is found out.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.ports_channels import (
    CallAbsent,
    CallAccepted,
    CallOrder,
    CallRefused,
    CallReport,
    CallUnknown,
    MessageOrder,
)
from simulated_year.agenda import Agenda
from simulated_year.evidence import QUESTION, Evidence, Handled

Order = CallOrder | MessageOrder
Taken = Callable[[Order], None]
OVER = frozenset({"completed", "busy", "no_answer", "failed", "hung_up", "voicemail", "delivered", "undelivered"})


class Faults(NamedTuple):
    """Shares of requests. ``lost``: taken, but the answer never arrives; ``dropped``: neither; ``mute``: cannot say what
    became of an order when it is asked."""

    busy: float = 0.006
    broken: float = 0.006
    rejects: float = 0.001
    lost: float = 0.008
    dropped: float = 0.006
    mute: float = 0.02


class Carrier:
    """A Provider of calls and a MessageChannel. ``outages``: when nothing gets through, unix milliseconds."""

    def __init__(
        self,
        agenda: Agenda,
        rng: random.Random,
        evidence: Evidence,
        taken: Taken,
        faults: Faults,
        outages: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self._taken = taken
        self._faults = faults
        self._outages = outages
        self.reports: dict[str, CallReport] = {}

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown:
        return self._order(call, "voice", call.reference)

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        return self._order(order, order.channel, order.reference)

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        if self._away() or self._rng.random() < self._faults.mute:
            self._evidence.fault("could not be asked")
            return CallUnknown("away")
        return self.reports.get(key, CallAbsent())

    def reported(self, key: str, status: str, digits: str | None = None) -> CallReport:
        """What the carrier knows of an order from now on. What is over stays over."""
        before = self.reports[key]
        if before.status not in OVER:
            self.reports[key] = before._replace(status=status, digits=digits)
        return self.reports[key]

    def _away(self) -> bool:
        return any(start <= self._agenda.now_ms < end for start, end in self._outages)

    def _order(self, order: Order, channel: str, covers: Sequence[str]) -> CallAccepted | CallRefused | CallUnknown:
        if self._away():
            self._evidence.fault("outage")
            return CallUnknown("time-out") if self._rng.random() < 0.5 else CallRefused(False, "503")
        name = self._trouble()
        if name != "works":
            self._evidence.fault(name)
        match name:
            case "busy":
                return CallRefused(False, "429")
            case "broken":
                return CallRefused(False, "500")
            case "rejects":
                return CallRefused(True, "400")
            case "dropped":
                return CallUnknown("time-out")
        contact, step, number = order.key.split(":")
        question = step == QUESTION
        self._evidence.handled.append(
            Handled(self._agenda.now_ms, contact, int(number), question, channel, order.to, tuple(covers))
        )
        self.reports[order.key] = CallReport(order.key, f"id_{order.key}", "ringing" if channel == "voice" else "sent")
        if question:
            self._taken(order)
        return CallUnknown("time-out") if name == "lost" else CallAccepted(f"id_{order.key}")

    def _trouble(self) -> str:
        chance = self._rng.random()
        for name, share in zip(("busy", "broken", "rejects", "lost", "dropped"), self._faults, strict=False):
            if chance < share:
                return name
            chance -= share
        return "works"

"""Calls: ordered once per key, ringing, ended as the callee behaves or a visitor presses, then reported.

Events on the record: ``order`` (a request for a new key), ``repeat`` (the key was there), ``refused`` (answered 500,
nothing made), ``ring``, ``end``, ``report`` (a call-back and what it was answered with), ``find``.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.lab.telephony.background import Background
from pipeline.lab.telephony.behaviour import ENDINGS, Behaviour, Callees
from pipeline.lab.telephony.record import CallLog, masked
from pipeline.lab.telephony.reports import Reporter

OVER = frozenset({"completed", "busy", "no_answer", "failed", "hung_up", "voicemail"})
WORDS = {"1": "thanks_yes", "2": "thanks_no"}


class Order(msgspec.Struct):
    """The body of ``POST /v1/calls``."""

    to: str
    say: str
    callback_url: str
    from_: str = msgspec.field(name="from", default="")
    language: str = "en"
    voicemail: str = ""
    thanks: dict[str, str] = {}
    reference: list[str] = []
    ring_s: float = 30.0


class Pace(NamedTuple):
    """How long a callee takes to pick up, and then to press a key."""

    pick_up_s: float = 0.0
    answer_s: float = 0.0


class Call:
    """One call. ``callback_url`` and the texts are kept to report and to show it."""

    def __init__(self, call_id: str, key: str, order: Order, behaviour: Behaviour) -> None:
        self.id = call_id
        self.key = key
        self.order = order
        self.behaviour = behaviour
        self.status = "ringing"
        self.digits: str | None = None
        self.reported = False
        self.over = asyncio.Event()

    def shown(self) -> dict[str, Any]:
        """What the API and the phone page tell about it."""
        heard = self.order.voicemail if self.status == "voicemail" else self.order.thanks.get(self.digits or "", "")
        return {
            "call_id": self.id,
            "key": self.key,
            "to": masked(self.order.to),
            "from": self.order.from_,
            "language": self.order.language,
            "say": self.order.say,
            "heard": heard,
            "reference": self.order.reference,
            "ring_s": self.order.ring_s,
            "interactive": self.behaviour == "interactive",
            "status": self.status,
            "digits": self.digits,
            "reported": self.reported,
        }


class Calls:
    """All calls of this provider, found by key or id."""

    def __init__(self, log: CallLog, callees: Callees, reporter: Reporter, pace: Pace) -> None:
        self._log = log
        self._callees = callees
        self._reporter = reporter
        self._pace = pace
        self._background = Background()
        self.by_key: dict[str, Call] = {}
        self.by_id: dict[str, Call] = {}

    def restore(self) -> None:
        """Find earlier calls in the record. What rang when the process ended has failed; what was not reported is."""
        for line in list(self._log.lines):
            if line["event"] == "order":
                order = msgspec.convert(line["order"], Order)
                self._add(Call(line["call"], line["key"], order, line["behaviour"]))
            elif line["event"] == "end":
                call = self.by_id[line["call"]]
                call.status, call.digits = line["status"], line.get("digits")
            elif line["event"] == "report" and line["answered"] < 300:
                self.by_id[line["call"]].reported = True
        for call in self.by_id.values():
            if call.status not in OVER:
                self._end(call, "failed", None)
            if not call.reported:
                self._background.begin(self._report(call))

    def _add(self, call: Call) -> None:
        self.by_key[call.key] = self.by_id[call.id] = call

    def ordered(self, key: str, order: Order) -> tuple[Call | None, bool]:
        """The call of ``key`` and whether it is new; None when this callee's behaviour is the API's error."""
        if (call := self.by_key.get(key)) is not None:
            self._log.write("repeat", call=call.id, key=key)
            return call, False
        behaviour = self._callees.behaviour(key, order.to, order.reference)
        if behaviour == "error":
            self._log.write("refused", key=key)
            return None, False
        call = Call(f"call_{len(self.by_id) + 1:06d}", key, order, behaviour)
        kept = msgspec.structs.replace(order, to=masked(order.to))
        self._log.write("order", call=call.id, key=key, behaviour=behaviour, order=msgspec.to_builtins(kept))
        self._add(call)
        self._log.write("ring", call=call.id, key=key)
        self._background.begin(self._ring(call))
        return call, True

    def found(self, key: str) -> Sequence[Call]:
        call = self.by_key.get(key)
        self._log.write("find", key=key, found=call is not None)
        return [] if call is None else [call]

    def press(self, call: Call, digits: str) -> bool:
        """A visitor's key; False when the call is over."""
        if call.status in OVER:
            return False
        self._end(call, "completed", digits)
        return True

    def hang_up(self, call: Call) -> bool:
        if call.status in OVER:
            return False
        self._end(call, "hung_up", None)
        return True

    def cancel(self, key: str) -> Call | None:
        """The bank ends its call of ``key``, if it goes on; None: there is none."""
        call = self.by_key.get(key)
        if call is not None and call.status not in OVER:
            self._end(call, "failed", None)
        return call

    async def _ring(self, call: Call) -> None:
        """Until the call is over, then report it."""
        if call.behaviour == "interactive" or call.behaviour == "silence":
            try:
                await asyncio.wait_for(call.over.wait(), call.order.ring_s)
            except TimeoutError:
                self._end(call, "no_answer", None)
        else:
            await asyncio.sleep(self._pace.pick_up_s + self._pace.answer_s)
            if call.status not in OVER:
                self._end(call, *ENDINGS[call.behaviour])
        await self._report(call)

    def _end(self, call: Call, status: str, digits: str | None) -> None:
        call.status, call.digits = status, digits
        self._log.write("end", call=call.id, key=call.key, status=status, digits=digits)
        call.over.set()

    async def _report(self, call: Call) -> None:
        data = {"key": call.key, "call_id": call.id, "status": call.status, "digits": call.digits}
        async for answered in self._reporter.deliver("call.ended", call.id, call.order.callback_url, data):
            call.reported = answered < 300
            self._log.write("report", call=call.id, key=call.key, answered=answered)

    async def stop(self) -> None:
        await self._background.stop()

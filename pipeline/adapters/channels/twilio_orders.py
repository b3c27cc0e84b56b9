"""Which call or message of Twilio's was the one of our key.

Twilio knows nothing of keys, so the process that ordered remembers, per key: to whom, since when, a digest of the text,
and the sid once Twilio named it. With the sid it asks for that one. Without (the answer to the order was lost) it reads
Twilio's list for that number: what was made since the order, by our account's API, from our sender, with our text, and
is no other key's, is ours if it is the only one. It is said to be absent only if the list, read some seconds after the
order, holds nothing at all that could be ours. Everything else is unknown: two candidates, a text we did not send, a
list of more than one page, and above all a key that this process did not order. Then its call-backs, which carry the
key, still tell; if they do not, people take over. Nobody is called twice for want of an answer.

The two clocks are compared by the ``Date`` of the list's own answer.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from pipeline.adapters.channels.resting import seconds_of
from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown

REMEMBERED = 10_000
"""Orders kept in memory, the newest."""
SETTLE_S = 10.0
"""How long after an order its absence from the list means nothing: the request may still be on its way inside Twilio."""
CLOCK_S = 2.0
"""Dates are whole seconds, on both sides of the comparison."""
PAGE = 1_000
"""The longest page of a list that Twilio gives."""


class Made(msgspec.Struct):
    """What is read of a call or a message."""

    sid: str
    status: str
    date_created: str | None = None
    direction: str | None = None
    answered_by: str | None = None
    body: str | None = None


class _List(msgspec.Struct):
    calls: list[Made] = []
    messages: list[Made] = []
    next_page_uri: str | None = None


class Kind(NamedTuple):
    """Calls or messages. ``word``: what the status of one is called by us, None if it is none we know."""

    resource: str
    word: Callable[[Made], str | None]


class _Order(NamedTuple):
    """``since_s``: when it was ordered first; ``last_s``: last. ``text``: a digest, None where the list shows none."""

    filters: Mapping[str, str]
    text: bytes | None
    since_s: float
    last_s: float
    sid: str | None = None


class TwilioOrders:
    """Orders of one kind, each made once as far as this process can know."""

    def __init__(self, client: TwilioClient, kind: Kind, clock: Clock, settle_s: float = SETTLE_S) -> None:
        self._client = client
        self._kind = kind
        self._clock = clock
        self._settle_s = settle_s
        self._orders: OrderedDict[str, _Order] = OrderedDict()

    async def order(
        self, key: str, form: Sequence[tuple[str, str]], filters: Mapping[str, str], text: str | None = None
    ) -> CallAccepted | CallRefused | CallUnknown:
        """Post ``form``, unless this process knows or must fear that it was posted under ``key`` before. ``filters``:
        by which the list is read should the answer be lost; ``text``: that the list will show."""
        known = self._orders.get(key)
        if known is not None:
            if known.sid is not None:
                return CallAccepted(known.sid)
            found = await self.find(key)
            if isinstance(found, CallReport):
                return CallAccepted(found.call)
            if isinstance(found, CallUnknown):
                return found
        now_s = self._clock.now()
        since_s = now_s if known is None else known.since_s
        self._remember(key, _Order(filters, None if text is None else _digest(text), since_s, now_s))
        outcome = await self._client.create(self._kind.resource, form)
        if isinstance(outcome, CallAccepted):
            self._name(key, outcome.call)
        elif isinstance(outcome, CallRefused):
            self._orders.pop(key, None)
        return outcome

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        known = self._orders.get(key)
        if known is None:
            return CallUnknown("not_ordered_here")
        if known.sid is None:
            return await self._listed(key, known)
        answer = await self._client.fetch(f"{self._kind.resource}/{known.sid}")
        if isinstance(answer, CallUnknown):
            return answer
        try:
            return self._report(key, msgspec.json.decode(answer.body, type=Made))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return CallUnknown("unreadable")

    async def end(self, key: str, sid: str | None) -> None:
        """Hang up the call of ``key``; ``sid``: as it is known elsewhere. Twilio ends what rings and what is spoken."""
        known = self._orders.get(key)
        sid = sid or (known.sid if known else None)
        if sid is not None:
            await self._client.create(f"{self._kind.resource}/{quote(sid, safe='')}", [("Status", "completed")])

    async def _listed(self, key: str, known: _Order) -> CallReport | CallAbsent | CallUnknown:
        answer = await self._client.fetch(self._kind.resource, {**known.filters, "PageSize": str(PAGE)})
        if isinstance(answer, CallUnknown):
            return answer
        try:
            listed = msgspec.json.decode(answer.body, type=_List)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return CallUnknown("unreadable")
        others = {order.sid for name, order in self._orders.items() if name != key}
        since_s = known.since_s + answer.ahead_s - CLOCK_S
        since = [
            made
            for made in (*listed.calls, *listed.messages)
            if made.direction == "outbound-api" and made.sid not in others and _made_since(made, since_s)
        ]
        ours = [made for made in since if known.text is None or _digest(made.body or "") == known.text]
        if len(ours) == 1:
            self._name(key, ours[0].sid)
            return self._report(key, ours[0])
        if since or listed.next_page_uri is not None:
            return CallUnknown("ambiguous")
        if self._clock.now() < known.last_s + self._settle_s:
            return CallUnknown("too_early")
        return CallAbsent()

    def _report(self, key: str, made: Made) -> CallReport | CallUnknown:
        word = self._kind.word(made)
        return CallUnknown("unknown_status") if word is None else CallReport(key, made.sid, word)

    def _remember(self, key: str, order: _Order) -> None:
        self._orders[key] = order
        self._orders.move_to_end(key)
        while len(self._orders) > REMEMBERED:
            self._orders.popitem(last=False)

    def _name(self, key: str, sid: str) -> None:
        if (known := self._orders.get(key)) is not None:
            self._orders[key] = known._replace(sid=sid)


def _made_since(made: Made, since_s: float) -> bool:
    """What bears no date may have been made at any time."""
    made_s = seconds_of(made.date_created)
    return made_s is None or made_s >= since_s


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

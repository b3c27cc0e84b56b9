"""Which short messages stand for which order, and what is known about each: in memory, of the newest orders.

Receipts name a centre's own id, and may come over any worker's session. So a worker lets all know which ids it got, and
looks there for one that is none of its own.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pipeline.adapters.channels.smpp_pdu import Endpoint, sender
from pipeline.ports import StoreDown
from pipeline.ports_channels import SentMessage, SentMessages

MAX_KEPT = 20_000
LOOK_AGAIN_S = (0.2, 0.8)
"""A receipt may be faster than the worker that is just letting all know of its id."""
log = structlog.get_logger()


class Sent:
    """One order: an id for each part that the centre took, a status for each id, and whom it is from."""

    def __init__(self, key: str, total: int) -> None:
        self.key = key
        self.ids: list[str | None] = [None] * total
        self.statuses: dict[str, str] = {}
        self.reported: str | None = None
        self.sender = ""

    @classmethod
    def of(cls, message: SentMessage) -> "Sent":
        """As another worker sent it."""
        sent = cls(message.key, len(message.names))
        sent.ids = list(message.names)
        sent.statuses = dict(message.statuses)
        sent.sender = message.sender
        return sent

    def source(self, usual: Endpoint) -> Endpoint:
        """Whom it is from. ``usual``: whom orders without a sender are from."""
        return sender(self.sender) if self.sender else usual

    def missing(self) -> Sequence[int]:
        """Parts that the centre is not known to have."""
        return [number for number, name in enumerate(self.ids) if name is None]

    def note(self, name: str, status: str) -> None:
        """What became of one part; news that are late take nothing back."""
        if status != "sent":
            self.statuses[name] = status

    def going_on(self) -> Sequence[str]:
        """Names of the parts whose outcome is not known."""
        return [name for name in self.ids if name is not None and name not in self.statuses]

    def name(self) -> str:
        """The message's name: its first part's."""
        return self.ids[0] or ""

    def status(self) -> str:
        """Of the whole message: delivered when every part is, over without success when one is."""
        known = [self.statuses.get(name or "", "sent") for name in self.ids]
        for status in ("failed", "undelivered"):
            if status in known:
                return status
        return "delivered" if all(status == "delivered" for status in known) else "sent"


class Ledger:
    """The newest MAX_KEPT orders of this worker. ``known``: what all workers know; None: this one is alone."""

    def __init__(
        self,
        kept: int = MAX_KEPT,
        known: SentMessages | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kept = kept
        self._known = known
        self._sleep = sleep
        self._by_key: OrderedDict[str, Sent] = OrderedDict()
        self._by_id: dict[str, Sent] = {}

    def open(self, key: str, total: int) -> Sent:
        """The order's entry, a new one if there is none with as many parts."""
        sent = self._by_key.get(key)
        if sent is None or len(sent.ids) != total:
            sent = self._by_key[key] = Sent(key, total)
        while len(self._by_key) > self._kept:
            _, forgotten = self._by_key.popitem(last=False)
            for name in forgotten.ids:
                self._by_id.pop(name or "", None)
        return sent

    def took(self, sent: Sent, number: int, name: str) -> None:
        """The centre took this part under this name."""
        sent.ids[number] = name
        self._by_id[name] = sent

    async def share(self, sent: Sent) -> None:
        """Let all workers know of it. While the store is away they do not, and this one goes on: the message is sent."""
        if self._known is None:
            return
        try:
            await self._known.keep(SentMessage(sent.key, tuple(sent.ids), dict(sent.statuses), sent.sender))
        except StoreDown as error:
            log.warning("other workers will not know the receipts of a message", error=str(error))

    async def of_key(self, key: str) -> Sent | None:
        """The order, whoever sent it. May raise `StoreDown`."""
        own = self._by_key.get(key)
        if own is not None or self._known is None:
            return own
        message = await self._known.of_key(key)
        return None if message is None else Sent.of(message)

    async def heard(self, name: str, status: str) -> Sent | None:
        """A receipt: the order with what is known of all its parts; None: nobody has sent it. May raise `StoreDown`."""
        own = self._by_id.get(name)
        if own is not None:
            own.note(name, status)
            if self._known is not None and len(own.ids) > 1:  # receipts of the other parts may have gone elsewhere
                message = await self._known.heard(name, status)
                own.statuses |= message.statuses if message else {}
            return own
        if self._known is None:
            return None
        message = await self._known.heard(name, status)
        for pause_s in LOOK_AGAIN_S:
            if message is not None:
                break
            await self._sleep(pause_s)
            message = await self._known.heard(name, status)
        return None if message is None else Sent.of(message)

"""Which short messages stand for which order, and what is known about each: in memory, of the newest orders.

Receipts name a centre's own id; only the process that got that id from the centre knows whose it is.
"""

from collections import OrderedDict
from collections.abc import Sequence

from pipeline.adapters.channels.smpp_pdu import Endpoint

MAX_KEPT = 20_000


class Sent:
    """One order: an id for each part that the centre took, a status for each id, and whom it is from."""

    def __init__(self, key: str, total: int) -> None:
        self.key = key
        self.ids: list[str | None] = [None] * total
        self.statuses: dict[str, str] = {}
        self.reported: str | None = None
        self.source: Endpoint | None = None

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
    """The newest MAX_KEPT orders."""

    def __init__(self, kept: int = MAX_KEPT) -> None:
        self._kept = kept
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

    def of_key(self, key: str) -> Sent | None:
        return self._by_key.get(key)

    def of_id(self, name: str) -> Sent | None:
        return self._by_id.get(name)

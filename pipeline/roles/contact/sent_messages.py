"""Which of a provider's names stand for which order, as notes in the contact store: any worker finds them there.

One note for each order, with all its parts, and one for each part, with its order. Two workers that hear of two parts
at once both see in the end what became of each: a note is swapped only for one that was read.
"""

from collections.abc import Mapping

import msgspec

from pipeline.ports import Clock, StoreDown
from pipeline.ports_channels import SentMessage
from pipeline.ports_contact import ContactStore, Note

KEEP_MS = 2 * 86_400_000
"""Beyond what any message is worth delivering, and so beyond its last receipt."""
MAX_CONFLICTS = 20
"""Writers of one order: its sender, and those who hear of its parts. So many lost races mean a bug."""


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    names: tuple[str | None, ...]
    statuses: dict[str, str] = {}
    sender: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Kept)


class NotedMessages:
    """The SentMessages port."""

    def __init__(self, store: ContactStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def keep(self, message: SentMessage) -> None:
        order = _order_note(message.key)
        parts = [_part_note(name) for name in message.names if name is not None]
        before: Mapping[str, bytes] = {}  # a new message, as most are: it was never written down before
        for _ in range(MAX_CONFLICTS):
            there = before.get(order)
            statuses = (_decoder.decode(there).statuses if there else {}) | dict(message.statuses)
            after = _encoder.encode(_Kept(tuple(message.names), statuses, message.sender))
            written = {order: after, **dict.fromkeys(parts, message.key.encode())}
            if await self._swap({key: (before.get(key, b""), value) for key, value in written.items()}):
                return
            before = {key: await self._store.note(key) for key in written}
        raise StoreDown(f"the note on a message sent changed {MAX_CONFLICTS} times while it was written")

    async def of_key(self, key: str) -> SentMessage | None:
        return _message(key, await self._store.note(_order_note(key)))

    async def heard(self, name: str, status: str) -> SentMessage | None:
        key = (await self._store.note(_part_note(name))).decode()
        for _ in range(MAX_CONFLICTS):
            before = await self._store.note(_order_note(key)) if key else b""
            message = _message(key, before)
            if message is None or status in ("sent", message.statuses.get(name)):  # late news take nothing back
                return message
            message = message._replace(statuses={**message.statuses, name: status})
            after = _encoder.encode(_Kept(tuple(message.names), dict(message.statuses), message.sender))
            if await self._swap({_order_note(key): (before, after)}):
                return message
        raise StoreDown(f"the note on a message sent changed {MAX_CONFLICTS} times while a receipt was added")

    async def _swap(self, values: Mapping[str, tuple[bytes, bytes]]) -> bool:
        notes = [Note(key, before, after, KEEP_MS) for key, (before, after) in values.items()]
        now_ms = int(self._clock.now() * 1000)
        return (await self._store.commit([], now_ms, 0, KEEP_MS, notes=notes)).outcome == "stored"


def _message(key: str, note: bytes) -> SentMessage | None:
    if not note:
        return None
    kept = _decoder.decode(note)
    return SentMessage(key, kept.names, kept.statuses, kept.sender)


def _order_note(key: str) -> str:
    return f"s:{key}"


def _part_note(name: str) -> str:
    return f"r:{name}"

"""What has reached a customer, or a number, lately: as much as the caps and cool-downs of the policy have to know.

A history is a value: the store keeps its bytes under a customer's or a number's key and swaps them by compare-and-set,
so that two workers who both saw room for one more contact can't both take it. It holds no name, number or word.
"""

from bisect import insort
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["dial", "missed", "effective", "message"]
KEEP_MS = 32 * 86_400_000
"""How long an entry is kept: the longest cap or cool-down a policy may ask for (31 days) and the length of a day."""
MAX_ENTRIES = 1000
"""A fuller history stops contacts until its oldest entry leaves: nothing that a cap needs is forgotten for room."""
IN_FLIGHT_MS = 3_600_000
"""A dial nobody told the end of counts as a conversation for so long."""


class Entry(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One contact. ``kind``: a *dial* is noted before the provider is asked, and *effective* (a person was spoken to)
    or *missed* (none was) at its end; a *message* when it is ordered. A message that is answered becomes *effective*
    too. ``class_``: fraud, service, reminder, collection or marketing; ``event``: the alert, statement or request."""

    time_ms: int
    class_: str
    channel: str
    event: str
    kind: Kind


class History(NamedTuple):
    """Entries in the order of time."""

    entries: tuple[Entry, ...] = ()


NOTHING = History()
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Entry, ...])


def noted(history: History, entry: Entry, keep_ms: int = KEEP_MS) -> History:
    """``history`` with one more entry, without those ``keep_ms`` older than its newest. The same entry noted again
    (a step repeated after a crash) changes nothing."""
    if entry in history.entries:
        return history
    entries = list(history.entries)
    insort(entries, entry)
    oldest_ms = entries[-1].time_ms - keep_ms
    kept = [each for each in entries if each.time_ms > oldest_ms]
    return History(tuple(kept[-MAX_ENTRIES:]))


def without_last(history: History, event: str) -> History:
    """``history`` without the newest entry of ``event``."""
    last = max((place for place, entry in enumerate(history.entries) if entry.event == event), default=None)
    return History(tuple(entry for place, entry in enumerate(history.entries) if place != last))


def encode(history: History) -> bytes:
    """Compact JSON: ``[[time_ms, class, channel, event, kind], …]``."""
    return _encoder.encode(history.entries)


def decode(value: bytes | None) -> History:
    """What `encode` made; nothing for None. Raises msgspec.DecodeError."""
    return History(_decoder.decode(value)) if value else NOTHING


def in_flight(history: History, now_ms: int) -> list[Entry]:
    """The dials of the last hour whose end was not noted: each may turn out to be a conversation. Of dials and ends of
    one event and channel, each end closes the oldest open dial before it."""
    waiting: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in history.entries:
        of = (entry.class_, entry.channel, entry.event)
        if entry.kind == "dial":
            waiting.setdefault(of, []).append(entry)
        elif entry.kind in ("effective", "missed") and waiting.get(of):
            waiting[of].pop(0)
    young_ms = now_ms - IN_FLIGHT_MS
    return [entry for dials in waiting.values() for entry in dials if entry.time_ms > young_ms]

"""What is known of a card beside its payments: reported lost, in a wallet, come in the place of another.

Most cards have no such note, and cost nothing. It lies beside the rows, in the same checkpoint, and never enters a row:
what was known when a transaction was decided is in `scored`, as everything else that no row holds.

All is by the times in the events, not by their arrival: an event that comes twice, late or out of order leaves the same
note, and a transaction is judged by what had been reported when it was made.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core.card_event import CardEvent
from pipeline.core.moment import DAY_S

if TYPE_CHECKING:
    from pipeline.core.poll import Row

Floats = NDArray[np.float64]

LOST: Final = "lost"
STOLEN: Final = "stolen"
_GRAVITY: Final = ("activated", LOST, STOLEN)
"""Of two events with one time the later one here counts."""
_STATUSES: Final = frozenset(_GRAVITY)
MAX_ORIGINS: Final = 8
"""So many cards' histories can go into one row; a card reissued more often keeps those it has."""
MAX_SUCCESSORS: Final = 4


class Note(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """``status`` since ``status_at`` ("": never reported), ``wallet_at`` the latest addition to a wallet, ``replaced_at``
    when this card took the place of another: unix seconds. ``origins``: the cards whose histories its row holds
    beside its own; ``successors``: the cards that took over its history."""

    status: str = ""
    status_at: float | None = None
    wallet_at: float | None = None
    replaced_at: float | None = None
    origins: tuple[str, ...] = ()
    successors: tuple[str, ...] = ()


NO_NOTE: Final = Note()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Note).decode


def pack_note(note: Note) -> bytes:
    return _encode(note)


def unpack_note(packed: bytes | None) -> Note:
    """Raises msgspec.DecodeError when ``packed`` is no note of this program's."""
    return NO_NOTE if packed is None else _decode(packed)


def told(note: Note, event: CardEvent, at: float) -> Note:
    """``note`` after an event of the card itself, made ``at``; being replaced is another's concern (`succession`)."""
    if event.type == "wallet_added":
        return msgspec.structs.replace(note, wallet_at=_later(note.wallet_at, at))
    if event.type in _STATUSES:
        known = (-np.inf, -1) if note.status_at is None else (note.status_at, _GRAVITY.index(note.status))
        if (at, _GRAVITY.index(event.type)) > known:
            return msgspec.structs.replace(note, status=event.type, status_at=at)
    return note


def in_place_of_another(note: Note, at: float | None) -> Note:
    """``note`` of a card that replaced another ``at``; None: it is the same card under another token."""
    return note if at is None else msgspec.structs.replace(note, replaced_at=_later(note.replaced_at, at))


def _later(known: float | None, at: float) -> float:
    return at if known is None else max(known, at)


def note_features(rows: Sequence["Row"], times: Floats, notes: Iterable[Mapping[bytes, bytes]]) -> Floats:
    """float64[n, columns as `CARD_FEATURES`] of ``rows``, made at ``times`` (float64[n], unix seconds), by what ``notes``
    (card → packed note) say of their cards: reported lost, reported stolen, days since the card took the place of
    another, days since it was added to a wallet. Without a note: 0, 0, NaN, NaN."""
    found = np.empty((len(rows), 4))
    found[:, :2] = 0.0
    found[:, 2:] = np.nan
    if some := [each for each in notes if each]:
        cards = [row.event.transaction.card.encode() for row in rows]
        met = set(cards)
        noted = {card: _decode(each[card]) for each in some for card in met & each.keys()}
        if noted:
            for index, card in enumerate(cards):
                if card in noted:
                    found[index] = _values(noted[card], float(times[index]))
    return found


def _values(note: Note, at: float) -> tuple[float, float, float, float]:
    reported = note.status if note.status_at is not None and at >= note.status_at else ""
    return float(reported == LOST), float(reported == STOLEN), _days(note.replaced_at, at), _days(note.wallet_at, at)


def _days(since: float | None, at: float) -> float:
    """NaN for what had not happened yet."""
    return np.nan if since is None or at < since else (at - since) / DAY_S

"""The profile follows the card: what passes between the old card's partition and the new card's.

A card is reissued, or its token changes with a key. The new token lies in another partition, so its history goes there
through one internal topic, ``moved-rows``, which holds two kinds of records:

- `Asked` (key: the old card): the new card's partition saw a transaction that names its ``previous_card``;
- `Handed` (key: the new card): the old card's partition answers that, or a ``replaced`` event, with a copy of the row.

**What is handed over** is the old card's row as it stands when its partition comes to the event: not before it has read
the transactions that were there when the event was written. It is a copy: the old card keeps its row, and what is bought
with it later is its own.

**What is taken in** is put together with what the new card has done already (`row_union`): because that adds up, it does
not matter whether the new card was used first. Each card's history enters a row once, whatever comes twice: a note of
the new card says whose history its row holds, a row that brings one of them again is passed over, and rows and notes are
saved in one step. So the same record may be produced or read any number of times.

**A chain** A → B → C: what B hands to C holds A's. If A's row reaches B only after B was replaced, B sends it on. If C had
B's row before, without A's, it passes the second one over and asks A itself, once.

Nothing here waits for anything: a transaction is scored with what its card's row holds by then.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pipeline.core.card_note import MAX_ORIGINS, MAX_SUCCESSORS, Note, in_place_of_another
from pipeline.core.profile_row import check_row
from pipeline.core.topics import Outgoing

_structs = msgspec.structs


class Asked(msgspec.Struct, frozen=True, omit_defaults=True, tag="asked"):
    """``new`` says that it was ``old`` before. ``again``: it was told so, and misses that card's history."""

    old: str
    new: str
    again: bool = False


class Handed(msgspec.Struct, frozen=True, omit_defaults=True, tag="handed"):
    """The history of ``old``, for ``new``. ``row`` empty: there is none; ``origins``: all cards whose history it is;
    ``replaced_at``: unix seconds of the ``replaced`` event, None without one; ``again``: as it was asked."""

    old: str
    new: str
    row: bytes = b""
    origins: tuple[str, ...] = ()
    replaced_at: float | None = None
    again: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Asked | Handed] = msgspec.msgpack.Decoder(Asked | Handed).decode


def decode_moved(value: bytes | None) -> Asked | Handed:
    """Raises ValueError when ``value`` is no such record, or its row is of another layout."""
    record = _decode(value or b"")
    if isinstance(record, Handed) and record.row:
        check_row(record.row)
    return record


def encode_moved(record: Asked | Handed) -> Outgoing:
    return Outgoing((record.old if isinstance(record, Asked) else record.new).encode(), _encode(record))


def hand_over(note: Note, row: bytes | None, old: str, new: str, replaced_at: float | None) -> tuple[Note, Handed]:
    """``old``, with ``note`` and ``row`` (None: it has none), has become ``new``: its note from now on, and what the new
    card's partition is to be told."""
    successors = tuple(dict.fromkeys((*note.successors, new)))[-MAX_SUCCESSORS:]
    origins = () if row is None else (old, *note.origins)
    return _structs.replace(note, successors=successors), Handed(old, new, row or b"", origins, replaced_at)


class TakenIn(NamedTuple):
    """``note`` of the new card; whether its row is to be united with what was handed; what other cards' partitions are to
    be told or asked."""

    note: Note
    unite: bool
    messages: tuple[Asked | Handed, ...]


def take_in(note: Note, handed: Handed) -> TakenIn:
    """What comes of ``handed`` at the new card, which has ``note``."""
    note = in_place_of_another(note, handed.replaced_at)
    if not handed.row or len(note.origins) + len(handed.origins) > MAX_ORIGINS:
        return TakenIn(note, False, ())
    known = {handed.new, *note.origins}
    missing = [card for card in handed.origins if card not in known]
    if len(missing) < len(handed.origins):
        asked = () if handed.again else tuple(Asked(card, handed.new, again=True) for card in missing)
        return TakenIn(note, False, asked)
    onward = tuple(
        _structs.replace(handed, new=successor, replaced_at=None)
        for successor in note.successors
        if successor not in handed.origins
    )
    return TakenIn(_structs.replace(note, origins=(*note.origins, *handed.origins)), True, onward)

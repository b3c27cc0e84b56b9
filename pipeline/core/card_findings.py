"""What records about cards come to, for the partition that owns those cards: notes, rows to hand over, histories to take
in. One record after the other; nothing is changed but this collection, which is then sent and saved as a whole.
"""

from collections.abc import Callable, Mapping

import msgspec

from pipeline.core.card_event import CardEvent, decode_card_event
from pipeline.core.card_note import Note, told
from pipeline.core.dead_letters import dead_letter
from pipeline.core.profile_row import EMPTY_ROW
from pipeline.core.row_union import united
from pipeline.core.succession import Asked, Handed, decode_moved, hand_over, take_in
from pipeline.core.topics import CARD_EVENTS, Outgoing, Record, Topic
from pipeline.core.transaction import Refused

WRONG_PARTITION = "wrong_partition"
BAD_MOVED_ROW = "bad_moved_row"

Told = tuple[CardEvent, float] | Asked | Handed


class Findings:
    """``notes``: of the cards met, as they are from now on; ``histories``: card and row to be united with its own;
    ``messages``: for other partitions; ``refused``: dead letters, ``refusals`` their reasons.

    ``note_of`` and ``rows``: what is known of the partition's cards, the rows in memory when `take` is called.
    """

    def __init__(
        self,
        note_of: Callable[[bytes], Note],
        rows: Mapping[bytes, bytes],
        partition_of: Callable[[bytes], int],
    ) -> None:
        self._note_of = note_of
        self._rows = rows
        self._partition_of = partition_of
        self._grown: dict[bytes, bytes] = {}
        self._told: list[tuple[bytes, Told]] = []
        self.notes: dict[bytes, Note] = {}
        self.histories: list[tuple[bytes, bytes]] = []
        self.messages: list[Asked | Handed] = []
        self.refused: list[Outgoing] = []
        self.refusals: list[str] = []

    def look_at(self, topic: Topic, record: Record) -> None:
        """Understand a record, or refuse it with its coordinates. Changes nothing yet."""
        try:
            told_of = decode_card_event(record.value) if topic is CARD_EVENTS else decode_moved(record.value)
            card = _card(told_of).encode()
            if (right := self._partition_of(card)) != record.partition:
                raise Refused(
                    WRONG_PARTITION,
                    "card",
                    f"this card belongs to partition {right}: produce with key = card and the murmur2 partitioner",
                )
        except Refused as refused:
            self._refuse(topic, record, refused)
        except ValueError as error:
            self._refuse(topic, record, Refused(BAD_MOVED_ROW, None, f"not written by this version: {error}"))
        else:
            self._told.append((card, told_of))

    def cards(self) -> frozenset[bytes]:
        """Those whose rows must be in memory now."""
        return frozenset(card for card, _ in self._told)

    def take(self) -> None:
        """Find what all that was looked at comes to, in its order."""
        for card, told_of in self._told:
            note = self.notes.get(card) or self._note_of(card)
            if isinstance(told_of, Handed):
                taken = take_in(note, told_of)
                note = taken.note
                self.messages.extend(taken.messages)
                if taken.unite:
                    self.histories.append((card, told_of.row))
                    self._grown[card] = united(self._row(card) or EMPTY_ROW, told_of.row)
            elif isinstance(told_of, Asked):
                note = self._hand_over(card, note, told_of.old, told_of.new, None, told_of.again)
            elif told_of[0].type == "replaced" and told_of[0].new_card is not None:
                note = self._hand_over(card, note, told_of[0].card, told_of[0].new_card, told_of[1])
            else:
                note = told(note, *told_of)
            if note != self._note_of(card):
                self.notes[card] = note

    def _hand_over(
        self, card: bytes, note: Note, old: str, new: str, replaced_at: float | None, again: bool = False
    ) -> Note:
        note, handed = hand_over(note, self._row(card), old, new, replaced_at)
        if handed.row or replaced_at is not None:
            self.messages.append(msgspec.structs.replace(handed, again=again))
        return note

    def _row(self, card: bytes) -> bytes | None:
        """With what it has just taken in, as its note says."""
        return self._grown.get(card) or self._rows.get(card)

    def _refuse(self, topic: Topic, record: Record, refused: Refused) -> None:
        self.refused.append(dead_letter(topic, record, refused.reason, refused.field, refused.detail))
        self.refusals.append(refused.reason)


def _card(told_of: Told) -> str:
    if isinstance(told_of, Handed):
        return told_of.new
    return told_of.old if isinstance(told_of, Asked) else told_of[0].card

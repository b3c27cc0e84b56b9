"""What was asked or told to a number by text message, so that a text coming back finds what it answers.

Kept as one note for each number. A number may be asked about two cards, or belong to two customers: a YES counts only
where it can mean one question; a NO is taken for the newest, a STOP for all. What was only told (a reminder, an offer)
never takes a YES or NO from a question. The same message delivered again (its provider's id) is the same answer to the
same question.
"""

from collections.abc import Sequence

import msgspec

from pipeline.core.contact_policy import ContactClass
from pipeline.core.records import AnswerWord

ASKED = 4
"""Questions remembered, the newest."""
TOLD = 4
"""Texts remembered that asked nothing, the newest."""
HEARD = 8
"""Messages remembered, the newest."""
CROSSING_MS = 60_000
"""A text that comes so soon after a question was perhaps written before it: to an earlier one."""
ANSWERED_LATE_MS = 600_000
"""Who writes to a question that has ended does so within so long after it was asked."""


class Questions(msgspec.Struct, frozen=True, omit_defaults=True):
    """``customer``: whose number it was when last asked; ``asked``: keys of attempts, the newest last; ``heard``: a
    provider's message id, the key it was taken for and, if it could be to no other, "clear"; ``told``: keys of attempts that
    asked nothing, with their class; ``newest_ms``: when it was last asked, ``before_ms``: when the time before."""

    customer: str
    asked: tuple[str, ...] = ()
    heard: tuple[tuple[str, ...], ...] = ()
    told: tuple[tuple[str, ContactClass], ...] = ()
    newest_ms: int = 0
    before_ms: int = 0

    def crossing(self, now_ms: int) -> bool:
        """Whether a text that comes now was perhaps written to the question before the newest."""
        return now_ms - self.newest_ms < CROSSING_MS and self.newest_ms - self.before_ms < ANSWERED_LATE_MS

    def taken_for(self, message: str) -> tuple[str, bool] | None:
        """The key of the attempt that this message was taken for before, and whether it could be to no other."""
        return next(((key, bool(clear)) for known, key, *clear in self.heard if known == message), None)

    def answerable(self, word: AnswerWord) -> Sequence[str]:
        """What ``word`` may answer where no question waits, the likeliest last: a YES or NO a question, anything else
        the text sent last that asked nothing."""
        told = [key for key, _ in self.told]
        return [*told, *self.asked] if word in ("yes", "no") else [*self.asked, *told]

    def stopped(self) -> Sequence[tuple[str, ContactClass]]:
        """Every key a STOP is to, with its class."""
        return [*((key, "fraud") for key in self.asked), *self.told]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Questions)


def read_questions(note: bytes) -> Questions | None:
    """A number's note; None where nothing was asked."""
    return _decoder.decode(note) if note else None


def after_question(note: bytes, customer: str, key: str, now_ms: int, class_: ContactClass = "fraud") -> bytes:
    """The note with the text of ``key``, sent now: of class fraud it asks, of any other it tells."""
    before = read_questions(note) or Questions(customer)
    if class_ == "fraud":
        asked = (*(known for known in before.asked if known != key), key)[-ASKED:]
        return _encoder.encode(Questions(customer, asked, before.heard, before.told, now_ms, before.newest_ms))
    told = (*(known for known in before.told if known[0] != key), (key, class_))[-TOLD:]
    return _encoder.encode(msgspec.structs.replace(before, customer=customer, told=told))


def after_message(note: bytes, message: str, key: str, clear: bool) -> bytes:
    """The note with ``message`` taken for the question ``key``; ``clear``: it can be to no other."""
    before = read_questions(note)
    assert before is not None, "a message is taken for a question"
    taken = (message, key, "clear") if clear else (message, key)
    return _encoder.encode(msgspec.structs.replace(before, heard=(*before.heard, taken)[-HEARD:]))

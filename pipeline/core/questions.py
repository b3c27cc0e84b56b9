"""What was asked of a number by text message, so that a text coming back finds its question.

Kept as one note for each number. A number may be asked about two cards, or belong to two customers: a YES counts only
where it can mean one question; a NO is taken for the newest, a STOP for all. The same message delivered again (its
provider's id) is the same answer to the same question.
"""

import msgspec

ASKED = 4
"""Questions remembered, the newest."""
HEARD = 8
"""Messages remembered, the newest."""


class Questions(msgspec.Struct, frozen=True, omit_defaults=True):
    """``customer``: whose number it was when last asked; ``asked``: keys of attempts, the newest last; ``heard``: a
    provider's message id and the key it was taken for."""

    customer: str
    asked: tuple[str, ...] = ()
    heard: tuple[tuple[str, str], ...] = ()

    def question_of(self, message: str) -> str | None:
        """The key of the attempt that this message was taken for before."""
        return next((key for known, key in self.heard if known == message), None)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Questions)


def read_questions(note: bytes) -> Questions | None:
    """A number's note; None where nothing was asked."""
    return _decoder.decode(note) if note else None


def after_question(note: bytes, customer: str, key: str) -> bytes:
    """The note with the question ``key``."""
    before = read_questions(note) or Questions(customer)
    asked = (*(known for known in before.asked if known != key), key)[-ASKED:]
    return _encoder.encode(Questions(customer, asked, before.heard))


def after_message(note: bytes, message: str, key: str) -> bytes:
    """The note with ``message`` taken for the question ``key``."""
    before = read_questions(note)
    assert before is not None, "a message is taken for a question"
    return _encoder.encode(msgspec.structs.replace(before, heard=(*before.heard, (message, key))[-HEARD:]))

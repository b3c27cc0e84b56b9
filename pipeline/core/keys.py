"""What a key pressed in a call means: it depends on what the call was about."""

from collections.abc import Mapping

import msgspec

from pipeline.core.conversation import Answered, Ended
from pipeline.core.records import AnswerWord

_PEOPLE: Mapping[str, AnswerWord] = {"0": "agent", "9": "stop"}
_PAY: Mapping[str, AnswerWord] = {"1": "promise", "2": "already_paid", **_PEOPLE}
KEYS: Mapping[str, Mapping[str, AnswerWord]] = {
    "fraud": {"1": "yes", "2": "no", **_PEOPLE},
    "service": _PEOPLE,
    "reminder": _PAY,
    "collection": _PAY,
    "marketing": _PEOPLE,
}
"""Class → key → answer. Any other key is a wrong one."""


class Pressed(msgspec.Struct, frozen=True):
    """The call is over. ``key``: pressed last; "": none."""

    attempt: int
    key: str


def heard(pressed: Pressed, class_: str) -> Answered | Ended:
    """What the call came to, in a conversation of this class."""
    word = KEYS[class_].get(pressed.key)
    if word is None:
        return Ended(pressed.attempt, "wrong_key")
    return Answered(word, "voice", "voice", pressed.attempt)

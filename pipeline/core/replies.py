"""What a text message back means. Only whole words count: "no problem" is no NO, a person reads it. Of paying it speaks
in more than a word (`promise_words`), and only where we spoke of paying."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date

from pipeline.core.promise_words import Said, about_paying
from pipeline.core.records import AnswerWord

_WORDS: Mapping[AnswerWord, str] = {
    "yes": "yes y 1 是 是的 是本人 本人",
    "no": "no n 2 否 不是 非本人 不是本人",
    "stop": "stop stopall unsubscribe cancel end quit t td 退订",
    "agent": "help info 0 人工 帮助",
    "later": "later 稍后",
    "complaint": "complaint complain 投诉",
}
WORDS: Mapping[str, AnswerWord] = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
"""Stop words are those carriers expect (CTIA Messaging Principles 5.1.2.2), 退订 and T those of China."""


PAYING = frozenset({"reminder", "collection"})
"""Classes of messages to which a customer may answer that they have paid, or will."""


def reply_to(text: str, class_: str, today: date) -> Said:
    """The answer in ``text`` to a message of ``class_``, written on ``today`` by the customer's own clock."""
    word = meaning_of(text)
    if word != "none" or class_ not in PAYING:
        return Said(word)
    return about_paying(text, today) or Said("none")


def meaning_of(text: str) -> AnswerWord:
    """The answer in ``text``, a reply to our question; "none" where it is no answer we know."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return WORDS.get(" ".join(re.sub(r"[\W_]+", " ", plain).split()), "none")

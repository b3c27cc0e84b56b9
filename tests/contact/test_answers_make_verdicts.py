"""From a cardholder's answers to what is held of the transaction: app before voice before text, whichever was first."""

import itertools

import msgspec
import pytest
from test_verification_machine import HOLD, played, yes

from pipeline.core.conversation import Answered, Claimed, Placed
from pipeline.core.entities import digest_of
from pipeline.core.label_book import CONFIDENCE, LabelBook
from pipeline.core.records import Label

CHANNELS = ("sms", "voice", "app", "agent")
"""The surer the later."""


def labels_of(*answers: Answered) -> list[Label]:
    """Published in the conversation about transaction ``a``, as they are read from `labels`."""
    history = played([HOLD, Claimed(), Placed(1, "c1"), *answers])
    said = [effect for advanced in history for effect in advanced.effects if isinstance(effect, Label)]
    return [msgspec.json.decode(msgspec.json.encode(label), type=Label) for label in said]


def answer(word: str, channel: str) -> Answered:
    return Answered(word, channel, channel, 1)  # type: ignore[arg-type]


def held(*labels: Label) -> bool | None:
    book = LabelBook()
    for offset, label in enumerate(labels):
        book.take(label, 0, offset)
    verdict = book.verdict(digest_of("a"))
    return None if verdict is None else verdict.fraud


@pytest.mark.parametrize(("weaker", "surer"), list(itertools.combinations(CHANNELS, 2)))
@pytest.mark.parametrize("words", [("yes", "no"), ("no", "yes")])
def test_the_answer_from_the_surer_channel_holds_whichever_came_first(
    weaker: str, surer: str, words: tuple[str, str]
) -> None:
    """Of two conversations about the same transaction: one of ours, and one of a system that spoke for itself."""
    (one,) = labels_of(answer(words[0], weaker))
    (other,) = labels_of(answer(words[1], surer))
    other = msgspec.structs.replace(other, id="of another conversation")
    assert held(one, other) is held(other, one) is (words[1] == "no")


def test_within_a_conversation_a_withdrawal_leaves_nothing_however_sure_the_answer_was() -> None:
    said = labels_of(yes(assurance="app"), answer("no", "sms"))
    assert [(label.fraud, label.confidence) for label in said] == [(False, CONFIDENCE["app"]), (None, None)]
    assert held(*said) is None


def test_every_way_of_answering_has_its_place() -> None:
    assert list(CONFIDENCE) == list(reversed(CHANNELS))
    assert list(CONFIDENCE.values()) == sorted(CONFIDENCE.values(), reverse=True)
    assert all(0.5 < sure <= 1 for sure in CONFIDENCE.values())

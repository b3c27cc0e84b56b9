"""What Twilio is told to say and do."""

from xml.etree import ElementTree

import pytest
from twilio_mock import steps

from pipeline.core.twiml import farewell, nothing, question, spoken_language

ACTION = "https://bank.example/callbacks/twilio/gather?key=ct_1:1:1&x=2#rc=3&rp=all"


def test_a_question_waits_for_one_key_of_any_kind_and_hangs_up_without() -> None:
    words = question("按1 <or> 2 & 3?", "zh-CN", ACTION)
    root = ElementTree.fromstring(words)
    gather = root.find("Gather")
    assert gather is not None
    wanted = {"numDigits": "1", "finishOnKey": "", "input": "dtmf", "method": "POST", "action": ACTION, "timeout": "10"}
    assert gather.attrib == wanted
    assert gather[0].attrib == {"language": "zh-CN", "loop": "2"}
    assert steps(words) == ["Gather", "Say:按1 <or> 2 & 3?", "Hangup"]


def test_characters_xml_cannot_carry_do_not_break_a_call() -> None:
    assert steps(farewell("a\x00b\ud800c\uffff", "en")) == ["Say:a b c ", "Hangup"]


@pytest.mark.parametrize(
    ("text", "transfer", "done"),
    [
        ("Bye", None, ["Say:Bye", "Hangup"]),
        ("Bye", "+15005550009", ["Say:Bye", "Dial:+15005550009", "Hangup"]),
        (None, "+15005550009", ["Dial:+15005550009", "Hangup"]),
        (None, None, ["Hangup"]),
    ],
)
def test_a_farewell_connects_where_there_is_somebody(text: str | None, transfer: str | None, done: list[str]) -> None:
    assert steps(farewell(text, "en", transfer)) == done


def test_nothing_is_an_empty_document() -> None:
    assert steps(nothing()) == []


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [
        ("zh", "zh-CN"),
        ("zh-CN", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("en", "en-US"),
        ("EN-gb", "en-GB"),
        ("de", "en-US"),
    ],
)
def test_languages_spoken(tag: str, spoken: str) -> None:
    assert spoken_language(tag) == spoken

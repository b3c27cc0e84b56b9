"""Reasons in words: whole sentences whatever figures came along, and files refused where they could not be said."""

import pytest
from policy_texts import SCHEMA, small_policy

from pipeline.core.decision import Reason
from pipeline.core.words import Words, WordsError, check_words, parse_words

TEXT = """\
large = "A large amount[, {amount_ratio} times the usual][ in {country}]."
slow = "After[ {seconds:minutes} min][ or {share:percent}][ or {count_1h:count}]."
"""


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason("large", {"amount_ratio": 7.13, "country": "CN"}), "A large amount, 7.1 times the usual in CN."),
        (Reason("large", {"amount_ratio": 1234}), "A large amount, 1,234 times the usual."),
        (Reason("large", {"amount_ratio": 3.0}), "A large amount, 3 times the usual."),
        (Reason("large", {"amount_ratio": None, "other": 1}), "A large amount."),
        (Reason("large", {"amount_ratio": ["x"]}), "A large amount."),
        (Reason("large"), "A large amount."),
        (Reason("slow", {"seconds": 20, "share": 0.25, "count_1h": 2.7}), "After 1 min or 25% or 3."),
        (Reason("slow", {"seconds": "soon"}), "After."),
        (Reason("never_heard_of"), "never_heard_of"),
    ],
)
def test_said_with_the_figures_there_are(reason, said):
    assert parse_words(TEXT, "f").say(reason) == said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('x = "open', "not valid TOML"),
        ("x = 3", "one sentence"),
        ('x = " "', "one sentence"),
        ('x = "{amount} too much"', "optional parts"),
        ('x = "much[ too"', "optional parts"),
        ('x = "much[ too]"', "needs figures"),
        ('x = "much[ {amount]"', "needs figures"),
        ('x = "much[ {amount.real}]"', "needs figures"),
        ('x = "much[ {amout}]"', "unknown figure {amout}"),
        ('x = "much[ {amount:hex}]"', "unknown form 'hex'"),
        (f'x = "{"long " * 50}"', "250 characters"),
    ],
)
def test_refused_with_file_and_line(line, message):
    with pytest.raises(WordsError) as refused:
        parse_words(f'good = "Good."\n{line}\n', "reasons.toml", SCHEMA)
    assert str(refused.value).startswith("reasons.toml:2: ")
    assert message in str(refused.value)


def test_what_a_policy_cannot_say_is_listed():
    words = dict.fromkeys(["score_notify", "score_verify", "cash", "listed", "online", "busy", "dear"], "Yes.")
    some = Words(words | {"busy": "Busy[: {count_1h}][, {amount}]."})
    assert check_words(small_policy(), {"en": some, "xx": Words(words | {"large": "Large[ {amount_ratio}]."})}) == [
        "en: no words for large",
        "en: busy names {amount}, which the policy does not give",
    ]

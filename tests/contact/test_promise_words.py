"""What customers write back to a reminder, on Tuesday 24 November 2026."""

from datetime import date

import pytest

from pipeline.core.promise_words import Said, about_paying
from pipeline.core.replies import reply_to

TODAY = date(2026, 11, 24)


def promise(day: int | None = None, month: int = 11, year: int = 2026) -> Said:
    return Said("promise", None if day is None else date(year, month, day))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paid", Said("already_paid")),
        ("I have already paid this bill", Said("already_paid")),
        ("I've paid it yesterday.", Said("already_paid")),
        ("已还款", Said("already_paid")),
        ("我已经还了", Said("already_paid")),
        ("昨天还清了", Said("already_paid")),
        ("刚付款", Said("already_paid")),
        ("pay Friday", promise(27)),
        ("I'll pay on Friday", promise(27)),
        ("friday", promise(27)),
        ("Tue", promise(1, 12)),
        ("will pay next Friday", promise(4, 12)),
        ("pay tomorrow", promise(25)),
        ("the day after tomorrow", promise(26)),
        ("on the 5th", promise(5, 12)),
        ("I will pay by the 24th", promise(24)),
        ("pay on the 31st", promise(31, 12)),
        ("5 December", promise(5, 12)),
        ("pay on the 3rd of january", promise(3, 1, 2027)),
        ("promise", promise()),
        ("I will pay", promise()),
        ("周五", promise(27)),
        ("我周五还", promise(27)),
        ("下周五还款", promise(4, 12)),
        ("星期天之前还清", promise(29)),
        ("明天", promise(25)),
        ("明天还", promise(25)),
        ("今天还", promise(24)),
        ("我会在后天还清", promise(26)),
        ("5号还", promise(5, 12)),
        ("12月3日前还款", promise(3, 12)),
        ("承诺还款", promise()),
    ],
)
def test_what_is_said_of_paying(text: str, said: Said) -> None:
    assert about_paying(text, TODAY) == said
    assert reply_to(text, "reminder", TODAY) == said == reply_to(text, "collection", TODAY)


@pytest.mark.parametrize(
    "text",
    ["", "I can't pay friday", "not paid", "I have not paid", "no money till friday", "who are you", "5", "pay 5",
     "pay friday or monday", "I may pay", "on the 32nd", "明天能还吗", "不还", "没钱还", "明天不还", "本周一还", "还没还", "我周五不一定还"],
)  # fmt: skip
def test_what_is_not_wholly_understood_is_for_people(text: str) -> None:
    assert about_paying(text, TODAY) is None
    assert reply_to(text, "reminder", TODAY).word == "none"


def test_a_bare_answer_keeps_its_meaning_and_nobody_promises_in_answer_to_a_question_about_a_payment() -> None:
    assert reply_to("1", "reminder", TODAY) == Said("yes")
    assert reply_to("STOP", "collection", TODAY) == Said("stop")
    assert reply_to("paid", "fraud", TODAY) == Said("none") == reply_to("明天", "service", TODAY)

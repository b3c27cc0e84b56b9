"""What a customer writes back to a reminder about paying: that they have paid, or by which day they will.

Only what is wholly understood counts: a text with any word that is not listed here ("can't pay friday", 明天能还吗) is
for people to read. A day of the week is the next one, never today; "next friday" and 下周五 are in the week after this one,
which begins on Monday; a day of the month that is over is next month's.
"""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from pipeline.core.records import AnswerWord

_WEEKDAYS: Mapping[str, int] = {
    word: number
    for number, words in enumerate(
        ("monday mon", "tuesday tue tues", "wednesday wed", "thursday thu thur thurs", "friday fri", "saturday sat",
         "sunday sun")
    )
    for word in words.split()
}  # fmt: skip
_MONTHS: Mapping[str, int] = {
    word: number
    for number, words in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sep sept", "october oct", "november nov", "december dec"),
        1,
    )
    for word in words.split()
}  # fmt: skip
_DAYS = {"today": 0, "tonight": 0, "tomorrow": 1, "tmrw": 1}
_PROMISES = {"pay", "paying", "promise", "payment"}
_WILL = {*_PROMISES, *("i", "ll", "will", "shall", "can", "going", "to", "gonna", "make", "it", "this", "the", "on", "by", "of", "before", "ok", "okay")}  # fmt: skip
_PAID = {"i", "ve", "have", "already", "just", "paid", "it", "this", "the", "bill", "my", "today", "yesterday"}
_ORDINAL = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?")

_ZH_DAY = (
    r"(?P<near>今天|今日|今晚|明天|明日|明晚|后天|大后天)"
    r"|(?P<week>这|本|下)?个?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])"
    r"|(?:(?P<month>[0-9]{1,2})月)?(?P<day>[0-9]{1,2})[号日]"
)
_ZH_NEAR = {"今天": 0, "今日": 0, "今晚": 0, "明天": 1, "明日": 1, "明晚": 1, "后天": 2, "大后天": 3}
_ZH_PAY = "还清|还款|付款|还上|还|付|缴"
_ZH_PROMISE = re.compile(
    rf"我?(?:会|将|准备|打算|保证|承诺|可以|能)?在?(?:{_ZH_DAY})(?:之前|以前|前)?(?:会|可以|能|再|一定)*(?:{_ZH_PAY})?"
)
_ZH_SOME_DAY = re.compile(rf"我?(?:会|将|保证|承诺|一定会?)(?:{_ZH_PAY})|承诺")
_ZH_PAID = re.compile(rf"我?(?:已经?|刚刚?)(?:{_ZH_PAY})过?了?|我?(?:今天|昨天)?(?:{_ZH_PAY})过?了")


class Said(NamedTuple):
    """``by``: the day that was named, None if none was."""

    word: AnswerWord
    by: date | None = None


def about_paying(text: str, today: date) -> Said | None:
    """What ``text`` says of paying, written on ``today`` by the customer's own clock; None: nothing that we understand."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[\W_]+", " ", plain).split()
    if not words:
        return None
    if any("\u4e00" <= character <= "\u9fff" for character in plain):
        return _chinese("".join(words), today)
    if "paid" in words and _PAID.issuperset(words):
        return Said("already_paid")
    days, rest = _english_day(words, today)
    if len(days) > 1 or not _WILL.issuperset(rest) or not (days or _PROMISES.intersection(rest)):
        return None
    return Said("promise", days[0] if days else None)


def _english_day(words: Sequence[str], today: date) -> tuple[list[date], list[str]]:
    """The days that ``words`` name, and the other words."""
    days: list[date] = []
    rest: list[str] = []
    at = 0
    while at < len(words):
        word, following = words[at], words[at + 1] if at + 1 < len(words) else ""
        taken, day = 1, None
        if words[at : at + 3] == ["day", "after", "tomorrow"]:
            taken, day = 3, today + timedelta(2)
        elif word in _DAYS:
            day = today + timedelta(_DAYS[word])
        elif word == "next" and following in _WEEKDAYS:
            taken, day = 2, _of_week(today, 1, _WEEKDAYS[following])
        elif word in _WEEKDAYS:
            day = _next(today, _WEEKDAYS[word])
        elif word in _MONTHS and (number := _ORDINAL.fullmatch(following)):
            taken, day = 2, _of_month(today, int(number[1]), _MONTHS[word])
        elif number := _ORDINAL.fullmatch(word):
            month = words[at + 2] if following == "of" and at + 2 < len(words) else following
            taken = 1 if month not in _MONTHS else 3 if following == "of" else 2
            if month in _MONTHS or not word.isdecimal():  # a bare number may be an amount, or a slip of the finger
                day = _of_month(today, int(number[1]), _MONTHS.get(month))
        if day is None:
            rest.append(word)
        else:
            days.append(day)
        at += taken
    return days, rest


def _chinese(text: str, today: date) -> Said | None:
    if _ZH_PAID.fullmatch(text):
        return Said("already_paid")
    if _ZH_SOME_DAY.fullmatch(text):
        return Said("promise")
    found = _ZH_PROMISE.fullmatch(text)
    if found is None:
        return None
    day: date | None
    if near := found["near"]:
        day = today + timedelta(_ZH_NEAR[near])
    elif weekday := found["weekday"]:
        number = "一二三四五六日".index(weekday.replace("天", "日"))
        week = found["week"]
        day = _next(today, number) if week is None else _of_week(today, int(week == "下"), number)
    else:
        day = _of_month(today, int(found["day"]), int(found["month"]) if found["month"] else None)
    return None if day is None or day < today else Said("promise", day)


def _next(today: date, weekday: int) -> date:
    return today + timedelta((weekday - today.weekday() - 1) % 7 + 1)


def _of_week(today: date, weeks: int, weekday: int) -> date:
    return today + timedelta(weeks * 7 + weekday - today.weekday())


def _of_month(today: date, day: int, month: int | None) -> date | None:
    """The next such day, today included; ``month`` None: of whichever month has it next. None: there is none."""
    year, number = today.year, today.month if month is None else month
    for _ in range(13):
        if 1 <= number <= 12 and 1 <= day <= monthrange(year, number)[1] and date(year, number, day) >= today:
            return date(year, number, day)
        if month is None:
            year, number = (year, number + 1) if number < 12 else (year + 1, 1)
        else:
            year += 1
    return None

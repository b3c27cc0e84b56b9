"""What the desk says, in both languages."""

import re
from pathlib import Path
from string import Formatter
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from desk_story import MEANINGS, NOW_MS, command, decision, result, say_en, say_zh, step

from pipeline.core.decision import Outcome
from pipeline.core.features import CATALOGUE
from pipeline.core.records import AnswerWord, CardCommand, Step
from pipeline.desk import app as desk_app
from pipeline.desk.feed import Link
from pipeline.desk.figures import cut_percentile, feature, money, percent
from pipeline.desk.projection import Projection
from pipeline.desk.text import choose_language, texts
from pipeline.desk.wording import Wording, masked_card

TEMPLATES = Path(desk_app.__file__).parent / "templates"
ENGLISH = Wording("en", ZoneInfo("Asia/Shanghai"), say_en, "CNY")
CHINESE = Wording("zh-CN", ZoneInfo("Asia/Shanghai"), say_zh, "CNY")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_say_everything_with_the_same_placeholders() -> None:
    english, chinese = texts("en"), texts("zh-CN")
    for key, words in english.items():
        assert words.strip(), key
        assert chinese[key].strip(), key
        assert placeholders(words) == placeholders(chinese[key]), key


def test_every_word_the_templates_ask_for_exists_and_none_is_left_over() -> None:
    source = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    named = set(re.findall(r"\bt\.(\w+)", source))
    code = "".join(path.read_text() for path in TEMPLATES.parent.glob("*.py") if path.name != "text.py")
    assert named <= set(texts("en"))
    made = ("link_", "outcome_", "meaning_", "step_", "answer_", "failed_", "command_", "scope_", "action_")
    left = {key for key in texts("en") if key not in named and f'"{key}"' not in code and not key.startswith(made)}
    assert left == set()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("outcome", [outcome.name for outcome in Outcome]),
        ("meaning", [outcome.name for outcome in Outcome]),
        ("link", [link.value for link in Link]),
        ("step", get_args(Step)),
        ("answer", get_args(AnswerWord)),
        ("command", get_args(CardCommand.__annotations__["command"])),
    ],
)
def test_every_value_a_record_may_carry_has_words(kind: str, values: list[str]) -> None:
    assert values
    assert [value for value in values if f"{kind}_{value}" not in texts("en")] == []


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (1_235_000, "CNY", "CNY 12,350.00"),
        (5, "USD", "USD 0.05"),
        (5_000, "JPY", "JPY 5,000"),
        (1_234_567, "KWD", "KWD 1,234.567"),
        (-150, "EUR", "EUR -1.50"),
        (0, "GBP", "GBP 0.00"),
        (None, "CNY", "–"),
    ],
)
def test_money_reads_in_the_currencys_own_precision(minor: int | None, currency: str, words: str) -> None:
    assert money(minor, currency) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.34, "34%"), (0.074, "7.4%"), (0.0012, "0.12%"), (0.0, "0%"), (1.0, "100%"), (1e-9, "0.0000%")],
)
def test_percent_keeps_two_significant_digits(share: float, words: str) -> None:
    assert percent(share) == words


def test_a_percentile_below_a_hundred_never_reads_as_a_hundred() -> None:
    assert cut_percentile(99.999_9) == "99.99%"
    assert cut_percentile(100.0) == "99.99%", "nothing is more unusual than everything"


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (1_234_567.4, "minor", "CNY 12,345.67", "CNY 12,345.67"),
        (14.24, "", "× 14.2", "14.2 倍"),
        (1.0, "flag", "yes", "是"),
        (0.0, "flag", "no", "否"),
        (0.978, "share", "98%", "98%"),
        (42.0, "seconds", "42 s", "42 秒"),
        (5_400.0, "seconds", "1.5 h", "1.5 小时"),
        (259_200.0, "seconds", "3 days", "3 天"),
        (3.62, "count", "3.6", "3.6"),
        (812.33, "km/h", "812 km/h", "812 km/h"),
        (0.034, "km", "0.034 km", "0.034 km"),
        (13.5, "hours", "13.5 h", "13.5 小时"),
        (5411.0, "code", "5411", "5411"),
        (float("nan"), "minor", "–", "–"),
        (None, "", "–", "–"),
        (float("inf"), "km/h", "∞ km/h", "∞ km/h"),
    ],
)
def test_a_feature_reads_in_its_unit(value: float | None, unit: str, english: str, chinese: str) -> None:
    assert feature(value, unit, "CNY", texts("en")) == english
    assert feature(value, unit, "CNY", texts("zh-CN")) == chinese


def test_every_unit_of_the_catalogue_is_one_a_page_can_say() -> None:
    assert {entry.unit for entry in CATALOGUE} <= {
        "",
        "minor",
        "flag",
        "share",
        "seconds",
        "count",
        "code",
        "deviations",
        "hours",
        "days",
        "km",
        "km/h",
    }


def test_a_card_number_in_a_merchants_name_is_masked() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, merchant_name="REF 4111 1111 1111 1111"))
    alert = projection.alert("t0-0")
    assert alert is not None
    assert "4111 1111 1111" not in ENGLISH.alert(alert, projection.story("t0-0")).merchant


def test_a_card_shows_its_last_four_characters_only() -> None:
    assert masked_card("tok_1_00000000feedbeef") == "tok_…beef"


def test_an_alert_reads_in_words() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, warming_up=True))
    alert = projection.alert("t0-0")
    assert alert is not None
    english = ENGLISH.alert(alert, projection.story("t0-0"))
    assert (english.amount, english.one_in, english.score) == ("CNY 12,350.00", "1 in 14", "7.0% risk of fraud")
    assert english.percentile == "more unusual than 99.99% of transactions"
    assert english.reasons == ["Amount is 14 times the usual"]
    assert english.marks == ["card still being learned"]
    assert english.at == "16:53:20"
    chinese = CHINESE.alert(alert, projection.story("t0-0"))
    assert (chinese.one_in, chinese.outcome_words) == ("约 14 笔中有 1 笔", "暂停用卡")
    assert chinese.reasons == ["金额是平时的 14 倍"]


def test_a_score_from_a_half_up_is_not_one_in_one() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, score=0.74))
    alert = projection.alert("t0-0")
    assert alert is not None
    assert ENGLISH.alert(alert, projection.story("t0-0")).one_in == "more likely than not"


def test_where_a_rule_acted_a_small_probability_does_not_stand_first() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, score=0.0005, by_rule=True))
    alert = projection.alert("t0-0")
    assert alert is not None
    english, chinese = (wording.alert(alert, projection.story("t0-0")) for wording in (ENGLISH, CHINESE))
    assert (english.score, english.one_in) == ("By a rule", "the score alone says 0.050%")
    assert (chinese.score, chinese.one_in) == ("规则判定", "仅看评分为 0.050%")


def test_a_story_reads_step_by_step() -> None:
    projection = Projection()
    projection.apply_decision(decision(0))
    projection.apply_command(command("t0-0", "hold", "h1"))
    projection.apply_command_result(result("h1"))
    for name, fields in (
        ("sending", {"attempt": 1, "channel": "sms"}),
        ("accepted", {"attempt": 1, "channel": "sms"}),
        ("delivered", {"attempt": 1, "channel": "sms"}),
        ("sending", {"attempt": 1, "channel": "voice"}),
        ("failed", {"attempt": 1, "reason": "busy"}),
        ("failed", {"attempt": 2, "reason": "some_new_reason"}),
        ("answered", {"attempt": 2, "answer": "no"}),
        ("escalated", {}),
    ):
        projection.apply_contact(step("t0-0", name, NOW_MS + 1000, **fields))
    projection.apply_command(command("t0-0", "block", "b1", 2))
    alert = projection.alert("t0-0")
    assert alert is not None
    view = ENGLISH.alert(alert, projection.story("t0-0"))
    assert [(moment.words, moment.note, moment.tone) for moment in view.steps] == [
        ("Sending a message", "", "busy"),
        ("Message sent", "", "busy"),
        ("Delivered", "", "busy"),
        ("Calling", "", "busy"),
        ("Line busy", "", "warn"),
        ("Not reached", "attempt 2", "warn"),
        ("NO — not them", "attempt 2", "bad"),
        ("Handed to an agent", "", "warn"),
    ]
    assert [(moment.words, moment.note) for moment in view.commands] == [("Hold", "done"), ("Block", "sent")]


def test_features_carry_their_meaning_and_unknown_ones_come_last() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, features={"made_up": 3.0, "amount_ratio": 14.2}))
    alert = projection.alert("t0-0")
    assert alert is not None
    rows = CHINESE.features(alert.decision, MEANINGS)
    assert rows == [("amount_ratio", "14.2 倍", "金额与平时之比"), ("made_up", "3", "当前版本无说明")]


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "language"),
    [
        ("zh-CN", "en", "en", "zh-CN"),
        (None, "zh-CN", "en", "zh-CN"),
        ("klingon", None, "zh-TW,en;q=0.5", "zh-CN"),
        (None, None, "fr,en;q=0.8,zh;q=0.9", "zh-CN"),
        (None, None, "zh;q=0,en", "en"),
        (None, None, "de", "en"),
        (None, "<script>", ";;q=,=", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_remembered_else_preferred(
    asked: str | None, remembered: str | None, accepted: str, language: str
) -> None:
    assert choose_language(asked, remembered, accepted) == language

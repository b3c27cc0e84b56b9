"""The words of the calls and the plan of times: what is said, and how wrong files are refused."""

from pathlib import Path

import pytest
from contact_world import CONFIG, settings

from pipeline.core.conversation import Alert
from pipeline.core.messages import TemplateError, choose_language, decimal, read_call_text, short_merchant
from pipeline.roles.contact.profile import ProfileError, read_plan, read_texts

GOOD = (CONFIG / "messages" / "en" / "calls.toml").read_text(encoding="utf-8")


def test_chinese_names_the_currency_in_words_and_joins_several_alerts() -> None:
    text = read_texts(CONFIG)["zh-CN"]
    one = Alert(id="a", amount=123450, currency="CNY", merchant="京东商城")
    assert text.question("示例银行", "4242", [one]) == (
        "您好，这里是示例银行。您尾号4242的卡片刚刚在京东商城有一笔1,234.50元的交易。本人操作请按1，非本人操作请按2。"
    )
    many = text.question("示例银行", None, [one, Alert(id="b", amount=5, currency="JPY")])
    assert "2笔异常交易" in many
    assert "1,234.50元" in many


def test_what_is_unknown_is_said_in_general_words() -> None:
    text = read_texts(CONFIG)["en"]
    assert "Your card was just used for an unusual amount at a merchant." in text.question("B", None, [Alert(id="a")])
    assert text.plain("voicemail", "B") == "This is B. Please call the number on your card."


def test_amounts_have_their_currencys_decimals() -> None:
    assert decimal(123450, "CNY") == "1,234.50"
    assert decimal(1234, "JPY") == "1,234"
    assert decimal(1234567, "KWD") == "1,234.567"


def test_a_merchants_name_is_short_and_carries_no_long_number() -> None:
    assert short_merchant("PAYPAL *STEAM  4029357733 / 12") == "PAYPAL STEAM 12"
    assert len(short_merchant("a" * 80)) == 24
    assert short_merchant(None) == ""


def test_the_language_nearest_to_the_wanted_one_is_chosen() -> None:
    present = ("en", "zh-CN")
    wanted = ("zh-CN", "ZH-cn", "zh", "zh-TW", "en-GB", "fr")
    assert [choose_language(one, present) for one in wanted] == ["zh-CN", "zh-CN", "zh-CN", "zh-CN", "en", "en"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{merchant}. Press 1 if it", "{pan}. Press 1 if it", r"calls.toml:2: ask_one may not name \{pan\}"),
        ("This is {bank}. Please", "{amount}. Please", r"calls.toml:4: voicemail may not name \{amount\}"),
        ('"{unit} {value}"', '"{unit} {value!r}"', r"calls.toml:9: amount: \{value\} takes no format"),
        ('"{unit} {value}"', '"{unit"', r"calls.toml:9: amount: expected '}'"),
        ('"{unit} {value}"', "3", r"calls.toml:9: amount must be a text"),
        ('"{unit} {value}"', "", r"calls.toml:9: not TOML"),
        ("voicemail = ", "voice_mail = ", r"calls.toml:4: there is no call text named 'voice_mail'"),
        ('thanks_yes = "', '#"', r"calls.toml:1: the call text 'thanks_yes' is missing"),
        ("{bank}. Please", "{bank.x}. Please", r"calls.toml:4: voicemail may not name \{bank.x\}"),
    ],
)
def test_a_wrong_template_is_refused_with_file_line_and_reason(old: str, new: str, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(TemplateError, match=reason):
        read_call_text(GOOD.replace(old, new), "en", "calls.toml")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("retry_s = 60.0", 'retry_s = "soon"', r"demo.toml:\d+: Expected `float`, got `str`"),
        ("asks = 5", "asks = 0", r"demo.toml:\d+: asks must be above zero"),
        ("asks = 5", "askz = 5", r"demo.toml:\d+: Object contains unknown field `askz`|missing"),
        ("asks = 5", "asks =", r"demo.toml:\d+: not TOML"),
    ],
)
def test_a_wrong_plan_is_refused_with_file_line_and_reason(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (tmp_path / "contact").mkdir()
    text = (CONFIG / "contact" / "demo.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "contact" / "demo.toml").write_text(text.replace(old, new))
    with pytest.raises(ProfileError, match=reason):
        read_plan(tmp_path, "demo")
    with pytest.raises(ProfileError, match=r"none\.toml: cannot be read"):
        read_plan(tmp_path, "none")


def test_secrets_are_required_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    good = settings()
    assert good.voice_callback_url() == "http://127.0.0.1:0/callbacks/voice"
    assert good.signing_key().decode() not in repr(good)
    with pytest.raises(ValueError, match="CARDWATCH_VOICE_KEY is short"):
        type(good)(callback_secret="x" * 20, voice_key="hunter2")
    with pytest.raises(ValueError, match="CARDWATCH_CALLBACK_SECRET"):
        type(good)(voice_key="x" * 20)

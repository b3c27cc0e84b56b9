"""What is said is made of words, amounts and names; the profile of times and channels; how wrong files are refused."""

from pathlib import Path

import pytest
from contact_world import CONFIG, settings

from pipeline.adapters.almanac import world_almanac
from pipeline.core.contact_profile import ContactPolicyError
from pipeline.core.messages import choose_language, decimal, short_merchant
from pipeline.roles.contact.profile import ProfileError, check_channels, read_profile


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
        ("retry_s = 60.0", 'retry_s = "soon"', r"demo.toml:\d+: Expected `float`, got `str`"),
        ("asks = 5", "asks = 0", r"demo.toml:\d+: asks must be above zero"),
        ("asks = 5", "askz = 5", r"demo.toml:\d+: Object contains unknown field `askz`|missing"),
        ("asks = 5", "asks =", r"demo.toml:\d+: not TOML"),
        ('channel = "voice"\ntries = 2', 'channel = "pigeon"', r"demo.toml:\d+: Invalid enum value 'pigeon'"),
        ('channel = "sms"\nwait_s = 20.0', 'channel = "sms"', r"demo.toml:\d+: rung 1: give wait_s"),
        ('channel = "voice"\ntries = 2', 'channel = "voice"\ntries = 0', r"demo.toml:\d+: rung 2: tries must be above"),
        ('then = "agent"', 'then = "hope"', r"demo.toml:\d+"),
    ],
)
def test_a_wrong_plan_is_refused_with_file_line_and_reason(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (tmp_path / "contact").mkdir()
    text = (CONFIG / "contact" / "demo.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "contact" / "demo.toml").write_text(text.replace(old, new))
    with pytest.raises((ProfileError, ContactPolicyError), match=reason):
        read_profile(tmp_path, "demo", world_almanac())
    with pytest.raises(ProfileError, match=r"none\.toml: cannot be read"):
        read_profile(tmp_path, "none", world_almanac())


def test_a_rung_nobody_carries_is_refused() -> None:
    plans = read_profile(CONFIG, "uk", world_almanac()).plans
    check_channels(plans, ["sms"])
    with pytest.raises(
        ProfileError, match="rung 1 of the ladder wants sms, which no setting provides: set CARDWATCH_SMS_VIA"
    ):
        check_channels(plans, [])


def test_secrets_are_required_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    good = settings()
    assert good.voice_callback_url() == "http://127.0.0.1:0/callbacks/voice"
    assert good.signing_key().decode() not in repr(good)
    with pytest.raises(ValueError, match="CARDWATCH_CALLBACK_SECRET is short"):
        type(good)(callback_secret="hunter2")
    with pytest.raises(ValueError, match="CARDWATCH_CONTACT_KEY is short"):
        type(good)(contact_key="hunter2")
    with pytest.raises(ValueError, match=r"(?s)CONTACT_PROFILE is.*CONTACT_KEY \(or.*CALLBACK_SECRET \(or"):
        type(good)()

"""The words of every message: what they are, and how each rule of the table refuses, when read and when filled."""

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache

import pytest
from contact_world import CONFIG

from pipeline.core.conversation import Alert
from pipeline.core.masking import holds_card_number
from pipeline.core.messages import TemplateError
from pipeline.core.segments import count_segments
from pipeline.core.texts import Rendered, Texts, preview_lines, question
from pipeline.core.texts_facts import MONEY, TextRefused, merchant_name, plain_facts, say_facts
from pipeline.core.texts_file import parse_texts
from pipeline.core.texts_rules import ROWS, RULES

LANGUAGES = ("en", "zh-CN")
SOURCES = {name: (CONFIG / "messages" / name / "messages.toml").read_text(encoding="utf-8") for name in LANGUAGES}
CARD_NUMBER = "4111111111111111"
FACTS: dict[str, object] = {
    "bank": "Demo Bank",
    "last4": "4242",
    "amount": 123450,
    "currency": "CNY",
    "merchant": "STEAM",
    "count": 2,
}


@cache
def texts() -> Texts:
    return parse_texts({name: (SOURCES[name], f"{name}.toml") for name in LANGUAGES})


def render(key: str, language: str = "en", **changes: object) -> Rendered:
    class_, channel, part = key.split(".")
    return texts().render(class_, channel, part, language, {**FACTS, **changes})


def refusal(key: str, language: str = "en", **changes: object) -> str:
    with pytest.raises(TextRefused) as refused:
        render(key, language, **changes)
    return refused.value.reason


# What the messages are.


def test_the_fraud_call_says_what_it_always_said() -> None:
    one = Alert(id="a", amount=123450, currency="CNY", merchant="京东商城")
    part, facts = question("示例银行", "4242", [one])
    assert texts().render("fraud", "voice", part, "zh", facts).text == (
        "您好，这里是示例银行。您尾号4242的卡片刚刚在京东商城有一笔1,234.50元的交易。本人操作请按1，非本人操作请按2。"
    )
    part, facts = question("Demo Bank", None, [Alert(id="b", amount=5, currency="JPY"), one, Alert(id="c")])
    assert texts().render("fraud", "voice", part, "en-GB", facts).text == (
        "This is Demo Bank. Your card was just used for 3 unusual payments, the largest CNY 1,234.50 at 京东商城."
        " Press 1 if you made all of them. Press 2 if not."
    )
    part, facts = question("Demo Bank", None, [Alert(id="b")])
    assert "Your card was just used for an unusual amount at a merchant." in (
        texts().render("fraud", "voice", part, "en", facts).text
    )


def test_the_fraud_sms_names_all_it_must_and_fits_one_segment() -> None:
    english = render("fraud.sms.ask_one")
    assert english == (
        "en",
        "Demo Bank: your card ending 4242 was used for CNY 1,234.50 at STEAM. Was it you? Reply YES or NO."
        " STOP for no more texts.",
        None,
        1,
    )
    chinese = render("fraud.sms.ask_one", "zh", bank="示例银行", merchant="京东商城", time="2026-11-23T14:05:00+08:00")
    assert chinese.text == (
        "【示例银行】您尾号4242的卡11月23日 14:05在京东商城交易1,234.50元。本人操作回复1，非本人回复2，退订回复T。"
    )
    assert (chinese.language, chinese.segments) == ("zh-CN", 1)


def test_a_long_sms_loses_the_merchants_end_then_its_form_then_a_second_segment_is_spent() -> None:
    zh = {"bank": "示例银行", "last4": "4242", "amount": 1234567890, "time": "2026-11-23T14:05:00"}
    shorter = render("fraud.sms.ask_one", "zh", **{**zh, "amount": 99, "merchant": "北京市海淀区中关村大街便利店"})
    assert "您尾号4242的卡" in shorter.text
    assert "在北京市海淀区中关村大街便交易0.99元" in shorter.text
    assert (shorter.segments, len(shorter.text) <= 70) == (1, True)
    plainer = render("fraud.sms.ask_one", "zh", **{**zh, "merchant": "北京市海淀区中关村大街便利店"})
    assert "】尾号4242卡在北京市海淀区中关村大街便利店交易12,345,678.90元。" in plainer.text
    assert plainer.segments == 1
    two = render("fraud.sms.ask_one", "en", merchant="京东商城")  # one Chinese character makes the whole text UCS-2
    assert two.segments == 2
    assert two.text.startswith("Demo Bank: your card ending 4242")
    assert refusal("marketing.sms.offer", offer="礼遇" * 100) == "the text takes more than 2 segments"


def test_money_and_time_are_written_as_the_language_does() -> None:
    moment = datetime(2026, 11, 3, 9, 5, tzinfo=timezone(timedelta(hours=8)))
    plain = plain_facts({"amount": 123450, "currency": "CNY", "time": moment, "due": date(2026, 2, 28)})
    said = {name: say_facts(plain, texts().languages[name].locale) for name in LANGUAGES}
    assert said["en"] == {"amount": "CNY 1,234.50", "time": "3 Nov 09:05", "due": "28 Feb"}
    assert said["zh-CN"] == {"amount": "1,234.50元", "time": "11月3日 09:05", "due": "2月28日"}
    yen = say_facts(plain_facts({"limit": 1234567, "currency": "JPY"}), texts().languages["zh-CN"].locale)
    assert yen == {"limit": "1,234,567日元"}
    assert say_facts({"amount": 0, "currency": "KWD"}, texts().languages["en"].locale) == {"amount": "KWD 0.000"}
    assert say_facts({"amount": 5}, texts().languages["en"].locale) == {}


def test_a_merchants_name_becomes_no_link_and_asks_for_no_code() -> None:
    assert merchant_name("AMAZON.COM*2F7 4029357733") == "AMAZON COM 2F7"
    assert merchant_name("ＯＴＰ Bank １２３４５") == "Bank"
    assert merchant_name("Corner Books & Co.", 14) == "Corner Books"
    assert "at AMAZON COM." in render("fraud.sms.ask_one", merchant="AMAZON.COM").text


def test_push_has_a_title_and_email_a_subject_and_neither_says_more_than_the_bank() -> None:
    push = render("fraud.push.ask_one")
    assert (push.subject, push.segments) == ("Demo Bank", None)
    assert push.text == "Please open the Demo Bank app: a message about your card is waiting."
    email = render("fraud.email.ask_one", "zh-TW", bank="示例银行", due=date(2026, 1, 1))
    assert email.subject == "示例银行：请核对一笔刷卡交易"
    assert "1,234.50元" in email.text


def test_an_overdue_account_is_named_to_the_right_party_only() -> None:
    facts = {"minimum": 20000, "due": "2026-11-30", "days": 5}
    for class_, channel, part in RULES:
        heard = channel in ("voice", "push") and class_ == "reminder"
        if (heard or class_ == "collection") and channel != "webhook" and not part.endswith("_confirmed"):
            text = render(f"{class_}.{channel}.{part}", **facts).text
            assert not any(word in text for word in ("CNY", "due", "30 Nov", "4242")), (class_, channel, part)
    assert "CNY 1,234.50 is past due by 5 days" in render("collection.voice.overdue_confirmed", **facts).text


def test_a_webhook_carries_the_facts_it_is_given_and_no_words() -> None:
    sent = render("reminder.webhook.due", "zh", due="2026-11-30", time=datetime(2026, 11, 1, tzinfo=UTC), other="x")
    assert sent.text == (
        '{"class":"reminder","facts":{"amount":123450,"bank":"Demo Bank","count":2,"currency":"CNY",'
        '"due":"2026-11-30","last4":"4242","merchant":"STEAM","time":"2026-11-01T00:00:00+00:00"},'
        '"language":"zh-CN","template":"due"}'
    )
    assert (
        refusal("fraud.webhook.ask_one", bank=f"B {CARD_NUMBER}")
        == "fraud.webhook.ask_one would hold a card number in bank"
    )


def test_every_template_is_shown_with_facts_in_every_language() -> None:
    shown = list(texts().preview())
    wanted = {key for key in RULES if key[1] != "webhook"}
    for language in LANGUAGES:
        assert {each[:3] for each in shown if each.rendered.language == language} == wanted
    for each in shown:
        assert "None" not in each.rendered.text
        assert "{" not in each.rendered.text
        assert not holds_card_number(each.rendered.text)
        if each.channel == "sms":
            assert each.rendered.segments == count_segments(each.rendered.text).segments == 1, each
    lines = list(preview_lines(texts()))
    assert "zh-CN fraud.sms.ask_one  [1 segment, 65 ucs2 units]" in lines
    assert "    Demo Bank: please check a card payment" in lines


def test_the_table_names_facts_words_and_stages_that_there_are() -> None:
    for row in ROWS:
        assert row.must <= row.may
        assert all(part.endswith("_confirmed") == (row.stage == "after") for part in row.parts)
        if row.channel == "push" or "voicemail" in row.parts:
            assert row.may == {"bank"}
            assert {"an amount", "a debt"} <= {*row.never}
        if row.class_ == "collection" and row.stage == "before" and row.channel != "webhook":
            assert not row.may & (MONEY | {"last4", "due", "days", "name"})
        if row.class_ == "fraud" and row.channel != "webhook":
            assert "a debt" in row.never
    assert len(RULES) == sum(len(row.parts) for row in ROWS)


# How a file is refused.

VOICEMAIL = 'voicemail = "This is {{ bank }}. Please call the number on your card."'


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        # may
        (VOICEMAIL, VOICEMAIL[:-1] + ' {{ amount }}"', r"fraud.voice.voicemail may not name amount \(before"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{% if last4 %}!{% endif %}"', "may not name last4"),
        ('title = "{{ bank }}"\nbody = "Please open the {{ bank }} app: a message about', 'title = "{{ merchant }}"\nbody = "Please open the {{ bank }} app: a message about', "the title of fraud.push.any may not name merchant"),
        ('any = "{{ bank }}: please call us', 'any = "{{ bank }}: {{ minimum }}, call us', "may not name minimum"),
        ("please check a card payment", "{{ amount }}", "the title of fraud.email.ask_one may not name amount"),
        ("{{ bank }}: a date to remember", "{{ bank }}: repayment", "the title of reminder.email.due_soon may never hold a debt"),
        # must
        ("card {{ last4 }}, {{ amount }} at {{ merchant }}. You?", "card {{ last4 }} at {{ merchant }}. You?", r"must name \{\{ amount \}\}, outside"),
        ("card {{ last4 }}, {{ amount }} at {{ merchant }}. You?", "card {{ last4 }}, {{ amount }}{% if merchant %} at {{ merchant }}{% endif %}. You?", r"must name \{\{ merchant \}\}, outside"),
        ("Reply YES or NO. STOP to end.", "Reply YES or NO.", "must say stop"),
        ("Reply YES or NO. STOP to end.", "Reply YES or NO{% if time %}. STOP to end{% endif %}.", "must say stop"),
        ("Reply YES or NO. STOP to end.", "Reply OK or NO. STOP to end.", "must say yes"),
        ("Press 1 if it was you. Press 2 if it was not you.", "Press 1 if it was you.", "must say key 2"),
        ("{{ offer }} Reply STOP for no more offers.", "{{ offer }}", "must say stop"),
        (VOICEMAIL, 'voicemail = "This is {{ bank }}. Please call us."', "must say call the number on the card"),
        # never
        (VOICEMAIL, VOICEMAIL[:-1] + ' About 500 yuan."', "may never hold an amount"),
        (VOICEMAIL, VOICEMAIL[:-1] + ' It is overdue."', "may never hold a debt"),
        ("We will call you.", "See www.demo.example", "may never hold a link"),
        ("We will call you.", "See demo.example/x", "may never hold a link"),
        ("We will call you.", "Have your PIN ready.", "may never hold a word of one-time codes"),
        ("We will call you.", "Have your C\u200bVV ready.", "may never hold an invisible character"),
        ("We will call you.", f"It was {CARD_NUMBER}.", "may never hold a card number"),
        ("We will call you.", "Valid to 12/29.", "may never hold an expiry date"),
        ("We will call you.", "See our offers.", "may never hold an offer"),
        # form
        ("for {{ count }} unusual", "for {{ count|upper }} unusual", "filter is not allowed|No filter named"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{{ bank.__class__ }}"', "getattr is not allowed"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{{ bank() }}"', "call is not allowed"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{% for x in bank %}{% endfor %}"', "for is not allowed"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{% include bank %}"', "include is not allowed"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{% if bank == 1 %}{% endif %}"', "compare is not allowed"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{{ bank"', "unexpected end of template"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{{ pan }}"', "there is no fact named pan"),
        (VOICEMAIL, VOICEMAIL[:-1] + '{{ currency }}"', "the currency is said with its amount"),
        (VOICEMAIL, "voicemail = 3", "must be a text"),
        (VOICEMAIL, "voice_mail = 'x'", "there is no part fraud.voice.voice_mail"),
        (VOICEMAIL, "", "the text fraud.voice.voicemail is missing"),
        (VOICEMAIL, "voicemail = ", "not valid TOML"),
        ("overdue_confirmed = \"This is {{ bank }}. {{ amount }}", "#", "collection.voice.overdue_confirmed is missing"),
        ("[collection.sms]", "[fraud.webhook]", "a webhook carries fields"),
        ('subject = "{{ bank }}: thank you"', "", "must have subject and body"),
        ('money = "{unit} {value}"', 'money = "{value}"', r"money is a text with each of \{unit\}, \{value\} once"),
        ('"Dec"]', "]", "months are twelve names"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_file_line_and_reason(old: str, new: str, reason: str) -> None:
    good = SOURCES["en"]
    assert old in good
    with pytest.raises(TemplateError, match=rf"^en.toml:\d+: .*({reason})"):
        parse_texts({"en": (good.replace(old, new, 1), "en.toml")})


def test_the_line_is_that_of_the_template() -> None:
    wrong = SOURCES["en"].replace("STOP to end.", "Bye.", 1)
    line = next(number for number, text in enumerate(wrong.split("\n"), 1) if "Bye." in text)
    with pytest.raises(TemplateError, match=rf"^en.toml:{line}: fraud.sms.ask_one must say stop"):
        parse_texts({"en": (wrong, "en.toml")})
    wrong = SOURCES["en"].replace("Pay by: {{ due }}.", "Pay by: {{ due() }}.")
    line = next(number for number, text in enumerate(wrong.split("\n"), 1) if "due()" in text)
    with pytest.raises(TemplateError, match=rf"^en.toml:{line}: service.email.statement_ready: call is not allowed"):
        parse_texts({"en": (wrong, "en.toml")})


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('退订回T"', '"', "must say stop"),
        ("本人回1，", "本人回是，", "must say yes"),
        ("【{{ bank }}】尾号", "{{ bank }}：尾号", "must say the bank's signature"),
        ("谢谢。您的卡片即将恢复使用，请稍候再试。", "请提供验证码。", "may never hold a word of one-time codes"),
        ("谢谢。您的卡片即将恢复使用，请稍候再试。", "您已逾期。", "may never hold a debt"),
        (
            '本人回1，否回2，退订回T"',
            "本人回1，否回2，退订回T" + "，谢谢" * 40 + '"',
            "sample facts: the text takes more than 2",
        ),
    ],
)
def test_chinese_is_held_to_the_same_rules(old: str, new: str, reason: str) -> None:
    good = SOURCES["zh-CN"]
    assert old in good
    with pytest.raises(TemplateError, match=rf"^zh.toml:\d+: .*{reason}"):
        parse_texts({"zh-CN": (good.replace(old, new, 1), "zh.toml"), "en": (SOURCES["en"], "en.toml")})


def test_the_language_that_everybody_falls_back_to_must_be_there() -> None:
    with pytest.raises(TemplateError, match=r"^messages/en/messages.toml:1: is missing"):
        parse_texts({"zh-CN": (SOURCES["zh-CN"], "zh.toml")})
    assert render("fraud.sms.stopped", "fr").language == "en"


# How a message is refused although its template is in order.


@pytest.mark.parametrize("name", ["bank", "last4", "amount", "merchant", "currency"])
@pytest.mark.parametrize("unknown", [None, ""])
def test_a_fraud_sms_that_cannot_name_all_it_must_is_refused(name: str, unknown: str | None) -> None:
    wanted = "amount" if name == "currency" else name
    assert refusal("fraud.sms.ask_one", **{name: unknown}) == (
        f"{wanted} is not known, and fraud.sms.ask_one must name it"
    )


@pytest.mark.parametrize(
    ("key", "changes", "reason"),
    [
        ("marketing.sms.offer", {"offer": "see https://x"}, "marketing.sms.offer would hold a link"),
        ("marketing.sms.offer", {"offer": "at evil.example now"}, "marketing.sms.offer would hold a link"),
        ("marketing.sms.offer", {"offer": "at ｅｖｉｌ．ｅｘａｍｐｌｅ now"}, "marketing.sms.offer would hold a link"),
        ("marketing.sms.offer", {"offer": "at 10.0.0.1 now"}, "marketing.sms.offer would hold a link"),
        ("marketing.email.offer", {"offer": "tell us your otp"}, "marketing.email.offer would hold a word of one-time codes"),
        ("marketing.wechat.offer", {"offer": "请回复验证码"}, "marketing.wechat.offer would hold a word of one-time codes"),
        ("marketing.wechat.offer", {"offer": f"卡{CARD_NUMBER}享"}, "marketing.wechat.offer would hold a card number"),
        ("marketing.wechat.offer", {"offer": "4111.1111.1111.1111"}, "marketing.wechat.offer would hold a card number"),
        ("service.sms.greeting", {"name": f"Ann {CARD_NUMBER}"}, "service.sms.greeting would hold a card number"),
        ("service.email.greeting", {"name": "Ann \u202eeel"}, "service.email.greeting would hold an invisible character"),
        ("service.email.greeting", {"name": "valid 09/28"}, "service.email.greeting would hold an expiry date"),
        ("fraud.voice.voicemail", {"bank": "Bank 1,234.50"}, "fraud.voice.voicemail would hold an amount"),
        ("collection.sms.overdue", {"bank": "Debt Bank"}, "collection.sms.overdue would hold a debt"),
        ("fraud.push.ask_one", {"bank": "1,234.50"}, "the title of fraud.push.ask_one would hold an amount"),
        ("service.sms.greeting", {"name": "x" * 41}, "name is longer than 40 characters"),
        ("fraud.sms.ask_one", {"last4": CARD_NUMBER}, "last4 must be the card's last four digits"),
        ("fraud.sms.ask_one", {"amount": -5}, "amount must be a whole number, not below zero"),
        ("fraud.sms.ask_one", {"amount": 12.5}, "amount must be a whole number, not below zero"),
        ("fraud.sms.ask_one", {"currency": "yuan"}, "currency must be a currency's three letters"),
        ("fraud.sms.ask_one", {"merchant": "123456"}, "merchant is not known, and fraud.sms.ask_one must name it"),
        ("fraud.sms.ask_one", {"time": "noon"}, "time must be a moment, such as 2026-11-23T14:05:00+08:00"),
        ("reminder.sms.due", {"due": "soon"}, "due must be a day, such as 2026-11-23"),
        ("reminder.sms.due", {}, "due is not known, and reminder.sms.due must name it"),
        ("fraud.voice.thanks_no", {"bank": None}, "the text needs a fact that is not known: 'bank' is undefined"),
        ("fraud.fax.ask_one", {}, "there is no message fraud.fax.ask_one"),
        ("marketing.voice.offer", {}, "there is no message marketing.voice.offer"),
    ],
)  # fmt: skip
def test_a_message_that_breaks_a_rule_when_filled_is_refused(key: str, changes: dict[str, object], reason: str) -> None:
    assert refusal(key, **changes) == reason


def test_no_refusal_repeats_what_was_refused() -> None:
    for changes in ({"last4": CARD_NUMBER}, {"bank": f"B {CARD_NUMBER}"}, {"time": CARD_NUMBER}):
        assert CARD_NUMBER not in refusal("fraud.sms.ask_one", **changes)


def test_facts_are_never_read_as_templates() -> None:
    assert "{{ last4 }} {% if %}" in render("marketing.email.offer", offer="{{ last4 }} {% if %}").text


def test_what_stands_in_a_merchants_name_is_not_held_against_us() -> None:
    assert "Debt Offers" in render("fraud.sms.ask_one", merchant="Debt Offers").text

"""What a message must, may and must never hold: one table by class, channel, and whether the right party is confirmed.

*before*: anybody may hear or see it (whoever picks up, a voicemail, a lock screen, a stolen telephone). *after*: the
person has shown who they are to the channel; those parts end in ``_confirmed``, so that a caller who names only what
the message is about gets the text for anybody. A key press proves no identity, so thanks are still *before*. Fraud SMS
and the fraud call name card, amount and merchant: without them nobody can answer.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pipeline.core.masking import holds_card_number
from pipeline.core.matters import DUE
from pipeline.core.texts_facts import CODE_WORDS, KINDS

Stage = Literal["before", "after"]
MAX_SEGMENTS = 2
TITLED = frozenset({"push", "email"})
"""Channels whose messages have a title or subject too. It shows on lock screens, so it may name the bank only."""

CHARACTERS: Mapping[str, int] = {"voice": 600, "sms": 306, "push": 160, "email": 2_000, "wechat": 600}
"""The longest rendered text. 600 characters of speech are about 40 seconds."""
TITLE_CHARACTERS = 60


class Row(NamedTuple):
    """A line of the table. ``parts``: the templates it governs; ``may`` and ``must``: facts they name, a must outside
    every condition; ``says``: entries of `SAYS` they must say; ``never``: entries of `NEVER` besides `ALWAYS_NEVER`."""

    class_: str
    channel: str
    stage: Stage
    parts: tuple[str, ...]
    may: frozenset[str]
    must: frozenset[str] = frozenset()
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def _reply(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9A-Za-z.,]){word}(?![0-9A-Za-z%]|[.,][0-9])")


SAYS: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "yes (YES, in Chinese 1)": {"zh": _reply("1"), "": _reply("YES")},
    "no (NO, in Chinese 2)": {"zh": _reply("2"), "": _reply("NO")},
    "stop (STOP, in Chinese T)": {"zh": _reply("T"), "": _reply("STOP")},
    "key 1": {"": _reply("1")},
    "key 2": {"": _reply("2")},
    "the bank's signature 【bank】": {"zh": re.compile(r"^\s*【.*】")},
    "call the number on the card": {"zh": re.compile("卡片?背面"), "en": re.compile("number on your card", re.I)},
    "open the app": {"zh": re.compile("打开.{0,12}App"), "en": re.compile(r"open .{0,20}\bapp\b", re.I)},
    "call us": {"zh": re.compile("致电|拨打"), "en": re.compile(r"\bcall\b", re.I)},
}
"""What a text may have to say, by primary language; "": in every other. A language without an entry is not asked."""

NEVER: Mapping[str, re.Pattern[str]] = {
    "an amount": re.compile(r"\d[.,]\d|\d{3,}"),
    "a debt": re.compile(
        r"\b(?:debts?|ow(?:e|es|ed|ing)|overdue|past due|payment due|arrears|delinquen\w*|in collections?|repay\w*|"
        r"minimum (?:payment|due)|instal?ments?|outstanding)\b|逾期|欠款|欠费|拖欠|还款|催收|债|最低应还",
        re.IGNORECASE,
    ),
    "an offer": re.compile(
        r"\b(?:offers?|promotions?|discounts?|bonus|rewards?|sale)\b|优惠|促销|折扣|积分|礼品|活动", re.I
    ),
}
"""Words that have no place in some texts. Names (the merchant's) are taken out before looking."""

ALWAYS_NEVER: Mapping[str, re.Pattern[str]] = {
    "a link": re.compile(r"\w://|\bmailto:|\bwww\.|\w\.[^\W\d_]{2,}|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", re.I),
    "a word of one-time codes": CODE_WORDS,
    "an expiry date": re.compile(r"(?<![\d/])(?:0[1-9]|1[0-2])/\d\d(?:\d\d)?(?![\d/])"),
}

BANK = frozenset({"bank"})
QUESTION = BANK | {"last4", "amount", "merchant"}
CARD = BANK | {"last4"}
PAYMENT = QUESTION | {"time", "balance"}
BILL = CARD | {"amount", "minimum", "due", "days"}
DUE_PARTS = DUE
OVERDUE = ("overdue", "overdue_many")
DUE_MANY = tuple(f"{part}_many" for part in DUE_PARTS)

_FRAUD = ("a debt", "an offer")  # what the TCPA's exemption for fraud alerts forbids (47 CFR 64.1200(a)(9)(iii))
_ANYBODY = ("an amount", "a debt", "an offer")
_CALL = ("call the number on the card",)
_STOP = "stop (STOP, in Chinese T)"
_ASK = ("yes (YES, in Chinese 1)", "no (NO, in Chinese 2)", _STOP)
_SIGNED = ("the bank's signature 【bank】",)
_KEYS = ("key 1", "key 2")
_THANKS = ("thanks_yes", "thanks_known", "thanks_no")
_ALERTS = ("ask_one", "ask_many", "notice", *_THANKS)
_NOTICES = (
    "transaction_done", "transaction_done_many", "transaction_failed", "balance_changed", "statement_ready",
    "limit_changed", "card_ending", "greeting",
)  # fmt: skip


def _everywhere(
    class_: str, parts: tuple[str, ...], may: frozenset[str], must: frozenset[str], stop: bool = False
) -> tuple[Row, ...]:
    """The same rule for the channels that carry a written text to the customer; an SMS is signed and, with ``stop``,
    says how to have no more of them."""
    return (
        Row(class_, "sms", "before", parts, may, must, (*_SIGNED, _STOP) if stop else _SIGNED),
        Row(class_, "email", "before", parts, may, must),
        Row(class_, "wechat", "before", parts, may, must),
    )


def _fields(class_: str, parts: tuple[str, ...]) -> Row:
    """A webhook carries fields to the bank's own platform, which finds the words."""
    return Row(class_, "webhook", "before", parts, frozenset(KINDS))


ROWS: tuple[Row, ...] = (
    Row("fraud", "voice", "before", ("ask_one",), QUESTION, BANK, _KEYS, _FRAUD),
    Row("fraud", "voice", "before", ("ask_many",), QUESTION | {"count"}, BANK | {"count"}, _KEYS, _FRAUD),
    Row("fraud", "voice", "before", ("voicemail",), BANK, BANK, _CALL, _ANYBODY),
    Row("fraud", "voice", "before", _THANKS, BANK, never=_ANYBODY),
    Row("fraud", "sms", "before", ("ask_one",), QUESTION | {"time"}, QUESTION, (*_SIGNED, *_ASK), _FRAUD),
    Row("fraud", "sms", "before", ("ask_many",), QUESTION | {"count"}, QUESTION | {"count"}, (*_SIGNED, *_ASK), _FRAUD),
    Row("fraud", "sms", "before", (*_THANKS, "stopped"), CARD, BANK, _SIGNED, _ANYBODY),
    Row("fraud", "sms", "before", ("help",), BANK, BANK, (*_SIGNED, *_ASK), _ANYBODY),
    Row("fraud", "sms", "before", ("complaint",), BANK | {"time"}, BANK, _SIGNED, _ANYBODY),
    Row("fraud", "sms", "before", ("notice",), QUESTION | {"time"}, QUESTION, (*_SIGNED, *_CALL, _STOP), _FRAUD),
    Row("fraud", "push", "before", _ALERTS, BANK, BANK, ("open the app",), _ANYBODY),
    Row("fraud", "email", "before", ("ask_one", "notice"), QUESTION | {"time"}, QUESTION, _CALL, _FRAUD),
    Row("fraud", "email", "before", ("ask_many",), QUESTION | {"count"}, QUESTION | {"count"}, _CALL, _FRAUD),
    Row("fraud", "email", "before", _THANKS, CARD, BANK, (), _ANYBODY),
    Row("fraud", "email", "before", ("complaint",), BANK | {"time"}, BANK, (), _ANYBODY),
    Row("fraud", "wechat", "before", ("ask_one", "notice"), QUESTION | {"time"}, QUESTION, _CALL, _FRAUD),
    Row("fraud", "wechat", "before", ("ask_many",), QUESTION | {"count"}, QUESTION | {"count"}, _CALL, _FRAUD),
    Row("fraud", "wechat", "before", _THANKS, CARD, BANK, (), _ANYBODY),
    Row("fraud", "wechat", "before", ("complaint",), BANK | {"time"}, BANK, (), _ANYBODY),
    _fields("fraud", (*_ALERTS, "complaint")),
    *_everywhere("service", ("transaction_done", "transaction_failed"), PAYMENT, CARD | {"amount"}),
    *_everywhere("service", ("transaction_done_many",), BANK | {"count"}, BANK | {"count"}),
    *_everywhere("service", ("balance_changed",), CARD | {"balance", "time"}, CARD | {"balance"}),
    *_everywhere("service", ("statement_ready",), BILL, CARD),
    *_everywhere("service", ("limit_changed",), CARD | {"limit"}, CARD | {"limit"}),
    *_everywhere("service", ("card_ending",), CARD, CARD),
    *_everywhere("service", ("greeting",), BANK | {"name"}, BANK),
    Row("service", "push", "before", _NOTICES, BANK, BANK, ("open the app",), _ANYBODY),
    _fields("service", _NOTICES),
    Row("reminder", "voice", "before", (*DUE_PARTS, *DUE_MANY), BANK, BANK, _CALL, _ANYBODY),
    Row("reminder", "voice", "before", ("voicemail",), BANK, BANK, _CALL, _ANYBODY),
    Row("reminder", "voice", "after", tuple(f"{part}_confirmed" for part in DUE_PARTS), BILL, BANK | {"due"}),
    *_everywhere("reminder", DUE_PARTS, BILL, BANK | {"due"}),
    *_everywhere("reminder", DUE_MANY, BANK | {"count", "due"}, BANK | {"count"}),
    *_everywhere("reminder", ("thanks",), CARD | {"amount"}, BANK),
    Row("reminder", "push", "before", (*DUE_PARTS, *DUE_MANY, "thanks"), BANK, BANK, ("open the app",), _ANYBODY),
    _fields("reminder", (*DUE_PARTS, *DUE_MANY, "thanks")),
    Row("collection", "voice", "before", (*OVERDUE, "voicemail"), BANK, BANK, _CALL, _ANYBODY),
    Row("collection", "voice", "after", ("overdue_confirmed",), BILL, BANK | {"amount"}, ("call us",)),
    Row("collection", "sms", "before", OVERDUE, BANK, BANK, (*_SIGNED, "call us"), _ANYBODY),
    Row("collection", "email", "before", OVERDUE, BANK, BANK, ("call us",), _ANYBODY),
    Row("collection", "wechat", "before", OVERDUE, BANK, BANK, ("call us",), _ANYBODY),
    Row("collection", "push", "before", OVERDUE, BANK, BANK, ("open the app",), _ANYBODY),
    _fields("collection", OVERDUE),
    *_everywhere("marketing", ("offer",), BANK | {"name", "offer"}, BANK | {"offer"}, stop=True),
    Row("marketing", "push", "before", ("offer",), BANK, BANK, ("open the app",), ("an amount", "a debt")),
    _fields("marketing", ("offer",)),
)

RULES: Mapping[tuple[str, str, str], Row] = {(row.class_, row.channel, part): row for row in ROWS for part in row.parts}
"""The row of every class, channel and part. What is not here is not said at all."""


def title_row(row: Row) -> Row:
    """The rule for the title or subject of a message under ``row``."""
    return row._replace(may=BANK, must=frozenset(), says=(), never=("an amount", "a debt"))


def not_said(row: Row, language: str, text: str) -> str | None:
    """The first entry of `SAYS` that ``row`` wants said and ``text`` does not say in ``language``; None if all is."""
    primary = language.split("-")[0].casefold()
    for name in row.says:
        words = SAYS[name].get(primary) or SAYS[name].get("")
        if words is not None and not words.search(text):
            return name
    return None


def forbidden(row: Row, text: str, names: Iterable[str] = ()) -> str | None:
    """The first thing found in ``text`` that may not be there under ``row``; None if all is well. ``names``: a
    merchant's name, a card's last four: what they hold counts as no word or amount of ours."""
    shown = unicodedata.normalize("NFKC", text)
    if not text.isprintable() and any(
        unicodedata.category(character)[0] in "C" and character != "\n" for character in text
    ):
        return "an invisible character"
    if _holds_card_number(shown):
        return "a card number"
    for name, words in ALWAYS_NEVER.items():
        if words.search(shown):
            return name
    for name in names:
        shown = shown.replace(name, " ")
    return next((name for name in row.never if NEVER[name].search(shown)), None)


def _holds_card_number(text: str) -> bool:
    """`holds_card_number`, where letters are no cover: Chinese writes digits and words without a blank, and there are
    people who put dots or strokes between the groups."""
    apart = re.sub(r"[^\W\d]", "|", re.sub(r"(?<=\d)[._/](?=\d)", "-", text))
    return holds_card_number(apart)

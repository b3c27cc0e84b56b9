"""Which events the bank's own people hear of at once, and in which words: English, Chinese, or one after the other.

Nothing in them is anybody's name, number or card: the contact's own id leads to all that at the desk, the account's id to
its figures in the bank's own systems.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pipeline.core.account_alerts import SUBJECT, said
from pipeline.core.crm_event import CrmEvent
from pipeline.core.crm_words import CHANNELS, LANGUAGES, Language, word
from pipeline.core.records import ContactStep

Kind = Literal["overdue", "complaint", "escalated", "account"]
Wording = Language | Literal["both"]
KINDS: tuple[Kind, ...] = ("overdue", "complaint", "escalated", "account")
"""The most urgent first."""
COMPLAINT_HANDED_OVER = "answer_complaint"
"""Why a contact is handed over that has just been told of as a complaint."""

_TITLES: Mapping[Kind, tuple[str, str]] = {
    "overdue": ("Call-back overdue", "承诺回电已逾期"),
    "complaint": ("A customer complains", "客户投诉"),
    "escalated": ("A contact needs a person", "联系已转人工"),
    "account": ("An account for the risk team", "账户需风控关注"),
}
_WHAT_TO_DO: Mapping[Kind, tuple[str, str]] = {
    "overdue": ("A promised call-back is late: call now.", "已过承诺的回电时间，请立即回电。"),
    "complaint": ("Please call back.", "请专人回电处理。"),
    "escalated": ("It waits in the agents' queue.", "已进入坐席队列，请尽快处理。"),
    "account": ("Please look at the account; its customer has not been contacted.", "请核查该账户；尚未就此联系客户。"),
}
_ACCOUNT_ALERTS: Mapping[str, tuple[str, str]] = {
    "returned_payment": ("A payment came back", "还款被退回"),
    "bust_out": ("It looks like a bust-out", "疑似恶意透支"),
}
_ACCOUNT = ("Account {account}, {time}.", "账户 {account}，{time}。")
_FACTS = ("Contact {contact}{channel}, {time}.", "联系编号 {contact}{channel}，{time}。")
_REASON = ("Reason: {reason}.", "原因：{reason}。")
_MANY = ("{count} more for people", "另有 {count} 件待处理")
_COUNTS: Mapping[Kind, tuple[str, str]] = {
    "overdue": ("call-backs overdue: {count}", "回电逾期 {count} 件"),
    "complaint": ("complaints: {count}", "投诉 {count} 件"),
    "escalated": ("handed to people: {count}", "转人工 {count} 件"),
    "account": ("accounts for the risk team: {count}", "需风控关注的账户 {count} 个"),
}
_SEE = ("They are at the desk.", "详见风控台。")


class Message(NamedTuple):
    title: str
    body: str


def kind_of(event: CrmEvent, overdue: Collection[str]) -> Kind | None:
    """What ``event`` is to staff; None: nothing. ``overdue``: reasons that say a promised call-back is late."""
    step = event.data
    if not isinstance(step, ContactStep):
        return None
    if SUBJECT in step.subject:
        return "account" if step.step == "escalated" else None
    if step.reason in overdue:
        return "overdue"
    if event.type == "contact.complaint":
        return "complaint"
    return "escalated" if step.step == "escalated" and step.reason != COMPLAINT_HANDED_OVER else None


def about_one(event: CrmEvent, kind: Kind, wording: Wording) -> Message:
    """``event`` must be a step of a contact."""
    step = event.data
    assert isinstance(step, ContactStep)
    moment = datetime.fromisoformat(event.time).strftime("%Y-%m-%d %H:%M %Z")

    def line(language: Language) -> str:
        column = LANGUAGES.index(language)
        if kind == "account":
            about = _ACCOUNT[column].format(account=step.subject[SUBJECT], time=moment)
            why = said(step.why, language) or _REASON[column].format(
                reason=word(_ACCOUNT_ALERTS, step.reason or "", language)
            )
            return (" " if language == "en" else "").join((about, why, _WHAT_TO_DO[kind][column]))
        by = {"en": " by {}", "zh": "，渠道：{}"}[language]
        channel = by.format(word(CHANNELS, step.channel, language)) if step.channel else ""
        parts = [_FACTS[column].format(contact=step.contact, channel=channel, time=moment)]
        if step.reason:
            parts.append(_REASON[column].format(reason=step.reason))
        return (" " if language == "en" else "").join([*parts, _WHAT_TO_DO[kind][column]])

    def title(language: Language) -> str:
        shown = _TITLES[kind][LANGUAGES.index(language)]
        if kind == "account" and step.reason is not None and step.reason in _ACCOUNT_ALERTS:
            return f"{shown}{': ' if language == 'en' else '：'}{word(_ACCOUNT_ALERTS, step.reason, language)}"
        return shown

    return _message(title, line, wording)


def about_many(kinds: Sequence[Kind], wording: Wording) -> Message:
    """One message for several that there was no room for."""

    def title(language: Language) -> str:
        return _MANY[LANGUAGES.index(language)].format(count=len(kinds))

    def line(language: Language) -> str:
        column = LANGUAGES.index(language)
        counts = [_COUNTS[kind][column].format(count=kinds.count(kind)) for kind in KINDS if kind in kinds]
        return (", ", "，")[column].join(counts) + (". ", "。")[column] + _SEE[column]

    return _message(title, line, wording)


def _message(title: Callable[[Language], str], line: Callable[[Language], str], wording: Wording) -> Message:
    languages = LANGUAGES if wording == "both" else (wording,)
    return Message(" / ".join(map(title, languages)), "\n".join(map(line, languages)))

"""What becomes of a contact that tells something, story by story: one table, which the manuals show as it stands here.

A script's verbs are methods of `Requests` and `Cascade`; ``mark`` is where the telling begins: the state before, and the
steps after it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from contact_world import CONFIG
from request_world import Requests, request_config

from pipeline.roles.contact.profile import read_texts

DOCS = Path(__file__).parents[2] / "docs"
NOTHING = "—"


class Row(NamedTuple):
    """``states``: before → after; ``told``: each attempt's way, all told; ``steps``: on the contacts topic from the mark
    on, with their answers or reasons."""

    en: str
    zh: str
    script: str
    states: str
    told: str
    steps: str


STORIES = (
    Row("a service message is delivered", "服务短信送达",
        "request service, mark, receipt delivered",
        "ringing → completed", "sms", "delivered, completed: delivered"),
    Row("taken by the provider, no word of delivery", "服务商已受理，无送达回执",
        "request service, mark, wait 300",
        "ringing → completed", "sms", "completed: accepted"),
    Row("a service message that does not arrive: no second one", "服务短信未送达：不再发送",
        "request service, mark, receipt undelivered",
        "ringing → expired", "sms", "failed: undelivered, expired: undelivered"),
    Row("the provider refuses it for good", "服务商拒绝受理",
        "texts rejects, mark, request service",
        "— → expired", NOTHING, "planned, sending, failed: rejected, expired: rejected"),
    Row("time-out after a text was taken: found, not sent again", "短信受理后超时：查到该短信，不重发",
        "texts loses, request service, mark, wait 300, receipt delivered",
        "unknown → completed", "sms", "accepted, delivered, completed: delivered"),
    Row("a reminder that does not arrive: called", "还款提醒短信未送达：改打电话",
        "request reminder, mark, receipt undelivered",
        "ringing → ringing", "sms, mobile", "failed: undelivered, planned: next_channel, sending, accepted"),
    Row("the call is heard to its end, no key", "电话听完，未按键",
        "request reminder, receipt undelivered, mark, ends hung_up",
        "ringing → completed", "sms, mobile", "completed: hung_up"),
    Row("the call is answered with a promise", "电话中按键承诺还款",
        "request reminder, receipt undelivered, mark, key 1",
        "ringing → completed", "sms, mobile", "answered: promise, completed: answer_promise"),
    Row("an answering machine takes the call", "语音信箱接听",
        "request reminder, receipt undelivered, mark, ends voicemail",
        "ringing → completed", "sms, mobile", "completed: voicemail"),
    Row("nobody takes the call", "电话无人接听",
        "request reminder, receipt undelivered, mark, ends no_answer",
        "ringing → expired", "sms, mobile", "failed: no_answer, expired: no_answer"),
    Row("a collection message that nobody answers: called", "催收短信无回音：改打电话",
        "request collection, receipt delivered, mark, wait 300",
        "ringing → ringing", "sms, mobile", "failed: no_answer, planned: next_channel, sending, accepted"),
    Row("nobody takes that call either", "电话也无人接听",
        "request collection, wait 300, mark, ends no_answer",
        "ringing → expired", "sms, mobile", "failed: no_answer, expired: no_answer"),
    Row("STOP", "退订",
        "request reminder, mark, reply STOP",
        "ringing → cancelled", "sms", "answered: stop, cancelled: stop"),
    Row("STOP after it was told", "送达之后退订",
        "request reminder, receipt delivered, mark, reply STOP",
        "completed → completed", "sms", "answered: stop"),
    Row("the next reminder after that", "此后的下一次还款提醒",
        "request reminder, receipt delivered, reply STOP, mark, request reminder r2",
        "completed → cancelled", "sms", "planned, cancelled: stopped"),
    Row("LATER", "稍后",
        "request reminder, mark, reply LATER, wait 3600",
        "ringing → ringing", "sms, sms", "answered: later, planned: later, sending, accepted"),
    Row("a wish for an agent", "找坐席",
        "request reminder, mark, reply HELP",
        "ringing → escalated", "sms", "answered: agent, escalated: answer_agent"),
    Row("a complaint after it was told", "送达之后投诉",
        "request service, receipt delivered, mark, agent complaint",
        "completed → escalated", "sms", "answered: complaint, escalated: answer_complaint"),
    Row("an agent settles it", "坐席处理完毕",
        "request reminder, reply HELP, mark, agent promise",
        "escalated → completed", "sms", "answered: promise, completed: answer_promise"),
    Row("wrong person: the number is not used again", "接听者并非本人：不再使用该号码",
        "request reminder, receipt undelivered, mark, agent wrong_person 2",
        "ringing → cancelled", "sms, mobile", "answered: wrong_person, planned: wrong_person, cancelled: no_address"),
    Row("a text nobody can read as an answer", "短信内容不是可识别的答复",
        "request reminder, mark, reply thank you",
        "ringing → ringing", "sms", "answered: none"),
    Row("withdrawn while it waits for the morning", "等到早上之前被撤回",
        "wait 43200, request reminder, mark, withdraw reminder, wait 36000",
        "planned → cancelled", NOTHING, "cancelled: withdrawn"),
    Row("withdrawn while the telephone rings: the key pressed is on record", "电话响铃时被撤回：按键仍记录在案",
        "request reminder, receipt undelivered, mark, withdraw reminder, key 2, wait 3600",
        "ringing → cancelled", "sms, mobile", "cancelled: withdrawn, answered: already_paid"),
    Row("put in other words while it waits", "等待期间更换内容",
        "wait 43200, request reminder, mark, reword reminder, wait 36000",
        "planned → ringing", "sms", "planned: replaced, deferred: outside_hours, sending, accepted"),
    Row("the same request delivered twice", "同一请求重复送达",
        "request service, mark, request service",
        "ringing → ringing", "sms", NOTHING),
    Row("wanted a day later", "要求一天后再告知",
        "tomorrow service, mark, wait 86399, wait 1",
        "planned → ringing", "sms", "sending, accepted"),
    Row("worth an hour, asked for at night", "夜间提出，一小时内有效",
        "wait 43200, mark, brief service",
        "— → expired", NOTHING, "planned, expired: expired by window"),
    Row("an offer without consent", "未经同意的营销",
        "mark, request marketing",
        "— → cancelled", NOTHING, "planned, cancelled: no_consent"),
    Row("the customer's record comes after the request", "客户资料晚于请求到达",
        "customer erased, mark, request service, customer back, wait 60",
        "— → ringing", "sms", "planned, deferred: unknown_customer, sending, accepted"),
    Row("a question about a payment is out: it goes first", "可疑交易正在核实：先核实",
        "alert, mark, request service, reply YES, wait 600",
        "ringing → ringing", "sms, sms", "planned, deferred: fraud_first, sending, accepted"),
    Row("two reminders that wait are said in one", "两个等待中的提醒合为一条",
        "wait 43200, request reminder, mark, also reminder r2, wait 36000",
        "planned → ringing", "sms", "planned: joined, sending, accepted"),
    Row("two things that have no words together: one after the other", "两件事无法合并：先后告知",
        "wait 43200, request service, request limit r2, mark, wait 36000, wait 60",
        "planned → ringing", "sms, sms", "deferred: another_first, sending, accepted"),
    Row("a collection and an offer are due together: the offer waits", "催收与营销同时到期：营销等待",
        "wait 43200, request marketing, also collection r2, mark, wait 36000",
        "planned → planned", "sms", "deferred: another_first"),
    Row("a notice about a payment is delivered", "交易通知送达",
        "notice, mark, receipt delivered",
        "ringing → completed", "sms", "delivered, completed: delivered"),
    Row("NO to a notice: people look at it", "对交易通知回复“否”：转人工",
        "notice, receipt delivered, mark, reply NO",
        "completed → escalated", "sms", "answered: no, escalated: answer_no"),
    Row("YES to a notice", "对交易通知回复“是”",
        "notice, mark, reply YES",
        "ringing → completed", "sms", "answered: yes, completed: answer_yes"),
    Row("STOP to a notice", "对交易通知退订",
        "notice, mark, reply STOP",
        "ringing → cancelled", "sms", "answered: stop, cancelled: stop"),
    Row("a notice that does not arrive: nobody is called", "交易通知未送达：不打电话",
        "notice, mark, receipt undelivered",
        "ringing → expired", "sms", "failed: undelivered, expired: undelivered"),
)  # fmt: skip
CONSENTING = {"consent": {"marketing": True}}

HEADS: Mapping[str, tuple[str, ...]] = {
    "en": ("story", "state", "told by", "steps"),
    "zh-CN": ("经过", "状态", "告知渠道", "步骤"),
}


@pytest.fixture(scope="module", autouse=True)
def _texts_read_once() -> Iterator[None]:
    texts = read_texts(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request_config(tmp_path_factory.mktemp("requests") / "config")


@pytest.mark.parametrize("row", STORIES, ids=lambda row: row.en)
def test_the_story_ends_as_told(row: Row, config: Path) -> None:
    requests = Requests(config, **({} if "without consent" in row.en else CONSENTING))
    asyncio.run(requests.play(row.script))
    assert f"{requests.state_before} → {requests.state}" == row.states
    assert (", ".join(requests.attempts()) or NOTHING) == row.told
    told = requests.told()
    before = requests.steps_before if requests.contact == requests.marked else 0
    assert (", ".join(told[before:]) or NOTHING) == row.steps
    commands = ["hold", "release"] if "alert" in row.script else []
    assert requests.world.log.commands() == commands, "nothing that is told touches a card"


def table(language: str) -> str:
    heads = HEADS[language]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in STORIES:
        cells = (row.en if language == "en" else row.zh, row.states, row.told, row.steps)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@pytest.mark.parametrize("language", sorted(HEADS))
def test_the_manuals_show_this_table(language: str) -> None:
    text = (DOCS / language / "contact.md").read_text(encoding="utf-8")
    assert f"\n{table(language)}\n" in text, f"put this into docs/{language}/contact.md:\n{table(language)}"

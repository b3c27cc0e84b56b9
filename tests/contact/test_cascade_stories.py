"""What becomes of a verification conversation, story by story: one table, which the manuals show as it stands here.

A script's verbs are methods of `Cascade`; ``mark`` is where the telling begins: the state before, and the steps after it.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from cascade_world import Cascade, cascade_config

DOCS = Path(__file__).parents[2] / "docs"
NOTHING = "—"


class Row(NamedTuple):
    """``states``: before → after; ``asked``: where each question went, all told; ``commands``: of the card, all told;
    ``steps``: on the contacts topic from the mark on; ``labels``: all told."""

    en: str
    zh: str
    script: str
    states: str
    asked: str
    commands: str
    steps: str
    labels: str = NOTHING


STORIES = (
    Row("YES by text message", "短信回复“是”",
        "alert, mark, reply YES",
        "ringing → released", "sms", "hold, release", "answered, completed", "genuine"),
    Row("NO by text message", "短信回复“否”",
        "alert, mark, reply NO",
        "ringing → blocked", "sms", "hold, block", "answered, completed", "fraud"),
    Row("STOP by text message", "短信回复“退订”",
        "alert, mark, reply STOP",
        "ringing → escalated", "sms", "hold", "answered, escalated"),
    Row("LATER by text message; asked again after an hour", "短信回复“稍后”，一小时后再问",
        "alert, mark, reply LATER, wait 3600",
        "ringing → ringing", "sms, sms", "hold", "answered, planned, sending, accepted"),
    Row("a text nobody can read as an answer", "短信内容不是可识别的答复",
        "alert, mark, reply no problem",
        "ringing → escalated", "sms", "hold", "answered, escalated"),
    Row("a text that does not arrive", "短信未送达",
        "alert, mark, receipt undelivered",
        "ringing → ringing", "sms, mobile", "hold", "failed, planned, sending, accepted"),
    Row("a text that arrives, then silence", "短信送达后无回音",
        "alert, mark, receipt delivered, wait 300",
        "ringing → ringing", "sms, mobile", "hold", "delivered, failed, planned, sending, accepted"),
    Row("silence to the end of the ladder", "各级渠道均无应答",
        "alert, wait 300, ends no_answer, wait 60, ends no_answer, mark, ends no_answer",
        "ringing → escalated", "sms, mobile, mobile, home", "hold", "failed, escalated"),
    Row("the same about a small doubt, where `on_silence` says release", "同上，但疑点较小，静默规则为解除",
        "small, alert, wait 300, ends no_answer, wait 60, ends no_answer, mark, ends no_answer",
        "ringing → released", "sms, mobile, mobile, home", "hold, release", "failed, completed"),
    Row("a small doubt, but no provider took the question: that is not silence", "疑点较小，但服务商均未受理：不算静默",
        "small, texts rejects, calls broken, alert, wait 60, mark, wait 60",
        "escalated → escalated", NOTHING, "hold", NOTHING),
    Row("silence, and no number for the last rung", "无应答，且最后一级没有号码",
        "customer one_number, alert, wait 300, ends no_answer, wait 60, mark, ends no_answer",
        "ringing → escalated", "sms, mobile, mobile", "hold", "failed, planned, escalated"),
    Row("the same about a small doubt: released", "同上，但疑点较小：解除",
        "customer one_number, small, alert, wait 300, ends no_answer, wait 60, mark, ends no_answer",
        "ringing → released", "sms, mobile, mobile", "hold, release", "failed, planned, completed"),
    Row("YES by telephone", "电话中按键“是”",
        "alert, wait 300, mark, key 1",
        "ringing → released", "sms, mobile", "hold, release", "answered, completed", "genuine"),
    Row("NO by telephone", "电话中按键“否”",
        "alert, wait 300, mark, key 2",
        "ringing → blocked", "sms, mobile", "hold, block", "answered, completed", "fraud"),
    Row("STOP by telephone", "电话中按键“退订”",
        "alert, wait 300, mark, key 9",
        "ringing → escalated", "sms, mobile", "hold", "answered, escalated"),
    Row("0 for an agent", "按 0 找坐席",
        "alert, wait 300, mark, key 0",
        "ringing → escalated", "sms, mobile", "hold", "answered, escalated"),
    Row("a wrong key", "按错键",
        "alert, wait 300, mark, key 7",
        "ringing → escalated", "sms, mobile", "hold", "failed, escalated"),
    Row("busy; called again", "占线，稍后再打",
        "alert, wait 300, mark, ends busy, wait 60",
        "ringing → ringing", "sms, mobile, mobile", "hold", "failed, planned, sending, accepted"),
    Row("voicemail; the next number at once", "语音信箱，立即换下一个号码",
        "alert, wait 300, mark, ends voicemail",
        "ringing → ringing", "sms, mobile, home", "hold", "failed, planned, sending, accepted"),
    Row("hung up", "接听后挂断",
        "alert, wait 300, mark, ends hung_up",
        "ringing → escalated", "sms, mobile", "hold", "failed, escalated"),
    Row("wrong person", "接听者并非本人",
        "alert, wait 300, mark, agent wrong_person 2",
        "ringing → escalated", "sms, mobile", "hold", "answered, escalated"),
    Row("the next alert after that: the number is not used again", "此后的新告警：不再使用该号码",
        "alert, wait 300, agent wrong_person 2, other, mark",
        "ringing → ringing", "sms, mobile, home", "hold, hold", NOTHING),
    Row("a complaint", "投诉",
        "alert, wait 300, mark, agent complaint",
        "ringing → escalated", "sms, mobile", "hold", "answered, escalated"),
    Row("a complaint by text message", "短信投诉",
        "alert, mark, reply complaint",
        "ringing → escalated", "sms", "hold", "answered, escalated"),
    Row("nobody calls back as promised", "未按承诺回电",
        "alert, reply complaint, mark, wait 14400, wait 14400",
        "escalated → escalated", "sms", "hold", "escalated"),
    Row("a complaint after a YES: nobody calls back", "答“是”之后投诉：未按承诺回电",
        "alert, reply YES, reply complaint, mark, wait 14400",
        "released → released", "sms", "hold, release", "escalated", "genuine"),
    Row("a complaint, and an agent calls back", "投诉后坐席已回电",
        "alert, reply complaint, mark, agent none, wait 14400",
        "escalated → escalated", "sms", "hold", "answered"),
    Row("hardship", "客户表示还款困难",
        "alert, wait 300, mark, agent hardship",
        "ringing → escalated", "sms, mobile", "hold", "answered, escalated"),
    Row("the SMS provider is busy (429)", "短信服务商繁忙（429）",
        "texts busy, mark, alert",
        "— → ringing", "mobile", "hold", "planned, sending, failed, planned, sending, accepted"),
    Row("the voice provider fails (500); called again", "语音服务商出错（500），稍后再打",
        "calls broken, alert, wait 300, mark, calls works, wait 60",
        "planned → ringing", "sms, mobile", "hold", "sending, accepted"),
    Row("time-out after the call was taken: found, not called again", "受理后超时：查到该呼叫，不重拨",
        "alert, calls loses, wait 300, mark, wait 2, key 1",
        "unknown → released", "sms, mobile", "hold, release", "accepted, answered, completed", "genuine"),
    Row("time-out before the call was taken: sent again under its key", "受理前超时：以同一个键重发",
        "alert, calls drops, wait 300, mark, calls works, wait 2, key 1",
        "unknown → released", "sms, mobile", "hold, release", "sending, accepted, answered, completed", "genuine"),
    Row("time-out, and the provider cannot be asked", "超时，且无法查询服务商",
        "alert, calls away, wait 300, mark, wait 2, wait 2, wait 4, wait 8, wait 16",
        "unknown → escalated", "sms, mobile", "hold", "unknown, unknown, unknown, unknown, escalated"),
    Row("time-out after a text was taken", "短信受理后超时",
        "texts loses, alert, mark, wait 300, reply YES",
        "unknown → released", "sms", "hold, release", "accepted, answered, completed", "genuine"),
    Row("the SMS provider's circuit is open: called at once", "短信服务商熔断：立即改打电话",
        "circuit texts, mark, alert",
        "— → ringing", "mobile", "hold", "planned, sending, failed, planned, sending, accepted"),
    Row("every circuit is open", "所有服务商均熔断",
        "circuit texts, circuit calls, alert, mark",
        "escalated → escalated", NOTHING, "hold", NOTHING),
    Row("the text may not be written (last four digits unknown)", "短信无法成文（缺少卡号后四位）",
        "customer no_digits, mark, alert",
        "— → ringing", "mobile", "hold", "planned, sending, failed, planned, sending, accepted"),
    Row("a YES reported twice", "“是”重复回报",
        "alert, wait 300, key 1, mark, again",
        "released → released", "sms, mobile", "hold, release", NOTHING, "genuine"),
    Row("a wish for an agent reported twice", "找坐席的请求重复回报",
        "alert, wait 300, key 0, mark, again",
        "escalated → escalated", "sms, mobile", "hold", NOTHING),
    Row("an earlier call's end reported once more", "上一通电话的结束再次回报",
        "alert, wait 300, ends no_answer, wait 60, mark, again",
        "ringing → ringing", "sms, mobile, mobile", "hold", NOTHING),
    Row("an earlier call's YES that comes late", "上一通电话的“是”迟到",
        "alert, wait 300, ends no_answer, wait 60, mark, late 2 1",
        "ringing → released", "sms, mobile, mobile", "hold, release", "answered, completed", "genuine"),
    Row("YES in the app while the telephone rings", "电话响铃时在应用内答“是”",
        "alert, wait 300, mark, app yes, key 1",
        "ringing → released", "sms, mobile", "hold, release", "answered, completed", "genuine"),
    Row("NO in the app while the telephone rings, then YES there", "电话响铃时在应用内答“否”，随后电话中答“是”",
        "alert, wait 300, mark, app no, key 1",
        "ringing → blocked", "sms, mobile", "hold, block", "answered, completed", "fraud"),
    Row("NO after a YES, reported twice", "先“是”后“否”，“否”重复回报",
        "alert, wait 300, app yes, mark, key 2, again",
        "released → escalated", "sms, mobile", "hold, release, hold", "answered, escalated", "genuine, withdrawn"),
    Row("then YES to an agent", "此后向坐席答“是”",
        "alert, wait 300, app yes, key 2, mark, agent yes",
        "escalated → released", "sms, mobile", "hold, release, hold, release", "answered, completed",
        "genuine, withdrawn, genuine"),
    Row("NO to an agent after a YES", "先“是”，后向坐席答“否”",
        "alert, reply YES, mark, agent no",
        "released → blocked", "sms", "hold, release, block", "answered, completed", "genuine, fraud"),
    Row("YES to an agent after a NO: the card stays blocked", "先“否”，后向坐席答“是”：卡片仍锁定",
        "alert, reply NO, mark, agent yes",
        "blocked → blocked", "sms", "hold, block", "answered", "fraud, genuine"),
    Row("YES about a payment for which nothing was held", "未止付的交易，答“是”",
        "doubt, mark, reply YES",
        "ringing → released", "sms", NOTHING, "answered, completed", "genuine"),
    Row("YES by text after the call began", "电话已拨出后短信回复“是”",
        "alert, wait 300, mark, reply YES",
        "ringing → released", "sms, mobile", "hold, release", "answered, completed", "genuine"),
    Row("YES to a call, but another alert joined: a new question", "电话中答“是”，但其间并入新告警：另行询问",
        "alert, wait 300, alert tx2, mark, key 1",
        "ringing → ringing", "sms, mobile, mobile", "hold, hold", "answered, planned, sending, accepted", "genuine"),
    Row("YES from a number that is five days old", "号码启用仅五天时答“是”",
        "customer new_number, alert, mark, reply YES",
        "ringing → escalated", "sms", "hold", "answered, escalated"),
    Row("YES five days after the SIM card was changed", "换 SIM 卡五天后答“是”",
        "event sim_swapped 5, alert, mark, reply YES",
        "ringing → escalated", "sms", "hold", "answered, escalated"),
    Row("YES six weeks after it", "换 SIM 卡六周后答“是”",
        "event sim_swapped 42, alert, mark, reply YES",
        "ringing → released", "sms", "hold, release", "answered, completed", "genuine"),
    Row("YES from a number the bank has struck off meanwhile", "号码其间已被银行注销时答“是”",
        "alert, customer other_number, mark, reply YES",
        "ringing → escalated", "sms", "hold", "answered, escalated"),
    Row("NO of a customer erased meanwhile", "客户资料其间已删除时答“否”",
        "alert, customer erased, mark, reply NO",
        "ringing → blocked", "sms", "hold, block", "answered, completed", "fraud"),
    Row("a new alert after a STOP: nobody is contacted", "退订后的新告警：不再联系",
        "alert, reply STOP, other, mark",
        "escalated → escalated", "sms", "hold, hold", NOTHING),
    Row("STOP after a YES", "答“是”之后退订",
        "alert, reply YES, mark, reply STOP",
        "released → released", "sms", "hold, release", "answered", "genuine"),
    Row("a new alert after that: nobody is contacted", "此后的新告警：不再联系",
        "alert, reply YES, reply STOP, other, mark",
        "escalated → escalated", "sms", "hold, release, hold", NOTHING, "genuine"),
    Row("an alert at night: asked at eight in the morning", "夜间告警：早上八点询问",
        "wait 43200, mark, alert, wait 35999, wait 1",
        "— → ringing", "sms", "hold", "planned, deferred, sending, accepted"),
    Row("taken back at night, nothing held: nobody is asked", "夜间冲正，未止付：不再询问",
        "wait 43200, doubt, mark, reversal tx1, wait 36000",
        "planned → cancelled", NOTHING, NOTHING, "cancelled"),
    Row("taken back at night, but the card is held: asked all the same", "夜间冲正，但卡片已止付：照样询问",
        "wait 43200, alert, mark, reversal tx1, wait 36000",
        "planned → ringing", "sms", "hold", "sending, accepted"),
    Row("taken back in part: asked all the same", "部分冲正：照样询问",
        "wait 43200, doubt, mark, reversal tx1 100, wait 36000",
        "planned → ringing", "sms", NOTHING, "sending, accepted"),
    Row("people have it, YES by text", "已转人工，短信回复“是”",
        "alert, reply STOP, mark, reply YES",
        "escalated → escalated", "sms", "hold", "answered"),
    Row("people have it, YES to an agent", "已转人工，向坐席答“是”",
        "alert, reply STOP, mark, agent yes",
        "escalated → released", "sms", "hold, release", "answered, completed", "genuine"),
    Row("nobody takes it up", "无人接手",
        "alert, reply STOP, mark, wait 86400",
        "escalated → expired", "sms", "hold", "expired"),
    Row("NO after that", "此后答“否”",
        "alert, reply STOP, wait 86400, mark, reply NO",
        "expired → blocked", "sms", "hold, block", "answered, completed", "fraud"),
)  # fmt: skip

LABELS: Mapping[bool | None, str] = {True: "fraud", False: "genuine", None: "withdrawn"}
HEADS: Mapping[str, tuple[str, ...]] = {
    "en": ("story", "state", "asked by", "card commands", "steps", "label"),
    "zh-CN": ("经过", "状态", "询问渠道", "卡片指令", "步骤", "标签"),
}


def told(row: Row, path: Path) -> Row:
    """The row as the machine makes it."""
    cascade = Cascade(cascade_config(path / "config"))
    asyncio.run(cascade.play(row.script))
    labels = [LABELS[label["fraud"]] for label in cascade.world.log.values("labels")]
    return row._replace(
        states=f"{cascade.state_before} → {cascade.state}",
        asked=", ".join(cascade.attempts()) or NOTHING,
        commands=", ".join(cascade.world.log.commands()) or NOTHING,
        steps=", ".join(cascade.steps()[cascade.steps_before :]) or NOTHING,
        labels=", ".join(labels) or NOTHING,
    )


@pytest.mark.parametrize("row", STORIES, ids=lambda row: row.en)
def test_every_story_ends_as_the_table_says(row: Row, tmp_path: Path) -> None:
    assert told(row, tmp_path) == row


def table(language: str) -> str:
    """The stories as the manuals show them."""
    heads = HEADS[language]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in STORIES:
        cells = (row.en if language == "en" else row.zh, row.states, row.asked, row.commands, row.steps, row.labels)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@pytest.mark.parametrize("language", sorted(HEADS))
def test_the_manuals_show_this_table(language: str) -> None:
    text = (DOCS / language / "contact.md").read_text(encoding="utf-8")
    assert f"\n{table(language)}\n" in text, f"put this into docs/{language}/contact.md:\n{table(language)}"

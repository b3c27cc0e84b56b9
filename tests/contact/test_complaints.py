"""A complaint is called back about by a person, by a time that the customer is told and that is kept an eye on."""

import asyncio
import json
from pathlib import Path

import pytest
from cascade_world import CARD, Cascade, cardholder, cascade_config
from contact_world import CONFIG, until_done

from pipeline.core.contact_report import dossier_lines
from pipeline.core.conversation import contact_id
from pipeline.core.words import parse_words
from pipeline.ports_channels import MessageOrder

CONTACT = contact_id(CARD, "tx1")


def played(path: Path, script: str, **more: object) -> Cascade:
    """``more``: of the customer's record."""
    cascade = Cascade(cascade_config(path / "config"))

    async def story() -> None:
        await cascade.begin()
        await cascade.role.customers([cardholder(**more)])
        for line in script.split(", "):
            verb, _, word = line.partition(" ")
            await getattr(cascade, f"do_{verb}")(word)
            await until_done(cascade.role)

    asyncio.run(story())
    return cascade


def last_text(cascade: Cascade) -> str:
    last = cascade.made[-1]
    assert isinstance(last, MessageOrder)
    return last.text


def promises(cascade: Cascade) -> list[tuple[str, str | None]]:
    told = [step for step in cascade.world.log.values("contacts") if step["step"] == "escalated"]
    return [(step["reason"], step.get("call_back_by")) for step in told]


@pytest.mark.parametrize(
    ("language", "reply", "text"),
    [("en", "Complaint.", "will call you by 2 Mar 14:00"), ("zh-CN", "投诉", "在3月2日 14:00前给您回电")],
)
def test_the_customer_is_told_by_the_same_channel_until_when(
    tmp_path: Path, language: str, reply: str, text: str
) -> None:
    cascade = played(tmp_path, f"alert, reply {reply}", language=language)
    assert text in last_text(cascade)
    assert promises(cascade) == [("answer_complaint", "2026-03-02T06:00:00.000Z")]


def test_what_would_end_at_night_is_counted_from_the_morning(tmp_path: Path) -> None:
    cascade = played(tmp_path, "wait 36000, alert, reply complaint")  # eight in the evening; calls until ten
    assert promises(cascade) == [("answer_complaint", "2026-03-03T04:00:00.000Z")]
    assert "3 Mar 12:00" in last_text(cascade)


def test_who_may_be_in_two_zones_is_told_the_later_clock(tmp_path: Path) -> None:
    config = cascade_config(tmp_path / "config")
    profile = config / "contact" / "demo.toml"
    profile.write_text(profile.read_text().replace('["Asia/Shanghai"]', '["Asia/Shanghai", "Asia/Urumqi"]'))
    cascade = Cascade(config)
    asyncio.run(cascade.play("alert, reply complaint"))
    assert "2 Mar 14:00" in last_text(cascade), "Shanghai is two hours ahead of Urumqi"


def test_a_promise_is_counted_and_missed_once(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply complaint, wait 14400, wait 60, wait 14400")
    assert [reason for reason, _ in promises(cascade)] == ["answer_complaint", "call_back_overdue"]
    counted = [cascade.world.sample("call_backs_total", result=result) for result in ("promised", "kept", "overdue")]
    assert counted == [1, 0, 1]


@pytest.mark.parametrize("before", ["alert", "alert, reply yes", "alert, reply no"])
def test_an_agent_s_answer_keeps_the_promise(tmp_path: Path, before: str) -> None:
    cascade = played(tmp_path, f"{before}, reply complaint, agent none, wait 14400")
    assert [reason for reason, _ in promises(cascade)] == ["answer_complaint"]
    assert cascade.world.sample("call_backs_total", result="kept") == 1


def test_an_ended_conversation_stays_ended(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes, reply complaint")
    assert cascade.state == "released"
    assert cascade.world.log.commands() == ["hold", "release"]
    assert "14:00" in last_text(cascade)


def test_nobody_is_asked_automatically_in_this_conversation_any_more(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply complaint, alert tx2, wait 3600")
    assert cascade.attempts() == ["sms"]
    assert cascade.state == "escalated"


@pytest.mark.parametrize(("language", "words"), [("en", "a call promised by"), ("zh-CN", "承诺回电时间")])
def test_the_dossier_tells_the_promise(tmp_path: Path, language: str, words: str) -> None:
    cascade = played(tmp_path, "alert, reply complaint, wait 14400")
    entries = [json.loads(value) for value in cascade.world.store.dossiers[CONTACT]]
    path = CONFIG / "messages" / language / "contact.toml"
    lines = "\n".join(dossier_lines(entries, [], parse_words(path.read_text(encoding="utf-8"), str(path))))
    assert f"{words} 2026-03-02T06:00:00.000Z" in lines
    assert "call_back_overdue" in lines

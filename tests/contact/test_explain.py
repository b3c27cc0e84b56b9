"""What the gates say of a customer reads as the gates said it: every reason in words, times by the customer's clock."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest
from gate_world import CONFIG, customer_of, ms, policy_of

from pipeline.core import contact_limits, gates
from pipeline.core.contact_facts import PHONE_KINDS, place_of
from pipeline.core.contact_history import NOTHING, Entry, History
from pipeline.core.contact_policy import CHANNELS, CLASSES
from pipeline.core.contact_report import Explained, dossier_lines, explained_json, explained_lines
from pipeline.core.dossier_entry import NAMES
from pipeline.core.gates import evaluate
from pipeline.core.verdict import Asked
from pipeline.core.words import Words, parse_words

MESSAGES = CONFIG.parent / "messages"
NIGHT = ms("2026-11-23T22:30:00+08:00")


def words(language: str) -> Words:
    path = MESSAGES / language / "contact.toml"
    return parse_words(path.read_text(encoding="utf-8"), str(path))


def explained(class_: str = "collection", at_ms: int = NIGHT, history: History = NOTHING, **more: object) -> Explained:
    policy, record = policy_of("cn"), customer_of("CN", "Asia/Shanghai", **more)
    verdict = evaluate(policy, Asked(class_, "", ["voice", "sms"], at_ms + 10**9), record, history, {}, at_ms)
    return Explained("cu1", class_, policy.version, "", at_ms, place_of(policy, record).zones, verdict)


def test_a_closed_gate_says_when_it_opens_by_both_clocks_and_by_which_rule() -> None:
    lines = list(explained_lines(explained(), words("en")))
    (row,) = [line for line in lines if line.startswith("hours")]
    assert "later" in row
    assert "2026-11-24 08:00" in row
    assert "2026-11-24 00:00" in row
    assert row.endswith("none 22:00–08:00 local without consent")
    assert lines[-1].startswith("Wait → 2026-11-24 08:00 (2026-11-24 00:00 UTC). hours: outside the hours")


def test_chinese_tables_line_up_on_a_terminal_and_say_the_same() -> None:
    lines = list(explained_lines(explained(), words("zh-CN")))
    (row,) = [line for line in lines if line.startswith("时段")]
    assert "不在允许时段内" in row
    assert "2026-11-24 08:00" in row
    assert lines[-1].startswith("等待 → 2026-11-24 08:00")


NOON = ms("2026-11-23T12:00:00+08:00")
TALKED = History((Entry(NOON - 3_600_000, "collection", "voice", "st1", "effective"),))
SEEN: list[tuple[str, dict[str, Any], str, str]] = [
    ("window", {}, "(telephone 08:00–22:00)", "(电话 08:00–22:00)"),
    ("stop", {"stop": ["collection"]}, "(STOP to collection)", "(已拒绝：催收)"),
    (
        "consent",
        {"class_": "marketing", "consent": {}},
        "(telephone needs consent to marketing, text",
        "(电话须有营销的同意；短信",
    ),
    ("caps", {"at_ms": NOON, "history": TALKED}, "(1 of 3 in 1 d of the customer)", "(该客户 1 天内 1 次，上限 3 次)"),
    ("cool_down", {"at_ms": NOON, "history": TALKED}, "(4 h after a conversation)", "(通话后 4 小时内)"),
    ("channel", {"phones": []}, "(telephone: no address is known, text", "(电话：没有可用地址；短信：没有可用地址)"),
]
"""A gate, a customer and a moment, and what is said of what the gate looked at."""


@pytest.mark.parametrize(("gate", "case", "english", "chinese"), SEEN)
def test_what_a_gate_looked_at_is_told_in_the_readers_language(
    gate: str, case: dict[str, Any], english: str, chinese: str
) -> None:
    for language, expected in (("en", english), ("zh-CN", chinese)):
        known = words(language)
        label = known.sentences[f"gate_{gate}"]
        (row,) = [line for line in explained_lines(explained(**case), known) if line.startswith(f"{label} ")]
        assert expected in row


def test_several_zones_and_kinds_of_numbers_are_told_too() -> None:
    details = [
        {"code": "window", "channel": "voice", "hours": "09:00–18:00", "zones": 3},
        {"code": "rung", "channel": "voice", "kind": "home", "why": "no_address"},
    ]
    entry = {"event": "attempt", "gates": [{"gate": "window", "answer": "ok", "reason": "open", "detail": details}]}
    said = {language: "\n".join(dossier_lines([entry], [], words(language))) for language in ("en", "zh-CN")}
    assert "(telephone 09:00–18:00 in all of 3 zones, telephone (home): no address is known)" in said["en"]
    assert "(电话 09:00–18:00，须在可能的 3 个时区内同时成立；电话（住宅）：没有可用地址)" in said["zh-CN"]


def test_what_an_earlier_version_put_on_record_is_read_as_it_stands() -> None:
    gate = {"gate": "caps", "answer": "ok", "reason": "below", "detail": "1 of 6 in 1 d of the number"}
    lines = list(dossier_lines([{"event": "attempt", "gates": [gate]}], [], words("en")))
    assert any("(1 of 6 in 1 d of the number)" in line for line in lines)


def test_an_open_way_is_shown_masked() -> None:
    found = explained(at_ms=ms("2026-11-23T12:00:00+08:00"))
    last = list(explained_lines(found, words("en")))[-1]
    assert last == "Contact now: by telephone, +***01"
    told = explained_json(found)
    assert (told["verdict"], told["channel"], told["to"]) == ("go", "voice", "+***01")
    assert "139000000" not in str(told)


def test_a_refusal_names_its_gate_rule_and_reason() -> None:
    told = explained_json(explained(protections=["hardship"]))
    assert (told["verdict"], told["gate"], told["reason"]) == ("never", "protections", "hardship")
    assert told["source"].startswith("the bank's own choice, in the spirit of Card Measures")
    last = list(explained_lines(explained(protections=["hardship"]), words("en")))[-1]
    assert last.startswith("No contact. protections: the customer is in hardship (")


def test_a_program_reads_each_gates_opening() -> None:
    noon = ms("2026-11-23T12:00:00+08:00")
    talked = History((Entry(noon - 3_600_000, "collection", "voice", "st1", "effective"),))
    told = explained_json(explained(at_ms=noon, history=talked))
    (gate,) = [gate for gate in told["gates"] if gate["gate"] == "cool_down"]
    assert (gate["answer"], gate["reason"]) == ("until", "after_conversation")
    assert (gate["opens"], gate["opens_local"]) == ("2026-11-23T07:00:00.000Z", "2026-11-23T15:00:00+08:00")


def words_at(name: str, place: int) -> set[str]:
    """Every word that stands at this place of a call of ``name`` in the gates."""
    found = set()
    for module in (gates, contact_limits):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                there = ast.walk(node.args[place])
                found |= {each.value for each in there if isinstance(each, ast.Constant) and each.value}
    return {str(each) for each in found}


def reasons() -> set[str]:
    """Every reason that stands as a word in a gate's answer."""
    found = words_at("Said", 2)
    assert {"class_not_allowed", "quiet", "after_conversation", "history_full"} <= found
    return found


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_everything_that_can_be_said_has_words(language: str) -> None:
    known = set(words(language).sentences)
    caps = {"event_cap", "day_cap", "week_cap", "period_cap", "holiday", "outside_hours", "expired"}
    assert {f"reason_{each}" for each in reasons() | caps | set(CHANNELS)} <= known
    assert {f"event_{name}" for name in NAMES.values()} <= known
    dropped = {"no_address", "no_consent", "channel_not_allowed", "no_channel"}
    assert {f"reason_{each}" for each in dropped} <= known
    details = words_at("Detail", 0)
    assert {"profile", "stop", "needs", "window", "channel", "rung", "cap", "cool_down"} == details
    assert {f"detail_{each}" for each in details} <= known
    terms = {"channel": CHANNELS, "class": CLASSES, "kind": PHONE_KINDS, "why": dropped - {"no_channel"}}
    assert {f"{name}_{each}" for name, all_of_them in terms.items() for each in all_of_them} <= known


def test_both_languages_have_the_same_words() -> None:
    codes = [list(tomllib.loads((MESSAGES / each / "contact.toml").read_text())) for each in ("en", "zh-CN")]
    assert codes[0] == codes[1]

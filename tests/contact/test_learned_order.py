"""A ladder whose marked rungs change places: by the customer's choice, by what reached them last, by what was learned; an
open conversation keeps its order, and the record says why."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cascade_world import CARD, DAYTIME, MORNING, SECOND_CARD, Cascade, asked_about, cardholder, cascade_config
from contact_world import CONFIG, DIGESTS, calls_only, until_done
from gate_world import policy_of
from prometheus_client import CollectorRegistry
from test_contact_commands import Installation

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.memory_reach import MemoryReach
from pipeline.adapters.redis.reach import RedisReach
from pipeline.core.contact_order import Placing
from pipeline.core.contact_report import Explained, dossier_lines, explained_json, explained_lines
from pipeline.core.conversation import (
    OPEN,
    Alert,
    Claimed,
    Conversation,
    Deferred,
    Event,
    contact_id,
    decode,
    encode,
)
from pipeline.core.matters import Matter
from pipeline.core.reach import Arm, Tally, period_of
from pipeline.core.verdict import Go
from pipeline.core.words import Words, parse_words
from pipeline.embedded.store import EmbeddedStore
from pipeline.roles.contact.directory import read_entry
from pipeline.roles.contact.permission import Permission
from pipeline.roles.contact.profile import ProfileError, read_profile
from pipeline.roles.contact.ways import ways_of

HOME_REACHES = {"sms": Tally(20, 200), "voice:home": Tally(180, 200)}
COHORT = "fraud/CN/en/1/"
"""Ten o'clock in Shanghai, and nothing has reached them lately."""


def marked_config(path: Path) -> Path:
    """Text message and home number may change places; the mobile stays between them."""
    config = cascade_config(path)
    profile = config / "contact" / "demo.toml"
    text = profile.read_text(encoding="utf-8")
    for rung in ('channel = "sms"', 'number = "home"'):
        text = text.replace(rung, f"{rung}\nlearn = true", 1)
    profile.write_text(text, encoding="utf-8")
    return config


def played(config: Path, story: Callable[[Cascade], Awaitable[None]], **record: Any) -> Cascade:
    cascade = Cascade(config)
    cascade.world.reach, cascade.world.registry = MemoryReach(), CollectorRegistry()
    cascade.role = cascade.world.worker()

    async def go() -> None:
        await cascade.begin()
        await cascade.role.customers([cardholder(**record)])
        await story(cascade)

    asyncio.run(go())
    return cascade


async def verbs(cascade: Cascade, script: str) -> None:
    for line in script.split(", "):
        verb, _, word = line.partition(" ")
        await getattr(cascade, f"do_{verb}")(word)
        await until_done(cascade.role)


async def another(cascade: Cascade, card: str = SECOND_CARD) -> None:
    """An alert of the second card; its conversation is not told about."""
    await cascade.role.polled({0: [asked_about("tx9", card, cascade.world.clock.now(), cascade.offset)]})
    cascade.offset += 1
    await until_done(cascade.role)


ALL_SILENT = "alert, ends no_answer, ends no_answer, wait 60, ends no_answer, wait 300"


def test_the_channel_the_customer_chose_is_tried_first_and_the_rest_after_it(tmp_path: Path) -> None:
    async def story(cascade: Cascade) -> None:
        await verbs(cascade, ALL_SILENT)

    cascade = played(marked_config(tmp_path), story, preferred_channel="voice")
    assert cascade.attempts() == ["home", "mobile", "mobile", "sms"]
    assert cascade.state == "escalated"
    conversation = cascade.conversation()
    assert conversation is not None
    assert conversation.order == (2, 1, 0)
    assert decode(encode(conversation)) == conversation
    sample = cascade.world.sample
    assert sample("contact_first_attempts_total", **{"class": "fraud", "order": "changed"}) == 1
    assert sample("contact_first_attempts_total", **{"class": "fraud", "order": "plan"}) == 0


def test_without_marks_the_choice_changes_nothing_and_the_record_stays_small(tmp_path: Path) -> None:
    async def story(cascade: Cascade) -> None:
        await verbs(cascade, "alert")

    cascade = played(cascade_config(tmp_path), story, preferred_channel="voice")
    conversation = cascade.conversation()
    assert conversation is not None
    assert cascade.attempts() == ["sms"]
    assert not {"order", "cohort"} & set(json.loads(encode(conversation)))
    assert cascade.world.sample("contact_first_attempts_total", **{"class": "fraud", "order": "plan"}) == 1


def test_what_reached_a_customer_last_is_tried_first_next_time(tmp_path: Path) -> None:
    async def story(cascade: Cascade) -> None:
        await another(cascade)
        contact = contact_id(SECOND_CARD, "tx9")
        for script in ("wait 300", "ends no_answer", "wait 60", "ends no_answer"):
            await verbs(cascade, script)
        assert cascade.last_call() == f"{contact}:1:4"
        await verbs(cascade, "key 1, wait 60, alert")

    cascade = played(marked_config(tmp_path), story)
    assert cascade.attempts() == ["sms", "mobile", "mobile", "home", "home"]
    conversation = cascade.conversation()
    assert conversation is not None
    assert (conversation.order, conversation.cohort) == ((2, 1, 0), "fraud/CN/en/1/voice:home")


async def preloaded(cascade: Cascade) -> None:
    period = period_of(round(cascade.world.clock.now() * 1000))
    await cascade.world.reach.add(period, {Arm(COHORT, way): tally for way, tally in HOME_REACHES.items()})
    await another(cascade)  # of a kind not met before: by plan
    await verbs(cascade, "wait 2")


def test_what_reaches_others_like_them_is_tried_first_and_its_outcome_counted(tmp_path: Path) -> None:
    async def story(cascade: Cascade) -> None:
        await preloaded(cascade)
        await verbs(cascade, "alert, ends voicemail, wait 2")

    cascade = played(marked_config(tmp_path), story)
    assert cascade.attempts() == ["sms", "home", "mobile"]
    (period, _), *_ = cascade.world.reach.counted
    assert cascade.world.reach.counted[period, Arm(COHORT, "voice:home")] == Tally(180, 201)
    assert cascade.world.reach.counted[period, Arm(COHORT, "sms")] == Tally(20, 200), "still waiting for its answer"
    conversation = cascade.conversation()
    assert conversation is not None
    assert conversation.cohort == "", "the second attempt counts under nobody"


def test_an_answer_in_time_counts_and_one_that_comes_late_does_not(tmp_path: Path) -> None:
    async def story(cascade: Cascade) -> None:
        await verbs(cascade, "alert, reply YES, wait 2")
        reached = dict(cascade.world.reach.counted)
        assert list(reached.values()) == [Tally(1, 1)] * 3
        await another(cascade)
        await verbs(cascade, "wait 300, wait 2, reply YES, wait 2")

    cascade = played(marked_config(tmp_path), story)
    (period, _), *_ = cascade.world.reach.counted
    assert cascade.world.reach.counted[period, Arm(COHORT, "sms")] == Tally(1, 1)
    assert cascade.world.reach.counted[period, Arm(f"{COHORT}sms", "sms")] == Tally(0, 1), "whom a text reached last"
    assert cascade.world.reach.counted[period, Arm("fraud/CN/en/1/*", "sms")] == Tally(1, 2)


def test_an_open_conversation_keeps_its_order_when_the_profile_changes(tmp_path: Path) -> None:
    for name in ("marked", "plain"):
        (tmp_path / name).mkdir()
    plain = cascade_config(tmp_path / "plain")

    async def story(cascade: Cascade) -> None:
        await verbs(cascade, "alert")
        cascade.world.config = plain
        cascade.role = cascade.world.worker()
        await verbs(cascade, "ends no_answer, ends no_answer, wait 60, ends no_answer")

    cascade = played(marked_config(tmp_path / "marked"), story, preferred_channel="voice")
    assert cascade.attempts() == ["home", "mobile", "mobile", "sms"]
    assert cascade.state in OPEN


def entries_of(cascade: Cascade) -> list[dict[str, Any]]:
    return [json.loads(value) for value in cascade.world.store.dossiers[contact_id(CARD, "tx1")]]


def words(language: str) -> Words:
    path = CONFIG / "messages" / language / "contact.toml"
    return parse_words(path.read_text(encoding="utf-8"), str(path))


def test_the_dossier_says_why_another_way_came_first(tmp_path: Path) -> None:
    async def story(cascade: Cascade) -> None:
        await preloaded(cascade)
        await verbs(cascade, "alert, ends voicemail")

    cascade = played(marked_config(tmp_path), story)
    entries = entries_of(cascade)
    first, second = [entry for entry in entries if entry["event"] == "attempt"]
    assert first["order"] == ["voice:home: learned", "voice:mobile: plan", "sms: learned"]
    assert not {"order", "cohort"} & set(second)
    told = "\n".join(dossier_lines(entries, [], words("en")))
    assert "order of the ladder: voice:home (learned), voice:mobile (as planned), sms (learned)" in told
    chinese = "\n".join(dossier_lines(entries, [], words("zh-CN")))
    assert "渠道顺序: voice:home (由经验学得), voice:mobile (按计划), sms (由经验学得)" in chinese


def test_explain_shows_the_order_and_why() -> None:
    placings = (Placing(1, "voice", "learned", Tally(30, 50)), Placing(0, "sms", "learned", Tally()))
    verdict = Go("voice", "+8613800138042", "", ())
    found = Explained("cu1", "fraud", policy_of("cn").version, "", 0, (), verdict, placings)
    assert "order of the ladder: voice (learned, p=0.60 / 50), sms (learned)" in list(
        explained_lines(found, words("en"))
    )
    assert explained_json(found)["order"] == [
        {"way": "voice", "why": "learned", "p": 0.6, "of": 50},
        {"way": "sms", "why": "learned", "of": 0},
    ]
    assert "order" not in explained_json(found._replace(order=()))


def test_the_command_explains_with_the_counts_of_the_store(valkey: EmbeddedStore, tmp_path: Path) -> None:
    there = Installation(valkey.url)
    there.on_redis(there.played)
    at_ms = 1_763_870_400_000  # 2025-11-23 12:00 in Shanghai

    async def counted(client: Any) -> None:
        known = {"voice:mobile": Tally(10, 100), "voice": Tally(90, 100)}
        arms = {Arm("fraud/CN/en/2/voice:mobile", way): tally for way, tally in known.items()}
        await RedisReach(client, there.prefix).add(period_of(at_ms), arms)

    there.on_redis(counted)
    config = tmp_path / "config"
    (config / "contact").mkdir(parents=True)
    (config / "messages").symlink_to(CONFIG / "messages", target_is_directory=True)
    text = (calls_only() / "contact" / "demo.toml").read_text(encoding="utf-8")
    marked = '[[ladder]]\nchannel = "voice"\nnumber = "mobile"\nlearn = true\n\n[[ladder]]\nlearn = true\n'
    (config / "contact" / "demo.toml").write_text(text.replace("[[ladder]]\n", marked, 1), encoding="utf-8")
    asked = ("explain", "cu1", "--class", "fraud", "--at", "2025-11-23T12:00:00+08:00")
    told = there.run(*asked, "--json", CARDWATCH_CONFIG_DIR=str(config))
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["order"] == [
        {"way": "voice", "why": "learned", "p": 0.9, "of": 100},
        {"way": "voice:mobile", "why": "learned", "p": 0.1, "of": 100},
    ]
    assert (
        "order of the ladder: voice (learned, p=0.90 / 100)"
        in there.run(*asked, CARDWATCH_CONFIG_DIR=str(config)).output
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("tries = 2", "tries = 2\nlearn = true", r"demo.toml:\d+: one rung alone is marked learn"),
        ("tries = 2", 'tries = 2\nlearn = "yes"', r"demo.toml:\d+: Expected `bool`"),
        ("[profile]", '[reach]\nhours = "yes"\n\n[profile]', r"demo.toml:\d\d+: \[reach\]: Expected `bool`"),
        ("[profile]", "[reach]\nhour = true\n\n[profile]", r"demo.toml:\d\d+: \[reach\]: .*unknown field `hour`"),
    ],
)
def test_a_wrong_mark_is_refused_with_file_line_and_reason(tmp_path: Path, old: str, new: str, reason: str) -> None:
    (tmp_path / "contact").mkdir()
    text = (CONFIG / "contact" / "demo.toml").read_text(encoding="utf-8")
    (tmp_path / "contact" / "demo.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=reason):
        read_profile(tmp_path, "demo", world_almanac())


@pytest.mark.parametrize(("closes", "waits"), [("22:00", True), ("18:00", False)])
def test_what_can_wait_is_put_off_to_a_better_hour_only_if_the_gates_are_open_there(
    tmp_path: Path, closes: str, waits: bool
) -> None:
    profile = cascade_config(tmp_path) / "contact" / "demo.toml"
    text = profile.read_text(encoding="utf-8").replace("[profile]", "[reach]\nhours = true\n\n[profile]", 1)
    profile.write_text(text.replace(DAYTIME, DAYTIME.replace("22:00", closes)), encoding="utf-8")
    now_ms = round(MORNING * 1000)
    reach = MemoryReach()
    for block, reached in ((1, 10), (3, 90)):
        reach.counted[period_of(now_ms), Arm(f"reminder/CN/en/{block}/*", "sms")] = Tally(reached, 100)
    found = read_profile(tmp_path, "demo", world_almanac())
    permission = Permission(found.policy, found.plans, DIGESTS, ways_of(found, reach))
    record = cardholder().value
    notes = dict.fromkeys(read_entry(cardholder(), DIGESTS).notes, b"")
    matter = Matter(id="rq1", template="due", until_ms=now_ms + 24 * 3_600_000)
    reminder = Conversation(
        id="ct_1", card="", customer="cu1", class_="reminder", channels=("sms",), matters=(matter,), source_ms=now_ms
    )
    question = Conversation(id="ct_2", card=CARD, customer="cu1", alerts=(Alert(id="tx1"),), source_ms=now_ms)

    def asked(conversation: Conversation) -> Event:
        return permission.ask(conversation, record, notes, now_ms).event

    assert isinstance(asked(reminder), Claimed), "nothing is read yet"
    asyncio.run(permission.ways.refresh(now_ms))
    evening_ms = now_ms + 8 * 3_600_000
    if waits:
        assert asked(reminder) == Deferred(evening_ms, "better_hour")
    else:
        assert isinstance(asked(reminder), Claimed)
    assert isinstance(asked(question), Claimed), "never a question about fraud"


def test_hours_are_a_matter_of_the_profile(tmp_path: Path) -> None:
    (tmp_path / "contact").mkdir()
    text = (CONFIG / "contact" / "demo.toml").read_text(encoding="utf-8")
    assert read_profile(CONFIG, "demo", world_almanac()).hours is False
    (tmp_path / "contact" / "demo.toml").write_text(text.replace("[profile]", "[reach]\nhours = true\n\n[profile]"))
    assert read_profile(tmp_path, "demo", world_almanac()).hours is True

"""What must hold when things change under an open conversation: the plan, the directory, the hour, the answer itself."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cascade_world import CARD, HOME, MOBILE, MORNING, SECOND_CARD, Cascade, asked_about, cardholder, cascade_config
from contact_world import SetClock, World, own, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import Answered, contact_id
from pipeline.core.wishes import read_wishes
from pipeline.ports import CallUnknown
from pipeline.roles.contact.directory import wishes_note

CONTACT = contact_id(CARD, "tx1")


def played(path: Path, script: str) -> Cascade:
    cascade = Cascade(cascade_config(path / "config"))
    asyncio.run(cascade.play(script))
    return cascade


def go_on(cascade: Cascade, script: str) -> None:
    async def story() -> None:
        for line in script.split(", "):
            verb, _, word = line.partition(" ")
            await getattr(cascade, f"do_{verb}")(word)
            await until_done(cascade.role)

    asyncio.run(story())


def with_shorter_ladder(cascade: Cascade, path: Path) -> None:
    """The worker begins anew with the text message only."""
    profile = path / "config" / "contact" / "demo.toml"
    profile.write_text(re.sub(r'\[\[ladder\]\]\nchannel = "voice"\n(?:\w+ = .*\n)*\n?', "", profile.read_text()))
    cascade.role = cascade.world.worker()
    asyncio.run(own(cascade.role))


@pytest.mark.parametrize("then", ["alert tx2", "ends no_answer", "key 1", "key 2", "wait 300", "app yes"])
def test_a_ladder_that_became_shorter_stops_no_conversation(tmp_path: Path, then: str) -> None:
    cascade = played(tmp_path, "alert, wait 300")
    assert cascade.attempts() == ["sms", "mobile"]
    with_shorter_ladder(cascade, tmp_path)
    go_on(cascade, then)
    assert cascade.world.sample("contact_failures_total") == 0
    assert cascade.state in ("ringing", "escalated", "released", "blocked")


def test_a_channel_that_is_no_longer_set_up_is_passed_over(tmp_path: Path) -> None:
    cascade = played(tmp_path, "texts away, alert")
    assert cascade.state == "unknown"
    cascade.world.messages.clear()
    cascade.role.work._channels.messages.clear()  # type: ignore[attr-defined]
    go_on(cascade, "wait 301")
    assert cascade.attempts()[-1] == "mobile"


@pytest.mark.parametrize("odd", [[{"hardship": True, "vulnerable": True}], [["hardship"]], [7], [None]])
def test_a_protection_nobody_can_read_stops_no_worker(tmp_path: Path, odd: list[Any]) -> None:
    cascade = Cascade(cascade_config(tmp_path / "config"))

    async def story() -> None:
        await cascade.begin()
        await cascade.role.customers([cardholder(protections=odd)])
        await cascade.do_alert("")
        await until_done(cascade.role)

    asyncio.run(story())
    assert cascade.attempts() == ["sms"]


@pytest.mark.parametrize("attempt", [-1, 0, 7])
def test_an_answer_to_no_attempt_of_ours_changes_nothing(tmp_path: Path, attempt: int) -> None:
    cascade = played(tmp_path, "alert")
    said = asyncio.run(cascade.role.answered(CONTACT, Answered("yes", "sms", "sms", attempt)))
    assert (said, cascade.state) == ("unknown_attempt", "ringing")


def test_an_attempt_the_provider_never_had_is_not_made_at_night(tmp_path: Path) -> None:
    cascade = played(tmp_path, "wait 43190, calls drops, texts busy, alert")  # ten seconds to ten at night
    assert cascade.attempts() == ["mobile"]
    go_on(cascade, "wait 60, calls works, wait 60")
    assert (cascade.state, cascade.attempts()) == ("planned", ["mobile"])
    conversation = cascade.conversation()
    assert conversation is not None
    assert conversation.due_ms == round((MORNING + 22 * 3600) * 1000), "eight in the morning"


def test_an_attempt_the_provider_never_had_is_made_under_the_same_key_by_day(tmp_path: Path) -> None:
    cascade = played(tmp_path, "calls drops, texts busy, alert, calls works, wait 2")
    assert (cascade.state, len({order.key for order in cascade.made})) == ("ringing", 1)


@pytest.mark.parametrize(("assurance", "state"), [("sms", "escalated"), ("voice", "escalated"), ("app", "released")])
def test_a_yes_that_no_attempt_carried_must_prove_itself(tmp_path: Path, assurance: str, state: str) -> None:
    cascade = played(tmp_path, "alert")
    asyncio.run(cascade.role.answered(CONTACT, Answered("yes", "voice", assurance)))  # type: ignore[arg-type]
    assert cascade.state == state


@pytest.mark.parametrize("no", ["reply no", "agent no"])
def test_a_no_ends_what_a_yes_allowed(tmp_path: Path, no: str) -> None:
    cascade = Cascade(cascade_config(tmp_path / "config"))

    async def payment(transaction: str, offset: int) -> None:
        record = asked_about(transaction, CARD, cascade.world.clock.now(), offset)
        assert record.value is not None
        record.value = msgspec.json.encode(msgspec.json.decode(record.value) | {"merchant": "m1", "mcc": "5411"})
        await cascade.role.polled({0: [record]})
        await until_done(cascade.role)

    async def story() -> None:
        await cascade.begin()
        await payment("tx1", 0)
        await cascade.do_reply("yes")
        await until_done(cascade.role)
        await payment("tx2", 1)
        assert cascade.world.log.values("contacts")[-1]["reason"] == "exempt"
        verb, _, word = no.partition(" ")
        await getattr(cascade, f"do_{verb}")(word)
        await until_done(cascade.role)
        await payment("tx3", 2)

    asyncio.run(story())
    steps = [step for step in cascade.world.log.values("contacts") if step["subject"] == {"alert": "tx3"}]
    assert "cancelled" not in [step["step"] for step in steps]
    assert cascade.world.log.commands().count("hold") >= 2


def test_a_yes_that_may_mean_two_questions_releases_neither_a_no_blocks_the_newest(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, other, reply yes")
    assert (cascade.state, cascade.world.log.commands()) == ("escalated", ["hold", "hold"])
    other = played(tmp_path / "other", "alert, other, reply no")
    assert (other.state, other.world.log.commands()) == ("blocked", ["hold", "hold", "block"])


def test_a_question_that_was_never_sent_takes_no_answer_from_one_that_was(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, texts rejects, other, reply yes")
    commands = cascade.world.log.values("card-commands")
    assert [(value["command"], value["card"]) for value in commands] == [
        ("hold", CARD), ("hold", SECOND_CARD), ("release", CARD),
    ]  # fmt: skip


def test_a_message_delivered_again_is_the_same_answer(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes, other, reply =yes")
    assert cascade.world.log.commands() == ["hold", "release", "hold"]
    assert cascade.state == "ringing"


def test_a_stop_counts_when_its_conversation_is_long_forgotten(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes")
    store: MemoryContactStore = cascade.world.store
    del store.kept[CONTACT]
    go_on(cascade, "wait 864000, reply STOP")
    assert read_wishes(store.notes[wishes_note("cu1")]).stop == ("fraud",)
    go_on(cascade, "other")
    assert (cascade.state, cascade.attempts()) == ("escalated", ["sms"])


def test_a_directory_without_notes_gets_them_before_anybody_is_contacted(tmp_path: Path) -> None:
    cascade = Cascade(cascade_config(tmp_path / "config"))

    async def story() -> None:
        await cascade.begin()
        cascade.world.store.note_keys.clear()  # as an earlier version wrote it
        await cascade.do_alert("")
        await until_done(cascade.role)
        await cascade.do_reply("STOP")
        await until_done(cascade.role)

    asyncio.run(story())
    assert read_wishes(cascade.world.store.notes[wishes_note("cu1")]).stop == ("fraud",)


def test_a_provider_slower_than_the_lease_is_given_up_before_it_ends(tmp_path: Path) -> None:
    class Slow:
        async def place(self, call: object) -> CallUnknown:
            await asyncio.Event().wait()
            raise AssertionError("never")

        async def find(self, key: str) -> CallUnknown:
            return CallUnknown("away")

    config = cascade_config(tmp_path / "config")
    profile = config / "contact" / "demo.toml"
    profile.write_text(profile.read_text().replace("lease_s = 15.0", "lease_s = 1.2"))
    world = World(
        MemoryContactStore(), provider=Slow(), clock=SetClock(MORNING), config=config, messages={"sms": Slow()}
    )
    world.messages["sms"].send = world.provider.place

    async def story() -> None:
        role = world.worker()
        await role.customers([cardholder(phones=[{"number": HOME, "kind": "home"}, {"number": MOBILE}])])
        await own(role)
        await role.polled({0: [asked_about("tx1", CARD, MORNING, 0)]})
        await role.work.idle()

    asyncio.run(story())
    assert world.log.steps()[-1] == "unknown"

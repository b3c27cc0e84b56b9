"""What must hold when things change under an open conversation: the plan, the directory, the hour, the answer itself."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cascade_world import CARD, HOME, MOBILE, MORNING, SECOND_CARD, Cascade, asked_about, cardholder, cascade_config
from contact_world import Read, SetClock, World, own, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import Answered, contact_id
from pipeline.core.questions import read_questions
from pipeline.core.texts import question
from pipeline.core.wishes import read_wishes
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallUnknown
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


def test_what_is_done_again_after_a_no_has_another_name(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes, reply no, agent yes, app no, agent yes")
    commands = cascade.world.log.values("card-commands")
    assert [command["command"] for command in commands] == ["hold", "release"] * 3
    assert len({command["id"] for command in commands}) == len(commands)
    labels = cascade.world.log.values("labels")
    assert [label["fraud"] for label in labels] == [False, None, False, None, False]
    assert [label.get("supersedes") for label in labels] == [None, *(label["id"] for label in labels[:-1])]
    counted = [cascade.world.sample("labels_total", source="cardholder", fraud=of) for of in ("false", "withdrawn")]
    assert counted == [3, 2]


def test_a_no_after_silence_released_the_card_blocks_it(tmp_path: Path) -> None:
    silence = "small, alert, wait 300, ends no_answer, wait 60, ends no_answer, ends no_answer"
    cascade = played(tmp_path, f"{silence}, reply no")
    assert (cascade.state, cascade.world.log.commands()) == ("blocked", ["hold", "release", "block"])
    assert [label["fraud"] for label in cascade.world.log.values("labels")] == [True]


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


@pytest.mark.parametrize(
    ("type_", "state"),
    [("sim_swapped", "escalated"), ("call_forwarded", "escalated"), ("phone_changed", "escalated"),
     ("device_added", "released"), ("travel_notice", "released")],
)  # fmt: skip
def test_numbers_that_may_be_in_other_hands_release_nothing(tmp_path: Path, type_: str, state: str) -> None:
    assert played(tmp_path, f"alert, event {type_} 1, reply yes").state == state
    again = played(tmp_path / "again", f"event {type_} 1, event {type_} 40, alert, app yes")
    assert again.state == "released", "the app is no number"


def test_a_doubt_lasts_from_its_newest_event(tmp_path: Path) -> None:
    assert played(tmp_path, "event sim_swapped 1, event sim_swapped 40, alert, reply yes").state == "escalated"


def test_what_is_no_customer_event_is_put_aside(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert")
    bad = [b"{", b'{"customer":"cu1","type":"sim_swapped","time":"yesterday"}']
    asyncio.run(cascade.role.customer_events([Read(value, b"cu1") for value in bad]))
    assert cascade.world.dead == [("customer-events", "not_an_event")] * 2


def test_a_payment_taken_back_is_not_the_largest_one_asked_about(tmp_path: Path) -> None:
    cascade = played(tmp_path, "wait 43200, alert tx1, alert tx2, reversal tx1, reversal tx1, reversal tx7")
    conversation = cascade.conversation()
    assert conversation is not None
    assert [alert.reversed for alert in conversation.alerts] == [True, False]
    _, facts = question(
        "Bank", "4242", [conversation.alerts[0], msgspec.structs.replace(conversation.alerts[1], amount=5)]
    )
    assert facts["amount"] == 5


def test_a_reversal_in_the_same_poll_as_its_payment_finds_it(tmp_path: Path) -> None:
    cascade = Cascade(cascade_config(tmp_path / "config"))

    async def story() -> None:
        await cascade.begin()
        await cascade.do_wait("43200")
        await cascade.role.polled({0: [cascade.doubt("tx1"), cascade.reversal("tx1"), cascade.doubt("tx2")]})
        await cascade.role.revoked(clean=True)
        assert await own(cascade.role) == 3, "all three are done with"
        await until_done(cascade.role)

    asyncio.run(story())
    assert cascade.state == "cancelled"


@pytest.mark.parametrize(
    ("script", "hung_up"),
    [
        ("app yes", 1), ("app no", 1), ("agent yes", 1), ("app stop", 1), ("reply YES", 1), ("reply LATER", 1),
        ("key 1", 0), ("key 0", 0), ("agent wrong_person 2", 0), ("ends busy", 0),
    ],
)  # fmt: skip
def test_a_call_is_hung_up_when_the_answer_comes_another_way(tmp_path: Path, script: str, hung_up: int) -> None:
    cascade = played(tmp_path, f"alert, wait 300, {script}")
    key = f"{CONTACT}:1:2"
    assert cascade.calls.cancelled == [(key, f"id_{key}")] * hung_up
    assert cascade.texts.cancelled == []


@pytest.mark.parametrize(
    ("alerts", "state"),
    [(["tx1"], "ringing"), (["tx1", "tx2"], "released"), (["tx1", "tx2", "tx3"], "released"), ([], "ringing")],
)
def test_an_answer_of_another_system_speaks_about_what_it_has_shown(
    tmp_path: Path, alerts: list[str], state: str
) -> None:
    cascade = played(tmp_path, "alert, alert tx2")
    answer = {
        "contact": CONTACT, "answer": "yes", "channel": "app", "assurance": "app", "alerts": alerts,
        "time": "2026-03-02T02:00:00Z",
    }  # fmt: skip
    asyncio.run(cascade.role.answers([Read(msgspec.json.encode(answer), CONTACT.encode())]))
    assert cascade.state == state


def test_a_yes_that_released_nothing_still_exempts_the_payment(tmp_path: Path) -> None:
    cascade = Cascade(cascade_config(tmp_path / "config"))

    async def doubt(transaction: str) -> None:
        record = cascade.doubt(transaction)
        assert record.value is not None
        record.value = msgspec.json.encode(msgspec.json.decode(record.value) | {"merchant": "m1"})
        await cascade.role.polled({0: [record]})
        await until_done(cascade.role)

    async def story() -> None:
        await cascade.begin()
        await doubt("tx1")
        await cascade.do_reply("yes")
        await doubt("tx2")

    asyncio.run(story())
    assert cascade.world.log.commands() == []
    assert cascade.world.log.values("contacts")[-1]["reason"] == "exempt"
    assert "can be used as before" in getattr(cascade.made[-1], "text", ""), "there is nothing to try again"


def test_a_call_answered_elsewhere_while_it_is_ordered_is_hung_up_as_soon_as_it_is_known(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert")

    async def story() -> None:
        take = cascade.calls._take

        async def answered_meanwhile(order: Any) -> Any:
            await cascade.do_app("yes")
            return await take(order)

        cascade.calls._take = answered_meanwhile  # type: ignore[method-assign]
        await cascade.do_wait("300")
        await until_done(cascade.role)

    asyncio.run(story())
    key = f"{CONTACT}:1:2"
    assert cascade.state == "released"
    assert set(cascade.calls.cancelled) == {(key, None), (key, f"id_{key}")}


def test_a_provider_that_cannot_hang_up_delays_nothing(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, wait 300")

    async def never(key: str, call: str | None) -> None:
        await asyncio.Event().wait()

    async def story() -> None:
        cascade.calls.cancel = never  # type: ignore[method-assign]
        await cascade.do_app("yes")
        async with asyncio.timeout(5):
            while "release" not in cascade.world.log.commands():
                await asyncio.sleep(0)
        await cascade.role.work.stop(0)

    asyncio.run(story())
    assert cascade.state == "released"


def test_a_yes_said_twice_is_not_taken_for_the_other_question(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, other, reply yes, reply yes")
    assert cascade.world.log.commands() == ["hold", "hold"]
    help_first = played(tmp_path / "help", "alert, other, reply help, reply yes")
    assert help_first.world.log.commands() == ["hold", "hold"]


def test_a_yes_is_to_what_was_asked_last_though_that_was_answered_otherwise(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, other, app yes, reply yes")
    commands = cascade.world.log.values("card-commands")
    assert [(value["command"], value["card"]) for value in commands] == [
        ("hold", CARD), ("hold", SECOND_CARD), ("release", SECOND_CARD),
    ]  # fmt: skip
    soon = played(tmp_path / "soon", "alert, app yes, other, wait 34, reply yes")
    assert soon.world.log.commands() == ["hold", "release", "hold"], "perhaps written to the first one"
    later = played(tmp_path / "later", "alert, app yes, other, wait 60, reply yes")
    assert later.world.log.commands() == ["hold", "release", "hold", "release"]


def test_a_yes_is_not_to_a_question_that_was_never_sent(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, app yes, texts rejects, other, wait 60, reply yes")
    assert cascade.world.log.commands() == ["hold", "release", "hold"]


def test_a_yes_delivered_again_after_its_worker_died_is_not_to_the_next_question(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, alert tx2")
    store, role = cascade.world.store, cascade.role
    commit = store.commit

    async def dies(*args: Any, **more: Any) -> Any:
        """Once the first answer is taken, the worker does nothing any more."""
        committed = await commit(*args, **more)
        if args[0]:
            store.commit = dead
        return committed

    async def dead(*args: Any, **more: Any) -> Any:
        raise StoreDown("dead")

    async def story() -> None:
        store.commit = dies
        with contextlib.suppress(StoreDown):
            await role.replied("sms", MOBILE, "YES", "m1")
        await role.work.idle()
        store.commit = commit
        cascade.world.clock.pass_s(20)
        await until_done(role)  # asks about the second payment
        await role.replied("sms", MOBILE, "YES", "m1")
        await until_done(role)

    asyncio.run(story())
    assert cascade.world.log.commands() == ["hold", "hold"]


def test_a_text_ordered_again_stands_below_what_was_sent_meanwhile(tmp_path: Path) -> None:
    cascade = played(tmp_path, "texts drops, alert, texts works, other, wait 300")
    (note,) = [note for key, note in cascade.world.store.notes.items() if key.startswith("q:") and note]
    questions = read_questions(note)
    assert questions is not None
    assert [key.split(":")[0] for key in questions.asked] == [cascade.contact, CONTACT]


def test_a_quick_yes_counts_where_the_question_before_is_long_over(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, app yes, wait 601, other, wait 5, reply yes")
    assert (cascade.state, cascade.world.log.commands()) == ("released", ["hold", "release", "hold", "release"])


@pytest.mark.parametrize("first", ["app yes", "reply yes"])
def test_a_yes_that_crosses_with_a_new_question_is_not_to_that_one(tmp_path: Path, first: str) -> None:
    cascade = played(tmp_path, f"alert, {first}, other, wait 29, reply yes")
    assert (cascade.state, cascade.world.log.commands()) == ("escalated", ["hold", "release", "hold"])


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

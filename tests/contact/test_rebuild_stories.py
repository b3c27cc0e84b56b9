"""The store is lost in the middle of a story and made again from the topics: nobody is asked twice, and the story ends as
it would have."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cascade_world import CARD, SECOND_CARD, asked_about, cascade_config
from contact_world import CONFIG, DIGESTS, Read, until_done
from rebuild_world import Losing, LosingCascade, but_for_what_is_lost
from test_cascade_stories import STORIES, Row

from pipeline.core.conversation import contact_id, decode
from pipeline.core.questions import read_questions
from pipeline.core.records import ContactStep
from pipeline.core.wishes import read_wishes
from pipeline.ports_contact import card_note
from pipeline.roles.contact.directory import wishes_note
from pipeline.roles.contact.profile import read_texts

CONTACT = contact_id(CARD, "tx1")
CUTS = 9
"""More than a story has verbs before its last."""


@pytest.fixture(scope="module", autouse=True)
def _texts_read_once() -> Iterator[None]:
    texts = read_texts(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
        yield


async def go_on(cascade: LosingCascade, verbs: list[str]) -> None:
    for line in verbs:
        verb, _, word = line.partition(" ")
        await getattr(cascade, f"do_{verb}")(word)
        await until_done(cascade.role)


def remembered(cascade: Losing) -> dict[str, object]:
    """The notes, less the messages heard: no topic tells their ids."""
    found: dict[str, object] = {}
    for key, note in cascade.world.store.notes.items():
        if key.startswith("q:"):
            questions = read_questions(note)
            found[key] = questions and questions.asked
        elif note and note != b"[]":
            found[key] = msgspec.json.decode(note)
    return found


def told(cascade: LosingCascade, row: Row) -> Row:
    log = cascade.world.log
    words = {True: "fraud", False: "genuine", None: "withdrawn"}
    labels = [words[label["fraud"]] for label in log.values("labels")]
    return row._replace(
        states=f"{cascade.state_before} → {cascade.state}",
        asked=", ".join(cascade.attempts()) or "—",
        commands=", ".join(log.commands()) or "—",
        steps=", ".join(cascade.steps()[cascade.steps_before :]) or "—",
        labels=", ".join(labels) or "—",
    )


@pytest.mark.parametrize("row", STORIES, ids=lambda row: row.en)
def test_a_story_whose_store_is_lost_at_any_point_ends_as_the_table_says(row: Row, tmp_path: Path) -> None:
    verbs = row.script.split(", ")

    async def cut_at(cut: int) -> None:
        cascade = LosingCascade(cascade_config(tmp_path / f"config{cut}"))
        await cascade.begin()
        await go_on(cascade, verbs[:cut])
        before = {name: decode(kept.value) for name, kept in cascade.world.store.kept.items()}
        notes, position = remembered(cascade), cascade.world.store.positions.get(0)
        orders = len(cascade.made)
        erased = "customer erased" in verbs[:cut]
        struck_off = "customer other_number" in verbs[:cut]

        found, written = await cascade.lose()
        assert (found.unclear, found.nameless, found.again, written.present, written.moved) == (0, 0, 0, 0, 0)
        after = {name: decode(kept.value) for name, kept in cascade.world.store.kept.items()}
        assert after.keys() == before.keys()
        for name, conversation in after.items():
            if not erased and not struck_off:
                assert but_for_what_is_lost(conversation) == but_for_what_is_lost(before[name])
            assert conversation.state == before[name].state
            if not conversation.asks and not before[name].asks:
                assert conversation.due_ms == before[name].due_ms
        if not erased and not struck_off:
            assert remembered(cascade) == notes
        if position is not None and cut > 1:
            assert cascade.world.store.positions[0] >= position
        assert len(cascade.made) == orders, "nobody is asked because of the loss"
        assert not cascade.world.store.outbox

        await go_on(cascade, verbs[cut:])
        assert told(cascade, row) == row

    assert len(verbs) <= CUTS
    for cut in range(1, len(verbs)):
        asyncio.run(cut_at(cut))


def world(path: Path) -> LosingCascade:
    return LosingCascade(cascade_config(path / "config"))


def without(cascade: LosingCascade, topic: str, word: bytes) -> None:
    """Records with ``word`` in them never got onto the topic."""
    sent = cascade.world.log.sent
    sent[topic] = [record for record in sent[topic] if word not in record.value]


@pytest.mark.parametrize(("reply", "commands"), [("YES", ["hold", "release"]), ("NO", ["hold", "block"])])
@pytest.mark.parametrize("left", ["card-commands", "contacts", "labels", "answers"])
def test_an_answer_that_left_on_any_one_topic_is_carried_out(
    tmp_path: Path, reply: str, commands: list[str], left: str
) -> None:
    """The records of a transition go to four topics at once; the store was lost when one of them had its own."""

    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert"])
        already = {name: list(records) for name, records in cascade.world.log.sent.items()}
        await go_on(cascade, [f"reply {reply}"])
        for name in ("card-commands", "contacts", "labels", "answers"):
            if name != left:
                cascade.world.log.sent[name] = already.get(name, [])
        await cascade.lose()
        cascade.world.clock.pass_s(2)
        await until_done(cascade.role)
        assert cascade.state == ("released" if reply == "YES" else "blocked")
        assert cascade.world.log.commands() == commands
        assert len(cascade.world.log.values("labels")) == 1
        numbers = [value["sequence"] for value in cascade.world.log.values("card-commands")]
        assert numbers == sorted(numbers)
        assert numbers[0] < numbers[1]

    asyncio.run(story())


def test_a_decision_of_which_nothing_left_is_taken_in_and_the_others_are_not(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert"])
        cascade.world.log.down = True
        await go_on(cascade, ["alert tx2"])
        cascade.contact = contact_id(SECOND_CARD, "tx9")
        cascade.world.log.down = False
        await go_on(cascade, ["other"])
        found, _ = await cascade.lose()
        assert found.again == 1
        alerts = [value["alert"] for value in cascade.world.log.values("card-commands")]
        assert sorted(alerts) == ["tx1", "tx2", "tx9"]
        assert len(cascade.attempts()) == 2, "a text for each card, as before"

    asyncio.run(story())


def test_an_attempt_on_its_way_is_asked_about_at_once_and_not_made_again(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert", "wait 300"])
        without(cascade, "contacts", b'"step":"accepted","time":"2026-03-02T02:05')
        await cascade.lose()
        assert (cascade.state, cascade.attempts()) == ("ringing", ["sms", "mobile"])
        assert cascade.steps()[-1] == "accepted"

    asyncio.run(story())


def test_numbers_of_commands_go_on_above_the_highest_even_when_the_clock_went_back(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert"])
        cascade.world.clock.pass_s(-60)
        await cascade.lose()
        await go_on(cascade, ["reply NO"])
        first, second = (value["sequence"] for value in cascade.world.log.values("card-commands"))
        assert second > first

    asyncio.run(story())


def test_ids_of_records_are_not_used_a_second_time(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert", "wait 300"])
        await cascade.lose()
        await go_on(cascade, ["ends no_answer", "wait 60", "key 1"])
        sent = [record for records in cascade.world.log.sent.values() for record in records]
        ids = {dict(record.headers)["record_id"]: record.value for record in sent}
        assert len(ids) == len({record.value for record in sent})

    asyncio.run(story())


def test_what_customers_said_for_good_counts_after_the_loss(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert", "wait 300", "agent wrong_person 2", "wait 90000", "wait 950400"])  # eleven days
        await cascade.lose()
        wishes = read_wishes(cascade.world.store.notes[wishes_note("cu1")])
        assert wishes.retired == (DIGESTS.of("+8613800138042"),)
        assert cascade.state == "—", "the conversation itself is forgotten by then"

    asyncio.run(story())


@pytest.mark.parametrize(("word", "state"), [("no", "blocked"), ("stop", "escalated")])
def test_an_answer_of_another_system_that_was_not_carried_out_is(tmp_path: Path, word: str, state: str) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert"])
        answer = {
            "contact": CONTACT,
            "answer": word,
            "channel": "app",
            "assurance": "app",
            "time": "2026-03-02T02:00:01Z",
        }
        cascade.given["answers"] = [Read(msgspec.json.encode(answer), CONTACT.encode())]
        await cascade.lose()
        assert cascade.state == state
        cascade.world.clock.pass_s(2)
        await until_done(cascade.role)
        assert cascade.steps()[-1] in ("completed", "escalated")
        assert (read_wishes(cascade.world.store.notes.get(wishes_note("cu1"), b"")).stop != ()) == (word == "stop")
        await cascade.lose()
        assert cascade.steps().count("answered") == 1, "it is in a transition by now"

    asyncio.run(story())


def test_a_store_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    async def story() -> None:
        from pipeline.adapters.almanac import world_almanac
        from pipeline.roles.contact.profile import read_profile
        from pipeline.roles.contact.rebuild import restored
        from pipeline.roles.contact.rebuild_writer import Writer

        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert", "wait 300"])
        store = cascade.world.store
        ledger = await cascade.ledger()
        await go_on(cascade, ["ends no_answer"])
        before = (dict(store.kept), dict(store.notes), dict(store.positions))
        now_ms = round(cascade.world.clock.now() * 1000)
        plans = read_profile(cascade.config, "demo", world_almanac()).plans
        writer = Writer(store, now_ms)
        assert not await writer.is_empty([0])
        written = await writer.write(ledger, restored(ledger, plans, now_ms))
        assert (written.present, written.moved) == (1, 0)
        assert (dict(store.kept), dict(store.notes), dict(store.positions)) == before

    asyncio.run(story())


def test_steps_carry_what_is_needed_again_and_no_address(tmp_path: Path) -> None:
    async def story() -> list[dict[str, object]]:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert", "reply YES"])
        return cascade.world.log.values("contacts")

    steps = {str(step["step"]): step for step in asyncio.run(story())}
    sending, accepted, answered = steps["sending"], steps["accepted"], steps["answered"]
    digest = DIGESTS.of("+8613800138042")
    assert (sending["covers"], sending["rung"], sending["to"]) == (["tx1"], 0, digest[:3])
    assert accepted["call"] == f"id_{CONTACT}:1:1"
    assert accepted["due"] == "2026-03-02T02:05:00.000Z"
    assert answered["assurance"] == "sms"
    assert all(digest[:4] not in str(value) for step in steps.values() for value in [step.get("to")])
    assert all(len(msgspec.json.encode(msgspec.convert(step, ContactStep))) < 400 for step in steps.values())


@pytest.mark.parametrize("no", [False, True])
def test_what_a_yes_allows_is_allowed_after_the_loss_unless_a_no_came(tmp_path: Path, no: bool) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        record = asked_about("tx1", CARD, cascade.world.clock.now(), 0)
        assert record.value is not None
        record.value = msgspec.json.encode(msgspec.json.decode(record.value) | {"merchant": "m1", "mcc": "5411"})
        cascade.offset = 1
        await cascade.role.polled({0: [record]})
        await go_on(cascade, ["wait 1", "reply YES", *(["wait 1", "reply NO"] if no else [])])
        key = card_note(CARD)
        before = cascade.world.store.notes[key]
        assert (before == b"") == no
        await cascade.lose()
        assert cascade.world.store.notes.get(key, b"") == before

    asyncio.run(story())


def test_nothing_on_the_topics_makes_an_empty_store(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        found, written = await cascade.lose()
        assert (found.conversations, found.notes, found.positions) == ([], [], {})
        assert written.conversations == 0

    asyncio.run(story())


@pytest.mark.parametrize("heard", [False, True])
def test_a_release_the_switch_has_yet_to_acknowledge_is_waited_for(tmp_path: Path, heard: bool) -> None:
    """``heard``: it had, but what followed from it never left."""

    async def story() -> None:
        cascade = LosingCascade(cascade_config(tmp_path / "config", acknowledge_s=30.0))
        await cascade.begin()
        await go_on(cascade, ["alert", "reply YES"])
        already = {name: list(records) for name, records in cascade.world.log.sent.items()}
        due = cascade.world.store.due[CONTACT]
        if heard:
            await go_on(cascade, ["switch done"])
            cascade.world.log.sent = already
        await cascade.lose()
        assert cascade.state == ("released" if heard else "releasing")
        assert cascade.world.store.due.get(CONTACT) == (None if heard else due)
        await go_on(cascade, ["switch done"])
        assert (cascade.state, cascade.steps()[-1]) == ("released", "completed")
        assert cascade.world.log.commands() == ["hold", "release"]

    asyncio.run(story())


@pytest.mark.parametrize("row", STORIES, ids=lambda row: row.en)
def test_no_question_is_put_again_when_all_that_followed_it_is_lost(row: Row, tmp_path: Path) -> None:
    """Nothing is certain on contacts but that it was sent: `sending` is there before a provider hears of it."""

    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, row.script.split(", "))
        orders, commands = list(cascade.made), cascade.world.log.commands()
        contacts = cascade.world.log.sent["contacts"]
        sent = [place for place, record in enumerate(contacts) if b'"step":"sending"' in record.value]
        cascade.world.log.sent["contacts"] = contacts[: max(sent, default=0) + 1]
        await cascade.lose()
        again = {order.key for order in cascade.made[len(orders) :]}
        assert not again & {order.key for order in orders}
        if {"release", "block"} & set(commands):
            assert not again, "who has answered is asked no more"
        assert cascade.world.log.commands()[: len(commands)] == commands

    asyncio.run(story())


def test_a_command_that_a_later_one_overtook_is_not_given_any_more(tmp_path: Path) -> None:
    async def story() -> None:
        cascade = world(tmp_path)
        await cascade.begin()
        await go_on(cascade, ["alert", "wait 1", "reply YES"])
        without(cascade, "card-commands", b'"command":"hold"')
        await cascade.lose()
        assert cascade.world.log.commands() == ["release"]

    asyncio.run(story())

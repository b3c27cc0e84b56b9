"""No number can be found in the store by trying numbers, and what earlier versions left there under such digests counts."""

import asyncio
from pathlib import Path

import msgspec
from cascade_world import HOME, MOBILE, MORNING, Cascade, cardholder, cascade_config
from contact_world import DIGEST_KEY, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.contact_history import decode as decode_history
from pipeline.core.wishes import read_wishes
from pipeline.roles.contact.digests import Digests, is_unkeyed, unkeyed
from pipeline.roles.contact.directory import number_note, question_note, wishes_note

ONE_A_NUMBER = """
[[cap]]
classes = ["fraud"]
limit = 1
days = 1
of = "number"
counts = ["dial"]
source = "the test"
"""
OURS = Digests(DIGEST_KEY.encode())


def test_a_digest_is_the_keys_and_the_addresss() -> None:
    assert OURS.of(MOBILE) == Digests(DIGEST_KEY.encode()).of(MOBILE)
    assert len({OURS.of(MOBILE), OURS.of(HOME), Digests(b"another key of the tests").of(MOBILE), unkeyed(MOBILE)}) == 4
    assert [is_unkeyed(digest) for digest in (OURS.of(MOBILE), unkeyed(MOBILE))] == [False, True]
    for digest in (OURS.of(MOBILE), unkeyed(MOBILE)):
        assert OURS.is_of(MOBILE, digest)
        assert not OURS.is_of(HOME, digest)


def stored(cascade: Cascade) -> bytes:
    """All that the store holds but the customers' own records."""
    store: MemoryContactStore = cascade.world.store
    values = [kept.value for kept in store.kept.values()]
    entries = [entry for dossier in store.dossiers.values() for entry in dossier]
    outbox = [entry.value for entry in store.outbox.values()]
    keys = [str(found).encode() for found in (*store.note_keys.values(), *store.notes)]
    return b"\n".join([*values, *entries, *outbox, *keys, *store.notes.values()])


def as_an_earlier_version_left_it(cascade: Cascade) -> None:
    """Every digest in the store is one without a key."""
    store: MemoryContactStore = cascade.world.store

    def old(text: str) -> str:
        for number in (MOBILE, HOME):
            text = text.replace(OURS.of(number), unkeyed(number))
        return text

    store.notes = {old(key): old(value.decode()).encode() for key, value in store.notes.items()}
    store.note_keys = {customer: [old(key) for key in keys] for customer, keys in store.note_keys.items()}
    for contact, kept in store.kept.items():
        store.kept[contact] = kept._replace(value=old(kept.value.decode()).encode())
    assert OURS.of(MOBILE).encode() not in stored(cascade)


class Story:
    """A cascade told in two parts: before the digests had a key, and after."""

    def __init__(self, path: Path, cap: str = "") -> None:
        self.cascade = Cascade(cascade_config(path / "config", cap))

    def before(self, script: str) -> None:
        asyncio.run(self.cascade.play(script))
        as_an_earlier_version_left_it(self.cascade)

    def then(self, script: str) -> None:
        async def go() -> None:
            for line in script.split(", "):
                verb, _, word = line.partition(" ")
                await getattr(self.cascade, f"do_{verb}")(word)
                await until_done(self.cascade.role)

        asyncio.run(go())

    def note(self, key: str) -> bytes:
        return self.cascade.world.store.notes.get(key, b"")

    def kinds(self, number: str) -> list[str]:
        """What reached ``number``, under the key."""
        return [entry.kind for entry in decode_history(self.note(number_note(OURS.of(number)))).entries]


def test_whoever_tries_all_numbers_finds_none(tmp_path: Path) -> None:
    story = Story(tmp_path)
    asyncio.run(story.cascade.play("alert, wait 300, ends no_answer, agent wrong_person 2, other, reply YES"))
    found = stored(story.cascade)
    for number in (MOBILE, HOME):
        assert OURS.of(number).encode() in found
        assert unkeyed(number).encode() not in found
        assert number.removeprefix("+").encode() not in found


def test_what_reached_a_number_before_counts_against_its_cap(tmp_path: Path) -> None:
    story = Story(tmp_path, ONE_A_NUMBER)
    story.before("alert, wait 300, ends no_answer, reply YES")
    assert story.cascade.attempts() == ["sms", "mobile"]
    story.then("other, wait 300")
    assert story.cascade.attempts() == ["sms", "mobile", "sms", "home"]


def test_a_reply_finds_the_question_asked_before(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.before("alert")
    story.then("reply YES")
    assert story.cascade.state == "released"


def test_a_reply_finds_the_question_after_the_customer_was_dealt_with(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.before("alert")
    story.then("alert tx2, reply YES")
    assert "answered" in story.cascade.steps()
    assert not story.note(question_note(unkeyed(MOBILE)))


def test_a_number_that_was_somebody_elses_stays_so(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.before("alert, wait 300, agent wrong_person 2")
    asked = len(story.cascade.made)
    story.then("other, wait 300")
    assert {order.to for order in story.cascade.made[asked:]} == {HOME}
    assert read_wishes(story.note(wishes_note("cu1"))).retired == (OURS.of(MOBILE),)


def test_a_call_under_way_ends_under_the_key(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.before("alert, wait 300")
    story.then("ends busy")
    assert story.kinds(MOBILE)[:3] == ["message", "dial", "missed"]


def test_a_customer_sent_again_loses_no_history(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.before("alert, wait 300, ends no_answer")
    asyncio.run(story.cascade.role.customers([cardholder()]))
    assert story.kinds(MOBILE)[:3] == ["message", "dial", "missed"]
    assert not story.note(number_note(unkeyed(MOBILE)))


def test_what_was_noted_under_the_key_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Old and new workers side by side, against the rule: the newer note stays, and nothing hangs."""
    story = Story(tmp_path)
    story.before("alert, wait 300")
    newer = msgspec.json.encode([[round(MORNING * 1000), "fraud", "voice", "x", "dial"]])
    story.cascade.world.store.notes[number_note(OURS.of(MOBILE))] = newer
    story.then("ends busy")
    assert story.kinds(MOBILE)[:2] == ["dial", "missed"]
    assert not story.note(number_note(unkeyed(MOBILE)))

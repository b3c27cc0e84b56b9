"""What was done is on record, whole and unaltered: every step of a contact, linked; any change to it is found."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from contact_world import PHONE, World, customer, decision, own, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import attempt_key, contact_id, decode
from pipeline.core.dossier import Broken, chained, masked_address, verify
from pipeline.ports_channels import CallUnknown
from pipeline.roles.contact.role import ContactRole

CONTACT = contact_id("tok_card_0001", "tx1")
FIRST = attempt_key(CONTACT, 1)
Story = Callable[[World, ContactRole], Awaitable[None]]


def told(story: Story, **record: Any) -> World:
    world = World(MemoryContactStore())

    async def run() -> None:
        role = world.worker()
        await role.customers([customer(**record)])
        await own(role)
        await role.polled({0: [decision()]})
        await until_done(role)
        await story(world, role)
        await until_done(role)

    asyncio.run(run())
    return world


async def yes(world: World, role: ContactRole) -> None:
    await role.reported(world.provider.ended(FIRST, "completed", "1"))


def entries_of(world: World) -> list[dict[str, Any]]:
    return [json.loads(value) for value in world.store.dossiers[CONTACT]]


def whole(world: World) -> list[Broken]:
    kept = decode(world.store.kept[CONTACT].value)
    return verify(CONTACT, world.store.dossiers[CONTACT], kept.proof)


def test_a_contact_has_an_entry_for_every_step_from_the_alert_to_the_end() -> None:
    world = told(yes)
    alert, attempt, accepted, answered = entries_of(world)
    assert (alert["event"], alert["alert"]["id"], alert["did"][0]) == (
        "alert",
        "tx1",
        ["card", "hold", "suspected_fraud"],
    )
    assert (attempt["event"], attempt["attempt"], attempt["asks_about"]) == ("attempt", 1, ["tx1"])
    assert attempt["policy"].startswith("demo@")
    assert {gate["gate"] for gate in attempt["gates"]} >= {"class", "window", "caps", "channel"}
    assert all(gate["source"] for gate in attempt["gates"] if gate["gate"] in ("class", "window", "channel"))
    (order,) = world.provider.orders
    (text,) = attempt["told"]
    assert (text["channel"], text["to"]) == ("voice", "+***42")
    assert (text["text"]["say"], text["text"]["voicemail"]) == (order.say, order.voicemail)
    assert (accepted["event"], accepted["call"]) == ("accepted", "call_1")
    assert (answered["event"], answered["word"], answered["state"]) == ("answered", "yes", "released")
    assert ["card", "release", "cardholder_yes"] in answered["did"]
    assert whole(world) == []


def test_the_text_is_on_record_before_the_provider_hears_of_it() -> None:
    world = World(MemoryContactStore())
    seen: list[bool] = []
    place = world.provider.place

    async def watched(order: Any) -> Any:
        seen.append(any(order.say in entry.decode() for entry in world.store.dossiers[CONTACT]))
        return await place(order)

    world.provider.place = watched

    async def run() -> None:
        role = world.worker()
        await role.customers([customer()])
        await own(role)
        await role.polled({0: [decision()]})
        await until_done(role)

    asyncio.run(run())
    assert seen == [True]


def test_later_attempts_and_a_silent_provider_are_told_with_their_grounds() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.reported(world.provider.ended(FIRST, "busy"))
        world.provider.answer = CallUnknown("time-out")
        world.clock.pass_s(61)
        await until_done(role)

    world = told(story)
    events = [entry["event"] for entry in entries_of(world)]
    assert events[:6] == ["alert", "attempt", "accepted", "ended", "attempt", "timed_out"]
    assert entries_of(world)[4]["gates"]
    assert whole(world) == []


def test_who_may_not_be_contacted_is_on_record_with_the_rule() -> None:
    async def story(world: World, role: ContactRole) -> None: ...

    world = told(story, protections=["deceased"])
    barred = entries_of(world)[1]
    assert (barred["event"], barred["reason"]) == ("barred", "deceased")
    gate = next(gate for gate in barred["gates"] if gate["gate"] == "protections")
    assert (gate["answer"], gate["source"]) == ("refused", "the bank's own choice")


def test_no_entry_holds_a_number() -> None:
    assert PHONE[1:] not in b"".join(told(yes).store.dossiers[CONTACT]).decode()


def test_an_address_is_known_to_whoever_it_belongs_to_and_nobody_else() -> None:
    assert masked_address("+8613800138042") == "+***42"
    assert masked_address("li.lei@example.com") == "l***@example.com"
    assert masked_address("openid-12345") == "***45"
    assert masked_address("abc") == "***"


def chain(count: int) -> tuple[list[bytes], str]:
    values, last = [], "ct_1"
    for number in range(count):
        link = chained(last, {"event": "步骤", "number": number})
        values.append(link.value)
        last = link.hash
    return values, last


def test_a_chain_that_nobody_touched_holds() -> None:
    values, last = chain(4)
    assert verify("ct_1", values, last) == verify("ct_1", values) == verify("ct_1", [], "") == []


def test_the_hash_is_the_documented_one() -> None:
    """Of the contact's id and canonical JSON: computed by sha256sum."""
    link = chained("ct_1", {"b": 1, "a": "是"})
    assert link.value == f'{{"a":"是","b":1,"hash":"{link.hash}","previous":"ct_1"}}'.encode()
    assert link.hash == "55df66c7e79c854b7e887ec128eab416f6deb106352cc3cffa0538150d9c1de4"


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (lambda v: [v[0], v[1].replace(b'"number":1', b'"number":7'), *v[2:]], Broken(2, "changed")),
        (lambda v: [*v[:2], b"nonsense", v[3]], Broken(3, "unreadable")),
        (lambda v: [v[0], *v[2:]], Broken(2, "unlinked")),
        (lambda v: v[1:], Broken(1, "unlinked")),
        (lambda v: [v[0], v[2], v[1], v[3]], Broken(2, "unlinked")),
        (lambda v: v[:3], Broken(4, "cut_off")),
        (lambda v: [], Broken(1, "cut_off")),
        (lambda v: [v[0], chained(json.loads(v[0])["hash"], {"number": 7}).value, *v[2:]], Broken(3, "unlinked")),
    ],
)
def test_what_was_changed_moved_or_removed_is_named(
    broken: Callable[[list[bytes]], list[bytes]], named: Broken
) -> None:
    values, last = chain(4)
    assert verify("ct_1", broken(values), last)[0] == named


def test_a_dossier_of_another_contact_does_not_pass() -> None:
    values, last = chain(2)
    assert verify("ct_2", values, last) == [Broken(1, "unlinked")]

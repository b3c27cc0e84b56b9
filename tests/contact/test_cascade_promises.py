"""What must hold of the cascade whoever is faster, whatever the hour, whoever shares a number."""

import asyncio
from collections import Counter
from pathlib import Path

from cascade_world import (
    CARD,
    MOBILE,
    MORNING,
    Carrier,
    Cascade,
    SlowStore,
    asked_about,
    cardholder,
    cascade_config,
)
from contact_world import SetClock, World, customer, own, until_done

from pipeline.core.conversation import State, contact_id, decode
from pipeline.ports_channels import CallOrder, MessageOrder
from pipeline.roles.contact.role import ContactRole

NIGHT_S = 12 * 3600.0
"""From ten in the morning to ten at night, when the windows close."""
THREE_A_DAY = """
[[cap]]
classes = ["fraud"]
limit = 3
days = 1
counts = ["dial", "message"]
source = "the test"
"""
WORKERS = 4


def played(path: Path, script: str) -> Cascade:
    cascade = Cascade(cascade_config(path / "config"))
    asyncio.run(cascade.play(script))
    return cascade


def test_at_night_the_card_is_held_at_once_and_the_question_waits_for_the_computed_hour(tmp_path: Path) -> None:
    cascade = played(tmp_path, f"wait {NIGHT_S + 600}, alert, wait 600")
    conversation = cascade.conversation()
    assert conversation is not None
    eight = MORNING + NIGHT_S + 10 * 3600
    assert (conversation.state, conversation.due_ms) == ("planned", round(eight * 1000))
    assert (cascade.world.log.commands(), cascade.made) == (["hold"], [])
    deferred = {"class": "fraud", "reason": "outside_hours"}
    assert cascade.world.sample("contacts_deferred_total", **deferred) == 1


def test_a_day_s_calls_are_held_to_the_customer_by_four_workers_racing_for_one(tmp_path: Path) -> None:
    cards = [f"tok_race_{number}" for number in range(3 * WORKERS)]
    made: list[CallOrder | MessageOrder] = []
    carrier = Carrier(made)
    config = cascade_config(tmp_path / "config", THREE_A_DAY)
    world = World(SlowStore(), provider=carrier, clock=SetClock(MORNING), config=config, messages={"sms": carrier})

    async def everything_due(roles: list[ContactRole]) -> None:
        for _ in range(3):
            await asyncio.gather(*(until_done(role) for role in roles))

    async def race() -> list[Counter[State]]:
        roles = [world.worker() for _ in range(WORKERS)]
        await roles[0].customers([cardholder(cards=[{"card": card, "last4": "4242"} for card in cards])])
        for partition, role in enumerate(roles):
            await own(role, partition)
        records = [
            asked_about(f"tx{number}", card, MORNING, number, number % WORKERS) for number, card in enumerate(cards)
        ]
        await asyncio.gather(
            *(role.polled({number: records[number::WORKERS]}) for number, role in enumerate(roles)),
        )
        await everything_due(roles)
        first = Counter(decode(kept.value).state for kept in world.store.kept.values())
        assert len(made) == 3
        world.clock.pass_s(22 * 3600)  # eight in the next morning: three more
        await everything_due(roles)
        assert len(made) == 6
        return [first, Counter(decode(kept.value).state for kept in world.store.kept.values())]

    first, second = asyncio.run(race())
    assert first == {"ringing": 3, "planned": 9}, "the others wait for another day"
    assert second["ringing"] + second["planned"] + second["escalated"] == 12, "nobody is forgotten"
    assert world.log.commands() == ["hold"] * 12


def test_two_customers_of_one_number_are_told_apart_by_the_question_last_sent_there(tmp_path: Path) -> None:
    cascade = Cascade(cascade_config(tmp_path / "config"))
    contacts = [contact_id(CARD, "tx1"), contact_id("tok_of_cu2", "tx2")]

    async def story() -> list[str]:
        await cascade.begin()
        other = customer("cu2", "tok_of_cu2", country="CN", phones=[{"number": MOBILE}])
        await cascade.role.customers([other])
        await cascade.do_alert("tx1")
        await until_done(cascade.role)
        await cascade.role.polled({0: [asked_about("tx2", "tok_of_cu2", MORNING, 5, customer="cu2")]})
        await until_done(cascade.role)
        await cascade.do_reply("NO")
        await cascade.do_reply("STOP")
        await until_done(cascade.role)
        return [decode(cascade.world.store.kept[contact].value).state for contact in contacts]

    # a NO is taken for the newest question, a STOP for every question that was asked at the number
    assert asyncio.run(story()) == ["escalated", "blocked"]
    held, also, block = cascade.world.log.values("card-commands")
    assert (held["card"], also["card"], block["card"]) == (CARD, "tok_of_cu2", "tok_of_cu2")
    assert all(b"stop" in cascade.world.store.notes[key] for key in ("w:cu1", "w:cu2"))


def test_a_reply_is_heard_after_the_attempts_are_used_up(tmp_path: Path) -> None:
    """The question that would have been one too many leaves nothing behind that could take the reply."""
    later = ", ".join(["reply LATER, wait 3600"] * 5)
    cascade = played(tmp_path, f"alert, {later}, alert tx2, reply YES")
    assert cascade.state == "escalated", "there would have been a new question about tx2"
    asked = len(cascade.made)
    asyncio.run(cascade.do_reply("NO"))
    assert (cascade.state, len(cascade.made)) == ("blocked", asked)


def test_thanks_are_sent_once_and_say_what_became_of_the_card(tmp_path: Path) -> None:
    texts = [getattr(order, "text", "") for order in played(tmp_path, "alert, reply YES, reply YES, reply STOP").made]
    assert ["Was it you?" in texts[0], "ready to use" in texts[1], "no more of these" in texts[2]] == [True] * 3
    assert len(texts) == 3

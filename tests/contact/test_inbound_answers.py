"""The bank's own front ends: what they are told about an open conversation, whose word counts, who is turned away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from contact_world import SECRET, World, customer, decision, own, until_done

from pipeline.adapters.http.callbacks import CallbackServer
from pipeline.adapters.http.inbound import FRONT_ENDS, Inbound
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import attempt_key, contact_id
from pipeline.core.webhook import MAX_BODY_BYTES
from pipeline.ports import StoreDown
from pipeline.roles.contact.role import ContactRole

CARD = "tok_card_0001"
CONTACT = contact_id(CARD, "tx1")
KEYS = {f"the-key-of-the-{name}-front-end".encode(): who for name, who in FRONT_ENDS.items()}
Ask = Callable[..., Awaitable[tuple[int, Any]]]


def told(story: Callable[[World, ContactRole, Ask], Awaitable[None]], ringing: bool = True) -> World:
    """Run ``story`` beside a worker that listens; one call rings unless told otherwise."""
    world = World(MemoryContactStore())

    async def run() -> None:
        role = world.worker()
        inbound = Inbound(role, KEYS)
        server = CallbackServer(role, SECRET.encode(), "127.0.0.1", 0, world.clock, [inbound])
        await server.start()
        await role.customers([customer()])
        await own(role)
        if ringing:
            await role.polled({0: [decision()]})
            await until_done(role)
        async with aiohttp.ClientSession() as session:

            async def ask(method: str, path: str, who: str | None = "app", **more: Any) -> tuple[int, Any]:
                headers = more.pop("headers", {})
                if who:
                    headers["Authorization"] = f"Bearer the-key-of-the-{who}-front-end"
                url = f"http://127.0.0.1:{server.port}{path}"
                async with session.request(method, url, headers=headers, **more) as response:
                    json = response.content_type == "application/json"
                    return response.status, await response.json() if json else await response.text()

            await story(world, role, ask)
        await until_done(role)
        await server.stop()

    asyncio.run(run())
    return world


def test_a_front_end_finds_the_open_conversation_and_its_yes_releases() -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        status, found = await ask("GET", f"/contacts/open?card={CARD}")
        assert status == 200
        assert (found["contact"], found["contacting_now"], found["channel"], found["attempt"]) == (
            CONTACT, True, "voice", 1,
        )  # fmt: skip
        assert found["alerts"] == [{"id": "tx1", "amount": 123450, "currency": "CNY", "merchant": "Corner Shop"}]
        assert await ask("POST", f"/contacts/{CONTACT}/answer", json={"answer": "yes"}) == (200, {"outcome": "taken"})
        assert await ask("POST", f"/contacts/{CONTACT}/answer", json={"answer": "yes"}) == (200, {"outcome": "yes"})
        assert await ask("GET", f"/contacts/open?card={CARD}") == (200, {"open": False})
        await until_done(role)
        assert world.provider.cancelled == [(attempt_key(CONTACT, 1), "call_1")]
        late = await role.reported(world.provider.ended(attempt_key(CONTACT, 1), "completed", "1"))
        assert late == "yes", "the call that went on meanwhile changes nothing more"

    world = told(story)
    assert world.log.commands() == ["hold", "release"]
    (answer,) = world.log.values("answers")
    assert (answer["channel"], answer["assurance"]) == ("app", "app")


def test_an_alert_that_joined_after_the_app_was_opened_is_asked_about() -> None:
    """The app showed one payment; its YES does not speak about another that came meanwhile."""

    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        _, found = await ask("GET", f"/contacts/open?card={CARD}")
        shown = [alert["id"] for alert in found["alerts"]]
        await role.polled({0: [decision("tx2", offset=1)]})
        answer = {"answer": "yes", "alerts": shown}
        assert await ask("POST", f"/contacts/{CONTACT}/answer", json=answer) == (200, {"outcome": "taken"})
        _, found = await ask("GET", f"/contacts/open?card={CARD}")
        assert [alert["id"] for alert in found["alerts"]] == ["tx2"]

    world = told(story)
    assert world.log.commands() == ["hold", "hold"]
    (answer,) = world.log.values("answers")
    assert answer["alerts"] == ["tx1"]


def test_an_answer_from_the_app_cancels_the_attempt_that_is_planned() -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        await role.reported(world.provider.ended(attempt_key(CONTACT, 1), "busy"))
        await until_done(role)
        assert (await ask("POST", f"/contacts/{CONTACT}/answer", json={"answer": "no"}))[0] == 200
        await until_done(role)
        assert world.provider.cancelled == [], "no call goes on"
        world.clock.pass_s(3600)
        await until_done(role)

    world = told(story)
    assert world.log.commands() == ["hold", "block"]
    assert len(world.provider.orders) == 1


def test_a_yes_speaks_about_what_the_front_end_has_shown_and_a_new_question_about_the_rest() -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        _, found = await ask("GET", f"/contacts/open?card={CARD}")
        shown = [alert["id"] for alert in found["alerts"]]
        await role.polled({0: [decision("tx2", offset=1)]})
        answer = {"answer": "yes", "alerts": shown}
        assert await ask("POST", f"/contacts/{CONTACT}/answer", json=answer) == (200, {"outcome": "taken"})
        await role.reported(world.provider.ended(attempt_key(CONTACT, 1), "no_answer"))
        world.clock.pass_s(61)
        await until_done(role)
        _, found = await ask("GET", f"/contacts/open?card={CARD}")
        assert [alert["id"] for alert in found["alerts"]] == ["tx2"]
        wrong = {"answer": "yes", "alerts": ["tx3"]}
        assert await ask("POST", f"/contacts/{CONTACT}/answer", json=wrong) == (200, {"outcome": "unknown_alert"})

    world = told(story)
    assert "release" not in world.log.commands()
    assert [(label["transaction"], label["fraud"]) for label in world.log.values("labels")] == [("tx1", False)]
    assert world.provider.orders[-1].reference == ("tx2",)
    assert world.log.values("answers")[0]["alerts"] == ["tx1"]


@pytest.mark.parametrize(("who", "released"), [("app", False), ("agent", True)])
def test_without_naming_alerts_only_an_agent_speaks_about_those_that_came_since(who: str, released: bool) -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        await role.polled({0: [decision("tx2", offset=1)]})
        assert (await ask("POST", f"/contacts/{CONTACT}/answer", who, json={"answer": "yes"}))[0] == 200

    assert ("release" in told(story).log.commands()) == released


def test_a_complaint_is_answered_with_the_time_of_the_call_back() -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        status, said = await ask("POST", f"/contacts/{CONTACT}/answer", json={"answer": "complaint"})
        assert (status, said) == (200, {"outcome": "taken", "call_back_by": "1970-01-01T04:16:40.000Z"})

    world = told(story)
    (escalated,) = [step for step in world.log.values("contacts") if step["step"] == "escalated"]
    assert (escalated["reason"], escalated["call_back_by"]) == ("answer_complaint", "1970-01-01T04:16:40.000Z")


@pytest.mark.parametrize(("who", "released"), [("ivr", False), ("app", True), ("agent", True)])
def test_only_whose_word_proves_enough_releases_what_people_have(who: str, released: bool) -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        await role.reported(world.provider.ended(attempt_key(CONTACT, 1), "hung_up"))
        await until_done(role)
        assert (await ask("POST", f"/contacts/{CONTACT}/answer", who, json={"answer": "yes"}))[0] == 200

    assert told(story).log.commands() == (["hold", "release"] if released else ["hold"])


@pytest.mark.parametrize(
    ("method", "path", "who", "more", "status"),
    [
        ("GET", f"/contacts/open?card={CARD}", None, {}, 401),
        ("GET", f"/contacts/open?card={CARD}", "cleaning", {}, 401),
        ("POST", f"/contacts/{CONTACT}/answer", None, {"json": {"answer": "yes"}}, 401),
        ("POST", f"/contacts/{CONTACT}/answer", "app", {"json": {"answer": "yes"}, "headers": {"Origin": "x"}}, 403),
        ("GET", "/contacts/open", "app", {}, 400),
        ("GET", "/contacts/open?card=4111111111111111", "app", {}, 400),
        ("POST", f"/contacts/{CONTACT}/answer", "app", {"data": b"{"}, 400),
        ("POST", f"/contacts/{CONTACT}/answer", "app", {"json": {"answer": "maybe"}}, 400),
        ("POST", f"/contacts/{CONTACT}/answer", "app", {"json": {"answer": "yes", "assurance": "agent"}}, 400),
        ("POST", "/contacts/ct_0/answer", "app", {"json": {"answer": "yes"}}, 404),
        ("POST", f"/contacts/{CONTACT}/answer", "app", {"data": b"x" * (MAX_BODY_BYTES + 1)}, 413),
    ],
)
def test_what_is_not_allowed_or_not_understood_is_told_and_changes_nothing(
    method: str, path: str, who: str | None, more: dict[str, Any], status: int
) -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        assert (await ask(method, path, who, **more))[0] == status

    world = told(story)
    assert world.log.commands() == ["hold"]
    assert world.log.values("answers") == []


def test_while_the_store_is_away_the_front_end_is_asked_to_come_again() -> None:
    class Down(MemoryContactStore):
        async def look(self, asked: Any) -> Any:
            raise StoreDown("away")

        async def conversation(self, contact: str) -> Any:
            raise StoreDown("away")

    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        role._store = role._conversations._store = Down()
        assert (await ask("GET", f"/contacts/open?card={CARD}"))[0] == 503
        assert (await ask("POST", f"/contacts/{CONTACT}/answer", json={"answer": "yes"}))[0] == 503

    told(story, ringing=False)


def test_an_agent_s_promise_has_a_day_and_an_amount() -> None:
    async def story(world: World, role: ContactRole, ask: Ask) -> None:
        path = f"/contacts/{CONTACT}/answer"
        given = {"answer": "promise", "by": "2026-11-27", "amount": 12_000}
        assert (await ask("POST", path, "agent", json=given))[0] == 200
        for wrong in ({"by": "friday"}, {"by": "2026-02-31"}, {"amount": 0}, {"amount": "12"}):
            assert (await ask("POST", path, "agent", json=given | wrong))[0] == 400

    world = told(story)
    (answer,) = world.log.values("answers")
    assert (answer["answer"], answer["by"], answer["amount"]) == ("promise", "2026-11-27", 12_000)
    (step,) = [step for step in world.log.values("contacts") if step["step"] == "answered"]
    assert (step["by"], step["amount"]) == ("2026-11-27", 12_000)

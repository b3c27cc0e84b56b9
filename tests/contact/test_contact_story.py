"""The first cascade from a decision to the answer's consequences, worker, store and provider in memory."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from contact_world import PHONE, Read, World, customer, decision, own, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import attempt_key, contact_id
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallReport, CallUnknown
from pipeline.roles.contact.role import ContactRole

CONTACT = contact_id("tok_card_0001", "tx1")
FIRST = attempt_key(CONTACT, 1)
SECOND = attempt_key(CONTACT, 2)
Story = Callable[[World, ContactRole], Awaitable[None]]


def told(story: Story) -> World:
    """Run ``story`` with one worker that owns partition 0 and knows customer cu1."""
    world = World(MemoryContactStore())

    async def run() -> None:
        role = world.worker()
        await role.customers([customer()])
        await own(role)
        await story(world, role)
        await until_done(role)

    asyncio.run(run())
    return world


def test_a_yes_releases_the_card_and_labels_the_payment_genuine() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        assert await role.reported(world.provider.ended(FIRST, "completed", "1")) == "taken"

    world = told(story)
    assert world.log.commands() == ["hold", "release"]
    hold, release = world.log.values("card-commands")
    assert hold["sequence"] < release["sequence"]
    assert world.log.steps() == ["planned", "sending", "accepted", "answered", "completed"]
    (label,) = world.log.values("labels")
    assert (label["transaction"], label["fraud"], label["source"]) == ("tx1", False, "cardholder")
    (answer,) = world.log.values("answers")
    assert (answer["contact"], answer["answer"], answer["assurance"], answer["attempt"]) == (CONTACT, "yes", "voice", 1)
    assert world.sample("labels_total", source="cardholder", fraud="false") == 1
    assert world.sample("contact_latency_seconds_count", **{"class": "fraud"}) == 1
    assert world.sample("hold_seconds_count") == 1


def test_a_no_blocks_the_card_and_labels_the_payment_fraud() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(FIRST, "completed", "2"))

    world = told(story)
    assert world.log.commands() == ["hold", "block"]
    assert [label["fraud"] for label in world.log.values("labels")] == [True]


def test_silence_is_called_again_and_then_handed_to_people() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(FIRST, "no_answer"))
        await until_done(role)
        assert len(world.provider.orders) == 1
        world.clock.pass_s(60)
        await until_done(role)
        assert len(world.provider.orders) == 2
        await role.reported(world.provider.ended(SECOND, "no_answer"))

    world = told(story)
    assert world.log.commands() == ["hold"]
    assert world.log.values("labels") == []
    last = world.log.values("contacts")[-1]
    assert (last["step"], last["reason"]) == ("escalated", "no_answer")


@pytest.mark.parametrize(
    ("status", "digits", "reason"),
    [
        ("hung_up", None, "hung_up"),
        ("voicemail", None, "voicemail"),
        ("completed", "7", "wrong_key"),
        ("completed", "0", "answer_agent"),
        ("completed", "9", "answer_stop"),
    ],
)
def test_anything_else_goes_to_people_at_once(status: str, digits: str | None, reason: str) -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(FIRST, status, digits))

    world = told(story)
    last = world.log.values("contacts")[-1]
    assert (last["step"], last["reason"]) == ("escalated", reason)
    assert world.log.commands() == ["hold"]


@pytest.mark.parametrize(
    ("who", "reason"),
    [("cu2", "unknown_customer"), ("cu3", "no_address"), ("cu4", "stopped")],
)
def test_who_cannot_be_called_is_handed_to_people_with_the_hold_kept(who: str, reason: str) -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.customers([customer("cu3", "tok_3", phones=[]), customer("cu4", "tok_4", stop=["fraud"])])
        await role.polled({0: [decision(customer=who)]})

    world = told(story)
    assert world.provider.orders == []
    assert world.log.commands() == ["hold"]
    assert (world.log.steps()[-1], world.log.values("contacts")[-1]["reason"]) == ("escalated", reason)


def test_the_customer_is_found_by_the_card_when_the_decision_names_none() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision(customer=None)]})

    assert [order.to for order in told(story).provider.orders] == [PHONE]


def test_a_call_says_bank_last_four_amount_and_merchant_and_its_voicemail_only_the_bank() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})

    (order,) = told(story).provider.orders
    assert order.say == (
        "This is Cardwatch Bank. Your card ending 4242 was just used for CNY 1,234.50 at Corner Shop. "
        "Press 1 if it was you. Press 2 if it was not you."
    )
    assert order.voicemail == "This is Cardwatch Bank. Please call the number on your card."


def test_an_alert_that_joins_while_it_rings_is_asked_about_before_release() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.polled({0: [decision("tx2", offset=1)]})
        await role.reported(world.provider.ended(FIRST, "completed", "1"))
        await until_done(role)
        assert world.log.commands() == ["hold", "hold"]
        assert world.provider.orders[-1].reference == ("tx2",)
        await role.reported(world.provider.ended(SECOND, "completed", "1"))

    world = told(story)
    assert world.log.commands() == ["hold", "hold", "release"]
    assert [label["transaction"] for label in world.log.values("labels")] == ["tx1", "tx2"]
    assert {step["contact"] for step in world.log.values("contacts")} == {CONTACT}


def test_a_no_after_a_yes_holds_the_card_again_and_calls_people() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(FIRST, "completed", "1"))
        assert await role.reported(world.provider.ended(FIRST, "completed", "2")) == "taken"

    world = told(story)
    assert world.log.commands() == ["hold", "release", "hold"]
    assert world.log.values("contacts")[-1]["reason"] == "no_after_yes"
    said, withdrawn = world.log.values("labels")
    assert (said["fraud"], withdrawn["fraud"], withdrawn["supersedes"]) == (False, None, said["id"])


def test_late_double_and_unknown_reports_change_nothing() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        report = world.provider.ended(FIRST, "completed", "2")
        await role.reported(report)
        await until_done(role)
        before = {topic: list(records) for topic, records in world.log.sent.items()}
        assert await role.reported(report) == "repeated_answer"
        assert await role.reported(report._replace(digits="1")) == "yes"
        assert await role.reported(CallReport("ct_unknown:1:1", "call_9", "busy")) == "unknown_contact"
        assert await role.reported(CallReport("not a key", "call_9", "busy")) == "unknown_contact"
        await until_done(role)
        assert world.log.sent == before

    told(story)


def test_approvals_repeats_and_bad_records_are_passed_over_and_the_rest_goes_on() -> None:
    async def story(world: World, role: ContactRole) -> None:
        bad = Read(b"{", offset=2, headers=decision("x", offset=2).headers)
        bare = Read(decision("y").value, offset=3)
        repeat = decision("tx9", offset=5, source=0)
        await role.polled({0: [decision("tx0", "approve", 0), decision(offset=1), bad, bare]})
        await role.polled({0: [decision("tx1", offset=4, source=1), repeat]})

    world = told(story)
    assert [order.key for order in world.provider.orders] == [FIRST]
    assert world.dead == [("decisions", "not_a_decision"), ("decisions", "no_source_offset")]
    assert world.sample("duplicates_total") == 2


def test_a_hold_without_contact_goes_to_people_and_a_notice_is_recorded_as_cancelled() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision("tx1", contact="none"), decision("tx2", "notify", 1, card="tok_5")]})

    world = told(story)
    steps = [(step["subject"]["alert"], step["step"]) for step in world.log.values("contacts")]
    assert steps == [("tx1", "planned"), ("tx1", "escalated"), ("tx2", "cancelled")]
    assert world.provider.orders == []


def test_an_answer_of_another_system_counts_and_our_own_is_not_taken_twice() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(FIRST, "hung_up"))
        answer = b'{"contact":"%s","answer":"yes","channel":"desk","assurance":"agent","time":"t"}' % CONTACT.encode()
        ours = Read(answer, headers=(("writer", b"contact"),))
        await role.answers([ours, Read(b"[]")])
        await until_done(role)
        assert world.log.commands() == ["hold"]
        await role.answers([Read(answer)])

    world = told(story)
    assert world.log.commands() == ["hold", "release"]
    assert world.log.values("answers") == []
    assert world.dead == [("answers", "not_an_answer")]


def test_a_silent_provider_is_asked_and_never_called_blindly() -> None:
    async def story(world: World, role: ContactRole) -> None:
        world.provider.answer = CallUnknown("time-out")
        world.provider.away = True
        await role.polled({0: [decision()]})
        await until_done(role)
        for _ in range(20):
            world.clock.pass_s(120)
            await until_done(role)

    world = told(story)
    assert len(world.provider.orders) == 1
    last = world.log.values("contacts")[-1]
    assert (last["step"], last["reason"]) == ("escalated", "provider_silent")


def test_an_overdue_report_is_fetched_from_the_provider() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        world.provider.ended(FIRST, "completed", "1")
        world.clock.pass_s(36)

    assert told(story).log.commands() == ["hold", "release"]


def test_a_hand_over_nobody_takes_expires_and_the_hold_stays() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(FIRST, "hung_up"))
        world.clock.pass_s(86_401)

    world = told(story)
    assert world.log.steps()[-1] == "expired"
    assert world.log.commands() == ["hold"]


def test_a_log_that_is_away_delays_the_call_until_the_intent_is_on_it() -> None:
    async def story(world: World, role: ContactRole) -> None:
        world.log.down = True
        await role.polled({0: [decision()]})
        await role.work.idle()
        assert world.provider.orders == []
        world.log.down = False
        world.clock.pass_s(16)

    world = told(story)
    assert world.log.commands() == ["hold"]
    assert [order.key for order in world.provider.orders] == [FIRST]


def test_customers_are_checked_replaced_and_erased() -> None:
    async def story(world: World, role: ContactRole) -> None:
        wrong = customer("cu7", phones=[{"number": "12345"}])
        await role.customers([wrong, Read(b"nonsense", b"k"), Read(customer().value, b"other"), Read(None, b"cu1")])
        await role.polled({0: [decision()]})

    world = told(story)
    assert world.dead == [("customers", "not_a_customer")] * 3
    assert world.log.values("contacts")[-1]["reason"] == "unknown_customer"


def test_intake_waits_for_the_store_and_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.roles.contact.role.STORE_RETRY_S", 0)

    async def story(world: World, role: ContactRole) -> None:
        look, failures = world.store.look, [StoreDown("away")] * 3

        async def sometimes(asked: object) -> object:
            if failures:
                raise failures.pop()
            return await look(asked)

        world.store.look = sometimes
        await role.polled({0: [decision(), decision("tx2", offset=1)]})
        assert failures == []

    assert [order.reference for order in told(story).provider.orders] == [("tx1", "tx2")]


def test_a_worker_whose_partition_moved_on_elsewhere_takes_nothing_in_and_asks_to_load_again() -> None:
    async def story(world: World, role: ContactRole) -> None:
        other = world.worker()
        await own(other)
        await other.polled({0: [decision(), decision("tx2", "verify", 1)]})
        await other.work.idle()
        world.clock.pass_s(5)
        await role.polled({0: [decision("tx5", offset=0)]})
        assert list(await role.boundary()) == [0]
        assert await own(role) == 2

    assert len(told(story).provider.orders) == 1


def test_positions_without_alerts_are_written_at_a_boundary_and_found_again() -> None:
    async def story(world: World, role: ContactRole) -> None:
        await role.polled({0: [decision("tx1", "approve", 6)]})
        assert await own(world.worker()) is None
        await role.boundary()
        assert await own(world.worker()) == 7

    told(story)

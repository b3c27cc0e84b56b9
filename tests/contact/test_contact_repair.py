"""An open contact that nobody would ever look at again is found and goes on; at its own moment, not before."""

import asyncio
from pathlib import Path

from contact_world import World, customer, decision, own, until_done
from prometheus_client import CollectorRegistry
from request_world import Requests, request_config

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import attempt_key, contact_id
from pipeline.core.requests import contact_of
from pipeline.ports_contact import Swept
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.repair import MOST, Repair

CONTACT = contact_id("tok_card_0001", "tx1")
RING_AND_GRACE_S = 35
ROUND_S = 60


class Counting(MemoryContactStore):
    """Counts what sweeps look at among so many open conversations."""

    def __init__(self, contacts: int) -> None:
        super().__init__()
        self.contacts = contacts
        self.looked_at = 0

    async def sweep(self, cursor: int, limit: int) -> Swept:
        self.looked_at += min(limit, self.contacts - cursor)
        return Swept((cursor + limit) if cursor + limit < self.contacts else 0, 0, 0)


def test_a_call_whose_due_step_was_lost_is_asked_about_when_its_time_is_over() -> None:
    world = World(MemoryContactStore())

    async def run() -> None:
        role = world.worker()
        await role.customers([customer()])
        await own(role)
        await role.polled({0: [decision()]})
        await until_done(role)
        assert world.log.steps() == ["planned", "sending", "accepted"]
        world.provider.ended(attempt_key(CONTACT, 1), "busy")  # nobody reports it
        del world.store.due[CONTACT]
        for second in range(ROUND_S + RING_AND_GRACE_S):
            if second < RING_AND_GRACE_S:
                assert len(world.log.steps()) == 3
            world.clock.pass_s(1)
            await until_done(role)
        assert world.log.steps()[3:5] == ["failed", "planned"]

    asyncio.run(run())
    assert world.sample("contacts_repaired_total", reason="unscheduled") == 1
    assert world.sample("contacts_repaired_total", reason="gone") == 0
    assert world.sample("contact_lateness_seconds_count") >= 1


def test_a_reminder_whose_due_step_was_lost_is_told_at_its_hour(tmp_path: Path) -> None:
    requests = Requests(request_config(tmp_path / "config"))
    contact = contact_of("cu1", "r1")

    async def run() -> None:
        await requests.begin()
        await requests.do_wait("43200")
        await requests.do_request("reminder")
        await until_done(requests.role)
        opens_ms = requests.world.store.due.pop(contact)
        requests.world.clock.pass_s(60)
        await until_done(requests.role)
        assert requests.world.store.due[contact] == opens_ms
        assert not requests.world.store.open, "it stands on no card"
        await requests.do_wait("36000")
        await until_done(requests.role)
        assert len(requests.made) == 1

    asyncio.run(run())
    assert requests.world.sample("contacts_repaired_total", reason="unscheduled") == 1


def test_a_card_whose_conversation_is_gone_is_asked_about_its_next_alert() -> None:
    world = World(MemoryContactStore())
    world.store.open["tok_card_0001"] = "ct_gone"

    async def run() -> None:
        role = world.worker()
        await role.customers([customer()])
        await own(role)
        for _ in range(ROUND_S):
            world.clock.pass_s(1)
            await until_done(role)
        await role.polled({0: [decision()]})
        await until_done(role)

    asyncio.run(run())
    assert world.log.steps() == ["planned", "sending", "accepted"]
    assert world.sample("contacts_repaired_total", reason="gone") == 1


def test_a_round_takes_about_a_minute_whatever_is_open() -> None:
    async def run(contacts: int) -> int:
        store = Counting(contacts)
        repair = Repair(store, ContactMetrics(CollectorRegistry()))
        sweeps = 0
        while store.looked_at < contacts:
            before = store.looked_at
            await repair.go_on(contacts, 0)
            assert store.looked_at - before <= MOST
            sweeps += 1
        return sweeps

    assert [asyncio.run(run(contacts)) for contacts in (0, 1, 1_000, 20_000, 50_000)] == [0, 1, 50, 50, 50]
    assert asyncio.run(run(1_000_000)) == 1_000

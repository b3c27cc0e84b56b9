"""What a YES allows again: the same payment for a while, and nothing else."""

import asyncio
from typing import Any

import msgspec
import pytest
from contact_world import Read, World, customer, decision, own, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import Alert, attempt_key, contact_id
from pipeline.core.exemption import MOST, Exemption, exemption_after, read_exemptions, with_exemptions

NOW = 1_000_000
ALERT = Alert(id="a", amount=10_000, currency="CNY", merchant_id="m1", mcc="5411", country="CN")


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"amount": 12_000}, True),
        ({"amount": 12_001}, False),
        ({"merchant_id": "m2"}, False),
        ({"merchant_id": None}, False),
        ({"currency": "USD"}, False),
        ({"amount": None}, False),
        ({"hard": True}, False),
    ],
)
def test_the_same_merchant_up_to_a_fifth_more(changes: dict[str, Any], covered: bool) -> None:
    exemption = exemption_after(ALERT, NOW, 60)
    assert exemption is not None
    assert exemption.covers(msgspec.structs.replace(ALERT, **changes), NOW) is covered
    assert not exemption.covers(ALERT, NOW + 60_000)


def test_without_a_merchant_the_kind_and_the_country_count() -> None:
    unknown = msgspec.structs.replace(ALERT, merchant_id=None)
    exemption = exemption_after(unknown, NOW, 60)
    assert exemption == Exemption(mcc="5411", country="CN", most=12_000, currency="CNY", until_ms=NOW + 60_000)
    assert exemption.told()["mcc"] == "5411"
    assert exemption.covers(ALERT, NOW)
    assert not exemption.covers(msgspec.structs.replace(ALERT, country="US"), NOW)
    for missing in ({"mcc": None}, {"country": None}, {"amount": None}, {"hard": True}):
        assert exemption_after(msgspec.structs.replace(unknown, **missing), NOW, 60) is None


def test_a_note_forgets_what_ran_out_and_keeps_the_newest() -> None:
    def made(until_ms: int) -> Exemption:
        return Exemption(merchant="m", most=1, currency="CNY", until_ms=until_ms)

    note = with_exemptions(b"", [made(NOW), made(NOW + 2)], NOW - 1)
    assert read_exemptions(with_exemptions(note, [made(NOW + 9)], NOW + 1)) == (made(NOW + 2), made(NOW + 9))
    full = with_exemptions(b"", [made(NOW + number) for number in range(MOST + 5)], NOW - 1)
    assert [one.until_ms for one in read_exemptions(full)] == [NOW + number for number in range(5, MOST + 5)]


def paid(transaction: str, offset: int, amount: int, **more: Any) -> Read:
    record = decision(transaction, offset=offset)
    assert record.value is not None
    value = msgspec.json.decode(record.value) | {"amount": amount, "merchant": "m1", "mcc": "5411", **more}
    record.value = msgspec.json.encode(value)
    return record


def test_after_a_yes_the_retried_payment_neither_holds_the_card_nor_calls_again() -> None:
    world = World(MemoryContactStore())

    async def story() -> None:
        role = world.worker()
        await role.customers([customer()])
        await own(role)
        await role.polled({0: [paid("tx1", 0, 10_000)]})
        await until_done(role)
        first = attempt_key(contact_id("tok_card_0001", "tx1"), 1)
        await role.reported(world.provider.ended(first, "completed", "1"))
        await until_done(role)
        await role.polled({0: [paid("tx2", 1, 10_000)]})
        await until_done(role)
        assert (world.log.commands(), world.log.steps()[-1]) == (["hold", "release"], "cancelled")
        assert world.log.values("contacts")[-1]["reason"] == "exempt"
        await role.polled({0: [paid("tx3", 2, 10_000, hard=True)]})
        await until_done(role)
        assert world.log.commands() == ["hold", "release", "hold"]
        second = attempt_key(contact_id("tok_card_0001", "tx3"), 1)
        await role.reported(world.provider.ended(second, "completed", "1"))
        await until_done(role)
        world.clock.pass_s(24 * 3600)
        await role.polled({0: [paid("tx4", 3, 10_000)]})
        await until_done(role)

    asyncio.run(story())
    assert world.log.commands() == ["hold", "release", "hold", "release", "hold"]
    release = world.log.values("card-commands")[1]
    assert release["exemption"] == {
        "merchant": "m1", "max_amount": 12_000, "currency": "CNY", "until": "1970-01-02T00:16:40.000Z",
    }  # fmt: skip
    assert "exemption" not in world.log.values("card-commands")[3]

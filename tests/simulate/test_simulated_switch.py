"""The simulated switch obeys card commands, and people behave as people do when a card is refused."""

from itertools import islice

import pytest

from pipeline.core.records import CardCommand
from pipeline.lab.simulate.attempt import Transaction, moment
from pipeline.lab.simulate.stream import LiveParameters, Stream
from pipeline.lab.simulate.switch import Switch
from pipeline.lab.simulate.world import World

NOW = 1_790_000_000.0


def command(what: str, sequence: int, card: str = "tok_s1_00000000", **more: str) -> CardCommand:
    return CardCommand(id=f"{what}-{sequence}", card=card, sequence=sequence, command=what, **more)  # type: ignore[arg-type]  # a literal, parametrised


def transaction(**fields: str) -> Transaction:
    given = {"id": "1", "card": "tok_s1_00000000", "time": moment(NOW), "currency": "CNY", "response_code": "00"}
    return Transaction(amount=100, **{**given, **fields})  # type: ignore[arg-type]  # strings only here


def test_hold_refuses_until_release() -> None:
    switch, held = Switch(), transaction()
    assert switch.apply(command("hold", 1), NOW) == {"id": "hold-1", "done": True, "time": moment(NOW)}
    assert not switch.authorise(held, NOW)
    assert held.response_code == "59"
    switch.apply(command("release", 2), NOW)
    released = transaction()
    assert switch.authorise(released, NOW)
    assert released.response_code == "00"


def test_block_refuses_as_stolen() -> None:
    switch, blocked = Switch(), transaction()
    switch.apply(command("block", 1), NOW)
    assert not switch.authorise(blocked, NOW)
    assert blocked.response_code == "41"


def test_a_stale_command_is_void() -> None:
    switch = Switch()
    switch.apply(command("block", 5), NOW)
    assert switch.apply(command("release", 4), NOW)["done"] is False
    assert switch.status("tok_s1_00000000", NOW) == "blocked"
    assert switch.apply(command("release", 6), NOW)["done"] is True
    assert switch.status("tok_s1_00000000", NOW) == "open"


def test_a_hold_ends_when_it_expires() -> None:
    switch = Switch()
    switch.apply(command("hold", 1, expires_at=moment(NOW + 60)), NOW)
    assert not switch.authorise(transaction(), NOW + 59)
    assert switch.authorise(transaction(), NOW + 60)


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("online", {"entry_mode": "ecommerce"}, {"entry_mode": "chip"}),
        ("cash", {"kind": "cash"}, {"kind": "purchase"}),
        ("abroad", {"country": "JP"}, {"country": "CN"}),
    ],
)
def test_scope_narrows_a_restriction(scope: str, inside: dict[str, str], outside: dict[str, str]) -> None:
    switch = Switch()
    switch.apply(command("limit", 1, scope=scope), NOW)
    assert not switch.authorise(transaction(**inside), NOW)
    assert switch.authorise(transaction(**outside), NOW)


def test_money_coming_back_always_passes() -> None:
    switch = Switch()
    switch.apply(command("block", 1), NOW)
    assert switch.authorise(transaction(kind="refund"), NOW)
    assert switch.authorise(transaction(type="reversal"), NOW)


def test_a_blocked_spree_soon_stops_and_its_holder_too() -> None:
    world = World(9, 40, NOW)
    switch = Switch()
    stream = Stream(world, switch)
    live = stream.live(NOW + 30 * 86_400, LiveParameters(rate=2.0, fraud_every_s=(5.0, 10.0), reissue_s=(1e9, 1e9)))
    refused: dict[int, int] = {}
    sequence = 0
    for attempt in islice(live, 2_000):
        card = attempt.transaction.card
        if attempt.truth.fraud and switch.status(card, attempt.time) == "open" and len(refused) < 20:
            sequence += 1
            switch.apply(command("block", sequence, card), attempt.time)
            refused[attempt.card] = 0
        elif attempt.card in refused and attempt.transaction.response_code == "41":
            refused[attempt.card] += 1
    assert len(refused) == 20
    assert max(refused.values()) > 0
    assert all(world.cardholders.get(card).number == card and times <= 20 for card, times in refused.items())
    after = [attempt for attempt in islice(live, 1_000) if attempt.card in refused]
    assert len(after) <= 5

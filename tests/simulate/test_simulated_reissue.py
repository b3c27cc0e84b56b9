"""A card that was blocked comes again under another token, and everybody who should know is told before it pays."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

import msgspec

from pipeline.core.records import CardCommand
from pipeline.lab.simulate.command import Sinks, simulate, world_for
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import LiveParameters, Stream
from pipeline.lab.simulate.switch import Switch
from pipeline.lab.simulate.world import World

NOW = 1_790_000_000.0


class Behind:
    """A clock a minute ahead of what was sent: the sender never waits for it."""

    def __init__(self) -> None:
        self.sent = NOW

    def now(self) -> float:
        return self.sent + 60.0


def blocked(card: str, sequence: int = 1) -> CardCommand:
    return CardCommand(id=f"b{sequence}", card=card, sequence=sequence, command="block")


def test_the_holder_pays_with_the_new_card_and_the_thief_is_left_with_the_old() -> None:
    world, switch = World(3, 40, NOW), Switch()
    live = Stream(world, switch).live(NOW, LiveParameters(rate=5.0, opening=0, fraud_every_s=(5.0, 10.0)))
    begun = [next(live) for _ in range(400)]
    genuine = [attempt for attempt in begun if not attempt.truth.fraud]
    victim = max({attempt.card for attempt in genuine}, key=lambda card: sum(one.card == card for one in genuine))
    old = next(attempt.transaction.card for attempt in genuine if attempt.card == victim)
    at = begun[-1].time
    switch.apply(blocked(old), at)
    after = [attempt for attempt in (next(live) for _ in range(4_000)) if attempt.card == victim]
    own = [attempt for attempt in after if not attempt.truth.fraud and attempt.transaction.card != old]
    assert len(own) > 3
    assert {attempt.transaction.card for attempt in own} == {f"{old}r1"}
    assert [attempt.transaction.previous_card for attempt in own] == [old] + [None] * (len(own) - 1)
    assert at + 60 <= own[0].time
    assert "41" not in {attempt.transaction.response_code for attempt in own}, "the new card is not blocked"
    with_old = [
        transaction
        for transaction in (attempt.transaction for attempt in after)
        if transaction.card == old and transaction.type == "authorisation" and transaction.kind != "refund"
    ]
    assert {transaction.response_code for transaction in with_old} <= {"41"}


def test_a_card_released_in_time_is_not_replaced_and_one_replaced_may_be_again() -> None:
    world, switch = World(3, 5, NOW), Switch()
    stream = Stream(world, switch)
    live = stream.live(NOW, LiveParameters(rate=5.0, opening=0, fraud_every_s=(1e6, 1e6)))
    cards = {attempt.transaction.card for attempt in (next(live) for _ in range(200))}
    assert len(cards) > 2
    first, second = sorted(cards)[:2]
    now = next(live).time
    for card in (first, second):
        switch.apply(blocked(card), now)
    switch.apply(CardCommand(id="r", card=second, sequence=2, command="release"), now)
    seen: list[tuple[str, str | None]] = []
    for attempt in live:
        if attempt.time > now + 500:
            break
        seen += [(replaced.event.card, replaced.event.new_card) for replaced in stream.replaced()]
        if seen and switch.status(f"{first}r1", attempt.time) != "blocked":
            switch.apply(blocked(f"{first}r1", 3), attempt.time)
    assert seen == [(first, f"{first}r1"), (f"{first}r1", f"{first}r2")]


def test_the_bank_is_told_before_the_first_payment() -> None:
    world = world_for(PRESETS["demo"], 1, NOW, cards=30)
    records: list[tuple[str, dict[str, object]]] = []
    waiting = [[msgspec.json.encode(blocked(world.cardholders.get(index).token)) for index in range(30)]]

    clock = Behind()

    def sink(topic: str):  # type: ignore[no-untyped-def]  # the closure's type is Send
        async def send(key: bytes, value: bytes) -> None:
            records.append((topic, json.loads(value)))
            if topic == "transactions":
                clock.sent = datetime.fromisoformat(str(records[-1][1]["time"])).timestamp()

        return send

    async def commands() -> Sequence[bytes]:
        while sum(topic == "transactions" for topic, _ in records) < 400:
            await asyncio.sleep(0)
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    sinks = Sinks(sink("transactions"), sink("customers"), card_event=sink("card-events"))
    sent = asyncio.run(simulate(world, PRESETS["demo"], sinks, clock, asyncio.Event(), commands=commands, count=4_000))
    events = [(place, one) for place, (topic, one) in enumerate(records) if topic == "card-events"]
    assert sent.replaced == len(events) > 10
    known: dict[str, object] = {}
    for place, event in events:
        assert event["type"] == "replaced"
        topic, customer = records[place - 1]
        if topic == "customers":
            cards = [card["card"] for card in customer["cards"]]  # type: ignore[attr-defined]
            assert {event["card"], event["new_card"]} <= set(cards)
        known[str(event["new_card"])] = event["card"]
        assert not any(topic == "transactions" and one["card"] == event["new_card"] for topic, one in records[:place])
    first = {str(one["card"]): one.get("previous_card") for topic, one in reversed(records) if topic == "transactions"}
    used = [card for card in known if card in first]
    assert len(used) > 5
    assert all(first[card] == known[card] for card in used)

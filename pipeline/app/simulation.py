"""Wiring of `cardwatch simulate`: the world around the bank, onto topics or into a file."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.core.topics import (
    ACCOUNTS,
    CARD_COMMAND_RESULTS,
    CARD_COMMANDS,
    CARD_EVENTS,
    CUSTOMER_EVENTS,
    CUSTOMERS,
    LABELS,
    TRANSACTIONS,
    Topic,
)
from pipeline.lab.simulate.command import Sent, Sinks, simulate, to_file, with_rate, world_for
from pipeline.lab.simulate.files import TruthFile
from pipeline.lab.simulate.presets import PRESETS, TABLE_PRESETS
from pipeline.lab.simulate.table import NotWritten as NotWritten
from pipeline.ports import Outgoing
from pipeline.settings import Settings

POLL_S = 0.2


class SimulationPlan(NamedTuple):
    """What to simulate: a preset, changed where a value is given; ``epoch``: unix time at which its history ends (None:
    now; a file's at a moment of its own, so that the seed alone decides its bytes)."""

    preset: str
    seed: int
    epoch: float | None
    cards: int | None = None
    rate: float | None = None
    limit: int | None = None
    truth: Path | None = None
    days: int | None = None
    events: Path | None = None


async def run_simulation(stop: asyncio.Event, plan: SimulationPlan) -> Sent:
    """Simulated cardholders, thieves and switch, onto the topics. Where the truth file of a live run is there
    already, it goes on: it appends, and what the switch was commanded before it reads from the topic."""
    settings = Settings()
    preset = with_rate(PRESETS[plan.preset], plan.rate)
    preset = preset if plan.days is None else replace(preset, days=plan.days)
    again = preset.live is not None and plan.truth is not None and plan.truth.exists()
    if again and preset.live is not None:  # its first thieves have been here
        preset = replace(preset, live=replace(preset.live, opening=0))
    clock = SystemClock()
    world = world_for(preset, plan.seed, clock.now() if plan.epoch is None else plan.epoch, cards=plan.cards)
    kafka = KafkaLog(settings)
    await kafka.start()
    truth = TruthFile(plan.truth, append=again) if plan.truth else None
    commands = KafkaReader(settings, CARD_COMMANDS)
    await commands.start()

    def to(topic: Topic) -> Callable[[bytes, bytes], Awaitable[None]]:
        return lambda key, value: kafka.offer(topic, Outgoing(key, value))

    async def obey() -> list[bytes]:
        poll = await commands.poll(POLL_S)
        return [record.value for records in poll.values() for record in records if record.value]

    sinks = Sinks(
        to(TRANSACTIONS),
        to(CUSTOMERS),
        to(LABELS),
        to(CARD_COMMAND_RESULTS),
        to(CUSTOMER_EVENTS),
        to(CARD_EVENTS),
        to(ACCOUNTS),
        truth,
    )
    try:
        sent = await simulate(world, preset, sinks, clock, stop, commands=obey, count=plan.limit)
        await kafka.flush()
        return sent
    finally:
        if truth is not None:
            truth.close()
        await commands.stop()
        await kafka.stop()


def write_simulation(plan: SimulationPlan, out: Path) -> int:
    """A simulated history as a file, with the truth in a column; answers the number of transactions."""
    preset = PRESETS.get(plan.preset) or TABLE_PRESETS[plan.preset]
    return to_file(
        preset,
        plan.seed,
        out,
        now=plan.epoch,
        cards=plan.cards,
        days=plan.days,
        count=plan.limit,
        truth=plan.truth,
        events=plan.events,
    )

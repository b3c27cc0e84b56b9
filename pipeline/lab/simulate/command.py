"""`cardwatch simulate` onto topics: an open loop that sends what the world does, and a switch that listens.

The sender keeps to the clock, never to the receiver: an attempt goes out when its time has come, and when sending has
fallen behind, at once. What carries records to and from topics is given by the caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import IO

import msgspec

from pipeline.core.records import CardCommand
from pipeline.lab.simulate.attempt import Attempt, Truth
from pipeline.lab.simulate.customers import customer_of, customers
from pipeline.lab.simulate.files import TruthFile, write_batches, write_history
from pipeline.lab.simulate.labels import Chargebacks
from pipeline.lab.simulate.presets import Preset, TablePreset
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.switch import Switch
from pipeline.lab.simulate.table import NotWritten, at_most
from pipeline.lab.simulate.world import World
from pipeline.ports import Clock

Send = Callable[[bytes, bytes], Awaitable[None]]
"""Key and value of one record. May return before it is acknowledged."""
Commands = Callable[[], Awaitable[Sequence[bytes]]]
"""Waits a little for values of ``card-commands`` and answers those that came; cancelled at the end."""
FILE_ENDS = 1_767_196_800.0
"""2026-01-01T00:00:00+08:00: a file's history ends here unless told otherwise, so that the seed alone decides its bytes."""
YIELD_EVERY = 200
"""Attempts sent in a row, when behind the clock, before other tasks get their turn."""


async def _nothing(key: bytes, value: bytes) -> None:
    """Where records go that nobody asked for."""


@dataclass
class Sinks:
    """Where records go: ``transaction``, ``label``, ``result`` and ``card_event`` by card, ``customer`` and ``event`` by
    customer, ``account`` by account."""

    transaction: Send
    customer: Send = _nothing
    label: Send = _nothing
    result: Send = _nothing
    event: Send = _nothing
    card_event: Send = _nothing
    account: Send = _nothing
    truth: Callable[[Truth], None] | None = None


@dataclass
class Sent:
    """What a run did, kept current while it runs."""

    customers: int = 0
    transactions: int = 0
    fraud: int = 0
    labels: int = 0
    events: int = 0
    booked: int = 0
    replaced: int = 0
    commands: int = 0
    stale_commands: int = 0
    unreadable_commands: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


def world_for(preset: Preset, seed: int, now: float, shift_s: float = 0.0, cards: int | None = None) -> World:
    """The world whose history of ``preset.days`` ends ``now``. Warm-up and live run must be given the same one."""
    return World(seed, cards or preset.cards, now - preset.days * 86_400, shift_s, preset.world)


def with_rate(preset: Preset, rate: float | None) -> Preset:
    """``preset`` at another rate (genuine transactions per second). A preset that is not live has none to change."""
    if rate is None or preset.live is None:
        return preset
    if rate <= 0:
        raise ValueError(f"the rate must be above 0 transactions per second, not {rate}")
    return replace(preset, live=replace(preset.live, rate=rate))


def to_file(
    preset: Preset | TablePreset,
    seed: int,
    out: Path,
    *,
    now: float | None = None,
    cards: int | None = None,
    days: int | None = None,
    count: int | None = None,
    truth: Path | None = None,
    events: Path | None = None,
) -> int:
    """Write the history of ``preset`` to ``out`` (CSV, JSON lines or Parquet, by its suffix), at most ``count``
    transactions, and the truth and customers' events beside it; answer how many.

    It ends at unix time ``now``; without one, a world's at `FILE_ENDS`, a table's ``days`` after its own first day.
    Errors as of `write_table`.
    """
    preset = preset if days is None else replace(preset, days=days)
    with ExitStack() as files:
        told = None if truth is None else files.enter_context(closing(TruthFile(truth)))
        if isinstance(preset, Preset):
            world = world_for(preset, seed, FILE_ENDS if now is None else now, cards=cards)
            stream = Stream(world)
            history = stream.history(preset.days)
            if events is not None:
                history = _telling_events(stream, history, files.enter_context(events.open("wb")))
            return write_history(history, out, count, told)
        if events is not None:
            raise NotWritten("this preset has no customer events: its customers do nothing but pay")
        first = preset.first_day if now is None else _day_of(now) - timedelta(days=preset.days)
        batches = preset.make(seed, cards or preset.cards, preset.days, first)
        return write_batches(batches if count is None else at_most(batches, count), out, told)


def _telling_events(stream: Stream, history: Iterator[Attempt], file: IO[bytes]) -> Iterator[Attempt]:
    """``history``; what became of customers is in ``file`` before the payments that follow it."""
    for attempt in history:
        file.writelines(event.value() + b"\n" for event in stream.happened(attempt.time))
        yield attempt


def _day_of(time: float) -> date:
    return datetime.fromtimestamp(time, UTC).date()


async def simulate(
    world: World,
    preset: Preset,
    sinks: Sinks,
    clock: Clock,
    stop: asyncio.Event,
    *,
    commands: Commands | None = None,
    count: int | None = None,
    sent: Sent | None = None,
) -> Sent:
    """Send the directory, then traffic (live also what is booked on accounts) until ``count`` transactions went out or
    ``stop`` is set. An error of a sink or of ``commands`` ends the run and is raised."""
    sent = sent or Sent()
    switch = Switch()
    for customer in customers(world):
        await sinks.customer(customer.customer.encode(), msgspec.json.encode(customer))
        sent.customers += 1
    stream = Stream(world, switch)
    traffic = stream.history(preset.days) if preset.live is None else stream.live(clock.now(), preset.live)
    sending = asyncio.create_task(_send(islice(traffic, count), stream, world, preset, sinks, clock, stop, sent))
    tasks: set[asyncio.Task[None]] = {sending}
    if preset.live is not None:
        tasks.add(asyncio.create_task(_book(world, sinks, clock, stop, sent)))
    if commands is not None:
        tasks.add(asyncio.create_task(_obey(switch, commands, sinks, clock, sent)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return sent


async def _send(
    traffic: Iterator[Attempt],
    stream: Stream,
    world: World,
    preset: Preset,
    sinks: Sinks,
    clock: Clock,
    stop: asyncio.Event,
    sent: Sent,
) -> None:
    chargebacks = Chargebacks(world.seed, preset.chargebacks)
    for attempt in traffic:
        ahead_s = attempt.time - clock.now() if preset.live is not None else 0.0
        if ahead_s > 0:
            await _pause(stop, ahead_s)
        elif sent.transactions % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        if stop.is_set():
            return
        for replaced in stream.replaced():
            customer = customer_of(world, replaced.card, replaced.event)
            if customer is not None:
                await sinks.customer(customer.customer.encode(), msgspec.json.encode(customer))
            await sinks.card_event(replaced.key(), replaced.value())
            sent.replaced += 1
        for event in stream.happened(attempt.time):
            await sinks.event(event.key(), event.value())
            sent.events += 1
        await sinks.transaction(attempt.key(), attempt.value())
        if sinks.truth is not None:
            sinks.truth(attempt.truth)
        sent.transactions += 1
        sent.fraud += attempt.truth.fraud
        sent.by_kind[attempt.truth.kind] = sent.by_kind.get(attempt.truth.kind, 0) + 1
        chargebacks.saw(attempt)
        for label in chargebacks.due(attempt.time):
            await sinks.label(label.card.encode(), msgspec.json.encode(label))
            sent.labels += 1


async def _book(world: World, sinks: Sinks, clock: Clock, stop: asyncio.Event, sent: Sent) -> None:
    """Open the books, then send what is booked when its time comes."""
    opened, coming = world.billing.books(clock.now(), world.cards)
    for booked in chain(opened, coming):
        ahead_s = booked.time - clock.now()
        if ahead_s > 0:
            await _pause(stop, ahead_s)
        elif sent.booked % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        if stop.is_set():
            return
        await sinks.account(booked.key(), booked.value())
        sent.booked += 1


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _obey(switch: Switch, commands: Commands, sinks: Sinks, clock: Clock, sent: Sent) -> None:
    """Apply card commands as they come and answer each. A record that is no card command is passed over."""
    while True:
        for value in await commands():
            try:
                command = msgspec.json.decode(value, type=CardCommand)
            except msgspec.DecodeError:
                sent.unreadable_commands += 1
                continue
            result = switch.apply(command, clock.now())
            sent.commands += 1
            sent.stale_commands += not result["done"]
            await sinks.result(command.card.encode(), msgspec.json.encode(result))

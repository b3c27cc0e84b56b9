"""What a day's plan costs with many open statements, and how long a payment and a due reminder wait beside it.

    python benchmarks/reminder_plan.py [--accounts 1000000] [--seconds 20] [--json FILE]

Starts a Redis of its own (``appendfsync always``, ``noeviction``) and fills it with accounts of two statements and four
payments each, all of which come due the same day. One worker then plans the day, while a payment comes in every fifty
milliseconds: from the poll to the record that takes the reminder back. Then the plan is changed, and all are planned anew.
At last reminders that come due at random moments, on the worker with nothing else to do.
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reminders"))

from redis.asyncio import Redis
from reminder_world import ALMANAC, CONFIG, MemoryLog, Read, World, event, ms, numbered, own, repayment, rfc, statement
from servers import RedisServer

from pipeline.adapters.redis.accounts import RedisAccountStore
from pipeline.adapters.redis.connection import connect
from pipeline.core.account import Account, Told, after, encode
from pipeline.core.account_event import read_event
from pipeline.core.reminder_policy import read_reminders
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing

PARTITIONS = 6
PREFIX = "contact:"
NIGHT = "2026-03-12T17:00:00Z"
"""One in the morning in Shanghai, of the day on which the first stage comes."""
STAGE = "2026-03-13T02:00:00Z"
PIECE = 5_000
PAYING = 2_000
"""Accounts whose reminder was asked for, and that pay meanwhile."""
EVERY_S = 0.05
DUE_PER_S = 20
NAME = "00000000"
PLAN = (CONFIG / "policies" / "reminders.toml").read_text(encoding="utf-8")


class Now:
    """The Clock port: real seconds from a moment of choice on."""

    def __init__(self, moment: str) -> None:
        self._ahead = ms(moment) / 1000 - time.time()

    def now(self) -> float:
        return time.time() + self._ahead


class TimedLog(MemoryLog):
    """Keeps when each record came, by its key."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[bytes, float] = {}

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        await asyncio.sleep(0)
        self.came |= {record.key or b"": time.perf_counter() for record in records}


def model(told: bool, partition: int = 0) -> bytes:
    """The record of an account, with eight noughts where its number goes."""
    made: Account | None = None
    named: dict[str, Any] = {"account": f"ac{NAME}", "customer": f"cu{NAME}"}
    events = [
        statement(**named, id=f"st{NAME}a", statement_date="2026-01-31", due_date="2026-02-20"),
        *(repayment(f"2026-02-1{day}T00:00:00Z", 20_000, f"pa{NAME}{day}", f"ac{NAME}") for day in range(2)),
        statement(**named, id=f"st{NAME}b", statement_date="2026-02-28", due_date="2026-03-20"),
        *(repayment(f"2026-03-0{day}T00:00:00Z", 3_000, f"pb{NAME}{day}", f"ac{NAME}") for day in range(2, 4)),
    ]
    for record in events:
        made = after(made, read_event(record.key, record.value), record.timestamp, partition)
    assert made is not None
    terms = read_reminders(PLAN, "reminders.toml", ALMANAC).terms("card")
    changed: dict[str, Any] = {"terms": terms}
    if told:
        changed["told"] = (Told(f"st{NAME}b", "due_in_7", ms(NIGHT)),)
    return encode(Account(**{**{name: getattr(made, name) for name in made.__struct_fields__}, **changed}))


def record(pattern: bytes, number: int) -> bytes:
    return pattern.replace(NAME.encode(), b"%08d" % number)


async def filled(redis: Redis, accounts: int) -> None:
    """Straight into the server, as the store's own steps would leave it; the last `PAYING` have a request out."""
    plain = [model(False, partition) for partition in range(PARTITIONS)]
    told = [model(True, partition) for partition in range(PARTITIONS)]
    at_ms = ms(STAGE)
    for start in range(0, accounts, PIECE):
        records: dict[str, bytes] = {}
        due: dict[int, dict[str, int]] = {partition: {} for partition in range(PARTITIONS)}
        for number in range(start, min(start + PIECE, accounts)):
            partition = number % PARTITIONS
            pattern, due_ms = (told, ms("2026-03-17T02:00:00Z")) if number >= accounts - PAYING else (plain, at_ms)
            records[f"{PREFIX}note:a:ac{number:08d}"] = record(pattern[partition], number)
            due[partition][f"ac{number:08d}"] = due_ms
        await redis.mset(records)
        for partition, moments in due.items():
            await redis.zadd(f"{PREFIX}reminder:due:{partition}", moments)


async def paying(world: World, role: Any, log: TimedLog, accounts: int, done: asyncio.Event) -> list[float]:
    """Milliseconds from a poll with a payment to the record that takes its reminder back."""
    took, offsets = [], dict.fromkeys(range(PARTITIONS), 0)
    for number in range(accounts - PAYING, accounts):
        if done.is_set():
            break
        partition = number % PARTITIONS
        paid = repayment(rfc(round(world.clock.now() * 1000)), 100_000, f"px{number}", f"ac{number:08d}")
        began = time.perf_counter()
        await role.polled({partition: numbered([paid], offsets[partition], partition)})
        offsets[partition] += 1
        took.append((log.came[f"cu{number:08d}".encode()] - began) * 1000)
        await asyncio.sleep(EVERY_S)
    return took


def worst(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


async def measured(url: str, accounts: int, seconds: float) -> dict[str, Any]:
    async with connect(url) as redis:
        before = (await redis.info("memory"))["used_memory"]
        await filled(redis, accounts)
        figures: dict[str, Any] = {
            "accounts": accounts,
            "record_bytes": len(model(False)),
            "redis_mb": round(((await redis.info("memory"))["used_memory"] - before) / 1e6),
        }
        log = TimedLog()
        world = World(RedisAccountStore(redis), log, Now(NIGHT), read_reminders(PLAN, "reminders.toml", ALMANAC))
        role = world.worker()
        role.partitions = PARTITIONS
        for partition in range(PARTITIONS):
            await own(role, partition)
            day = f"2026-03-12 {world.plan.version}"
            await world.store.put_planned(partition, day)
        for what in ("plan", "replan"):
            if what == "replan":
                world.plan = read_reminders(PLAN.replace("day = -7", "day = -6"), "reminders.toml", ALMANAC)
            done = asyncio.Event()
            payments = asyncio.create_task(paying(world, role, log, accounts, done))
            began, used = time.perf_counter(), time.process_time()
            await role.plan_day()
            figures[f"{what}_s"] = round(time.perf_counter() - began, 1)
            figures[f"{what}_cpu_s"] = round(time.process_time() - used, 1)
            done.set()
            took = await payments
            if what == "plan":
                figures["payments"] = len(took)
                figures["payment_p50_ms"] = round(statistics.median(took), 1) if took else None
                figures["payment_p99_ms"] = round(worst(took, 0.99), 1)
        figures["redis_mb_after"] = round(((await redis.info("memory"))["used_memory"] - before) / 1e6)
        figures["redis_peak_mb"] = round((await redis.info("memory"))["used_memory_peak"] / 1e6)
        figures["worker_peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
        figures["late"] = await late(redis, seconds)
        return figures


async def late(redis: Redis, seconds: float) -> dict[str, Any]:
    """How late reminders are that come due at random moments."""
    await redis.flushall()
    log = TimedLog()
    world = World(RedisAccountStore(redis), log, Now(STAGE), read_reminders(PLAN, "reminders.toml", ALMANAC))
    role = world.worker()
    await own(role)
    await world.store.put_planned(0, f"2026-03-13 {world.plan.version}")
    drawn, number = random.Random(7), round(DUE_PER_S * seconds)
    bills: list[Read] = [
        statement(account=f"ac{each:08d}", customer=f"cu{each:08d}", id=f"st{each:08d}") for each in range(number)
    ]
    await role.polled({0: numbered([*bills, event("closed", account="ac_other")])})
    begin_ms = round(world.clock.now() * 1000) + 1_000
    due = {f"ac{each:08d}": begin_ms + round(drawn.random() * seconds * 1000) for each in range(number)}
    await redis.zadd(f"{PREFIX}reminder:due:0", due)
    started = time.perf_counter() - world.clock.now()
    await role.start()
    await asyncio.sleep(seconds + 2)
    await role.stop()
    took = [
        log.came[f"cu{name[2:]}".encode()] - (at_ms / 1000 + started)
        for name, at_ms in due.items()
        if f"cu{name[2:]}".encode() in log.came
    ]
    return {
        "due": number,
        "told": len(took),
        "p50_s": round(statistics.median(took), 3),
        "p99_s": round(worst(took, 0.99), 3),
        "most_s": round(max(took), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory) / "redis", appendfsync="always")
        server.start()
        try:
            figures = asyncio.run(measured(server.url, options.accounts, options.seconds))
        finally:
            server.stop()
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()

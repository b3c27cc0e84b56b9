"""What the contact store costs: memory and time per scheduled step, open contacts that wait, lateness of due steps.

    python benchmarks/contact_store.py [--contacts 100000] [--seconds 20] [--pairs 3] [--json FILE]

Starts a Redis of its own (``appendfsync always``, ``noeviction``). Three parts:

- *memory*: contacts that wait for their hour, and contacts whose question is out, as the contact worker stores them: a
  few hundred of each go through the worker itself; the others are these again, step by step, with card, transaction and
  name drawn anew and the hashes that follow. Counted is what the server's memory grew by, customers' directory apart. As the store fills, commits and
  claims of one contact are timed on the server.
- *waiting*: processor time of worker and server over some seconds with 5,000 open contacts and with none, in turns.
- *lateness*: steps that come due at random moments among 5,000 open contacts, on a worker with nothing else to do.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "contact"))

from contact_world import CONFIG, MemoryLog, Read, RecordingProvider, SetClock, World, customer, decision, own, settings
from redis.asyncio import Redis
from servers import RedisServer

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.core.conversation import contact_id
from pipeline.core.dossier import chained
from pipeline.core.topics import Topic
from pipeline.lab.bench.process import cpu_s
from pipeline.ports_channels import CallAccepted
from pipeline.ports_contact import Change
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels
from pipeline.roles.contact.role import ContactRole

NIGHT = datetime(2026, 3, 2, 15, tzinfo=UTC).timestamp()
"""Eleven in the evening in Shanghai."""
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC).timestamp()
KEEP_MS, LEASE_MS = 604_800_000, 5_000
OPEN = 5_000
MODELS = 300
PER_COMMIT = 100
TIMED = 300
STEPS_PER_S = 20
GIB = 2**30


class NoLog(MemoryLog):
    """Takes every record and keeps none."""

    async def send(self, topic: Topic, records: Any) -> None:
        await asyncio.sleep(0)


class Recorded(RedisContactStore):
    """Keeps the changes that were written."""

    changes: list[Change]

    async def commit(self, changes: Sequence[Change], *args: Any, **more: Any) -> Any:
        self.changes.extend(changes)
        return await super().commit(changes, *args, **more)


def card(drawn: random.Random) -> str:
    return f"tok_k1_{drawn.getrandbits(128):032x}"


def alert(drawn: random.Random, number: int, person: str, token: str, moment: float) -> Read:
    """A decision as the scorer writes them: as many digits, names as long."""
    record = decision(f"{drawn.getrandbits(64):016x}", offset=number, card=token, customer=person)
    value = json.loads(record.value or b"")
    value |= {
        "score": drawn.random(),
        "amount": drawn.randrange(10_000, 9_000_000),
        "merchant_name": f"{drawn.choice(('Corner Shop', 'Grand Hotel', 'Sunrise Electronics'))} {drawn.randrange(999)}",
        "merchant": f"m{drawn.randrange(10**9):010}",
        "mcc": str(drawn.randrange(1000, 9999)),
        "country": drawn.choice(("CN", "TH", "US")),
        "policy_version": "p_3f9a1c55",
        "features": {"amount": drawn.random() * 1e6},
    }
    record.value = json.dumps(value).encode()
    record.key = value["card"].encode()
    source_ms = b"%d" % (moment * 1000 - 80)
    record.headers = [(name, source_ms if name == "source_timestamp" else was) for name, was in record.headers]
    return record


def worker(world: World, profile: str) -> ContactRole:
    """A worker on what the world holds, under a profile of the product."""

    async def dead_letter(*told: object) -> None:
        raise AssertionError(told)

    channels = Channels(world.provider, world.messages)
    chosen = settings(world.config, contact_profile=profile)
    metrics = ContactMetrics(world.registry)
    return ContactRole(world.log, world.store, channels, world.clock, world_almanac(), chosen, metrics, dead_letter)


Steps = tuple[Change, ...]
"""The changes of one contact, in their order."""


async def models(store: Recorded, asked: bool) -> list[Steps]:
    """Changes as the worker writes them: with ``asked`` a text message was sent and its answer is waited for, else the
    call waits for the morning."""
    drawn = random.Random(7)
    clock = SetClock(NOON if asked else NIGHT)
    channel = RecordingChannel()
    world = World(store, log=NoLog(), clock=clock, config=CONFIG, messages=dict.fromkeys(("sms",), channel))
    store.changes = []
    role = worker(world, "cn")
    people = {f"cu_{number:08}": card(drawn) for number in range(MODELS)}
    kind = "mobile" if asked else "home"
    phones = [{"number": "+861065550042" if kind == "home" else "+8613800138042", "kind": kind}]
    await role.customers([customer(person, token, phones=phones, country="CN") for person, token in people.items()])
    await own(role)
    for number, (person, token) in enumerate(people.items()):
        await role.polled({0: [alert(drawn, number, person, token, clock.now())]})
    await role.work.idle()
    found: dict[str, Steps] = {}
    for change in store.changes:
        found[change.contact] = (*found.get(change.contact, ()), change)
    return list(found.values())


class RecordingChannel(RecordingProvider):
    """The MessageChannel port; takes everything, under names as long as a provider's."""

    async def send(self, order: Any) -> Any:
        return CallAccepted(f"SM{random.getrandbits(128):032x}")


def another(model: Steps, drawn: random.Random, due_ms: int) -> Steps:
    """``model`` with another card, transaction and name, and the hashes of its dossier made anew."""
    first = model[0]
    (transaction,) = re.findall(rb'"alerts":\[\{"id":"([0-9a-f]{16})"', first.value)
    new = {first.card.encode(): card(drawn).encode(), transaction: b"%016x" % drawn.getrandbits(64)}
    token, alert_id = (value.decode() for value in new.values())
    name = contact_id(token, alert_id)
    new[first.contact.encode()] = name.encode()
    steps, proof = [], name

    def renewed(text: bytes) -> bytes:
        for old, young in new.items():
            text = text.replace(old, young)
        return text

    for change in model:
        dossier = []
        for entry in change.dossier:
            facts = json.loads(renewed(entry))
            del facts["previous"], facts["hash"]
            link = chained(proof, facts)
            proof = link.hash
            dossier.append(link.value)
        value = re.sub(rb'"proof":"[0-9a-f]{64}"', b'"proof":"%s"' % proof.encode(), renewed(change.value))
        steps.append(change._replace(
            contact=name, card=token, value=value, due_ms=due_ms, open=True, alerts=(alert_id,) if change is first else (),
            outbox=(), dossier=dossier,
        ))  # fmt: skip
    return tuple(steps)


async def written(store: RedisContactStore, contacts: list[Steps], now_ms: int) -> None:
    """Each step of all of them in one commit."""
    for changes in zip(*contacts, strict=True):
        committed = await store.commit(changes, now_ms, LEASE_MS, KEEP_MS)
        assert committed.outcome == "stored"


async def used(client: Redis) -> int:
    return int((await client.info("memory"))["used_memory"])


async def server_us(client: Redis) -> tuple[int, float]:
    """Scripts run so far, and the microseconds the server spent in them."""
    found = (await client.info("commandstats")).get("cmdstat_evalsha", {"calls": 0, "usec": 0})
    return int(found["calls"]), float(found["usec"])


async def timed(client: Redis, store: RedisContactStore, made: list[Steps]) -> dict[str, float]:
    """Microseconds of the server per commit of one contact, and per claim of one and its new schedule."""
    cost: dict[str, float] = {}
    start = await server_us(client)
    for steps in made:
        await written(store, [steps], 1)
    end = await server_us(client)
    cost["commit_us"] = (end[1] - start[1]) / (end[0] - start[0])
    first = min(steps[0].due_ms or 0 for steps in made)
    for _ in made:
        assert len(await store.claim(first + 10**7, 10**8, 1)) == 1
    last = await server_us(client)
    cost["claim_us"] = (last[1] - end[1]) / (last[0] - end[0])
    return cost


async def memory(client: Redis, contacts: int, asked: bool) -> dict[str, Any]:
    """Fill an empty server with ``contacts``."""
    await client.flushall()
    store = Recorded(client, "models-")
    found = await models(store, asked)
    await client.flushall()
    store = RedisContactStore(client)
    drawn = random.Random(11)
    before = await used(client)
    now_ms = int(time.time() * 1000)
    sizes: list[dict[str, float]] = []
    marks = sorted({1_000, 10_000, 100_000, contacts})
    done, began = 0, time.perf_counter()
    while done < contacts:
        goal = next(mark for mark in marks if mark > done)
        number = min(PER_COMMIT, goal - done)
        made = [
            another(found[(done + k) % len(found)], drawn, now_ms + 10**8 + drawn.randrange(10**7))
            for k in range(number)
        ]
        await written(store, made, now_ms)
        done += number
        if done == goal:
            each = (await used(client) - before) / done
            more = [another(found[k % len(found)], drawn, now_ms + k) for k in range(TIMED)]
            sizes.append({"contacts": done, "bytes": each, **await timed(client, store, more)})
            print(
                f"{done:9,} contacts: {each:6.0f} B each, a commit {sizes[-1]['commit_us']:.0f} µs, "
                f"a claim {sizes[-1]['claim_us']:.0f} µs of the server",
                flush=True,
            )
            if done == contacts:
                break
            for change, *_ in more:
                await client.delete(f"contact:conversation:{change.contact}")
                await client.hdel("contact:open", change.card)
                await client.zrem("contact:due", change.contact)
    names = [f"contact:conversation:{change.contact}" for change, *_ in made]
    conversation = statistics.mean([await client.memory_usage(name) or 0 for name in names])
    shares = {
        "conversation": conversation,
        **{name: (await client.memory_usage(f"contact:{name}", samples=1000) or 0) / done for name in ("open", "due")},
    }
    print("of these " + ", ".join(f"{name} {size:.0f}" for name, size in shares.items()))
    return {"asked": asked, "sizes": sizes, "shares": shares, "filled_s": time.perf_counter() - began}


async def opened(store: RedisContactStore, changes: list[Steps], number: int, due_ms: Any) -> None:
    drawn = random.Random(number)
    for start in range(0, number, PER_COMMIT):
        made = [
            another(changes[(start + k) % len(changes)], drawn, due_ms())
            for k in range(min(PER_COMMIT, number - start))
        ]
        await written(store, made, int(time.time() * 1000))


async def waiting(client: Redis, pid: int, seconds: float, pairs: int) -> dict[str, Any]:
    """CPU shares of worker and server, without and with open contacts."""
    found: dict[int, list[float]] = {0: [], OPEN: []}
    store = Recorded(client, "models-")
    changes = await models(store, asked=False)
    for number in (0, OPEN):
        await opened(RedisContactStore(client, f"w{number}-"), changes, number, lambda: int(time.time() * 1000) + 10**8)
    for pair in range(pairs):
        for number in (0, OPEN) if pair % 2 == 0 else (OPEN, 0):
            world = World(
                RedisContactStore(client, f"w{number}-"),
                log=NoLog(),
                clock=SystemClock(),
                config=CONFIG,
                messages={"sms": RecordingChannel()},
            )
            role = worker(world, "cn")
            await role.start()
            await asyncio.sleep(1)
            before = time.process_time(), cpu_s(pid), time.perf_counter()
            await asyncio.sleep(seconds)
            after = time.process_time(), cpu_s(pid), time.perf_counter()
            await role.stop()
            assert world.sample("open_contacts", **{"class": "fraud"}) == number
            found[number].append((after[0] - before[0] + after[1] - before[1]) / (after[2] - before[2]))
    none, some = (statistics.median(found[number]) for number in (0, OPEN))
    print(f"worker and server: {none:.2%} of a core with no open contact, {some:.2%} with {OPEN:,}: {some - none:+.2%}")
    return {"none": found[0], "open": found[OPEN], "more": some - none}


async def lateness(client: Redis, seconds: float) -> dict[str, float]:
    """Milliseconds between the moment a step was due and its start."""
    store = Recorded(client, "models-")
    changes = await models(store, asked=False)
    at_work = RedisContactStore(client, "late-")
    await opened(at_work, changes, OPEN, lambda: int(time.time() * 1000) + 10**8)
    world = World(at_work, log=NoLog(), clock=SystemClock(), config=CONFIG, messages={"sms": RecordingChannel()})
    role = worker(world, "cn")
    found: list[float] = []
    role._metrics.lateness.observe = found.append
    start_ms = int(time.time() * 1000) + 2_000
    steps = int(seconds * STEPS_PER_S)
    drawn = random.Random(3)
    moments = [start_ms + drawn.randrange(int(seconds * 1000)) for _ in range(steps)]
    made = []
    for k, moment in enumerate(moments):
        (change,) = another(changes[k % len(changes)], drawn, moment)
        value = re.sub(rb'"due_ms":\d+', b'"due_ms":%d' % moment, change.value)
        made.append(change._replace(value=value))
    await at_work.commit(made, start_ms, LEASE_MS, KEEP_MS)
    await role.start()
    while len(found) < steps and time.time() * 1000 < start_ms + seconds * 1000 + 5_000:
        await asyncio.sleep(0.1)
    await role.stop()
    ordered = sorted(one * 1000 for one in found[:steps])
    told = {
        "steps": len(ordered),
        "p50": statistics.median(ordered),
        "p99": ordered[int(len(ordered) * 0.99)],
        "max": ordered[-1],
    }
    print(
        f"{told['steps']} of {steps} due steps started late by p50 {told['p50']:.0f}, p99 {told['p99']:.0f}, at most {told['max']:.0f} ms"
    )
    return told


async def measure(redis: RedisServer, options: argparse.Namespace) -> dict[str, Any]:
    async with connect(redis.url) as client:
        version = (await client.info("server"))["redis_version"]
        print(f"Redis {version}; contacts that wait for their hour")
        deferred = await memory(client, options.contacts, asked=False)
        print("contacts whose question was sent and whose answer is waited for")
        asked = await memory(client, options.contacts, asked=True)
        await client.flushall()
        idle = await waiting(client, redis.pid, options.seconds, options.pairs)
        await client.flushall()
        late = await lateness(client, options.seconds)
    return {"redis": version, "deferred": deferred, "asked": asked, "waiting": idle, "lateness": late}


def main(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as directory:
        # an append-only file of a million contacts would only fill the disk: it is rewritten as it grows
        redis = RedisServer(Path(directory) / "redis", appendfsync="always")
        redis.start()
        try:
            found = asyncio.run(measure(redis, options))
        finally:
            redis.stop()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    million = found["deferred"]["sizes"][-1]["bytes"] * 1e6
    print(f"a million scheduled steps: {million / 1e9:.2f} GB ({million / GIB:.2f} GiB)")
    good = million <= 1e9 and found["waiting"]["more"] <= 0.01 and found["lateness"]["max"] <= 250
    return 0 if good else 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(options()))

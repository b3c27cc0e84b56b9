"""The whole loop over HTTP: role, signed call-backs and the telephony simulator, on the embedded Valkey."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from contact_world import API_KEY, SECRET, World, customer, decision, own, settings, with_ladder

from pipeline.adapters.channels.voice import VoiceProvider
from pipeline.adapters.channels.webhook import WebhookChannel
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.http.callbacks import serve
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.embedded.store import EmbeddedStore
from pipeline.lab.telephony.app import Telephony
from pipeline.lab.telephony.behaviour import Callees, parse_mix
from pipeline.lab.telephony.calls import Pace

PLAN = """
ring_s = {ring_s}
answer_grace_s = 0.2
retry_s = 0.01
attempts = 6
later_s = 60.0
patience_s = 3600.0
exempt_s = 60.0
acknowledge_s = 0.0
lease_s = 1.0
asks = 3
ask_again_s = 0.02
hand_over_s = 3600.0
keep_s = 3600.0
[[ladder]]
channel = "voice"
tries = 2
"""
TEXT_FIRST = """
[[ladder]]
channel = "sms"
wait_s = 0.2

[[ladder]]
channel = "voice"
"""
DEMO = (Path(__file__).parents[2] / "config" / "contact" / "demo.toml").read_text(encoding="utf-8")
POLICY = DEMO[DEMO.index("[profile]") :]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path_factory.mktemp("valkey"), "no")
    store.start()
    yield store
    store.stop()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    messages = Path(__file__).parents[2] / "config" / "messages"
    (tmp_path / "config" / "contact").mkdir(parents=True)
    (tmp_path / "config" / "messages").symlink_to(messages)
    (tmp_path / "config" / "contact" / "demo.toml").write_text(PLAN.format(ring_s=0.05) + POLICY)
    return tmp_path / "config"


@asynccontextmanager
async def installation(behaviour: str, server: EmbeddedStore, config: Path) -> AsyncIterator[tuple[World, Telephony]]:
    telephony = Telephony(
        config.parent / "telephony", SECRET.encode(), API_KEY, Callees(parse_mix(behaviour)), Pace(), time_out_s=30
    )
    await telephony.start()
    async with connect(server.url) as client:
        world = World(RedisContactStore(client, f"{config.parent.name}-"), clock=SystemClock(), config=config)
        world.provider = VoiceProvider(telephony.url, API_KEY, "", timeout_s=0.3)
        await world.provider.start()
        texts = WebhookChannel(f"{telephony.url}/v1/messages", SECRET.encode(), world.clock)
        world.messages["sms"] = texts
        await texts.start()
        role = world.worker()
        callbacks = await serve(role, settings(config), world.clock)
        world.provider._callback_url = f"http://127.0.0.1:{callbacks.port}/callbacks/voice"
        telephony.messages._callback_url = f"http://127.0.0.1:{callbacks.port}/callbacks"
        await role.start()
        await role.customers([customer()])
        await own(role)
        await role.polled({0: [decision()]})
        yield world, telephony
        await role.stop()
        await callbacks.stop()
        await texts.stop()
        await world.provider.stop()
    await telephony.stop()


def ended(behaviour: str, server: EmbeddedStore, config: Path, last: str) -> tuple[World, list[dict[str, object]]]:
    """Run until a contact step ``last`` is published; the world and the provider's own record."""

    async def go() -> tuple[World, list[dict[str, object]]]:
        async with installation(behaviour, server, config) as (world, telephony), asyncio.timeout(20):
            while last not in world.log.steps():
                await asyncio.sleep(0.005)
            return world, telephony.log.lines

    return asyncio.run(go())


def rings_per_key(record: list[dict[str, object]]) -> list[int]:
    keys = [line["key"] for line in record if line["event"] == "ring"]
    return [keys.count(key) for key in dict.fromkeys(keys)]


@pytest.mark.parametrize(
    ("behaviour", "last", "commands", "labels", "calls"),
    [
        ("yes", "completed", ["hold", "release"], [False], 1),
        ("no", "completed", ["hold", "block"], [True], 1),
        ("silence", "escalated", ["hold"], [], 2),
        ("busy", "escalated", ["hold"], [], 2),
        ("hang_up", "escalated", ["hold"], [], 1),
        ("wrong_key", "escalated", ["hold"], [], 1),
        ("error", "escalated", ["hold"], [], 0),
        ("time_out", "completed", ["hold", "release"], [False], 1),
    ],
)
def test_a_call_ends_as_the_customer_behaves(
    behaviour: str, last: str, commands: list[str], labels: list[bool], calls: int, server: EmbeddedStore, config: Path
) -> None:
    world, record = ended(behaviour, server, config, last)
    assert world.log.commands() == commands
    assert [label["fraud"] for label in world.log.values("labels")] == labels
    assert rings_per_key(record) == [1] * calls


@pytest.mark.parametrize(
    ("behaviour", "last", "commands", "rings"),
    [
        ("yes", "completed", ["hold", "release"], 0),
        ("no", "completed", ["hold", "block"], 0),
        ("hang_up", "escalated", ["hold"], 1),
    ],
)
def test_a_text_is_answered_or_a_call_follows(
    behaviour: str, last: str, commands: list[str], rings: int, server: EmbeddedStore, config: Path
) -> None:
    profile = config / "contact" / "demo.toml"
    profile.write_text(with_ladder(profile.read_text(), TEXT_FIRST))
    world, record = ended(behaviour, server, config, last)
    assert world.log.commands() == commands
    assert len(rings_per_key(record)) == rings
    assert "delivered" in world.log.steps()
    written = [line["text"] for line in record if line["event"] == "reply"]
    assert written == ([] if rings else [behaviour.upper()])


def test_neither_record_nor_topics_hold_the_number(server: EmbeddedStore, config: Path) -> None:
    world, _ = ended("yes", server, config, "completed")
    written = (config.parent / "telephony" / "calls.jsonl").read_bytes()
    for records in world.log.sent.values():
        written += b"".join(record.value for record in records)
    assert b"13800138042" not in written
    assert b"42" in written

"""Requests of every class on a real store: told, remembered, explained, and on record."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cascade_world import MORNING, Carrier
from click.testing import CliRunner, Result
from contact_world import DIGEST_KEY, PHONE, SetClock, World, until_done
from request_world import TEMPLATES, asked_for, holder, request_config

from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.cli import main
from pipeline.core.contact_policy import CLASSES
from pipeline.core.conversation import decode
from pipeline.core.requests import contact_of
from pipeline.embedded.store import EmbeddedStore

TOLD = [class_ for class_ in CLASSES if class_ != "fraud"]
_numbers = itertools.count()
Story = Callable[[World, Carrier], Awaitable[None]]


class Installation:
    """A store in which a customer of each class was asked to be told something, and the command line beside it."""

    def __init__(self, url: str, config: Path) -> None:
        self.url, self.config = url, config
        self.prefix = f"requests{next(_numbers)}-"

    def play(self, story: Story) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                carrier = Carrier([])
                store = RedisContactStore(client, self.prefix)
                clock = SetClock(MORNING)
                await story(
                    World(store, provider=carrier, clock=clock, config=self.config, messages={"sms": carrier}), carrier
                )

        asyncio.run(go())

    def run(self, *words: str) -> Result:
        environment = {
            "CARDWATCH_REDIS_URL": self.url,
            "CARDWATCH_TOPIC_PREFIX": self.prefix,
            "CARDWATCH_CONFIG_DIR": str(self.config),
            "CARDWATCH_CONTACT_PROFILE": "demo",
            "CARDWATCH_CONTACT_KEY": DIGEST_KEY,
        }
        return CliRunner().invoke(main, ["contact", *words], env=environment)


@pytest.fixture
def there(valkey: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(valkey.url, request_config(tmp_path_factory.mktemp("redis") / "config"))


def test_every_class_is_told_remembered_explained_and_on_record(there: Installation) -> None:
    async def story(world: World, carrier: Carrier) -> None:
        role = world.worker()
        consent = {"marketing": True}
        await role.customers([holder(f"cu_{class_}", consent=consent) for class_ in TOLD])
        wanted = [asked_for(class_, "r1", MORNING, customer=f"cu_{class_}") for class_ in TOLD]
        await role.requests([*wanted, *wanted])
        assert [await world.store.open_count(class_) for class_ in CLASSES] == [0, 1, 1, 1, 1]
        await until_done(role)
        assert [world.sample("open_contacts", **{"class": class_}) for class_ in CLASSES] == [0, 1, 1, 1, 1]
        await role.requests(wanted)
        for report in list(carrier.reports.values()):
            await role.reported(report._replace(status="delivered"))
        world.clock.pass_s(300)
        await until_done(role)
        orders = {order.key.split(":")[0]: order for order in carrier.made}
        assert set(orders) == {contact_of(f"cu_{class_}", "r1") for class_ in TOLD}
        states = {}
        for class_ in TOLD:
            kept = await world.store.conversation(contact_of(f"cu_{class_}", "r1"))
            assert kept is not None
            states[class_] = decode(kept.value).state
        assert states == {
            "service": "completed",
            "reminder": "completed",
            "collection": "ringing",
            "marketing": "completed",
        }
        assert world.sample("contacts_total", **{"class": "service", "channel": "sms", "result": "completed"}) == 1

    there.play(story)
    for class_ in TOLD:
        explained = there.run(
            "explain", f"cu_{class_}", "--class", class_, "--json", "--at", "2026-03-03T12:00:00+08:00"
        )
        assert explained.exit_code == 0, explained.output
        found = json.loads(explained.output)
        assert (found["class"], found["verdict"], found["channel"]) == (class_, "go", "sms")
        for language, whole in (("en", "The chain holds"), ("zh", "哈希链完整")):
            told = there.run("dossier", contact_of(f"cu_{class_}", "r1"), "--language", language)
            assert told.exit_code == 0, told.output
            assert f"request r1, template {TEMPLATES[class_][0]}" in told.output
            assert told.output.splitlines()[-1].startswith(whole)
            assert PHONE[1:] not in told.output


def test_two_requests_that_are_told_in_one_are_one_on_the_store_too(there: Installation) -> None:
    async def story(world: World, carrier: Carrier) -> None:
        role = world.worker()
        await role.customers([holder("cu_two")])
        tomorrow = {"customer": "cu_two", "not_before": "2026-03-03T02:00:00Z"}
        two = [asked_for("reminder", name, MORNING, **tomorrow) for name in ("r1", "r2")]
        for _ in range(2):
            await role.requests(two)
        await role.requests(
            [asked_for("reminder", "r1", MORNING, customer="cu_two", expires_at="2026-03-01T00:00:00Z")]
        )
        world.clock.pass_s(86_400)
        await until_done(role)
        (order,) = carrier.made
        assert order.reference == ("r2",)
        steps = [(step["subject"]["request"], step["step"]) for step in world.log.values("contacts")]
        assert steps == [
            ("r1", "planned"),
            ("r2", "planned"),
            ("r1", "cancelled"),
            ("r2", "sending"),
            ("r2", "accepted"),
        ]

    there.play(story)

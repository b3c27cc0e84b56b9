"""`cardwatch contact` on a store that holds a customer and a finished contact: words, JSON, exit codes."""

import asyncio
import itertools
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from contact_world import DIGEST_KEY, PHONE, World, calls_only, customer, decision, own, until_done
from redis.asyncio import Redis

from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.adapters.redis.contacts_packing import packed_entries, unpacked_entries
from pipeline.cli import main
from pipeline.core.conversation import attempt_key, contact_id
from pipeline.embedded.store import EmbeddedStore

CONTACT = contact_id("tok_card_0001", "tx1")
_numbers = itertools.count()


class Installation:
    """A store in which customer cu1 said yes to CONTACT, and the command line beside it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"commands{next(_numbers)}-"

    def on_redis(self, story: Callable[[Redis], Awaitable[None]]) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                await story(client)

        asyncio.run(go())

    async def played(self, client: Redis) -> None:
        world = World(RedisContactStore(client, self.prefix))
        role = world.worker()
        await role.customers([customer(country="CN", time_zone="Asia/Shanghai")])
        await own(role)
        await role.polled({0: [decision()]})
        await until_done(role)
        await role.reported(world.provider.ended(attempt_key(CONTACT, 1), "completed", "1"))
        await until_done(role)

    def run(self, *words: str, **more: str) -> Result:
        environment = {
            "CARDWATCH_REDIS_URL": self.url,
            "CARDWATCH_TOPIC_PREFIX": self.prefix,
            "CARDWATCH_CONFIG_DIR": str(calls_only()),
            "CARDWATCH_CONTACT_KEY": DIGEST_KEY,
            "CARDWATCH_CONTACT_PROFILE": "demo",
        }
        return CliRunner().invoke(main, ["contact", *words], env=environment | more)


@pytest.fixture(scope="module")
def there(valkey: EmbeddedStore) -> Installation:
    found = Installation(valkey.url)
    found.on_redis(found.played)
    return found


def test_explain_reads_customer_and_histories_and_shows_no_number(there: Installation) -> None:
    told = there.run("explain", "cu1", "--class", "fraud", "--json", "--at", "2026-11-23T12:00:00+08:00")
    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    assert (found["verdict"], found["channel"], found["to"]) == ("go", "voice", "+***42")
    shown = there.run("explain", "cu1", "--class", "fraud", "--language", "zh")
    assert "现在可以联系: 电话, +***42" in shown.output
    assert PHONE[1:] not in told.output + shown.output


def test_explain_counts_what_the_store_remembers(there: Installation, tmp_path: Path) -> None:
    config = Path(shutil.copytree(calls_only(), tmp_path / "config"))
    cap = 'classes = ["fraud"]\nlimit = 6\ndays = 1\nof = "number"\ncounts = ["dial"]\nsource = "a test"'
    with (config / "contact" / "demo.toml").open("a") as profile:
        profile.write(f"\n[[cap]]\n{cap}\n")
    asked = ("explain", "cu1", "--class", "fraud", "--json", "--at", "1970-01-01T08:30:00+08:00")
    told = there.run(*asked, CARDWATCH_CONFIG_DIR=str(config))
    caps = next(gate for gate in json.loads(told.output)["gates"] if gate["gate"] == "caps")
    assert caps["detail"] == [{"code": "cap", "count": 1, "limit": 6, "days": 1, "of": "number"}]


def test_who_is_not_known_and_what_is_no_moment_are_told(there: Installation) -> None:
    unknown = there.run("explain", "cu9", "--class", "fraud")
    assert (unknown.exit_code, unknown.output) == (1, "Error: there is no customer cu9 in the directory\n")
    assert there.run("explain", "cu1", "--class", "fraud", "--at", "noon").exit_code == 2
    assert there.run("explain", "cu1", "--class", "gossip").exit_code == 2
    assert there.run("dossier", "ct_0").exit_code == 1
    away = there.run("explain", "cu1", "--class", "fraud", CARDWATCH_REDIS_URL="redis://127.0.0.1:1/0")
    assert away.exit_code == 1
    assert "the contact store does not answer" in away.output


def test_preview_shows_every_message_of_a_language(there: Installation) -> None:
    both = there.run("preview").output
    chinese = there.run("preview", "--language", "zh").output
    assert "en fraud.voice.ask_one" in both
    assert "zh-CN fraud.voice.ask_one" in chinese
    assert "\nen " not in chinese


@pytest.mark.parametrize(("language", "said"), [("en", "The chain holds"), ("zh", "哈希链完整")])
def test_a_dossier_tells_what_was_done_and_that_it_is_whole(there: Installation, language: str, said: str) -> None:
    told = there.run("dossier", CONTACT, "--language", language)
    assert told.exit_code == 0, told.output
    assert told.output.splitlines()[-1].startswith(said)
    for shown in ("the bank's own choice: any hour", "+***42", "Press 1 if it was you", "call_1", "(cardholder_yes)"):
        assert shown in told.output
    assert PHONE[1:] not in told.output


def test_a_tampered_entry_is_named(valkey: EmbeddedStore) -> None:
    there = Installation(valkey.url)
    there.on_redis(there.played)
    key = f"{there.prefix}contact:dossier:{CONTACT}"

    async def tamper(client: Redis) -> None:
        two_years_ms = 63_072_000_000
        assert two_years_ms - 60_000 < await client.pttl(key) <= two_years_ms
        (entry,) = unpacked_entries((await client.lrange(key, -1, -1))[0], CONTACT)
        changed = packed_entries([entry.replace(b'"word":"yes"', b'"word":"no"')], CONTACT, sealed=True)
        await client.lset(key, -1, changed[4:])  # behind its length

    there.on_redis(tamper)
    told = there.run("dossier", CONTACT)
    assert told.exit_code == 1
    assert told.output.endswith("The chain is broken.\n  entry 4: was changed\n")

    async def cut(client: Redis) -> None:
        await client.rpop(key)

    there.on_redis(cut)
    found = json.loads(there.run("dossier", CONTACT, "--json").output)
    assert (found["holds"], found["broken"]) == (False, [{"entry": 4, "why": "cut_off"}])
    assert len(found["entries"]) == 3


@pytest.mark.parametrize("command", ["rebuild", "reconcile"])
def test_without_a_broker_the_store_is_not_made_again_nor_compared(there: Installation, command: str) -> None:
    told = there.run(command, CARDWATCH_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert told.exit_code == 1
    assert told.output.startswith("Error: no Kafka broker answers at 127.0.0.1:1")
    assert there.run(command, "--days", "0").exit_code == 2

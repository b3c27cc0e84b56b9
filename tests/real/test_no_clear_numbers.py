"""Card and phone numbers planted at the door of a whole installation are found nowhere in what it wrote: no topic, no
store, no log, no file, no page, no metric. Phone numbers live in the customers' directory and at the provider only."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installation import READY_S, Installation
from planted import Places, card_number, escaped, forms
from servers import ApacheKafka, RedisServer

from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.core.topics import CUSTOMERS, TOPICS, TRANSACTIONS

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

IDENTIFIERS = ("id", "original_id", "customer", "account", "wallet", "device", "three_ds", "merchant", "terminal")
SHORT = ("card", "previous_card", "currency", "type", "kind", "entry_mode", "initiator", "eci", "cvv_result",
         "pin_result", "avs_result", "mcc", "country", "home_country", "response_code", "time")  # fmt: skip
FREE = ("merchant_name", "city", "note", "pan")
"""The last two are no fields of a transaction: unknown ones are ignored."""
BAD = 'this is no transaction: {} {"pan": "{}"'


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made.environment |= {"TMPDIR": str(scratch), "CARDWATCH_LOG_LEVEL": "debug"}
    yield made
    made.close()


class Door:
    """What is sent in, and which numbers were planted in it."""

    def __init__(self, installation: Installation) -> None:
        self._outside = installation.outside
        self._partitions = installation.partitions
        self.cards: set[str] = set()
        self.phones: set[str] = set()
        self.people: list[str] = []
        self.refused = self.customers = 0
        self._serial = 0

    def number(self) -> str:
        self._serial += 1
        made = card_number(self._serial, self._serial)
        self.cards.add(made)
        return made

    def phone(self) -> str:
        made = f"1{212 + len(self.phones) // 100}55501{len(self.phones) % 100:02}"
        self.phones.add(made)
        return "+" + made

    def token(self, name: str) -> str:
        return f"tok_t_{name:0>12}"

    def customer(self, name: str, *, clean: bool) -> str:
        """A customer with a phone, and unless ``clean`` with numbers in fields nobody knows; answers the phone."""
        phone = self.phone()
        self.customers += 1
        record: dict[str, Any] = {
            "customer": name, "language": "en", "country": "CN", "phones": [{"number": phone, "kind": "mobile"}],
            "cards": [{"card": self.token(name), "last4": "1234"}],
        }  # fmt: skip
        if not clean:
            record |= {"note": self.number(), "pan": self.number(), "memo": f"ring {self.phone()}"}
            record["cards"][0]["pan"] = self.number()
        self._outside.produce_json("customers", name, record)
        return phone

    def alert(self, name: str, words: dict[str, str]) -> None:
        """Three card checks within seconds, which the delivered policy answers with a hold and a call; ``words`` are
        the JSON texts of fields, as they stand between the quotes."""
        self.people.append(name)
        for number in range(3):
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 10 + number))
            fields = {
                "id": f"{name}-{number}", "card": self.token(name), "customer": name, "time": moment, "currency": "CNY",
                "kind": "verification", "entry_mode": "ecommerce", "merchant": "m1", "country": "CN",
            } | words  # fmt: skip
            text = ",".join(f'"{field}":"{value}"' for field, value in fields.items())
            self._outside.produce("transactions", self.token(name).encode(), f'{{"amount":0,{text}}}'.encode())

    def no_customer(self, key: bytes, value: bytes) -> None:
        self.refused += 1
        self._outside.produce("customers", key, value)

    def refusable(self, key: bytes | None, value: bytes) -> None:
        self.refused += 1
        self._outside.produce("transactions", key, value, partition=self.refused % self._partitions)


def plant_customers(door: Door) -> None:
    for place, _ in enumerate(forms("")):
        door.customer(f"p{place}", clean=False)
    for name in ("escaped", "phoned"):
        door.customer(name, clean=True)


def plant(door: Door) -> None:
    """Numbers wherever a number can be put, in every form; some in what is refused, some in what is decided."""
    for place, _ in enumerate(forms("")):
        words = {field: list(forms(door.number()))[place][1] for field in FREE}
        if place % 2:
            words["city"] = f"ask {door.phone()}"
        door.alert(f"p{place}", words)
    door.alert("escaped", {field: escaped(door.number()) for field in FREE})
    phone = door.phone()
    door.alert("phoned", {"merchant_name": f"Call {phone} now", "city": f"{phone[:2]} {phone[2:5]}-{phone[5:]}"})
    base = {
        "id": "r",
        "card": "tok_t_000000000000",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "amount": 1,
        "currency": "CNY",
    }
    for field in (*IDENTIFIERS, *SHORT):
        for _, text in forms(door.number()):
            door.refusable(b"k", json.dumps(base | {field: text}).encode())
            door.refusable(b"k", json.dumps(base | {field: text}, ensure_ascii=False).encode())
        inside = json.dumps(base | {field: "@"}).replace("@", escaped(door.number()))
        door.refusable(b"k", inside.encode())
        door.refusable(b"k", json.dumps(base | {field: int(door.number())}).encode())
    for _, text in forms(door.number()):
        for encoding in ("utf-8", "utf-16", "utf-16-be", "utf-32"):
            door.refusable(text.encode(), BAD.replace("{}", text).encode(encoding))
        door.refusable(text.encode(), b"\xff\xfe" + text.encode())
        door.refusable(text.encode(), json.dumps([text, {text: text}]).encode())
    for _, text in forms(door.number()):
        door.no_customer(text.encode(), f'{{"customer": "{text}"'.encode())
        door.no_customer(b"somebody", json.dumps({"customer": text, "phones": [{"number": door.phone()}]}).encode())
        door.no_customer(b"c", json.dumps({"customer": "c", "phones": [{"number": text}]}).encode())
        door.no_customer(b"c", json.dumps({"customer": "c", "consent": {text: text}}).encode())
    phone = door.phone()
    door.refusable(phone.encode(), f"not a transaction, call {phone} or {phone[1:]}".encode())
    door.refusable(None, json.dumps(base | {"currency": "XQQ", "note": phone}).encode())


def everything_written(installation: Installation, redis_directory: Path) -> Places:
    """All that can be read of a run, but for the door itself."""
    found = Places()
    for topic in TOPICS:
        if topic not in (TRANSACTIONS, CUSTOMERS):
            for record in installation.outside.read(topic.name):
                found.add(f"topic {topic.name}", [record.key or b"", record.value or b"", record.headers])
    for key in installation.redis.scan_iter(installation.prefix + "*"):
        found.add(f"redis {key.decode().removeprefix(installation.prefix)}", [key, value_of(installation, key)])
    for contact, texts in asyncio.run(conversations(installation)).items():
        found.add(f"conversation and dossier of {contact}", texts)
    for path in redis_directory.rglob("*"):
        if path.is_file():
            found.add("redis's own files", path.read_bytes())
    for path in installation.directory.rglob("*"):
        if path.is_file() and installation.config not in path.parents:
            found.add(f"file {path.relative_to(installation.directory)}", path.read_bytes())
    for role in ("scorer", "learner", "contact", "desk"):
        found.add(f"metrics of {role}", installation.metrics(role))
    desk = f"http://127.0.0.1:{installation.environment['CARDWATCH_DESK_PORT']}"
    alerts = json.loads(page(f"{desk}/api/v1/alerts?limit=100"))["alerts"]
    assert alerts
    stories = [f"/alerts/{alert['id']}" for alert in alerts if isinstance(alert.get("id"), str)]
    for path in ("/", "/?lang=zh-CN", "/api/v1/alerts?limit=100", "/api/v1/summary", *stories):
        found.add(f"desk {path}", page(desk + path))
    return found


async def conversations(installation: Installation) -> dict[str, list[bytes]]:
    """Every conversation with its dossier, as they were before they were packed."""
    keys = installation.redis.scan_iter(f"{installation.prefix}contact:conversation:*")
    contacts = [key.decode().rpartition(":")[2] for key in keys]
    async with connect(installation.environment["CARDWATCH_REDIS_URL"]) as client:
        store = RedisContactStore(client, installation.prefix)
        found = {contact: [*(await store.dossier(contact))] for contact in contacts}
        for contact, texts in found.items():
            kept = await store.conversation(contact)
            assert kept is not None
            texts.append(kept.value)
    assert all(text.startswith(b"{") for texts in found.values() for text in texts)
    return found


def value_of(installation: Installation, key: bytes) -> object:
    redis = installation.redis
    read = {
        b"string": redis.get, b"hash": redis.hgetall, b"set": redis.smembers,
        b"list": lambda name: redis.lrange(name, 0, -1), b"zset": lambda name: redis.zrange(name, 0, -1),
        b"stream": redis.xrange,
    }  # fmt: skip
    return read[redis.type(key)](key)


def page(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
        content: bytes = answer.read()
        return content


def wait_until_ready(installation: Installation, role: str) -> None:
    def ready() -> bool | None:
        try:
            return page(f"http://127.0.0.1:{installation.ports[role]}/readyz") is not None
        except OSError:
            return None

    installation.children[role].wait_until(ready, READY_S)


def allowed_for_phones(place: str) -> bool:
    """The customers' directory, and the provider, who must dial them. Redis's files hold the directory too."""
    return place in ("redis contact:customers", "redis's own files") or place.startswith("file telephony/")


def test_numbers_planted_at_the_door_are_found_nowhere(
    installation: Installation, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installation.start_telephony("--behaviour", "yes", "--suffix", "03=no", "--suffix", "05=silence")
    for role in ("scorer", "learner", "contact", "desk"):
        installation.launch(role)
    for role in ("scorer", "learner", "contact", "desk"):
        wait_until_ready(installation, role)
    door = Door(installation)
    outside = installation.outside
    plant_customers(door)
    outside.flush()
    known = f"{installation.prefix}contact:customers"
    installation.children["contact"].wait_until(
        lambda: installation.redis.hlen(known) == door.customers or None, READY_S
    )
    plant(door)
    outside.flush()
    decided = installation.wait_for_decisions(3 * len(door.people))
    held = {record.json()["customer"] for record in decided if record.json()["outcome"] == "hold"}
    assert held == set(door.people), "planted data reached the alerts"
    assert any("*" in (record.json().get("merchant_name") or "") for record in decided)
    over = ("completed", "escalated", "expired")
    outside.wait_for(
        "contacts",
        lambda found: {step.json()["customer"] for step in found if step.json()["step"] in over} == set(door.people),
    )
    letters = outside.wait_for("dead-letters", lambda found: len(found) >= door.refused)
    assert len(letters) == door.refused, "every other planted message was refused"
    assert len(installation.rung()) > len(door.people), "the provider rang the planted customers"

    (redis_directory,) = tmp_path_factory.getbasetemp().glob("redis[0-9]*")
    found = everything_written(installation, redis_directory)
    places = set(found.digits)
    assert {"topic dead-letters", "redis contact:customers", "file scorer.log", "metrics of desk"} <= places
    print(f"{found.bytes:,} characters in {len(places)} places, {len(door.cards)} cards, {len(door.phones)} phones")
    assert found.holding(door.cards) == {}
    phones = found.holding(door.phones)
    assert phones.keys() >= {"redis contact:customers"}, "the scan sees a number where there is one"
    assert {place: numbers for place, numbers in phones.items() if not allowed_for_phones(place)} == {}

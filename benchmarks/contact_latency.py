"""How long from a transaction's Kafka timestamp until the provider has the first request, beside a bare relay.

    python benchmarks/contact_latency.py KAFKA [--rate 1000] [--alerts 20] [--seconds 30] [--pairs 3] [--json FILE]

KAFKA is the address of a running broker, or a directory of Kafka's jars to start one from. Two Redis servers are started
here: one for the cards' rows, and the contact store with ``appendfsync always``. In each pair one stretch of traffic goes through scorer and contact worker, and one, as fast and
as long, through a relay that only copies a topic; which comes first alternates, and everything stays up throughout. Of
the people asked, one in ten never answers: the attempts that come due show how late a due step starts.

Prints every pair, the medians over the pairs, and their ratio to the relay's; absolute figures of a shared machine say
little. Exit code 1: a ratio or a lateness is above its limit, or a first request is missing.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))

from confluent_kafka.admin import AdminClient, NewTopic
from installation import Installation
from servers import ApacheKafka, RedisServer
from test_loop import card_checks, card_of, customer
from test_roles_killed import everyday

from pipeline.embedded.process import start
from pipeline.lab.bench.kafka import Cluster, Receiver
from pipeline.lab.bench.process import cpu_s
from pipeline.lab.bench.workplace import REFERENCES

CHECKS = 3
WARM_S = 10.0
"""A broker just started spends a core on compiling itself, and every latency shows it."""
LATE_S = 10.0
P50_LIMIT, P99_LIMIT, LATE_LIMIT_S = 12.0, 8.0, 0.25
JAVA_OPTIONS = ("-Xms1g", "-Xmx1g")
PARTITIONS = 4
ANSWERS, SILENT = "01", "07"
"""How numbers end: it tells the telephony simulator how people answer."""
RELAY_IN, RELAY_OUT = "relay-in", "relay-out"


class Stretch(NamedTuple):
    """Latencies of one stretch, milliseconds, how many there are and how many did not come."""

    p50: float
    p99: float
    number: int
    missing: int


def stretch(found: list[float], sent: int) -> Stretch:
    ordered = sorted(found)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Stretch(statistics.median(ordered), p99, len(ordered), sent - len(ordered))


class Copies:
    """Notes when the relay's copies arrive."""

    def __init__(self) -> None:
        self.seen: dict[bytes, float] = {}

    def took(self, partition: int, value: bytes, moment: float) -> None:
        self.seen.setdefault(value.partition(b'"id": "')[2].partition(b'"')[0], moment)


class Traffic:
    """Everyday payments at ``rate``; ``alerts`` times a second somebody else's card is checked in a web shop, three
    times, as a person would have it: the third check raises the alert."""

    def __init__(self, installation: Installation, rate: float, alerts: float) -> None:
        self.installation = installation
        self.rate = rate
        self._every = int(rate / alerts)
        self._numbers = iter(range(10**9))
        self._victims = iter(range(10**9))

    def people(self, number: int) -> None:
        """Put so many into the directory, each with a number of their own, for what one number is told is counted; one
        in ten never answers."""
        for victim in range(number):
            exchange, line = divmod(victim, 100)
            phone = f"+1202{200 + exchange}{line:02}{SILENT if victim % 10 == 7 else ANSWERS}"
            name = f"v{victim:06}"
            self.installation.outside.produce_json("customers", name, customer(name, phone))
        self.installation.outside.flush()
        self.installation.wait_for_directory(number)

    def feed(self, seconds: float, topic: str, victims: bool) -> dict[str, float]:
        """Answers what was sent when, on the performance counter: each payment, or with ``victims`` each alert."""
        sent: dict[str, float] = {}
        apart = self._every * 2 // 5
        started = time.perf_counter()
        for place in range(int(self.rate * seconds)):
            time.sleep(max(0.0, started + place / self.rate - time.perf_counter()))
            payment = everyday(next(self._numbers), time.time())
            if not victims:
                sent[str(payment["id"])] = time.perf_counter()
            self.installation.outside.produce_json(topic, str(payment["card"]), payment)
            phase = place % self._every
            if victims and phase % apart == 0 and phase // apart < CHECKS:
                if phase == 0:
                    name = f"v{next(self._victims):06}"
                check = card_checks(name, time.time() - CHECKS)[phase // apart]
                if phase // apart == CHECKS - 1:
                    sent[str(check["id"])] = time.perf_counter()
                self.installation.outside.produce_json(topic, card_of(name), check)
        self.installation.outside.flush()
        return sent


def contact_stretch(traffic: Traffic, seconds: float) -> Stretch:
    """The provider's own record says when a request came; the log, when its transaction did."""
    installation = traffic.installation
    sent = traffic.feed(seconds, "transactions", victims=True)
    deadline = time.monotonic() + LATE_S
    while True:
        first: dict[str, float] = {}
        for line in installation.rung():
            if line["event"] == "order":
                for alert in line["order"]["reference"]:
                    first.setdefault(alert, line["at"])
        if sent.keys() <= first.keys() or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    stamps = {record.json()["id"]: record.timestamp for record in installation.outside.read("transactions")}
    return stretch([first[alert] * 1000 - stamps[alert] for alert in sent if alert in first], len(sent))


def whereabouts(installation: Installation) -> dict[str, float]:
    """The medians of where the milliseconds to the first request go, by the timestamps of records: until the decision
    leaves the scorer, until the contact worker has stored it and publishes what follows, until the provider has the
    request."""
    outside = installation.outside
    stamps = {record.json()["id"]: record.timestamp for record in outside.read("transactions")}
    decided: dict[str, int] = {}
    for record in outside.read("decisions"):
        if record.headers["outcome"] != b"approve":
            decided.setdefault(record.json()["id"], record.timestamp)
    stored: dict[str, int] = {}
    for record in outside.read("contacts"):
        step = record.json()
        if step["step"] == "planned":
            stored.setdefault(step["subject"]["alert"], record.timestamp)
    asked: dict[str, float] = {}
    for line in installation.rung():
        if line["event"] == "order":
            for alert in line["order"]["reference"]:
                asked.setdefault(alert, line["at"] * 1000)
    alerts = asked.keys() & decided.keys() & stored.keys() & stamps.keys()
    parts = {
        "decided": [decided[one] - stamps[one] for one in alerts],
        "stored": [stored[one] - decided[one] for one in alerts],
        "requested": [asked[one] - stored[one] for one in alerts],
    }
    return {name: statistics.median(found) for name, found in parts.items()}


def relay_stretch(traffic: Traffic, seconds: float, copies: Copies) -> Stretch:
    copies.seen.clear()
    sent = traffic.feed(seconds, RELAY_IN, victims=False)
    deadline = time.monotonic() + LATE_S
    while len(copies.seen) < len(sent) and time.monotonic() < deadline:
        time.sleep(0.05)
    found = {name.decode(): moment for name, moment in copies.seen.items()}
    return stretch([(found[name] - at) * 1000 for name, at in sent.items() if name in found], len(sent))


@contextmanager
def relay(installation: Installation, bootstrap: str) -> Iterator[Copies]:
    source, target = installation.prefix + RELAY_IN, installation.prefix + RELAY_OUT
    admin = AdminClient({"bootstrap.servers": bootstrap})
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (source, target)])
    for done in made.values():
        done.result()
    environment = {
        **installation.environment,
        "BENCH_KAFKA": bootstrap,
        "BENCH_SOURCE": source,
        "BENCH_TARGET": target,
        "BENCH_GROUP": f"{installation.prefix}relay",
    }
    log = installation.directory / "relay.log"
    installation.children["relay"] = start(
        "relay", [sys.executable, str(REFERENCES / "relay_aiokafka.py")], log, environment
    )
    consumer, copies = Cluster(bootstrap).reader(target, PARTITIONS), Copies()
    try:
        with Receiver(consumer, copies):
            yield copies
    finally:
        consumer.close()


def round_trip_ms(installation: Installation, step: Callable[[], object], number: int = 300) -> float:
    """The median of ``step``."""
    taken = []
    for _ in range(number):
        before = time.perf_counter()
        step()
        taken.append((time.perf_counter() - before) * 1000)
    return statistics.median(taken)


def lateness(installation: Installation) -> tuple[int, int]:
    """How many steps came due, and how many of them started within LATE_LIMIT_S."""
    text = installation.metrics("contact")
    name = "cardwatch_contact_lateness_seconds_bucket"
    within, all_of_them = (
        int(float(re.search(rf'^{name}\{{le="{re.escape(bound)}"\}} (\S+)$', text, re.MULTILINE)[1]))
        for bound in (str(LATE_LIMIT_S), "+Inf")
    )
    return all_of_them, within


def measure(installation: Installation, bootstrap: str, options: argparse.Namespace) -> dict[str, object]:
    installation.start_telephony(
        "--behaviour", "yes", "--pick-up-s", "1", "--answer-s", "1", "--suffix", f"{SILENT}=silence"
    )
    for role in ("scorer", "contact"):
        installation.start(role)
    redis = installation.redis
    written = round_trip_ms(installation, lambda: redis.set("contact-latency", "x" * 1000))
    read = round_trip_ms(installation, lambda: redis.get("contact-latency"))
    redis.delete("contact-latency")
    print(f"a write of the store takes {written:.2f} ms with its fsync, a read {read:.2f} ms", flush=True)
    traffic = Traffic(installation, options.rate, options.alerts)
    traffic.people(int(options.alerts * (WARM_S + options.pairs * options.seconds)) + options.pairs + 2)
    found: dict[str, list[Stretch]] = {"relay": [], "contact": []}
    with relay(installation, bootstrap) as copies:
        contact_stretch(traffic, WARM_S)
        relay_stretch(traffic, WARM_S, copies)
        print("pair   relay p50 / p99 ms   first request p50 / p99 ms   requests   missing", flush=True)
        spent = 0.0
        for pair in range(options.pairs):
            for which in ("relay", "contact") if pair % 2 == 0 else ("contact", "relay"):
                before = cpu_s(installation.children["contact"].pid)
                if which == "relay":
                    found[which].append(relay_stretch(traffic, options.seconds, copies))
                else:
                    found[which].append(contact_stretch(traffic, options.seconds))
                    spent += cpu_s(installation.children["contact"].pid) - before
            one, other = found["relay"][-1], found["contact"][-1]
            print(
                f"{pair + 1:4}   {one.p50:9.2f} / {one.p99:.2f}   {other.p50:14.2f} / {other.p99:.2f}   "
                f"{other.number:16}   {other.missing:7}",
                flush=True,
            )
    due, in_time = lateness(installation)
    return {
        "rate": options.rate,
        "alerts": options.alerts,
        "write_ms": written,
        "read_ms": read,
        "relay": {name: statistics.median(getattr(one, name) for one in found["relay"]) for name in ("p50", "p99")},
        "contact": {name: statistics.median(getattr(one, name) for one in found["contact"]) for name in ("p50", "p99")},
        "requests": sum(one.number for one in found["contact"]),
        "missing": sum(one.missing for one in found["contact"]),
        "worker_cpu": spent / (options.pairs * options.seconds),
        "whereabouts": whereabouts(installation),
        "due_steps": due,
        "due_steps_in_time": in_time,
    }


def told(found: dict[str, object]) -> bool:
    """Print the medians; whether all is within its limits."""
    relay_, contact = found["relay"], found["contact"]
    good = found["missing"] == 0 and found["due_steps"] == found["due_steps_in_time"]
    for name, limit in (("p50", P50_LIMIT), ("p99", P99_LIMIT)):
        ratio = contact[name] / relay_[name]
        good = good and ratio <= limit
        print(
            f"{name}: relay {relay_[name]:.2f} ms, first request {contact[name]:.2f} ms, {ratio:.1f} × (≤ {limit:g} ×)"
        )
    where = found["whereabouts"]
    print(
        f"of the first request's median: {where['decided']:.0f} ms until the decision leaves the scorer, "
        f"{where['stored']:.0f} until it is stored, {where['requested']:.0f} until the provider has the request"
    )
    print(f"{found['requests']} first requests, {found['missing']} missing")
    print(
        f"{found['due_steps']} steps came due, {found['due_steps_in_time']} started within {LATE_LIMIT_S * 1000:g} ms"
    )
    print(f"the contact worker took {found['worker_cpu']:.0%} of a core")
    return bool(good)


def main(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as directory:
        own = ":" not in options.kafka
        kafka = ApacheKafka(Path(directory) / "kafka", Path(options.kafka), java_options=JAVA_OPTIONS) if own else None
        rows = RedisServer(Path(directory) / "rows", appendfsync="everysec")
        store = RedisServer(Path(directory) / "store", appendfsync="always")
        work = Path(directory) / "work"
        work.mkdir()
        installation = None
        try:
            if kafka is not None:
                kafka.start()
            rows.start()
            store.start()
            bootstrap = kafka.bootstrap if kafka else options.kafka
            urls = {"CARDWATCH_REDIS_URL": rows.url, "CARDWATCH_REDIS_CONTACT_URL": store.url}
            installation = Installation(work, bootstrap, store.url, PARTITIONS, urls)
            found = measure(installation, bootstrap, options)
        finally:
            if installation is not None:
                installation.close()
            store.stop()
            rows.stop()
            if kafka is not None:
                kafka.stop()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if told(found) else 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kafka", help="address of a broker, or directory of Kafka's jars")
    parser.add_argument("--rate", type=float, default=1000.0, help="transactions a second")
    parser.add_argument("--alerts", type=float, default=20.0, help="alerts a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a stretch")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(options()))

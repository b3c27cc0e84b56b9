"""How long from a transaction's Kafka timestamp until the provider has the call request, on real Kafka and Redis.

    python benchmarks/contact_latency.py KAFKA [SECONDS]

KAFKA is the address of a running broker, or a directory of Kafka's jars to start one from; a broker just started spends
a core on compiling itself for a minute, and every latency shows it.

200 transactions a second, 2 alerts a second; Redis with ``appendfsync always``. The provider's own record says when a
request came. Prints p50 and p99 in milliseconds; read them beside what a relay that only copies the topic takes on the
same machine at the same time, for absolute figures of a shared machine say little.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))

from installation import Installation
from servers import ApacheKafka, RedisServer
from test_loop import card_checks, card_of, customer
from test_roles_killed import everyday

RATE = 200.0
ALERTS_PER_S = 2.0
CHECKS = 3


def feed(installation: Installation, seconds: float) -> None:
    """Everyday payments; every half second somebody else's card is checked in a web shop, the third check of a card
    following its second by a fifth of a second, as a person would have it: the third raises the alert."""
    started = time.time()
    every = int(RATE / ALERTS_PER_S)
    apart = every * 2 // 5
    for number in range(int(RATE * seconds)):
        time.sleep(max(0.0, started + number / RATE - time.time()))
        sent = everyday(number, time.time())
        installation.outside.produce_json("transactions", str(sent["card"]), sent)
        victim, phase = divmod(number, every)
        if phase % apart == 0 and phase // apart < CHECKS:
            name = f"v{victim:04}"
            time.sleep(max(0.0, started + (number + 0.5) / RATE - time.time()))  # evenly between two others
            check = card_checks(name, time.time() - CHECKS)[phase // apart]
            installation.outside.produce_json("transactions", card_of(name), check)
    installation.outside.flush()


def latencies_ms(installation: Installation) -> list[float]:
    """Per first request of a conversation: the provider's time less the alert's Kafka timestamp."""
    stamps = {record.json()["id"]: record.timestamp for record in installation.outside.read("transactions")}
    first: dict[str, float] = {}
    for line in installation.rung():
        if line["event"] == "order":
            for alert in line["order"]["reference"]:
                first.setdefault(alert, line["at"] * 1000 - stamps[alert])
    return sorted(first.values())


def main(where: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        kafka = None if ":" in where else ApacheKafka(Path(directory) / "kafka", Path(where))
        redis = RedisServer(Path(directory) / "redis", appendfsync="always")
        if kafka is not None:
            kafka.start()
        redis.start()
        work = Path(directory) / "work"
        work.mkdir()
        installation = Installation(work, kafka.bootstrap if kafka else where, redis.url)
        try:
            installation.start_telephony("--behaviour", "yes", "--pick-up-s", "1", "--answer-s", "1")
            for role in ("scorer", "contact"):
                installation.start(role)
            people = int(seconds * ALERTS_PER_S) + 1
            for number in range(people):
                name = f"v{number:04}"
                installation.outside.produce_json("customers", name, customer(name, "+12025550101"))
            installation.outside.flush()
            installation.wait_for_directory(people)
            feed(installation, seconds)
            time.sleep(1)
            found = latencies_ms(installation)
            found = found[len(found) // 10 :] if len(found) < 20 else found
            p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
            print(f"{len(found)} first requests: p50 {statistics.median(found):.1f} ms, p99 {p99:.1f} ms")
        finally:
            installation.close()
            redis.stop()
            if kafka is not None:
                kafka.stop()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 30.0)

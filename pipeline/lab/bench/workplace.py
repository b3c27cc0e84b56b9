"""Where measured programs run: topics and keys under a random prefix, processes that end with the benchmark.

Whatever happens, `Workplace.close` ends every process by its id and deletes every topic, group and key of the prefix.
"""

import asyncio
import itertools
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.core.topics import CONTROL, DECISIONS, MODEL_KEY, SCORED, TOPICS, TRANSACTIONS
from pipeline.embedded.process import Child, free_port, start
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.kafka import FLUSH_S, Cluster
from pipeline.lab.bench.knowledge import Known, know
from pipeline.lab.bench.options import FAUST_RELAY, LIBRDKAFKA, OURS, PLAIN, QUIX, RELAY, Options
from pipeline.lab.bench.process import Course, cpu_s, get, read_course
from pipeline.lab.bench.quix_environment import quix_python
from pipeline.lab.bench.store import Store
from pipeline.roles.scorer.settings import ScorerSettings

READY_S = 120.0
STOP_S = 15.0
REFERENCES = Path(__file__).parent / "references"
FILES: Mapping[str, str] = {
    RELAY: "relay_aiokafka.py",
    LIBRDKAFKA: "relay_librdkafka.py",
    FAUST_RELAY: "relay_faust.py",
    PLAIN: "plain_faust.py",
    QUIX: "quix.py",
}


class Ground(NamedTuple):
    """What one run of a program has for itself: its prefix, and the topics it reads and writes."""

    prefix: str
    source: str
    target: str
    scored: str


class Scorer(NamedTuple):
    """A running `cardwatch run scorer`."""

    child: Child
    port: int

    def ready(self) -> bool:
        return get(self.port, "/readyz") is not None

    def wait_until_ready(self) -> None:
        self.child.wait_until(lambda: self.ready() or None, READY_S)

    def first_course(self) -> Course:
        """As soon as it answers at all: what it spent on starting."""
        self.child.wait_until(lambda: get(self.port, "/healthz"), READY_S)
        return self.course()

    def course(self, counted: float = 0.0) -> Course:
        """How far it is, when it has counted ``counted`` transactions at least: a decision is on its topic a little
        before it is counted. Raises BenchFailed when the scorer does not say."""

        def there() -> Course | None:
            text = get(self.port, "/metrics")
            if text is None:
                raise BenchFailed(f"the scorer does not answer; its log ends:\n{self.child.tail()}")
            found = read_course(text, cpu_s(self.child.pid))
            return found if found.transactions >= counted else None

        return self.child.wait_until(there, READY_S)


class Workplace:
    """Everything a part needs. Raises BenchFailed when a server is not there."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings = ScorerSettings()
        if self.settings.kafka_security_protocol != "PLAINTEXT":
            raise BenchFailed("the benchmark's references speak plain text only: give it a Kafka without TLS and SASL")
        self.cluster = Cluster(self.settings.kafka_bootstrap)
        self.cluster.check()
        self.store = Store(self.settings.redis_url)
        self.redis_version = asyncio.run(self.store.version())
        self.snapshot_key = secrets.token_hex(16)
        self.known: Known = know(
            self.settings.config_dir,
            self.settings.scorer_policy,
            options.sizes.trained_on,
            self.snapshot_key.encode(),
        )
        self.producer = self.cluster.producer()
        self._quix = quix_python(options.cache) if QUIX in options.programs else None
        self._directory = tempfile.TemporaryDirectory(prefix="cardwatch-bench-")
        self._prefix = f"cardwatch-bench-{secrets.token_hex(4)}-"
        self._numbers = itertools.count(1)
        self._children: list[Child] = []

    @property
    def directory(self) -> Path:
        return Path(self._directory.name)

    def prefix(self) -> str:
        """A new one, below the benchmark's own."""
        return f"{self._prefix}{next(self._numbers)}."

    def ground(self, program: str) -> Ground:
        """Fresh topics for one run of ``program``; for ours also a trained model on `control`."""
        prefix = self.prefix()
        ground = Ground(prefix, prefix + TRANSACTIONS.name, prefix + DECISIONS.name, prefix + SCORED.name)
        if program != OURS:
            self.cluster.create(prefix, (TRANSACTIONS, DECISIONS, SCORED))
            return ground
        self.cluster.create(prefix, TOPICS)
        self.producer.produce(prefix + CONTROL.name, self.known.sealed, key=MODEL_KEY)
        if self.producer.flush(FLUSH_S):
            raise BenchFailed("Kafka did not acknowledge the model")
        return ground

    def reference(self, program: str, ground: Ground) -> Child:
        """Start one of the programs we compare with."""
        python = str(self._quix) if program == QUIX else sys.executable
        environment = {
            "BENCH_KAFKA": self.settings.kafka_bootstrap,
            "BENCH_SOURCE": ground.source,
            "BENCH_TARGET": ground.target,
            "BENCH_SCORED": ground.scored,
            "BENCH_GROUP": ground.prefix + "group",
            "BENCH_STATE": str(self.directory / ground.prefix),
        }
        return self.start(program, [python, str(REFERENCES / FILES[program])], environment)

    def scorer(self, ground: Ground) -> Scorer:
        """Start one of our scorers, as an operator would."""
        port = free_port()
        environment = {
            "CARDWATCH_TOPIC_PREFIX": ground.prefix,
            "CARDWATCH_SNAPSHOT_KEY": self.snapshot_key,
            "CARDWATCH_METRICS_HOST": "127.0.0.1",
            "CARDWATCH_METRICS_PORT": str(port),
            "CARDWATCH_LOG_LEVEL": "warning",
        }
        return Scorer(self.start(OURS, [sys.executable, "-m", "pipeline.cli", "run", "scorer"], environment), port)

    def program(self, program: str, ground: Ground) -> tuple[Child, Scorer | None]:
        """Start ``program``, ours or a reference."""
        if program == OURS:
            scorer = self.scorer(ground)
            return scorer.child, scorer
        return self.reference(program, ground), None

    def store_bytes_in(self) -> int:
        return asyncio.run(self.store.bytes_in())

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> Child:
        """Start a process that ends with this one."""
        log = self.directory / f"{next(self._numbers)}-{name}.log"
        child = start(name, command, log, {**os.environ, "TMPDIR": self._directory.name, **environment})
        self._children.append(child)
        return child

    def end(self, child: Child, kill: bool = False) -> None:
        """Ask it to end and wait; with ``kill`` end it at once, as befits what keeps nothing. Nothing happens when it has ended already."""
        if kill:
            child.kill()
        else:
            child.stop(STOP_S)
        if child in self._children:
            self._children.remove(child)

    def clear(self, ground: Ground) -> None:
        """Delete what a run left on the servers."""
        self.cluster.delete(ground.prefix)
        self.clear_store(ground.prefix)

    def clear_store(self, prefix: str) -> None:
        asyncio.run(self.store.delete(prefix))

    def close(self) -> None:
        """End every process, then delete everything of ours from the servers."""
        for child in reversed(self._children):
            child.stop(STOP_S)
        self._children.clear()
        try:
            while self.cluster.delete(self._prefix):  # again, for what a program just ended had asked for
                pass
            asyncio.run(self.store.delete(self._prefix))
        finally:
            self._directory.cleanup()

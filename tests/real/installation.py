"""A whole installation on real servers: roles as processes of their own, each to be killed, frozen and started again."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis
from outside import Outside, Read

from pipeline.adapters.kafka.log import partition_of
from pipeline.core.currencies import parse_rates
from pipeline.core.profile import EMPTY_ROW, advance
from pipeline.core.transaction import Refused, decode
from pipeline.embedded.process import Child, free_port, start

READY_S = 60.0
VOICE_KEY = "another key of these tests only"
CALLBACK_SECRET = "a third key of these tests only"
SHORT_TIMES = """
ring_s = 2.0
answer_grace_s = 1.0
attempts = 6
later_s = 3600.0
patience_s = 3600.0
exempt_s = 3600.0
acknowledge_s = 0.0
retry_s = 0.5
lease_s = 3.0
asks = 8
ask_again_s = 0.5
hand_over_s = 600.0
keep_s = 3600.0
[[ladder]]
channel = "voice"
tries = 2
"""
"""A contact profile with the times of a test."""
ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


class Installation:
    """Topics under a prefix of their own on ``bootstrap``, state in ``redis_url``; every process is ended by `close`.
    ``environment`` is added to what our programs get, before the topics are made."""

    def __init__(
        self,
        directory: Path,
        bootstrap: str,
        redis_url: str,
        partitions: int = 4,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.prefix = f"i{os.getpid()}-{next(_numbers)}."
        self.partitions = partitions
        self.outside = Outside(bootstrap, self.prefix)
        self.redis = redis.Redis.from_url(redis_url)
        self.children: dict[str, Child] = {}
        self.ports: dict[str, int] = {}
        self.logs: list[Path] = []
        self.config = directory / "config"
        shutil.copytree(ROOT / "config", self.config)
        demo = (self.config / "contact" / "demo.toml").read_text(encoding="utf-8")
        policy = demo[demo.index("[profile]") :]  # at any hour
        (self.config / "contact" / "short.toml").write_text(SHORT_TIMES + policy)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CARDWATCH_KAFKA_BOOTSTRAP": bootstrap,
            "CARDWATCH_TOPIC_PREFIX": self.prefix,
            "CARDWATCH_REDIS_URL": redis_url,
            "CARDWATCH_CONFIG_DIR": str(self.config),
            "CARDWATCH_CONTACT_PROFILE": "short",
            "CARDWATCH_SNAPSHOT_KEY": "a key that only these tests use",
            "CARDWATCH_VOICE_KEY": VOICE_KEY,
            "CARDWATCH_CALLBACK_SECRET": CALLBACK_SECRET,
            "CARDWATCH_CONTACT_KEY": "a fourth key of these tests only",
            "CARDWATCH_CALLBACK_PORT": str(free_port()),
            "CARDWATCH_DESK_PORT": str(free_port()),
            "CARDWATCH_ARCHIVE_DIR": str(directory / "archive"),
            "CARDWATCH_ARCHIVE_FILE_SECONDS": "1",
            **(environment or {}),
        }
        self._command("topics", "create", "--partitions", str(partitions))

    def _command(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def start(self, role: str, name: str | None = None, environment: Mapping[str, str] | None = None) -> Child:
        """Start ``role`` and wait until it is ready. A role started again under its ``name`` keeps its port."""
        child = self.launch(role, name, environment)
        self.wait_until_ready(name or role)
        return child

    def wait_until_ready(self, name: str) -> None:
        """Wait until what was launched as ``name`` can do its work."""
        port = self.ports[name]

        def ready() -> bool | None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                    return bool(answer.status == 200) or None
            except (urllib.error.URLError, OSError):
                return None

        self.children[name].wait_until(ready, READY_S)

    def launch(
        self,
        role: str,
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
        words: Sequence[str] = (),
    ) -> Child:
        """Start ``role`` without waiting; ``words`` are options of `cardwatch run`."""
        name = name or role
        log = self.directory / f"{name}.log"
        self.logs.append(log)
        port = self.ports.setdefault(name, free_port())
        child = start(
            name,
            [sys.executable, "-m", "pipeline.cli", "run", role, *words],
            log,
            {**self.environment, "CARDWATCH_METRICS_PORT": str(port), **(environment or {})},
        )
        self.children[name] = child
        return child

    def start_telephony(self, *words: str) -> None:
        """The telephony simulator, where the contact role calls; ``words`` say how people answer."""
        port = self.ports.setdefault("telephony", free_port())
        self.environment["CARDWATCH_VOICE_URL"] = f"http://127.0.0.1:{port}"
        state = self.directory / "telephony"
        state.mkdir(exist_ok=True)
        for name, key in (("secret", CALLBACK_SECRET), ("key", VOICE_KEY)):
            (state / name).write_text(key)
        log = self.directory / "telephony.log"
        self.logs.append(log)
        child = start(
            "telephony",
            [
                sys.executable, "-m", "pipeline.lab.telephony", "--port", str(port), "--state-dir", str(state),
                "--callback-secret-file", str(state / "secret"), "--api-key-file", str(state / "key"), *words,
            ],
            log,
            self.environment,
        )  # fmt: skip
        self.children["telephony"] = child
        child.wait_until(lambda: "/phone" in log.read_text() or None, READY_S)

    def rung(self) -> list[dict[str, Any]]:
        """The telephony simulator's own record of what it was asked and what happened, in order."""
        lines = (self.directory / "telephony" / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def metrics(self, name: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    def kill(self, name: str) -> None:
        self.children.pop(name).kill()

    def stop(self, name: str) -> None:
        self.children.pop(name).stop()

    def freeze(self, name: str) -> None:
        os.kill(self.children[name].pid, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        os.kill(self.children[name].pid, signal.SIGCONT)

    def close(self) -> None:
        for name in list(self.children):
            self.stop(name)
        self.redis.close()

    # --- what is to be found

    def stored_rows(self) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for number in range(self.partitions):
            rows.update(self.redis.hgetall(f"{self.prefix}profiles:{{{number}}}:rows"))
        return rows

    def wait_for_decisions(self, count: int, wait_s: float = 120.0) -> list[Read]:
        """Wait until ``count`` transactions have a decision."""

        def enough(records: list[Read]) -> bool:
            return len({(record.partition, record.headers["source_offset"]) for record in records}) >= count

        return self.outside.wait_for("decisions", enough, wait_s)

    def wait_for_directory(self, customers: int, wait_s: float = 30.0) -> None:
        """Wait until the contact store knows ``customers`` people."""
        deadline = time.monotonic() + wait_s
        while (known := self.redis.hlen(f"{self.prefix}contact:customers")) < customers:
            assert time.monotonic() < deadline, f"{known} of {customers} customers are in the directory"
            time.sleep(0.1)

    def wait_until_saved(self, wait_s: float = 30.0) -> None:
        """Wait until the store has every partition's last position."""
        ends: dict[int, int] = {}
        for record in self.outside.read("transactions"):
            ends[record.partition] = record.offset + 1
        deadline = time.monotonic() + wait_s
        while True:
            stored = {
                number: int(self.redis.hget(f"{self.prefix}profiles:{{{number}}}:owner", "next") or 0)
                for number in ends
            }
            if stored == ends:
                return
            assert time.monotonic() < deadline, f"saved {stored}, the log ends at {ends}"
            time.sleep(0.1)


def rows_of_an_uninterrupted_run(transactions: list[Read], partitions: int) -> dict[bytes, bytes]:
    """The card rows that a run without any fault makes of a topic: the pure core, record after record."""
    rates = ROOT / "config" / "rates.toml"
    money = parse_rates(rates.read_text(), str(rates))
    rows: dict[bytes, bytes] = {}
    for record in transactions:
        try:
            event = decode(record.value, record.timestamp, money)
        except Refused:
            continue
        card = event.transaction.card.encode()
        if partition_of(card, partitions) == record.partition:
            rows[card] = advance(rows.get(card, EMPTY_ROW), event)[0]
    return rows

"""Real servers for the tests that need them: one Apache Kafka node (KRaft) and a Redis server, each in a directory of
its own, on free ports of 127.0.0.1, ended by process id."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.embedded.process import Child, free_port, start

KAFKA_READY_S = 60.0
REDIS_READY_S = 20.0
JAVA_OPTIONS = ("-Xms512m", "-Xmx512m", "-XX:TieredStopAtLevel=1")
"""Brokers live shortly here: the second compiler takes more time of two processors than it gives back."""

_CLUSTER_ID = "Y2FyZHdhdGNoLXRlc3RzMA"  # 16 bytes in base64, as Kafka wants it

_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "100",
    "group.min.session.timeout.ms": "500",  # the tests' silent members are not waited for longer
    "log.cleaner.backoff.ms": "200",
}


def program(name: str) -> str:
    """The path of an installed program; a missing one is a failure that says so."""
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed, and CARDWATCH_TEST_REAL=1 asks for it"
    return path


class RealServer:
    """A server process that can be killed, frozen and started again at the same address with the same data."""

    def __init__(self) -> None:
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None, "not started"
        return self._child.pid

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Orderly: what was acknowledged is on disk. A frozen server is woken first."""
        if self._child is not None:
            if self._child.exit_code is None:
                self.resume()
            self._child.stop(grace_s=20.0)
            self._child = None

    def kill(self) -> None:
        """As kill -9 does."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class ApacheKafka(RealServer):
    """One Kafka node, broker and controller. ``libs`` is a directory of jars (`.ci/install-kafka.sh`); ``properties``
    are added to those the tests need, ``format_words`` to the command that makes the storage (users of SCRAM)."""

    def __init__(
        self,
        directory: Path,
        libs: Path,
        properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = JAVA_OPTIONS,
        port: int | None = None,
        format_words: Sequence[str] = (),
    ) -> None:
        super().__init__()
        assert any(libs.glob("kafka_2.13-*.jar")), f"{libs} has no Kafka: run .ci/install-kafka.sh {libs}"
        self._directory = directory
        self._libs = libs
        self._java = [program("java"), *java_options, "-cp", f"{libs.resolve()}/*"]
        self._config = directory / "server.properties"
        self._format_words = format_words
        port, controller = port or free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        settings = _PROPERTIES | {
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str((directory / "data").resolve()),
        }
        directory.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}\n" for name, value in (settings | dict(properties or {})).items()]
        self._config.write_text("".join(lines))

    def start(self) -> None:
        if not (self._directory / "data" / "meta.properties").exists():
            self._make_storage()
        child = start("Apache Kafka", [*self._java, "kafka.Kafka", str(self._config)], self._directory / "kafka.log")
        self._child = child
        child.wait_until(self._ready, KAFKA_READY_S)

    def _make_storage(self) -> None:
        """Formatting takes a Java of its own, seconds of two processors; what comes of it is the same each time, but for
        users. So the first keeps a copy beside the jars, and all others take that."""
        data = self._directory / "data"
        (jar,) = self._libs.glob("kafka_2.13-*.jar")
        kept = self._libs / f".storage-{jar.stem}"
        if not self._format_words and kept.is_dir():
            shutil.copytree(kept, data)
            return
        words = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._config), *self._format_words]
        done = subprocess.run([*self._java, *words], capture_output=True, text=True, timeout=KAFKA_READY_S, check=False)
        assert done.returncode == 0, f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}"
        if not self._format_words:
            half = self._libs / f"{kept.name}.{os.getpid()}"
            with suppress(OSError):  # somebody was faster, or we may not write there: only time is lost
                shutil.copytree(data, half)
                half.rename(kept)
            shutil.rmtree(half, ignore_errors=True)

    def _ready(self) -> bool | None:
        host, port = self.bootstrap.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=2)
        except (OSError, KafkaException):
            return None
        return True


class RedisServer(RealServer):
    """A Redis server with an append-only file; ``appendfsync`` and other ``options`` as in redis.conf."""

    def __init__(
        self,
        directory: Path,
        appendfsync: str = "everysec",
        options: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._port = port or free_port()
        self._options = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": str(directory.resolve()),
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
        } | dict(options or {})
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        words = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._child = start("Redis", [program("redis-server"), *words], self._directory / "redis.log")
        self._child.wait_until(self._ready, REDIS_READY_S)

    def _ready(self) -> bool | None:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return True if probe.recv(64).startswith(b"+PONG") else None
        except OSError:
            return None

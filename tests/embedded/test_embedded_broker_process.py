"""The broker as a process: its address, its topics, its limits, and how it ends."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from broker_suite.raw_client import batch, raw_client
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded import wire
from pipeline.embedded.broker import MAX_REQUEST_BYTES, TopicSpec, start_broker
from pipeline.embedded.process import ChildFailed

BOUND_S = 20.0


def gone(pid: int) -> bool:
    """Ended, or waiting to be collected by whoever has inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + BOUND_S
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def test_it_begins_with_the_topics_it_is_told(tmp_path: Path) -> None:
    broker = start_broker(tmp_path, [TopicSpec("plain", 3), TopicSpec("latest", 1, compacted=True)])
    try:
        found = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=BOUND_S).topics
        assert {name: len(topic.partitions) for name, topic in found.items()} == {"plain": 3, "latest": 1}
    finally:
        broker.stop()
    assert broker.child.exit_code == 0
    assert "Traceback" not in broker.child.tail()


def test_it_starts_again_at_the_same_port_and_has_forgotten(tmp_path: Path) -> None:
    broker = start_broker(tmp_path, [TopicSpec("t", 1)])
    broker.child.kill()
    port = int(broker.bootstrap.rsplit(":", 1)[1])
    again = start_broker(tmp_path, port=port)
    try:
        assert again.bootstrap == broker.bootstrap
        assert AdminClient({"bootstrap.servers": again.bootstrap}).list_topics(timeout=BOUND_S).topics == {}
    finally:
        again.stop()


def test_topics_are_made_on_demand_only_where_that_is_asked_for(tmp_path: Path) -> None:
    broker = start_broker(tmp_path, auto_create=4)
    try:
        found = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics("wanted", timeout=BOUND_S)
        assert len(found.topics["wanted"].partitions) == 4
    finally:
        broker.stop()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="topic bad name:1 can't be made"):
        start_broker(tmp_path, [TopicSpec("bad name", 1)])


STARTED = """
import sys, time
from pathlib import Path
from pipeline.embedded.broker import start_broker
print(start_broker(Path(sys.argv[1])).child.pid, flush=True)
time.sleep(600)
"""

RUN_BY_HAND = """
import subprocess, sys, time
from pathlib import Path
address = Path(sys.argv[1]) / "address"
child = subprocess.Popen([sys.executable, "-m", "pipeline.embedded.broker", "--address-file", str(address)])
while not address.exists():
    time.sleep(0.01)
print(f"\\n{child.pid}", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("program", [STARTED, RUN_BY_HAND], ids=["started", "run by hand"])
def test_it_ends_when_its_parent_is_killed(tmp_path: Path, program: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = next(int(line) for line in parent.stdout if line.strip().isdigit())  # between the broker's own lines
        assert not gone(pid)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()
    wait_until_gone(pid)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">ihhih", 10, 42, 0, 1, -1),  # a request nobody has heard of
        struct.pack(">ihhih", 10, wire.FETCH, 99, 1, -1),  # a version of the future
        struct.pack(">ihhih", 10, wire.PRODUCE, 7, 1, -1),  # without its fields
        struct.pack(">i", 2) + b"??",  # shorter than a header
        struct.pack(">i", MAX_REQUEST_BYTES + 1),
        struct.pack(">i", -1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["unknown", "version", "cut", "short", "large", "negative", "http"],
)
def test_what_it_does_not_understand_closes_that_connection_only(bootstrap: str, sent: bytes) -> None:
    async def run() -> None:
        host, port = bootstrap.split(":")
        async with raw_client(bootstrap) as other:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), BOUND_S) == b""
            writer.close()
            assert await other.metadata_error("nothing") == wire.UNKNOWN_TOPIC_OR_PARTITION

    asyncio.run(run())


def test_a_newer_client_is_told_the_versions_spoken_here(bootstrap: str) -> None:
    async def run() -> None:
        host, port = bootstrap.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(struct.pack(">ihhih", 10, wire.API_VERSIONS, 4, 77, -1))
        size = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), BOUND_S))
        correlation, error, count = struct.unpack_from(">ihi", await reader.readexactly(size))
        writer.close()
        assert (correlation, error, count) == (77, wire.UNSUPPORTED_VERSION, len(wire.versions()))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (NewTopic("a b", 1, 1), wire.INVALID_TOPIC),
        (NewTopic("many", 100_000, 1), wire.INVALID_PARTITIONS),
        (NewTopic("copied", 1, 3), wire.INVALID_REPLICATION_FACTOR),
    ],
    ids=["name", "partitions", "replication"],
)
def test_a_topic_that_cannot_be_made_is_refused(bootstrap: str, topic: NewTopic, code: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    with pytest.raises(KafkaException) as refused:
        admin.create_topics([topic])[topic.topic].result(BOUND_S)
    assert refused.value.args[0].code() == code


def test_a_topic_made_compacted_forgets_superseded_values(bootstrap: str) -> None:
    name = f"compacted-{uuid.uuid4().hex[:12]}"
    topic = NewTopic(name, 1, 1, config={"cleanup.policy": "compact"})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([topic])[name].result(BOUND_S)

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            for number in range(40):
                value = b"%02d" % number + bytes(10_000)
                assert await client.produce(name, 0, batch([value], keys=[b"k"])) == (0, number)
            error, data = await client.fetch(name, 0, 0, max_wait_ms=0)
            assert error == 0
            assert len(data) < 20 * 10_000
            assert b"39" + bytes(100) in data

    asyncio.run(run())

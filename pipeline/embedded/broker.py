"""The embedded broker: Kafka's protocol from one process, in memory, for the demo and the tests.

It serves aiokafka (Faust) and librdkafka on 127.0.0.1, and forgets everything when it ends: wipe a store that keeps
offsets together with it. Producers with an id are deduplicated, groups are coordinated with generations, topics may
be compacted; there are no transactions, no security and no second node.

    python -m pipeline.embedded.broker --address-file F [--port 0] [--partition-mb 64] [--topic NAME:PARTITIONS[:compact] …]
"""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import structlog
import uvloop

from pipeline.embedded import wire
from pipeline.embedded.answers import Answers
from pipeline.embedded.process import Child, content_of, start
from pipeline.embedded.tied import die_with_parent
from pipeline.embedded.topics import Topics

HOST: Final = "127.0.0.1"
MAX_REQUEST_BYTES: Final = 104_857_600
"""Apache Kafka's default ``socket.request.max.bytes``."""
MAX_CONNECTIONS: Final = 1_000
READY_TIMEOUT_S: Final = 20.0
_EXPIRY_EVERY_S: Final = 0.2
_STREAM_BUFFER_BYTES: Final = 4 << 20

_log = structlog.get_logger("embedded.broker")


class TopicSpec(NamedTuple):
    """A topic to begin with, written NAME:PARTITIONS or NAME:PARTITIONS:compact."""

    name: str
    partitions: int
    compacted: bool = False

    @classmethod
    def parse(cls, text: str) -> "TopicSpec":
        found = re.fullmatch(r"([^:]+):(\d+)(:compact)?", text)
        if found is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME:PARTITIONS or NAME:PARTITIONS:compact")
        return cls(found[1], int(found[2]), found[3] is not None)

    def __str__(self) -> str:
        return f"{self.name}:{self.partitions}{':compact' if self.compacted else ''}"


class Options(argparse.Namespace):
    """The command line."""

    address_file: Path
    port: int
    partition_mb: int
    auto_create: int
    topic: list[TopicSpec]


class EmbeddedBroker(NamedTuple):
    """A running broker: the address for ``bootstrap.servers``, and its process."""

    bootstrap: str
    child: Child

    def stop(self) -> None:
        self.child.stop()


def start_broker(
    directory: Path, topics: Sequence[TopicSpec] = (), partition_mb: int = 64, auto_create: int = 0, port: int = 0
) -> EmbeddedBroker:
    """Start a broker as a child of this process; its address file and log go to ``directory``. ``auto_create``: the
    partitions of a topic that is made because a client asks for it, 0 for never. Raises `ChildFailed`."""
    directory.mkdir(parents=True, exist_ok=True)
    address_file = directory / "broker.address"
    address_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pipeline.embedded.broker", "--address-file", str(address_file)]
    command += ["--port", str(port), "--partition-mb", str(partition_mb), "--auto-create", str(auto_create)]
    for topic in topics:
        command += ["--topic", str(topic)]
    child = start("the embedded broker", command, directory / "broker.log")
    return EmbeddedBroker(child.wait_until(content_of(address_file), READY_TIMEOUT_S), child)


async def _serve(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: a request, its answer, the next request (as Kafka itself does it)."""
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(4), signed=True)
            if not 0 < size <= MAX_REQUEST_BYTES:
                raise wire.MalformedRequest(
                    f"a request says it has {size} bytes, at most {MAX_REQUEST_BYTES} are taken"
                )
            request = wire.decode(await reader.readexactly(size))
            answer = await answers.to(request)
            if answer is not None:
                writer.write(wire.encode(request, answer))
                await writer.drain()
    except (wire.UnsupportedRequest, wire.MalformedRequest) as error:
        _log.warning("connection closed", reason=str(error))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client went
    except Exception:
        _log.exception("connection closed: a fault in the broker")
    finally:
        writer.close()


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    topics = Topics(options.partition_mb << 20, options.auto_create)
    for spec in options.topic:
        error = topics.create(spec.name, spec.partitions, spec.compacted)
        if error:
            raise SystemExit(f"topic {spec} can't be made: Kafka error {error}")
    connections: set[asyncio.Task[None]] = set()
    answers: Answers | None = None

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if answers is None or task is None or len(connections) >= MAX_CONNECTIONS:
            _log.warning("connection refused", open=len(connections))
            writer.close()
            return
        connections.add(task)
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the broker ends; there is nothing after this
                await _serve(answers, reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(
        connected, HOST, options.port, backlog=256, limit=_STREAM_BUFFER_BYTES, start_serving=False
    )
    port = server.sockets[0].getsockname()[1]
    answers = Answers(topics, HOST, port)
    await server.start_serving()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    _write_address(options.address_file, f"{HOST}:{port}")
    _log.info("ready", address=f"{HOST}:{port}", topics=list(topics))
    while not ended.is_set():
        answers.expire_members()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _EXPIRY_EVERY_S)
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


def _write_address(path: Path, address: str) -> None:
    """Who sees the file sees it whole."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(address)
    unfinished.replace(path)


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.embedded.broker", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--address-file", type=Path, required=True, help="written with HOST:PORT when ready")
    parser.add_argument("--port", type=int, default=0, help="0 (the default): any free one")
    parser.add_argument("--partition-mb", type=int, default=64, help="what a partition keeps; the oldest records go")
    parser.add_argument("--auto-create", type=int, default=0, metavar="PARTITIONS", help="make topics asked for")
    parser.add_argument("--topic", type=TopicSpec.parse, action="append", default=[], help="NAME:PARTITIONS[:compact]")
    return parser.parse_args(arguments, namespace=Options())


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(run(parse(sys.argv[1:])))

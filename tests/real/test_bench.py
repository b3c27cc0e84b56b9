"""`cardwatch bench` from end to end: every part yields its figures, and nothing of it is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka.admin import AdminClient
from servers import ApacheKafka, RedisServer

from pipeline.lab.bench.options import REFERENCES

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

ROOT = Path(__file__).parents[2]
WITHOUT = ("--without", "quix", "--without", "relay-librdkafka")
ONLY_OURS = tuple(word for program in REFERENCES for word in ("--without", program))
LONGEST_S = 150
TABLES = {
    "backlog": "Microseconds a transaction",
    "latency": "Milliseconds from due to decided, 200/s",
    "state": "Many cards",
}
"""A title that each part's table has; scaling has none where there is one processor only."""
AT_ONCE = (("state",), ("backlog", "latency", "scaling"))
"""What the figures are does not matter here: parts are measured beside each other, for each mostly waits. (`all` means
every part: that is shown without servers.)"""


def environment(bootstrap: str, redis_url: str, scratch: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "CARDWATCH_KAFKA_BOOTSTRAP": bootstrap,
        "CARDWATCH_REDIS_URL": redis_url,
        "CARDWATCH_CONFIG_DIR": str(ROOT / "config"),
        "TMPDIR": str(scratch),
    }


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", "bench", *words]


def assert_nothing_is_left(kafka: ApacheKafka, redis_server: RedisServer, scratch: Path) -> None:
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert [name for name in topics if "cardwatch-bench" in name] == []
    assert redis.Redis.from_url(redis_server.url).keys("cardwatch-bench*") == []
    assert list(scratch.iterdir()) == []
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/environ") if _readable(path)]
    assert [each for each in commands if str(scratch).encode() in each] == []


def _readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def measured(parts: Iterable[str], surroundings: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """The figures of ``parts``, each measured by a command of its own; table, chart and machine are looked at."""
    figures: dict[str, Any] = {}
    for part in parts:
        figures_file, chart = directory / f"{part}.json", directory / f"{part}.svg"
        words = (part, "--short", "--rounds", "1", "--rates", "200", *WITHOUT)
        done = subprocess.run(
            command(*words, "--json", str(figures_file), "--chart", str(chart)),
            env=surroundings,
            stdout=subprocess.PIPE,  # how far it is, and why it broke off, is among our own words
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == 0
        assert TABLES.get(part, "") in done.stdout
        assert chart.read_text().startswith("<svg")
        result = json.loads(figures_file.read_text())
        assert result["machine"]["rules"] > 0
        figures |= {name: spread["median"] for name, spread in result["figures"].items()}
    return figures


def test_all_parts_have_their_figures(kafka: ApacheKafka, redis_server: RedisServer, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    surroundings = environment(kafka.bootstrap, redis_server.url, scratch)
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(measured, parts, surroundings, tmp_path) for parts in AT_ONCE]
        figures = {name: value for each in running for name, value in each.result().items()}
    for program in ("relay-aiokafka", "relay-faust", "plain-faust", "cardwatch"):
        assert figures[f"backlog.{program}.rate"] > 0
        assert figures[f"latency.200.{program}.p99"] > 0
        assert figures[f"latency.200.{program}.missing"] == 0
    assert figures["backlog.plain-faust.ratio"] > 0
    stages = {name.rpartition(".")[2] for name in figures if name.startswith("cost.backlog.stage.")}
    assert {"decode", "advance", "model", "decide", "encode", "append"} <= stages
    assert all(figures[f"cost.backlog.stage.{stage}"] > 0 for stage in stages)
    assert all(figures[f"bytes.{name}"] > 0 for name in ("transaction", "decision", "scored", "store"))
    for name in ("few.ready_s", "many.ready_s", "many.resident_mib", "same_ratio", "row_bytes"):
        assert figures[f"state.{name}"] > 0
    assert figures["state.killed.first_s"] > 0
    assert (figures["state.killed.missing"], figures["state.asked.missing"]) == (0, 0)
    for name in ("same", "spread"):
        assert figures[f"state.{name}_wall_ratio"] > 0
        assert figures[f"state.many.{name}.poll"] > 0
        assert figures[f"state.many.{name}.approved"] >= 90
    if len(os.sched_getaffinity(0)) > 1:
        assert figures["scaling.ratio"] > 0
    assert_nothing_is_left(kafka, redis_server, scratch)


def test_an_interrupted_run_leaves_nothing(kafka: ApacheKafka, redis_server: RedisServer, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    told = tmp_path / "told"
    with told.open("wb") as errors, redis.Redis.from_url(redis_server.url) as store:
        bench = subprocess.Popen(
            command("backlog", "--rounds", "100", "--short", *ONLY_OURS),
            env=environment(kafka.bootstrap, redis_server.url, scratch),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            deadline = time.monotonic() + LONGEST_S
            while not store.keys("cardwatch-bench*"):  # then topics are there, a group, a process and what it stored
                assert bench.poll() is None, told.read_text()
                assert time.monotonic() < deadline, told.read_text()
                time.sleep(0.05)
            bench.send_signal(signal.SIGINT)
            assert bench.wait(60) == 1
        finally:
            bench.kill()
            bench.wait()
    assert_nothing_is_left(kafka, redis_server, scratch)


def test_a_missing_server_is_told_in_a_sentence(kafka: ApacheKafka, redis_server: RedisServer, tmp_path: Path) -> None:
    surroundings = {
        "Kafka": environment("127.0.0.1:1", redis_server.url, tmp_path),
        "Redis": environment(kafka.bootstrap, "redis://127.0.0.1:1/0", tmp_path),
    }
    words = command("backlog", "--short", *WITHOUT)
    running = {
        missing: subprocess.Popen(words, env=values, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for missing, values in surroundings.items()
    }
    try:
        for missing, bench in running.items():
            said, told = bench.communicate(timeout=60)
            assert bench.returncode == 1
            assert said == ""
            lines = told.strip().splitlines()
            assert len(lines) == 1, told
            assert missing in lines[0]
            assert ":1" in lines[0]
    finally:
        for bench in running.values():
            bench.kill()
            bench.wait()

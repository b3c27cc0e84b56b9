"""`cardwatch bench` from end to end: every part yields its figures, and nothing of it is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import AdminClient
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

ROOT = Path(__file__).parents[2]
WITHOUT = ("--without", "quix", "--without", "relay-librdkafka")
LONGEST_S = 150


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


def test_all_parts_have_their_figures(kafka: ApacheKafka, redis_server: RedisServer, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    figures_file, chart = tmp_path / "figures.json", tmp_path / "chart.svg"
    words = ("all", "--short", "--rounds", "1", "--rates", "200", *WITHOUT)
    done = subprocess.run(
        command(*words, "--json", str(figures_file), "--chart", str(chart)),
        env=environment(kafka.bootstrap, redis_server.url, scratch),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(figures_file.read_text())
    figures = {name: spread["median"] for name, spread in result["figures"].items()}
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
    if len(os.sched_getaffinity(0)) > 1:
        assert figures["scaling.ratio"] > 0
    assert result["machine"]["rules"] > 0
    assert "Microseconds a transaction" in done.stdout
    assert chart.read_text().startswith("<svg")
    assert_nothing_is_left(kafka, redis_server, scratch)


def test_an_interrupted_run_leaves_nothing(kafka: ApacheKafka, redis_server: RedisServer, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    told = tmp_path / "told"
    with told.open("wb") as errors:
        bench = subprocess.Popen(
            command("backlog", "--rounds", "100", "--short", *WITHOUT),
            env=environment(kafka.bootstrap, redis_server.url, scratch),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            deadline = time.monotonic() + LONGEST_S
            while "Cardwatch" not in told.read_text():
                assert bench.poll() is None, told.read_text()
                assert time.monotonic() < deadline, told.read_text()
                time.sleep(0.05)
            bench.send_signal(signal.SIGINT)
            assert bench.wait(60) == 1
        finally:
            bench.kill()
            bench.wait()
    assert_nothing_is_left(kafka, redis_server, scratch)


@pytest.mark.parametrize("missing", ["Kafka", "Redis"])
def test_a_missing_server_is_told_in_a_sentence(
    missing: str, kafka: ApacheKafka, redis_server: RedisServer, tmp_path: Path
) -> None:
    bootstrap = "127.0.0.1:1" if missing == "Kafka" else kafka.bootstrap
    url = "redis://127.0.0.1:1/0" if missing == "Redis" else redis_server.url
    done = subprocess.run(
        command("backlog", "--short", *WITHOUT),
        env=environment(bootstrap, url, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert missing in lines[0]
    assert ":1" in lines[0]

"""The fixtures' servers keep their data over a kill and a restart, and can be frozen."""

import os
import time
from pathlib import Path

import pytest
import redis
from servers import RedisServer


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.mark.redis
def test_redis_keeps_what_it_acknowledged_over_a_kill(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, appendfsync="always")
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") == b"value"
            assert client.config_get("appendfsync")["appendfsync"] == "always"
    finally:
        server.stop()


@pytest.mark.redis
def test_a_frozen_server_can_still_be_stopped(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    pid = server.pid
    server.pause()
    try:
        deadline = time.monotonic() + 20.0
        while process_state(pid) != "T":  # the signal is on its way
            assert time.monotonic() < deadline
    finally:
        server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

"""The embedded store: a real Valkey that keeps what it was given and ends with its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import redis
from test_embedded_broker_process import wait_until_gone

from pipeline.embedded.store import EmbeddedStore


def test_it_keeps_its_data_and_address_over_a_kill(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, appendfsync="always")
    url = store.start()
    try:
        with redis.Redis.from_url(url) as client:
            client.set("key", "value")
            assert client.config_get("append*")["appendfsync"] == "always"
            assert client.config_get("bind")["bind"] == "127.0.0.1"
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        store.child.kill()
        assert store.start() == url
        with redis.Redis.from_url(url) as client:
            assert client.get("key") == b"value"
    finally:
        store.stop()


def test_two_stores_do_not_meet(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path / "1"), EmbeddedStore(tmp_path / "2")
    try:
        with redis.Redis.from_url(first.start()) as one, redis.Redis.from_url(second.start()) as two:
            one.set("key", "value")
            assert two.get("key") is None
    finally:
        first.stop()
        second.stop()


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from pipeline.embedded.store import EmbeddedStore\n"
        "store = EmbeddedStore(Path(sys.argv[1])); store.start(); print(store.child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.communicate()
    wait_until_gone(pid)

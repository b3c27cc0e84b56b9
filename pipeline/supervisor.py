"""Keeping roles alive on one host: a process that ends is started again, and all end with their parent.

A role that cannot go on leaves at once and comes back from its last checkpoint (see `adapters.kafka.polling`). In
production the platform restarts it; for `demo` and `run ROLE --workers N` this does.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pipeline.embedded.process import STOP_GRACE_S, Child, start

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
"""Having run so long, a process that ends is started again without a longer pause."""
LOOK_S = 0.1

log = structlog.get_logger()


@dataclass
class Kept:
    """A program to keep running; its output is appended to ``log_file`` (None: to our own standard error)."""

    name: str
    command: Sequence[str]
    log_file: Path | None
    environment: Mapping[str, str] | None = None
    child: Child | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float | None = None
    starts: int = field(default=0)

    def start(self) -> None:
        self.child = start(self.name, self.command, self.log_file, self.environment)
        self.started_at = time.monotonic()
        self.due_at = None
        self.starts += 1


class Supervisor:
    """Starts programs in order, restarts those that end, stops them in reverse order."""

    def __init__(
        self,
        told: Callable[[str, int], None] | None = None,
        hopeless: Collection[int] = (),
        grace_s: float = STOP_GRACE_S,
    ) -> None:
        """``told`` hears the name and exit code of what ended; without it, the log does. A program that ends with a
        ``hopeless`` code would do so again: it is not started again, and `failed` is that code. ``grace_s``: between
        asking all to end and ending them."""
        self.programs: list[Kept] = []
        self.failed: int | None = None
        self._told = told or _log_ended
        self._hopeless = hopeless
        self._grace_s = grace_s

    def keep(self, program: Kept) -> Kept:
        """Start ``program`` and keep it running."""
        program.start()
        self.programs.append(program)
        return program

    def look(self) -> None:
        """Restart what has ended, after a pause that doubles while it keeps ending."""
        now = time.monotonic()
        for program in self.programs:
            if program.child is None or program.child.exit_code is None:
                continue
            if program.child.exit_code in self._hopeless:
                self.failed = program.child.exit_code
                continue
            if program.due_at is None:
                if now - program.started_at > STEADY_S:
                    program.pause_s = FIRST_PAUSE_S
                program.due_at = now + program.pause_s
                program.pause_s = min(program.pause_s * 2, LONGEST_PAUSE_S)
                self._told(program.name, program.child.exit_code)
            elif now >= program.due_at:
                program.start()

    def run_until(self, ended: Callable[[], bool]) -> None:
        """Look after the programs until ``ended`` says so, or one has `failed`."""
        while not ended() and self.failed is None:
            self.look()
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """Ask all to end, the last first, and wait: together no longer than one may take."""
        deadline = time.monotonic() + self._grace_s
        children = [program.child for program in reversed(self.programs) if program.child is not None]
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop(max(0.0, deadline - time.monotonic()))
        self.programs.clear()


def _log_ended(name: str, exit_code: int) -> None:
    log.warning("a process ended and is started again", name=name, exit=exit_code)

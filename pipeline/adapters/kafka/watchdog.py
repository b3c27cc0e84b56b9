"""A worker that is alive and idle is worse than a dead one: the group keeps its partitions with it.

Faust can end a task without a word (an error while seeking, a coordinator that never answers). This thread, which no
stuck event loop can stop, ends the process when the loop no longer beats, or when records wait and none is handled.
"""

import threading

from pipeline.adapters.kafka.ending import EXIT_STUCK, end_process

CHECK_S = 1.0
SILENT_CHECKS = 60
"""So many checks without a beat: the event loop hangs. (Checks are counted, not seconds: a process that was stopped and
woken has not hung.)"""
STUCK_CHECKS = 45
"""So many checks in which records waited, nothing was loading, and none was handled."""


class Watchdog:
    """`beat` is called about once a second from the event loop."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._silent = self._stuck = 0
        self._handled = -1

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def beat(self, handled: int, behind: int, waiting: bool) -> None:
        """``handled``: polls so far; ``behind``: records waiting; ``waiting``: for a store, and rightly so."""
        self._silent = 0
        if handled != self._handled or behind == 0 or waiting:
            self._handled = handled
            self._stuck = 0

    def _watch(self) -> None:
        while not self._stopped.wait(CHECK_S):
            self._silent += 1
            self._stuck += 1
            if self._silent > SILENT_CHECKS:
                end_process(EXIT_STUCK, "the event loop has hung", seconds=self._silent)
            if self._stuck > STUCK_CHECKS:
                end_process(EXIT_STUCK, "records wait and none is handled", seconds=self._stuck)

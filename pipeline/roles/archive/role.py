"""The archive: what was decided and what became known, kept for good in files by day.

One process writes. It goes on where its files end: their names say how far each partition is, and no other place is
kept. `transactions`, `scored` and `decisions` are read beside each other and put together; labels stand alone. A file
holds consecutive rows of one partition and one day; on any trouble everything not yet in a file is let go of and read
again, so a crash at any moment leaves each row in one file, or in none yet.

A row's day is that of its arrival by the log's timestamp, UTC, and never earlier than that of the row before it: a
transaction told of months late, or a clock that jumps, does not open a closed day again.
"""

import asyncio
import traceback

import structlog

from pipeline.ports_archive import ArchiveBusy
from pipeline.roles.archive.metrics import ArchiveMetrics
from pipeline.roles.archive.run import ArchiveRun, OutsideLog, Pace, World, pause

_log = structlog.get_logger(__name__)


class Archiver:
    """The role: one `ArchiveRun` after the other, while this process is the writer. ``ready``: it is at work."""

    def __init__(self, world: World, pace: Pace, metrics: ArchiveMetrics) -> None:
        self._world = world
        self._pace = pace
        self._metrics = metrics
        self.ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Write, or wait to write, until ``stop``. Raises `OutsideLog`, for which starting again is no help."""
        waiting = False
        while not stop.is_set():
            try:
                self._world.shelf.open()
            except ArchiveBusy as busy:
                if not waiting:
                    _log.info("archive: waiting to write", reason=str(busy))
                waiting = True
                await pause(stop, self._pace.retry_s)
                continue
            except OSError as error:
                self._failed(error)
                await pause(stop, self._pace.retry_s)
                continue
            waiting = False
            try:
                await self._write(stop)
            except OutsideLog:
                raise
            except Exception as error:  # whatever it was: what is not in a file is read again
                self._failed(error)
                await pause(stop, self._pace.retry_s)
            finally:
                self.ready = False
                self._metrics.writing.set(0)
                await asyncio.to_thread(self._world.shelf.close)

    def _failed(self, error: Exception) -> None:
        self._metrics.failures.inc()
        _log.error("archive: let go of everything; beginning again", trace="".join(traceback.format_exception(error)))

    async def _write(self, stop: asyncio.Event) -> None:
        run = ArchiveRun(self._world, self._pace, self._metrics)
        try:
            await run.start()
            self.ready = True
            self._metrics.writing.set(1)
            await run.until(stop)
        finally:
            await run.end()

"""Keeps what decided once: every model and every policy text that comes by on `control`.

`control` is compacted, so of the models it soon has the newest only. A decision of months ago can be computed again when
its model and its policy are still there.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from pipeline.core.topics import MODEL_KEY, MODEL_WITHHELD_KEY, POLICY_KEY, Record
from pipeline.ports import Clock, Reader
from pipeline.ports_archive import PastVersions

POLL_S = 1.0
RETRY_S = 30.0
FORGET_EVERY_S = 3_600.0
DAY_S = 86_400.0

_log = structlog.get_logger(__name__)


class VersionKeeper:
    """``keep_days`` 0: nothing is ever deleted; else models not met for so many days are, as the archive's days."""

    def __init__(self, kept: PastVersions, clock: Clock, keep_days: int) -> None:
        self._kept = kept
        self._clock = clock
        self._keep_days = keep_days
        self._forget_at = clock.now()

    async def run(self, open_reader: Callable[[], Reader], stop: asyncio.Event, retry_s: float = RETRY_S) -> None:
        """Until ``stop``; after any trouble reading begins again."""
        while not stop.is_set():
            try:
                await self._read(open_reader(), stop)
            except Exception as error:  # the archive's files are more important: they go on beside it
                _log.warning("archive: models and policies are not kept for now", error=repr(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), retry_s)

    async def _read(self, reader: Reader, stop: asyncio.Event) -> None:
        try:
            await reader.start()
            while not stop.is_set():
                for records in (await reader.poll(POLL_S)).values():
                    for record in records:
                        await asyncio.to_thread(self.meet, record)
                await asyncio.to_thread(self._forget)
        finally:
            with contextlib.suppress(Exception):  # the connection may be gone already
                await reader.stop()

    def meet(self, record: Record) -> None:
        """Keep what ``record`` of `control` holds, if it is a model or a policy."""
        if not record.key or not record.value:
            return
        if record.key in (MODEL_KEY, MODEL_WITHHELD_KEY):  # what is withheld today may be promoted tomorrow
            self._kept.keep_model(record.value)
        elif record.key.startswith(POLICY_KEY):
            version = record.key[len(POLICY_KEY) :].decode("utf-8", "replace")
            self._kept.keep_policy(version, record.value)

    def _forget(self) -> None:
        now = self._clock.now()
        if self._keep_days and now >= self._forget_at:
            self._forget_at = now + FORGET_EVERY_S
            self._kept.forget_models(now - self._keep_days * DAY_S)

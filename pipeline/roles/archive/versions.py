"""Keeps what decided: models and policy texts that come by on `control`.

`control` is compacted, so of the models it soon has the newest only. A decision of months ago can be computed again when
its model and its policy are still there. Each is kept when it comes by, for nobody knows yet what it will decide; now and
then the rows that came since are asked which models they name, and one that none names is deleted after a grace longer
than `transactions` is retained: by then all that it decided is archived. Which models decided is found out anew by
whoever starts, from the rows of as many days.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from pipeline.core.topics import MODEL_KEY, MODEL_WITHHELD_KEY, POLICY_KEY, Record, challenger_name
from pipeline.ports import Clock, Reader
from pipeline.ports_archive import Deciders, PastVersions

POLL_S = 1.0
RETRY_S = 30.0
LOOK_EVERY_S = 3_600.0
DAY_S = 86_400.0
UNDECIDED_KEPT_S = 8 * DAY_S
"""A day more than `transactions` is retained for unless told otherwise."""

_log = structlog.get_logger(__name__)


class VersionKeeper:
    """``keep_days`` 0: what decided something stays; else it goes with the last of the archive's days that names it."""

    def __init__(self, kept: PastVersions, deciders: Deciders, clock: Clock, keep_days: int) -> None:
        self._kept = kept
        self._deciders = deciders
        self._clock = clock
        self._keep_days = keep_days
        self._look_at = clock.now()

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
                await asyncio.to_thread(self.look)
        finally:
            with contextlib.suppress(Exception):  # the connection may be gone already
                await reader.stop()

    def meet(self, record: Record) -> None:
        """Keep what ``record`` of `control` holds, if it is a model or a policy."""
        if not record.key or not record.value:
            return
        models = (MODEL_KEY, MODEL_WITHHELD_KEY)  # what is withheld today may be promoted tomorrow
        if record.key in models or challenger_name(record.key) is not None:
            self._kept.keep_model(record.value)
        elif record.key.startswith(POLICY_KEY):
            version = record.key[len(POLICY_KEY) :].decode("utf-8", "replace")
            self._kept.keep_policy(version, record.value)

    def look(self) -> None:
        """When it is time: tell which models decided something since, and delete what is kept for nothing."""
        now = self._clock.now()
        if now < self._look_at:
            return
        self._kept.mark_decided(self._deciders.named(everything=not self._kept.any_decided()))
        self._look_at = now + LOOK_EVERY_S
        decided_before = now - (self._keep_days + 1) * DAY_S if self._keep_days else None
        gone = self._kept.forget_models(now - UNDECIDED_KEPT_S, decided_before)
        if gone:
            _log.info("archive: models deleted that no decision names", models=gone)

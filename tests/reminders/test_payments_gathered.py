"""A busy topic that is read beside others' work is read in pieces, not record by record."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.adapters.kafka import readers
from pipeline.core.topics import TRANSACTIONS
from pipeline.settings import Settings

RECORDS = 20


class Trickle:
    """A consumer to whom a record comes at each turn of the loop."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.left = RECORDS
        self.arrived: list[int] = []
        self.commits = 0

    async def start(self) -> None:
        self._coming = asyncio.create_task(self._come())

    async def _come(self) -> None:
        while self.left:
            self.left -= 1
            self.arrived.append(self.left)
            await asyncio.sleep(0)

    async def getmany(self, **_: Any) -> dict[int, list[int]]:
        await asyncio.sleep(0)
        found, self.arrived = self.arrived, []
        return {0: found} if found else {}

    async def commit(self) -> None:
        self.commits += 1

    async def stop(self) -> None:
        await self._coming


@pytest.mark.parametrize(("gather_s", "few"), [(0.0, False), (0.05, True)])
def test_what_gathers_is_committed_together(gather_s: float, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Trickle()
    monkeypatch.setattr(readers, "AIOKafkaConsumer", lambda *_, **__: consumer)

    async def go() -> int:
        stop, seen = asyncio.Event(), 0

        async def handle(records: Sequence[Any]) -> None:
            nonlocal seen
            seen += len(records)
            if seen == RECORDS:
                stop.set()

        await readers.GroupReader(Settings(), TRANSACTIONS, "some", handle, gather_s).run(stop)
        return seen

    assert asyncio.run(go()) == RECORDS
    assert (consumer.commits <= 3) is few

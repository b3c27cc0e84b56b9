"""Pieces of work that go on while the API answers: begun, kept hold of, and ended with the process."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Tasks of the running loop; `stop` ends those that are left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, piece: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(piece)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

"""What is going to happen, and a clock that jumps from one moment to the next."""

import heapq
from collections.abc import Awaitable, Callable

Act = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """To be woken is all."""


class Agenda:
    """The Clock port, and acts in the order of their moments, unix milliseconds."""

    def __init__(self, start_ms: int) -> None:
        self.now_ms = start_ms
        self._acts: list[tuple[int, int, Act]] = []
        self._number = 0

    def now(self) -> float:
        return self.now_ms / 1000 + 1e-4  # so that seconds made milliseconds again are not one too few

    def at(self, moment_ms: int, act: Act = nothing) -> None:
        self._number += 1
        heapq.heappush(self._acts, (max(moment_ms, self.now_ms), self._number, act))

    def after(self, seconds: float, act: Act = nothing) -> None:
        self.at(self.now_ms + round(seconds * 1000), act)

    def next_ms(self) -> int | None:
        return self._acts[0][0] if self._acts else None

    def take(self) -> list[Act]:
        """What is to happen now."""
        acts = []
        while self._acts and self._acts[0][0] <= self.now_ms:
            acts.append(heapq.heappop(self._acts)[2])
        return acts

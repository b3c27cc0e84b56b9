"""A provider that fails is left alone for a while, and none is asked more often than it allows.

Around each provider stands a `Guard`. After some failures in a row (refusals for the moment, and calls nobody knows the
outcome of) its circuit opens: further messages are refused at once, so that the next channel gets them in milliseconds
instead of after a time-out. After a while one message goes through on trial; its outcome closes the circuit or keeps it
open. A permanent refusal says something about the message, not about the provider, and counts as a success.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from pipeline.core.token_bucket import TokenBucket
from pipeline.ports import Clock
from pipeline.ports_channels import (
    CallAbsent,
    CallAccepted,
    CallOrder,
    CallRefused,
    CallReport,
    CallUnknown,
    MessageChannel,
    MessageOrder,
    Provider,
)

Outcome = CallAccepted | CallRefused | CallUnknown
State = Literal["closed", "open", "half_open"]
Refused = Callable[[str, str], None]
"""Hears of each order that a guard did not let through: its channel, and why."""
FAILURES = 5
OPEN_S = 30.0
LONGEST_WAIT_S = 1.0
CIRCUIT_OPEN = CallRefused(permanent=False, reason="circuit_open")
RATE_LIMITED = CallRefused(permanent=False, reason="rate_limited")
NOT_LET_THROUGH = (CIRCUIT_OPEN, RATE_LIMITED)


def unheard(channel: str, reason: str) -> None:
    """Nobody is told."""


class Circuit:
    """Pure but for its own state: every time is given. ``failures`` in a row open it for ``open_s`` seconds."""

    def __init__(self, failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        if failures < 1:
            raise ValueError("a circuit opens after one failure at the earliest")
        self._failures = failures
        self._open_s = open_s
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._on_trial = False
        self._period = 0

    def state(self, now: float) -> State:
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._on_trial or self.opens_in(now) == 0 else "open"

    def opens_in(self, now: float) -> float:
        """Seconds until a message is let through again, as far as the circuit knows; 0 while it is closed."""
        if self._opened_at is None or now < self._opened_at:  # a clock set back must not keep it open for long
            return 0.0
        return max(0.0, self._opened_at + self._open_s - now)

    def enter(self, now: float) -> int | None:
        """Let a message through: its number, to be given to `leave`. None: not now."""
        if self._opened_at is not None:
            if self._on_trial or self.opens_in(now) > 0:
                return None
            self._on_trial = True
        return self._period

    def leave(self, number: int, failed: bool | None, now: float) -> None:
        """How it went; None: it was given up before anything was learned. What began before the circuit last opened or
        closed says nothing about now."""
        if number != self._period:
            return
        if failed is None:
            self._on_trial = False
            return
        if not failed:
            self._in_a_row = 0
            if self._opened_at is not None:
                self._turn(None)
            return
        self._in_a_row += 1
        if self._on_trial or self._in_a_row >= self._failures:
            self._turn(now)

    def _turn(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._on_trial = False
        self._in_a_row = 0
        self._period += 1


class Guard:
    """One provider's circuit and rate. ``rate_s`` None: no limit of ours. A message whose turn comes within
    ``longest_wait_s`` waits for it (``sleep``); any other is refused as ``rate_limited``."""

    def __init__(
        self,
        clock: Clock,
        circuit: Circuit | None = None,
        rate_s: float | None = None,
        burst: float = 1.0,
        longest_wait_s: float = LONGEST_WAIT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._circuit = circuit or Circuit()
        self._clock = clock
        self._bucket = TokenBucket(rate_s, burst) if rate_s is not None else None
        self._longest_wait_s = longest_wait_s
        self._sleep = sleep

    def state(self) -> State:
        return self._circuit.state(self._clock.now())

    async def call(self, send: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """``send`` and what came of it, or the refusal that stands for it."""
        number = self._circuit.enter(self._clock.now())
        if number is None:
            return CIRCUIT_OPEN
        failed: bool | None = None
        try:
            if not await self._turn_comes():
                return RATE_LIMITED
            failed = True  # should it raise
            outcome = await send()
            failed = isinstance(outcome, CallUnknown) or (isinstance(outcome, CallRefused) and not outcome.permanent)
            if outcome == RATE_LIMITED:  # by a channel that keeps the rate itself: the provider was not asked
                failed = None
            return outcome
        except asyncio.CancelledError:
            failed = None
            raise
        finally:
            self._circuit.leave(number, failed, self._clock.now())

    async def _turn_comes(self) -> bool:
        if self._bucket is None:
            return True
        wait = self._bucket.reserve(self._clock.now(), self._longest_wait_s)
        if wait:
            await self._sleep(wait)
        return wait is not None


class GuardedChannel:
    """A MessageChannel behind its provider's guard. Asking what became of a message is never held back."""

    def __init__(self, channel: MessageChannel, guard: Guard, refused: Refused = unheard) -> None:
        self.guard = guard
        self._channel = channel
        self._refused = refused

    async def send(self, order: MessageOrder) -> Outcome:
        outcome = await self.guard.call(lambda: self._channel.send(order))
        if isinstance(outcome, CallRefused) and outcome in NOT_LET_THROUGH:
            self._refused(order.channel, outcome.reason)
        return outcome

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return await self._channel.find(key)


class GuardedProvider:
    """The same for calls: the Provider port."""

    def __init__(self, provider: Provider, guard: Guard, refused: Refused = unheard) -> None:
        self.guard = guard
        self._provider = provider
        self._refused = refused

    async def place(self, call: CallOrder) -> Outcome:
        outcome = await self.guard.call(lambda: self._provider.place(call))
        if isinstance(outcome, CallRefused) and outcome in NOT_LET_THROUGH:
            self._refused("voice", outcome.reason)
        return outcome

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return await self._provider.find(key)

    async def cancel(self, key: str, call: str | None) -> None:
        await self._provider.cancel(key, call)

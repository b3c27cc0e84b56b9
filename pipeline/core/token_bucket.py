"""At most so many a second, with a short burst: a token bucket. Time is given, in seconds that go forward."""

from collections.abc import Sequence

_ROUNDING = 1e-6
"""Of a token: unix seconds are exact to a fraction of a microsecond."""


class TokenBucket:
    """``rate`` tokens a second flow in, at most ``burst`` are kept; it begins full."""

    def __init__(self, rate: float, burst: float = 1.0) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a token bucket needs a rate above 0 and a burst of at least 1")
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds from ``now`` until a token is there; 0 when one is."""
        if self._at is None or now < self._at:  # a clock set back earns no tokens and owes none
            self._at = now
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        missing = 1.0 - self._tokens
        return missing / self._rate if missing > _ROUNDING else 0.0

    def reserve(self, now: float, longest_s: float) -> float | None:
        """Take a token that is there within ``longest_s``; answers the seconds to wait for it first. None: none is, and
        none was taken. Those who wait are served in the order in which they asked."""
        turns = self.reserve_all(now, longest_s, 1)
        return None if turns is None else turns[0]

    def reserve_all(self, now: float, longest_s: float, count: int) -> Sequence[float] | None:
        """The same for ``count`` tokens, if the last is there in time: the seconds to wait for each, in order."""
        turns: list[float] = []
        for _ in range(count):
            turns.append(self.wait(now))
            self._tokens -= 1.0
        if turns and turns[-1] > longest_s:
            self._tokens += count
            return None
        return turns

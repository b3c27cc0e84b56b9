"""Random numbers that depend only on what they are for, never on the order in which they are asked.

Philox is a counter-based generator: key and counter name a place in its sequence, and moving there is cheap (about
2 µs, where seeding a fresh generator from a ``SeedSequence`` costs 10). The key is (seed, population) and the counter
(card, day, occasion), so a population added later, or a card more, changes nobody else's numbers.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import numpy as np

T = TypeVar("T")
BLOCK = 32
"""Uniforms fetched at a time: an ordinary purchase needs fewer than this."""
WORDS_PER_STEP = 4
"""Philox gives four 64-bit words for each step of its counter."""


class Source:
    """All random numbers of one population: ``at`` opens the sequence that belongs to three coordinates."""

    def __init__(self, seed: int, population: str) -> None:
        self._bits = np.random.Philox(key=np.array([seed, crc32(population.encode())], dtype=np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state
        self._counter = self._state["state"]["counter"]

    def at(self, card: int, day: int, occasion: int = 0) -> "Draws":
        """Coordinates are taken modulo 2⁶⁴ (day and occasion: 2³²), so days before 1970 are fine too."""
        return Draws(self, card & 0xFFFFFFFFFFFFFFFF, ((day & 0xFFFFFFFF) << 32) | (occasion & 0xFFFFFFFF))

    def block(self, number: int, card: int, place: int) -> list[float]:
        """``BLOCK`` uniforms in [0, 1), last one first used."""
        counter = self._counter
        counter[0] = number * (BLOCK // WORDS_PER_STEP)
        counter[1] = 0
        counter[2] = card
        counter[3] = place
        self._bits.state = self._state
        uniforms: list[float] = self._generator.random(BLOCK).tolist()
        return uniforms


class Draws:
    """One sequence of random numbers, with the distributions the populations use."""

    __slots__ = ("_block", "_card", "_left", "_place", "_source")

    def __init__(self, source: Source, card: int, place: int) -> None:
        self._source = source
        self._card = card
        self._place = place
        self._block = 1
        self._left = source.block(0, card, place)

    def uniform(self) -> float:
        if not self._left:
            self._left = self._source.block(self._block, self._card, self._place)
            self._block += 1
        return self._left.pop()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.uniform()

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def integer(self, low: int, high: int) -> int:
        """Both ends included."""
        return low + int(self.uniform() * (high - low + 1))

    def normal(self) -> float:
        """Standard normal (Box and Muller)."""
        return math.sqrt(-2.0 * math.log(1.0 - self.uniform())) * math.cos(2.0 * math.pi * self.uniform())

    def lognormal(self, median: float, sigma: float) -> float:
        return median * math.exp(sigma * self.normal())

    def exponential(self, mean: float) -> float:
        return -mean * math.log(1.0 - self.uniform())

    def count(self, mean: float) -> int:
        """Poisson (Knuth's product of uniforms: fit for small means)."""
        limit, product, drawn = math.exp(-mean), self.uniform(), 0
        while product > limit:
            product *= self.uniform()
            drawn += 1
        return drawn

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.uniform() * len(choices))]

    def weighted(self, cumulative: Sequence[float]) -> int:
        """An index, by weights given as their running sums (the last one is the total)."""
        return min(bisect_right(cumulative, self.uniform() * cumulative[-1]), len(cumulative) - 1)

    def identifier(self) -> str:
        """96 random bits in hex that tell nothing about who drew them. The g's between keep a run of digits from ever
        being as long as a card number."""
        first, second, third = (int(self.uniform() * 2**32) for _ in range(3))
        return f"{first:08x}g{second:08x}g{third:08x}"

"""The transactions of a benchmark: everyday chip payments, the same for every program and every run.

Each is made from its number alone. Numbers walk through all cards in turn; a card's own transactions lie six hours
apart in event time up to the fifth, which like all later ones is about now (unless other steps are asked for).
"""

import time

STEP_S = 6 * 3600
STEPS = 4
TURN = 7919
"""A prime: neighbouring numbers are far apart among the cards, and so in partitions and rows."""
SERIES = 10**9
"""Numbers at the same distance from a multiple of this are alike but for their id: each rate of a run has its own."""


class Stream:
    """Transactions over ``cards`` cards, the newest of them at ``newest`` (unix seconds); a card's first ``steps`` lie
    before it, ``step_s`` apart."""

    def __init__(self, cards: int, newest: float | None = None, steps: int = STEPS, step_s: float = STEP_S) -> None:
        self.cards = cards
        self._steps, self._step_s = steps, step_s
        self._newest = time.time() if newest is None else newest
        # the text of each of the few seconds that occur, for a million numbers are made in one go
        self._seconds: dict[int, str] = {}

    def key(self, number: int) -> bytes:
        """The card of transaction ``number``, as the topic's key."""
        return token(number * TURN % self.cards)

    def moment(self, number: int) -> float:
        """Event time, unix seconds."""
        turns, place = divmod(number % SERIES, self.cards)
        return self._newest - self._step_s * max(0, self._steps - turns) + place * 0.001

    def value(self, number: int) -> bytes:
        """The record: a JSON object as other teams' programs write it, about 300 bytes."""
        moment = self.moment(number)
        second = int(moment)
        text = self._seconds.get(second)
        if text is None:
            text = self._seconds[second] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        place = number % self.cards
        return (
            f'{{"id": "x{number}", "card": "tok_{number * TURN % self.cards:024d}", '
            f'"time": "{text}.{int(moment % 1 * 1000):03d}Z", "amount": {5000 + number * 31 % 20000}, '
            f'"currency": "CNY", "merchant": "m{place % 3000:06d}", "terminal": "t{place % 4000:07d}", '
            f'"mcc": "5411", "country": "CN", "entry_mode": "chip"}}'
        ).encode()


def token(place: int) -> bytes:
    """The card at ``place`` among all cards."""
    return b"tok_%024d" % place


def number_of(value: bytes) -> int:
    """The number of the transaction that a decision (JSON with a field "id") is about. Raises ValueError when it names
    none."""
    start = value.index(b'"id"') + 4
    start = value.index(b'"x', start) + 2
    return int(value[start : value.index(b'"', start)])

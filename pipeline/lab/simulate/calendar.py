"""The simulated bank's calendar: which day it is for its cardholders, pay-days, and who is away.

A day begins at midnight on the bank's clock. ``shift_s`` moves everybody's day: with it, a demonstration started at
three in the morning can still show a city at lunch. Histories and live traffic must use the same shift.
"""

from datetime import date, timedelta
from typing import NamedTuple

from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.draws import Source
from pipeline.lab.simulate.places import FOREIGN_WEIGHTS, HOME_CITIES, HOME_UTC_OFFSET_H, HOME_WEIGHTS

DAY_S = 86_400
HOUR_S = 3_600
TRIP_BLOCK_DAYS = 30
"""At most one trip a card in each block of so many days."""
LONGEST_TRIP_DAYS = 9
_EPOCH = date(1970, 1, 1)


class Away(NamedTuple):
    """``city`` index into CITIES; days are counted from 1970, both included."""

    city: int
    first_day: int
    last_day: int


class Calendar:
    def __init__(self, seed: int, shift_s: float = 0.0) -> None:
        self._trips = Source(seed, "trips")
        self._shift_s = shift_s

    def day(self, time: float) -> int:
        """Number of the cardholders' day that unix ``time`` falls in."""
        return int((time + HOME_UTC_OFFSET_H * HOUR_S + self._shift_s) // DAY_S)

    def midnight(self, day: int) -> float:
        """Unix time at which a day begins."""
        return day * DAY_S - HOME_UTC_OFFSET_H * HOUR_S - self._shift_s

    def hour(self, time: float) -> int:
        """Hour of the cardholders' day, 0–23."""
        return int((time + HOME_UTC_OFFSET_H * HOUR_S + self._shift_s) % DAY_S // HOUR_S)

    def date(self, day: int) -> date:
        return _EPOCH + timedelta(days=day)

    def weekend(self, day: int) -> bool:
        return (day + 3) % 7 >= 5  # 1 January 1970 was a Thursday

    def away(self, card: Cardholder, day: int) -> Away | None:
        """The trip that ``card`` is on, if any: two of three abroad, the others to another city at home."""
        block = day // TRIP_BLOCK_DAYS
        draws = self._trips.at(card.number, block)
        if not draws.chance(card.travels):
            return None
        length = draws.integer(2, LONGEST_TRIP_DAYS)
        first = block * TRIP_BLOCK_DAYS + draws.integer(0, TRIP_BLOCK_DAYS - length)
        if not first <= day < first + length:
            return None
        if draws.chance(0.67):
            return Away(len(HOME_CITIES) + draws.weighted(FOREIGN_WEIGHTS), first, first + length - 1)
        return Away(draws.weighted(HOME_WEIGHTS), first, first + length - 1)

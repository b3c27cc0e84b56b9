"""Chargebacks: what the bank learns weeks later, when a cardholder has read the statement.

Of the fraud that got through, most is reported, some days or weeks after; of genuine purchases a very few are disputed
wrongly. Delays are log-normal, within
bounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from pipeline.core.records import Label
from pipeline.lab.simulate.attempt import APPROVED, Attempt, moment
from pipeline.lab.simulate.draws import Source

DAY_S = 86_400


@dataclass(frozen=True)
class ChargebackParameters:
    reported: float = 0.75
    wrongly: float = 0.0002
    median_days: float = 9.0
    sigma: float = 0.7
    least_days: float = 1.0
    most_days: float = 400.0


LATE = ChargebackParameters(reported=0.7, median_days=35.0, sigma=0.35, least_days=20.0, most_days=60.0)
"""Nobody looks at a statement before it is printed: three weeks to two months, and three of ten never."""


class Chargebacks:
    """Show it every attempt (`saw`); ask it, with time going on, which labels have come (`due`)."""

    def __init__(self, seed: int, parameters: ChargebackParameters | None = None) -> None:
        self._source = Source(seed, "chargebacks")
        self._p = parameters or ChargebackParameters()
        self._pending: list[tuple[float, int, Label]] = []
        self._seen = 0

    def saw(self, attempt: Attempt) -> None:
        self._seen += 1
        draws = self._source.at(self._seen, 0)
        transaction = attempt.transaction
        if transaction.response_code != APPROVED or not transaction.amount or transaction.type != "authorisation":
            return
        if not draws.chance(self._p.reported if attempt.truth.fraud else self._p.wrongly):
            return
        delay_days = draws.lognormal(self._p.median_days, self._p.sigma)
        delay_days = min(self._p.most_days, max(self._p.least_days, delay_days))
        when = attempt.time + delay_days * DAY_S
        label = Label(
            transaction=transaction.id,
            card=transaction.card,
            fraud=True,
            source="chargeback",
            time=moment(when),
            fraud_type=attempt.truth.kind if attempt.truth.fraud else None,
        )
        heappush(self._pending, (when, self._seen, label))

    def due(self, now: float) -> Iterator[Label]:
        """Labels whose time has come by unix ``now``, each once, in order of time."""
        while self._pending and self._pending[0][0] <= now:
            yield heappop(self._pending)[2]

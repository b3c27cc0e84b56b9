"""Cards that were at a point of compromise and have not gone bad: how likely each is to, and what it costs to prevent it.

Of the bad cards that were there, those beyond what chance brings are the place's doing. Divided by all visits in the
days on which it leaked, that is the chance that a visit cost a card its data and the data was used; a card that was
there ``v`` times goes bad with 1 − (1 − chance)^v. This is the rate observed so far: it rises while stolen cards are
being used.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.point_of_compromise import Suspected

EXPIRES_DAYS = 60
"""An exposure is news for so long after its place was last seen to leak: stolen cards are sold and used for weeks."""


@dataclass(frozen=True)
class Costs:
    """Minor units of the bank's currency. ``reissue``: a card replaced, with all that follows; ``call``: a cardholder asked
    about a payment. ``asked``: share of watched cards whose holder is asked; ``prevented``: share of a bad card's
    loss that asking at its next payment prevents. A card that is replaced loses nothing more."""

    reissue: float = 3_000.0
    call: float = 200.0
    asked: float = 0.2
    prevented: float = 0.5

    def __post_init__(self) -> None:
        if min(self.reissue, self.call, self.asked, self.prevented) < 0 or max(self.asked, self.prevented) > 1:
            raise ValueError("costs must not be negative, and shares lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class ExposedCards:
    """The one most at risk first. ``card``: texts; ``visits``: days there; ``last_day``: days since 1970; ``risk``: 0 to 1;
    ``loss``: expected, minor units. ``rate``: of all cards exposed, which share went bad beyond chance."""

    card: NDArray[Any]
    visits: NDArray[np.int64]
    last_day: NDArray[np.int64]
    risk: NDArray[np.float64]
    loss: NDArray[np.float64]
    rate: float

    def worth_watching(self, costs: Costs) -> list[str]:
        """Cards of whose expected loss watching saves more than it costs."""
        found: list[str] = self.card[self.loss * costs.prevented > costs.asked * costs.call].tolist()
        return found


def watched_until(place: Suspected) -> float:
    """When the exposure at ``place`` is no news any more; unix seconds."""
    return (place.exposed.last + 1 + EXPIRES_DAYS) * 86_400.0


class Worth(NamedTuple):
    """What watching or reissuing all exposed cards saves and costs, in minor units."""

    cards: int
    expected_loss: float
    watching_saves: float
    watching_costs: float
    reissuing_saves: float
    reissuing_costs: float
    worth_reissuing: int
    """Cards whose own expected loss is more than a reissue costs."""


def exposed_cards(
    place: Suspected,
    card: NDArray[Any],
    visits: NDArray[np.int64],
    last_day: NDArray[np.int64],
    bad: NDArray[np.bool_],
    loss_of_a_bad_card: float,
) -> ExposedCards:
    """Rank the cards that were at ``place`` in its `exposed` days, ``bad`` ones among them or not; columns of one length.

    Of equal risk, the card that was there last comes first: the sooner after its visit, the less time there was for it
    to go bad."""
    beyond = max(0.0, len(place.bad) - place.expected)
    chance = min(1.0, beyond / max(1, int(visits.sum())))
    risk: NDArray[np.float64] = 1.0 - np.power(1.0 - chance, visits.astype(np.float64))
    loss: NDArray[np.float64] = risk * loss_of_a_bad_card
    order = np.lexsort((-last_day, -risk))
    order = order[~bad[order]]
    return ExposedCards(
        card[order], visits[order], last_day[order], risk[order], loss[order],
        min(1.0, beyond / max(1, len(card))),
    )  # fmt: skip


def worth(exposed: ExposedCards, costs: Costs) -> Worth:
    loss, cards = float(exposed.loss.sum()), len(exposed.card)
    return Worth(
        cards,
        loss,
        loss * costs.prevented,
        cards * costs.asked * costs.call,
        loss,
        cards * costs.reissue,
        int((exposed.loss > costs.reissue).sum()),
    )

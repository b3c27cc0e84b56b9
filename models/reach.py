"""Which of several ways to try first: Thompson sampling, River's, over how often each reached people like these, but
reluctant to leave the order it is given.

Each way's chance to reach somebody is drawn from what is known of it, Beta(c + c reached, c + c missed), and the highest
draw comes first: a way of which little is known is tried now and then, one that is known to be worse hardly ever. With
c = 1 that is Thompson sampling as it stands in books; narrower draws try less and lose less (Chapelle and Li, An Empirical
Evaluation of Thompson Sampling, 2011, call it posterior reshaping). Where
all ways are alike, plain sampling would shuffle them for ever. Here a way has to promise more than ``margin`` more than
one named before it, so that with growing knowledge the given order returns wherever nothing better is known.
"""

from collections.abc import Callable, Sequence

from river import bandit, proba

MARGIN = 0.05
"""A better chance by less than this is not worth another order."""
CERTAINTY = 4
"""The c above. Of 1, 2 and 4 the best in those three worlds of ``benchmarks/contact_reach.py`` in which it was tried."""
Counted = tuple[float, float]
"""How often a way reached somebody, of how often it was tried; fractions, where the past counts less."""


class ReluctantThompson(bandit.ThompsonSampling):  # type: ignore[misc] # River comes without types
    """River's Thompson sampling, pulling the first of the arms whose draw is within ``margin`` of the highest."""

    def __init__(
        self, margin: float = MARGIN, reward_obj: object = None, burn_in: int = 0, seed: int | None = None
    ) -> None:
        super().__init__(reward_obj=reward_obj, burn_in=burn_in, seed=seed)
        self.margin = margin

    def _pull(self, arm_ids: Sequence[int]) -> int:
        return _first({arm: self._rewards[arm].sample() for arm in arm_ids}, self.margin)


def ranked(
    counted: Sequence[Counted], seed: int, margin: float = MARGIN, certainty: float = CERTAINTY
) -> tuple[int, ...]:
    """Places in ``counted``, the way to try first first; the same for the same counts and ``seed``."""
    policy = ReluctantThompson(margin, proba.Beta(), seed=seed)
    for arm, (reached, tried) in enumerate(counted):
        belief = policy._rewards[arm]  # River's own way in is one update a trial
        belief.alpha = certainty * (belief.alpha + reached)
        belief.beta = certainty * (belief.beta + tried - reached)
    return _one_by_one(policy.pull, len(counted))


def expected(counted: Counted) -> float:
    """The chance a way has to reach somebody, as far as is known; a half where nothing is."""
    reached, tried = counted
    return (1 + reached) / (2 + tried)


def expected_order(counted: Sequence[Counted], margin: float = MARGIN) -> tuple[int, ...]:
    """As `ranked`, by the expected chances instead of draws."""
    chances = [expected(each) for each in counted]
    return _one_by_one(lambda arms: _first({arm: chances[arm] for arm in arms}, margin), len(counted))


def _first(chances: dict[int, float], margin: float) -> int:
    enough = max(chances.values()) - margin
    return next(arm for arm, chance in chances.items() if chance >= enough)


def _one_by_one(pull: Callable[[Sequence[int]], int], arms: int) -> tuple[int, ...]:
    left = list(range(arms))
    order: list[int] = []
    while left:
        order.append(pull(left))
        left.remove(order[-1])
    return tuple(order)

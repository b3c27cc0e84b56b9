"""What reached whom, in memory: for tests and trials in one process. Nothing expires."""

from collections.abc import Mapping, Sequence

from pipeline.core.reach import Arm, Tally


class MemoryReach:
    """The Reach port. Share one object between workers to share the counts."""

    def __init__(self) -> None:
        self.counted: dict[tuple[int, Arm], Tally] = {}

    async def add(self, period: int, counted: Mapping[Arm, Tally]) -> None:
        for arm, tally in counted.items():
            self.counted[period, arm] = self.counted.get((period, arm), Tally()).plus(tally)

    async def counts(self, periods: Sequence[int], arms: Sequence[Arm]) -> Mapping[Arm, Sequence[Tally]]:
        return {arm: [self.counted.get((period, arm), Tally()) for period in periods] for arm in arms}

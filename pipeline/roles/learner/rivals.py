"""The challengers' classifiers: each is taught what the champion's is, of the same rows in the same order, and judged on
them. They decide nothing, and what the table of entities says comes from the champion alone."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from models.labelled_model import Floats, LabelledModel, load
from models.progress import Progress
from models.recent import Told
from models.snapshot import Labelled


class _Rival:
    def __init__(self, classifier: LabelledModel, progress: Progress) -> None:
        self.classifier = classifier
        self.progress = progress
        self.told = Told()
        self.said: list[float] = []


class Judged(NamedTuple):
    """Rows that were learned, as `Progress.after_all` wants them; ``priors`` the curve's probabilities."""

    frauds: Sequence[bool]
    percentiles: Sequence[float]
    weights: Sequence[float]
    priors: Sequence[float]


class Rivals:
    """``fresh`` classifiers by name; ``resumed``: what an earlier learner had taught them, where it is of their kind."""

    def __init__(self, fresh: Mapping[str, LabelledModel], resumed: Mapping[str, Labelled]) -> None:
        self._rivals: dict[str, _Rival] = {}
        for name, made in fresh.items():
            known = resumed.get(name)
            if known is not None and known.numbers and known.kind == made.kind:
                self._rivals[name] = _Rival(load(known.kind, known.numbers), known.progress)
            else:
                self._rivals[name] = _Rival(made, Progress())

    def observe(self, matrix: Floats) -> None:
        for rival in self._rivals.values():
            rival.classifier.observe(matrix)

    def teach(self, matrix: Floats, labels: Floats, weights: Floats) -> None:
        """Rows float64[n, C] in their order; a row of negative weight is taken back."""
        for rival in self._rivals.values():
            rival.said = rival.classifier.teach(matrix, labels, weights).said.tolist()

    def judge(self, lines: Sequence[int], judged: Judged) -> None:
        """How well each did on those ``lines`` of the rows taught last."""
        for rival in self._rivals.values():
            said = [rival.said[line] for line in lines]
            rival.progress = rival.progress.after_all(
                judged.frauds, judged.percentiles, judged.weights, said, judged.priors
            )
            rival.told.add_all(said, judged.frauds, judged.weights)

    def parts(self) -> dict[str, Labelled]:
        """Each by its name, for a snapshot. Where to read on is the champion's to know."""
        return {
            name: Labelled(
                rival.classifier.kind,
                rival.classifier.dump() if rival.classifier.settled else {},
                rival.progress,
                {},
                {},
                {},
            )
            for name, rival in self._rivals.items()
        }

    def told(self) -> dict[str, tuple[Progress, Told]]:
        return {name: (rival.progress, rival.told) for name, rival in self._rivals.items()}

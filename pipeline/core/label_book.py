"""What is said of each transaction, and who is believed.

A chargeback or the network's word counts more than an analyst's (or what was imported), and that more than the
cardholder's; among the cardholder's own words the one of higher ``confidence`` (the channel that proves better who
answered: app, then voice, then SMS), and of equal words the later. A label may stand for an earlier one
(``supersedes``), or withdraw it (``fraud`` null; without ``supersedes`` all that its source said of the transaction).
"""

from collections import deque
from typing import Final, NamedTuple

from pipeline.core.entities import digest_of
from pipeline.core.records import Label
from pipeline.core.transaction import unix_seconds

RANK: Final = {"chargeback": 3, "network": 3, "analyst": 2, "import": 2, "cardholder": 1}
CONFIDENCE: Final = {"agent": 0.98, "app": 0.95, "voice": 0.9, "sms": 0.8}
"""Of a cardholder's word, by how it was proven who answers: whom to believe, and how much it counts when it is learned. A
text's sender can be forged and its telephone be in other hands, a voice on the known number less so, the app asks for
its secret; an agent asks for more."""
MOST_LABELS: Final = 5_000_000
"""Labels remembered; the oldest go first."""


class Verdict(NamedTuple):
    """What holds of a transaction: whether it was fraud, how surely (0…1), whose card (its digest), said at (unix
    seconds)."""

    fraud: bool
    confidence: float
    card: int
    at: float


_Said = tuple[int, float, int, int, str, bool, float, int, float]
"""Rank, trust, order, digest of the label's name, its source, and the fields of its `Verdict`. A plain tuple, as those of
`LabelBook._kept` (time, digest of the transaction, offset): there are hundreds of thousands, and plain ones Python's
collector of cycles lets alone."""
_NAME: Final = 3
_SOURCE: Final = 4
_AT: Final = 8


def _verdict(known: tuple[_Said, ...]) -> Verdict:
    *_, fraud, sure, card, at = max(known)
    return Verdict(fraud, sure, card, at)


class LabelBook:
    """Labels by the digest of their transaction."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[_Said, ...]] = {}
        self._newest: dict[int, tuple[int, int]] = {}
        self._kept: dict[int, deque[tuple[float, int, int]]] = {}
        self._order = 0
        self._labels = 0

    def __len__(self) -> int:
        return self._labels

    def take(self, label: Label, partition: int = 0, offset: int = 0) -> int:
        """Put ``label`` down, which stands at ``offset`` of ``partition``; its transaction's digest is returned. One that
        was put down before changes nothing. Raises Refused for a time that is none."""
        at, key = unix_seconds(label.time), digest_of(label.transaction)
        name = digest_of(label.id or f"{label.source} {label.time} {label.fraud}")
        known = self._said.get(key, ())
        if any(one[_NAME] == name for one in known):
            return key
        if label.supersedes is not None:
            gone = digest_of(label.supersedes)
            known = tuple([one for one in known if one[_NAME] != gone])
        elif label.fraud is None:
            known = tuple([one for one in known if one[_SOURCE] != label.source])
        if label.fraud is not None:
            trust = 0.0 if label.confidence is None or label.source != "cardholder" else label.confidence
            sure = 1.0 if label.confidence is None else min(max(label.confidence, 0.0), 1.0)
            said = (
                RANK[label.source],
                trust,
                self._order,
                name,
                label.source,
                label.fraud,
                sure,
                digest_of(label.card),
                at,
            )
            known = (*known, said)
        self._order += 1
        self._said[key] = known
        self._newest[key] = partition, offset
        self._kept.setdefault(partition, deque()).append((at, key, offset))
        self._labels += 1
        return key

    def verdict(self, key: int) -> Verdict | None:
        """What holds of the transaction of this digest; None when nobody said anything, or took it back."""
        known = self._said.get(key)
        return _verdict(known) if known else None

    def __contains__(self, key: int) -> bool:
        """Whether anything was said of the transaction, be it taken back."""
        return key in self._newest

    def place(self, key: int) -> tuple[int, int]:
        """Partition and offset of the newest label of the transaction; (−1, 0) when none is remembered."""
        return self._newest.get(key, (-1, 0))

    def verdicts(self) -> list[tuple[int, Verdict]]:
        """Of all transactions of which something holds."""
        return [(key, _verdict(known)) for key, known in self._said.items() if known]

    def forget(self, before: float) -> None:
        """Let go of what was said before this time (unix seconds), in the order of the log."""
        most = MOST_LABELS // max(len(self._kept), 1)
        for kept in self._kept.values():
            while kept and (kept[0][0] < before or len(kept) > most):
                at, key, _ = kept.popleft()
                self._labels -= 1
                newer = tuple([one for one in self._said.get(key, ()) if one[_AT] > at])
                if newer:
                    self._said[key] = newer
                else:
                    self._said.pop(key, None)
                    self._newest.pop(key, None)

    def places(self) -> dict[int, int]:
        """Partition → offset of the oldest label that is remembered."""
        return {partition: kept[0][-1] for partition, kept in self._kept.items() if kept}

"""The bank that is evaluated: the scorer's and the learner's own code, on one partition, without a broker.

This is the one place that knows how a model is learned and how it reaches the scorer. The loop says when: it hands over
transactions to be scored, labels that have arrived, and ticks; between two ticks the model in force does not change.
"""

import time
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.calibrate import PriorCurve
from models.scorer import Model
from models.snapshot import Snapshot
from pipeline.adapters.memory import StoredRecord
from pipeline.core.customer_table import EMPTY_CUSTOMERS, Customers
from pipeline.core.decision import HEADER_OUTCOME, HEADER_SOURCE_OFFSET, Decision, Outcome
from pipeline.core.entity_count_ledger import EntityCountWalk
from pipeline.core.entity_table import EntityTable
from pipeline.core.merchant_ledger import MerchantLedger
from pipeline.core.moments import rfc3339
from pipeline.core.poll import Part, ScoredPoll, Versions
from pipeline.core.records import DeadLetter, Label
from pipeline.core.scored import Scored, decode
from pipeline.core.scoring import score_poll
from pipeline.lab.evaluate.stream import Labelled
from pipeline.ports import MAX_POLL_RECORDS, Outgoing
from pipeline.roles.learner.course import Course

Floats = NDArray[np.float64]

PARTITION = 0
_OUTCOMES = {outcome.name.encode(): int(outcome) for outcome in Outcome}


class Known(NamedTuple):
    """A label that has arrived: at unix seconds ``at``, by ``source`` as in a record of ``labels``."""

    transaction: str
    card: str
    fraud: bool
    kind: str | None
    at: float
    source: Literal["cardholder", "chargeback"]


class Judged(NamedTuple):
    """What became of a chunk: a line for each transaction that was decided, in order.

    ``place`` int64[n] its index in the chunk; ``at`` float64[n] unix seconds; ``amount`` float64[n] billing minor
    units; ``raw``, ``percentile``, ``score`` float64[n]; ``outcome`` uint8[n]; ``exempt`` bool[n]: a reversal, clearing
    or credit, approved without a score. ``refused``: index, reason and sentence of those that could not be used.
    """

    ids: Sequence[str]
    cards: Sequence[str]
    place: NDArray[np.int64]
    at: Floats
    amount: Floats
    raw: Floats
    percentile: Floats
    score: Floats
    outcome: NDArray[np.uint8]
    exempt: NDArray[np.bool_]
    refused: Sequence[tuple[int, str, str]]


class Watch(Protocol):
    def __call__(self, record: Scored, model: Model | None, /) -> None: ...


class Bank:
    """Scores with the model in force, learns from what it scored.

    ``watch`` is shown every `Scored` record, the matrix of features that the model saw, and that model (None: day one's). A
    model that the course has ready goes into force at the next `tick`: the first of each interval, as a learner publishes
    it that has waited. ``customers``: what became of them, known in its time.
    """

    def __init__(
        self,
        versions: Versions,
        course: Course,
        curve: PriorCurve,
        watch: Watch | None = None,
        customers: Customers = EMPTY_CUSTOMERS,
    ) -> None:
        self._entities = EntityTable()
        # what is known of merchants, and counted of them, is as old as a live scorer's: see `MerchantLedger.features`
        self._versions = versions._replace(
            entities=self._entities, merchants=MerchantLedger(), counts=EntityCountWalk(), customers=customers
        )
        self._course = course
        self._curve = curve
        self._watch = watch
        self._rows: dict[bytes, bytes] = {}
        self._offset = 0
        self._scored_offset = 0
        self._ready: Snapshot | None = None
        self._model: Model | None = None
        self.models = 0
        self.labelled = 0

    def score(self, chunk: Sequence[Labelled]) -> Judged:
        """Decide ``chunk``, at most `MAX_POLL_RECORDS` transactions, then learn from it."""
        assert 0 < len(chunk) <= MAX_POLL_RECORDS
        start = self._offset
        records = [
            StoredRecord(PARTITION, start + place, int(row.at * 1_000), None, row.value)
            for place, row in enumerate(chunk)
        ]
        self._offset += len(records)
        part = Part(PARTITION, records, self._rows, {})
        result = score_poll([part], self._versions, _one_partition, chunk[-1].at, time.perf_counter)
        scored = [decode(outgoing.value) for outgoing in result.scored.get(PARTITION, ())]
        for record, outgoing in zip(scored, result.scored.get(PARTITION, ()), strict=True):
            self._learn(record, outgoing, int(chunk[-1].at * 1_000))
            if self._watch is not None:
                self._watch(record, self._model)
        return _judged(result, scored, start)

    def labels(self, labels: Sequence[Known]) -> None:
        """Labels in the order of their arrival: learned at once, and what they say of terminals, merchants and cards is
        known before the next transaction is scored."""
        self._course.labels(
            Label(
                transaction=known.transaction,
                card=known.card,
                fraud=known.fraud,
                fraud_type=known.kind,
                source=known.source,
                time=rfc3339(known.at),
            )
            for known in labels
        )
        for kind, entity, row in self._course.entity_changes():
            self._entities.put(kind, entity, row)
        self.labelled += len(labels)

    def tick(self, at: float) -> None:
        """Event time ``at``: what the learner has ready is what the scorer uses from now on."""
        if self._ready is not None:
            self._model = Model.trained(self._ready, self._curve)
            self._versions = self._versions._replace(model=self._model)
            self._ready = None
            self.models += 1

    def _learn(self, scored: Scored, outgoing: Outgoing, timestamp_ms: int) -> None:
        record = StoredRecord(PARTITION, self._scored_offset, timestamp_ms, outgoing.key, outgoing.value)
        self._scored_offset += 1
        for _ in self._course.learn(record, scored):
            if self._ready is None:
                self._ready = self._course.snapshot(epoch=0)


def _one_partition(card: bytes) -> int:
    return PARTITION


def _judged(result: ScoredPoll, scored: Sequence[Scored], start: int) -> Judged:
    """The poll's decisions as columns: scores from the `scored` records, outcomes from the decisions' headers."""
    decisions = result.decisions.get(PARTITION, ())
    n = len(decisions)
    headers = [dict(decision.headers) for decision in decisions]
    offsets = np.array([int(header[HEADER_SOURCE_OFFSET]) for header in headers], dtype=np.int64)
    outcome = np.array([_OUTCOMES[header[HEADER_OUTCOME]] for header in headers], dtype=np.uint8)
    exempt = np.ones(n, dtype=np.bool_)
    at, amount, raw, percentile, score = (np.zeros(n) for _ in range(5))
    ids, cards = [""] * n, [""] * n
    for record in scored:
        lines = np.searchsorted(offsets, record.source_offsets())
        exempt[lines] = False
        at[lines], amount[lines] = record.event_times(), record.matrix()[:, 0]
        raw[lines], percentile[lines], score[lines] = (
            np.frombuffer(column, dtype="<f8") for column in (record.raw, record.percentile, record.score)
        )
        for line, id_, card in zip(lines.tolist(), record.ids, record.cards, strict=True):
            ids[line], cards[line] = id_, card
    for line in np.flatnonzero(exempt).tolist():
        decision = msgspec.json.decode(decisions[line].value, type=Decision)
        ids[line], cards[line] = decision.id, decision.card
    letters = [msgspec.json.decode(letter.value, type=DeadLetter) for letter in result.refused]
    refused = [(letter.offset - start, letter.reason, letter.detail) for letter in letters]
    return Judged(ids, cards, offsets - start, at, amount, raw, percentile, score, outcome, exempt, refused)

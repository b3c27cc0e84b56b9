"""A decided poll as records: `decisions` for everybody, `scored` for the learner and for recomputing a decision."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core import scored as scored_record
from pipeline.core.counter_slots import SLOTS
from pipeline.core.decide import Verdicts
from pipeline.core.decision import (
    APPROVE,
    HEADER_OUTCOME,
    HEADER_REVERSES,
    HEADER_SOURCE_OFFSET,
    HEADER_SOURCE_TIMESTAMP,
    Decision,
    Outcome,
)
from pipeline.core.entity_counters import MOST
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.models_file import MAX_CHALLENGERS
from pipeline.core.moments import rfc3339
from pipeline.core.poll import Part, Row, ScoredPoll, Table, Versions
from pipeline.core.profile import APPROVED
from pipeline.core.shadow import ShadowTold
from pipeline.core.topics import MAX_RECORD_BYTES, Outgoing
from pipeline.core.transaction import Event, Transaction

try:
    from pipeline.core import _encode as _encode_in_c

    COMPILED = True
except ImportError:
    COMPILED = False

KNOWN_AFTER = 10
"""Transactions after which a card's habits count as known; before, its decisions say ``warming_up``."""
TOLD_DECIMALS = 6
"""A decision tells its features so exactly; `scored` has them whole."""
_SCORED_ROWS = (MAX_RECORD_BYTES - 8_192) // (8 * (len(CATALOGUE) + 9 + SLOTS + 2 * MOST + MAX_CHALLENGERS) + 300)
"""Rows of a `scored` record: its columns, and at most 300 bytes of id, token and customer a row."""
_SEEN = next(index for index, feature in enumerate(CATALOGUE) if feature.name == "transactions_seen")
_NAMES = tuple(feature.name for feature in CATALOGUE)
_OUTCOME = {int(outcome): (outcome.name, outcome.name.encode()) for outcome in Outcome}
_HEADERS = (HEADER_SOURCE_OFFSET, HEADER_SOURCE_TIMESTAMP, HEADER_OUTCOME)
_encode = msgspec.json.Encoder().encode


def encode_poll(
    parts: Sequence[Part],
    counts: Sequence[int],
    rows: Sequence[Row],
    table: Table,
    verdicts: Verdicts,
    shadow: ShadowTold,
    versions: Versions,
    moment: float,
    result: ScoredPoll,
) -> None:
    """Fill ``result`` with the records of a decided poll; ``counts`` says how many of ``rows`` are each part\'s."""
    write = _Writer(rows, table, verdicts, shadow, versions, rfc3339(moment))
    start = 0
    for part, count in zip(parts, counts, strict=True):
        if count:
            result.decisions[part.partition] = write.decisions(start, start + count)
            result.scored[part.partition] = write.scored(part.partition, start, start + count)
        start += count
    for code, number in zip(*np.unique(verdicts.outcome, return_counts=True), strict=True):
        result.outcomes[Outcome(int(code)).name] = int(number)
    result.rule_hits = verdicts.rule_hits
    for index in verdicts.alerted.tolist() if versions.policy.control_group is not None else ():
        withheld = verdicts.withheld(index)
        if withheld is not None:
            result.withheld[withheld.name] = result.withheld.get(withheld.name, 0) + 1
    result.timestamps = np.array([row.record.timestamp for row in rows], dtype=np.float64)
    result.scores = table.score[~table.exempt]


class _Writer:
    """A decided poll on its way to bytes."""

    def __init__(
        self,
        rows: Sequence[Row],
        table: Table,
        verdicts: Verdicts,
        shadow: ShadowTold,
        versions: Versions,
        decided_at: str,
    ) -> None:
        self._shadow = shadow
        self._rows = rows
        self._table = table
        self._verdicts = verdicts
        self._versions = versions
        self._decided_at = decided_at
        self._outcomes = verdicts.outcome.tolist()
        self._names, told = _NAMES, table.matrix[verdicts.alerted]
        if names := versions.policy.counter_names:
            self._names = (*_NAMES, *names)
            told = np.hstack((told, table.counted[verdicts.alerted]))
        features = np.round(told, TOLD_DECIMALS)
        self._told: dict[int, list[float]] = dict(zip(verdicts.alerted.tolist(), features.tolist(), strict=True))
        self._score, self._percentile = table.score.tolist(), table.percentile.tolist()
        warming = versions.model.warming_up | (table.matrix[:, _SEEN] < KNOWN_AFTER)
        self._warming: list[bool] = warming.tolist()

    def decisions(self, start: int, end: int) -> list[Outgoing]:
        """The records of the rows from ``start`` to before ``end``. Nine of ten say no more than yes: those are
        written in C where that is compiled, to the same bytes. A reversal's names its original besides."""
        if not COMPILED:
            return [self._decision(index) for index in range(start, end)]
        plain = _encode_in_c.approvals(
            self._rows, start, end, self._plainly, _json_column(self._score), _json_column(self._percentile),
            self._warming, *self._around_the_score, Outgoing, _HEADERS,
        )  # fmt: skip
        return [self._decision(start + at) if record is None else record for at, record in enumerate(plain)]

    @cached_property
    def _reversals(self) -> frozenset[int]:
        """The rows that take another transaction back."""
        exempt: list[int] = np.flatnonzero(self._table.exempt).tolist()
        return frozenset(index for index in exempt if _reverses(self._rows[index].event.transaction))

    @cached_property
    def _plainly(self) -> NDArray[np.uint8]:
        """uint8 for each row; 0: its record is a plain approval."""
        plainly = self._verdicts.outcome.copy()
        plainly[self._verdicts.alerted] = 1
        plainly[list(self._reversals | self._shadow.rows)] = 1
        return plainly

    @cached_property
    def _around_the_score(self) -> tuple[bytes, bytes]:
        """What stands before the score and at the end in every plain approval of this poll."""
        fields = {
            "policy_version": self._versions.policy.version,
            "model_version": self._versions.model.version,
            "decided_at": self._decided_at,
        }
        approve = b',"outcome":"approve","actions":' + _encode(APPROVE) + b',"score":'
        return approve, b"," + _encode(fields)[1:]

    def _decision(self, index: int) -> Outgoing:
        row = self._rows[index]
        outcome, outcome_bytes = _OUTCOME[self._outcomes[index]]
        transaction = row.event.transaction
        decision = Decision(
            id=transaction.id,
            card=transaction.card,
            customer=transaction.customer,
            time=transaction.time,
            outcome=outcome,
            actions=APPROVE,
            score=self._score[index],
            percentile=self._percentile[index],
            warming_up=self._warming[index],
            policy_version=self._versions.policy.version,
            model_version=self._versions.model.version,
            decided_at=self._decided_at,
        )
        if index in self._told:
            _tell_more(decision, row.event, zip(self._names, self._told[index], strict=True), self._verdicts, index)
        if index in self._shadow.rows:
            decision.shadow = self._shadow.of(index)
        offset, timestamp = b"%d" % row.record.offset, b"%d" % row.record.timestamp
        headers = tuple(zip(_HEADERS, (offset, timestamp, outcome_bytes), strict=True))
        if index in self._reversals and transaction.original_id is not None:
            decision.reverses = transaction.original_id
            decision.amount, decision.currency = transaction.amount, transaction.currency
            headers = (*headers, (HEADER_REVERSES, transaction.original_id.encode()))
        return Outgoing(transaction.card.encode(), _encode(decision), headers)

    def scored(self, partition: int, start: int, end: int) -> list[Outgoing]:
        """The `scored` records of one partition: its rows from ``start`` to before ``end`` that have a score."""
        chosen = np.flatnonzero(~self._table.exempt[start:end]) + start
        return [
            self._scored(partition, chosen[first : first + _SCORED_ROWS])
            for first in range(0, len(chosen), _SCORED_ROWS)
        ]

    def _scored(self, partition: int, chosen: NDArray[np.intp]) -> Outgoing:
        table = self._table
        rows = [self._rows[index] for index in chosen.tolist()]
        transactions = [row.event.transaction for row in rows]
        record = scored_record.Scored(
            partition=partition,
            layout=LAYOUT,
            policy_version=self._versions.policy.version,
            model_version=self._versions.model.version,
            ids=[transaction.id for transaction in transactions],
            cards=[transaction.card for transaction in transactions],
            offsets=np.array([row.record.offset for row in rows], dtype="<i8").tobytes(),
            times=table.keys.times.take(chosen).astype("<f8", copy=False).tobytes(),
            terminals=table.keys.terminal.take(chosen).astype("<u8", copy=False).tobytes(),
            merchants=table.keys.merchant.take(chosen).astype("<u8", copy=False).tobytes(),
            customers=table.keys.customer.take(chosen).astype("<u8", copy=False).tobytes(),
            features=table.matrix.take(chosen, axis=0).astype("<f8", copy=False).tobytes(),
            raw=table.raw.take(chosen).astype("<f8", copy=False).tobytes(),
            percentile=table.percentile.take(chosen).astype("<f8", copy=False).tobytes(),
            score=table.score.take(chosen).astype("<f8", copy=False).tobytes(),
        )
        customers = [transaction.customer or "" for transaction in transactions]
        if any(customers):
            record.customer_ids = customers
            record.declined = bytes([transaction.response_code not in APPROVED for transaction in transactions])
            record.tag_names = table.tags.names
            record.tags = table.tags.bits.take(chosen).astype("<u8", copy=False).tobytes()
        policy = self._versions.policy
        if policy.counter_names:
            record.counter_layout, record.counters = policy.counter_layout, policy.counter_names
            record.counter_fingerprints = tuple(policy.counter_fingerprints.values())
            record.counted = table.counted.take(chosen, axis=0).astype("<f8", copy=False).tobytes()
        if table.hits is not None:
            record.counted_per_entity = policy.entity_counters.definitions
            record.hits = table.hits.take(chosen, axis=0).astype("<f8", copy=False).tobytes()
        if table.shadows:
            record.shadows = [one.version for one in table.shadows]
            record.shadow = np.column_stack([one.score.take(chosen) for one in table.shadows]).astype("<f8").tobytes()
        offset = b"%d" % rows[0].record.offset
        return Outgoing(b"%d" % partition, scored_record.encode(record), ((HEADER_SOURCE_OFFSET, offset),))


def _reverses(transaction: Transaction) -> bool:
    return transaction.type == "reversal" and transaction.original_id is not None


def _json_column(values: list[float]) -> list[bytes]:
    """Each number as JSON writes it."""
    return _encode(values)[1:-1].split(b",")


def _tell_more(
    decision: Decision, event: Event, features: Iterable[tuple[str, float]], verdicts: Verdicts, index: int
) -> None:
    """From `notify` up, and in the control group, a decision carries what people and the contact role need."""
    transaction = event.transaction
    decision.actions = verdicts.actions(index)
    decision.reasons = verdicts.reasons(index)
    decision.amount = transaction.amount
    decision.currency = transaction.currency
    decision.merchant_name = transaction.merchant_name
    decision.country = transaction.country
    decision.merchant = transaction.merchant
    decision.mcc = transaction.mcc
    decision.hard = verdicts.hard(index)
    decision.by_rule = verdicts.by_rule(index)
    withheld = verdicts.withheld(index)
    decision.withheld = None if withheld is None else withheld.name
    decision.features = {name: value for name, value in features if value == value}

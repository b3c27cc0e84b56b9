"""A decided poll as records: `decisions` for everybody, `scored` for the learner and for recomputing a decision."""

from collections.abc import Sequence

import msgspec
import numpy as np

from pipeline.core import scored as scored_record
from pipeline.core.decide import Verdicts
from pipeline.core.decision import (
    APPROVE,
    HEADER_OUTCOME,
    HEADER_SOURCE_OFFSET,
    HEADER_SOURCE_TIMESTAMP,
    Decision,
    Outcome,
)
from pipeline.core.features import FEATURES, LAYOUT
from pipeline.core.moments import rfc3339
from pipeline.core.poll import Floats, Part, Row, ScoredPoll, Table, Versions
from pipeline.core.topics import MAX_RECORD_BYTES, Outgoing
from pipeline.core.transaction import Event

KNOWN_AFTER = 10
"""Transactions after which a card's habits count as known; before, its decisions say ``warming_up``."""
_SCORED_ROWS = (MAX_RECORD_BYTES - 4_096) // (8 * (len(FEATURES) + 5) + 160)
"""Rows of a `scored` record: its columns, and at most 160 bytes of id and token a row."""
_SEEN = next(index for index, feature in enumerate(FEATURES) if feature.name == "transactions_seen")
_NAMES = tuple(feature.name for feature in FEATURES)
_OUTCOMES = {outcome: outcome.name.encode() for outcome in Outcome}
_encode = msgspec.json.Encoder().encode


def encode_poll(
    parts: Sequence[Part],
    counts: Sequence[int],
    rows: Sequence[Row],
    table: Table,
    verdicts: Verdicts,
    versions: Versions,
    moment: float,
    result: ScoredPoll,
) -> None:
    """Fill ``result`` with the records of a decided poll; ``counts`` says how many of ``rows`` are each part\'s."""
    outcomes = verdicts.outcome.tolist()
    decided_at = rfc3339(moment)
    probability, percentile = table.score.tolist(), table.percentile.tolist()
    seen = table.matrix[:, _SEEN].tolist()
    alerted = set(verdicts.alerted.tolist())
    start = 0
    for part, count in zip(parts, counts, strict=True):
        if not count:
            continue
        end = start + count
        batch = result.decisions[part.partition] = []
        for index in range(start, end):
            row, outcome = rows[index], Outcome(outcomes[index])
            transaction = row.event.transaction
            decision = Decision(
                id=transaction.id,
                card=transaction.card,
                customer=transaction.customer,
                time=transaction.time,
                outcome=outcome.name,
                actions=APPROVE,
                score=probability[index],
                percentile=percentile[index],
                warming_up=versions.model.warming_up or seen[index] < KNOWN_AFTER,
                policy_version=versions.policy.version,
                model_version=versions.model.version,
                decided_at=decided_at,
            )
            if index in alerted:
                _tell_more(decision, row.event, table.matrix[index], verdicts, index)
            batch.append(
                Outgoing(
                    transaction.card.encode(),
                    _encode(decision),
                    (
                        (HEADER_SOURCE_OFFSET, b"%d" % row.record.offset),
                        (HEADER_SOURCE_TIMESTAMP, b"%d" % row.record.timestamp),
                        (HEADER_OUTCOME, _OUTCOMES[outcome]),
                    ),
                )
            )
        chosen = [index for index in range(start, end) if not rows[index].exempt]
        result.scored[part.partition] = _scored(part.partition, chosen, rows, table, versions)
        start = end
    for code, number in zip(*np.unique(verdicts.outcome, return_counts=True), strict=True):
        result.outcomes[Outcome(int(code)).name] = int(number)
    result.rule_hits = verdicts.rule_hits
    result.timestamps = np.array([row.record.timestamp for row in rows], dtype=np.float64)
    result.scores = table.score[~table.exempt]


def _tell_more(decision: Decision, event: Event, features: Floats, verdicts: Verdicts, index: int) -> None:
    """From `notify` up a decision carries what people and the contact role need."""
    transaction = event.transaction
    decision.actions = verdicts.actions(index)
    decision.reasons = verdicts.reasons(index)
    decision.amount = transaction.amount
    decision.currency = transaction.currency
    decision.merchant_name = transaction.merchant_name
    decision.country = transaction.country
    decision.features = {
        name: round(value, 6) for name, value in zip(_NAMES, features.tolist(), strict=True) if value == value
    }


def _scored(
    partition: int, chosen: Sequence[int], rows: Sequence[Row], table: Table, versions: Versions
) -> list[Outgoing]:
    """The `scored` records of one partition, whose rows stand at the indices ``chosen``."""
    records = []
    for first in range(0, len(chosen), _SCORED_ROWS):
        some = chosen[first : first + _SCORED_ROWS]
        record = scored_record.Scored(
            partition=partition,
            layout=LAYOUT,
            policy_version=versions.policy.version,
            model_version=versions.model.version,
            ids=[rows[index].event.transaction.id for index in some],
            cards=[rows[index].event.transaction.card for index in some],
            offsets=np.array([rows[index].record.offset for index in some], dtype="<i8").tobytes(),
            times=np.array([rows[index].event.at for index in some], dtype="<f8").tobytes(),
            features=table.matrix[some].astype("<f8").tobytes(),
            raw=table.raw[some].astype("<f8").tobytes(),
            percentile=table.percentile[some].astype("<f8").tobytes(),
            score=table.score[some].astype("<f8").tobytes(),
        )
        offset = rows[some[0]].record.offset
        records.append(
            Outgoing(b"%d" % partition, scored_record.encode(record), ((HEADER_SOURCE_OFFSET, b"%d" % offset),))
        )
    return records

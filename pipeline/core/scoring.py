"""A poll of transactions becomes a poll of decisions: decode → advance → model → decide → encode.

Each stage takes what the one before made and knows nothing of the ones after. Card rows are the only state: `advance`
walks a partition's records in their order, everything else works on whole columns, and no row's result depends on
which other rows share the poll.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core import scored as scored_record
from pipeline.core.columns import columns
from pipeline.core.currencies import Money
from pipeline.core.decide import Verdicts, decide
from pipeline.core.decision import (
    APPROVE,
    HEADER_OUTCOME,
    HEADER_SOURCE_OFFSET,
    HEADER_SOURCE_TIMESTAMP,
    Decision,
    Outcome,
)
from pipeline.core.features import FEATURES, LAYOUT, to_unit
from pipeline.core.masking import masked_payload
from pipeline.core.policy import Policy
from pipeline.core.profile import EMPTY_ROW, Handling, advance
from pipeline.core.records import DeadLetter
from pipeline.core.topics import MAX_RECORD_BYTES, TRANSACTIONS, Outgoing, Record
from pipeline.core.transaction import ALL_REASONS, Event, Refused, decode

Floats = NDArray[np.float64]

WRONG_PARTITION = "wrong_partition"
REFUSALS = ALL_REASONS | {WRONG_PARTITION}
KNOWN_AFTER = 10
"""Transactions after which a card's habits count as known; before, its decisions say ``warming_up``."""
_SCORED_ROWS = (MAX_RECORD_BYTES - 4_096) // (8 * (len(FEATURES) + 5) + 160)
"""Rows of a `scored` record: its columns, and at most 160 bytes of id and token a row."""
_SEEN = next(index for index, feature in enumerate(FEATURES) if feature.name == "transactions_seen")
_NAMES = tuple(feature.name for feature in FEATURES)
_OUTCOMES = {outcome: outcome.name.encode() for outcome in Outcome}
_encode = msgspec.json.Encoder().encode


class Model(Protocol):
    """Scores whole matrices: raw measure, percentile (0–100, how unusual), probability of fraud (0–1), float64[n] each.
    A row's scores do not depend on the other rows."""

    @property
    def version(self) -> str: ...
    @property
    def warming_up(self) -> bool: ...
    @property
    def as_of(self) -> float | None: ...
    def scores(self, x: Floats) -> tuple[Floats, Floats, Floats]: ...


class Versions(NamedTuple):
    """What a whole poll is decided under."""

    policy: Policy
    model: Model
    money: Money


class Part(NamedTuple):
    """One partition's records of a poll, its rows, and where changed rows are noted."""

    partition: int
    records: Sequence[Record]
    rows: dict[bytes, bytes]
    dirty: dict[bytes, bytes]


@dataclass(slots=True)
class ScoredPoll:
    """What is to be appended, and what is to be counted. ``timestamps`` are the decided records' own, ms."""

    decisions: dict[int, list[Outgoing]] = field(default_factory=dict)
    scored: dict[int, list[Outgoing]] = field(default_factory=dict)
    refused: list[Outgoing] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    repeats: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    rule_hits: Mapping[str, int] = field(default_factory=dict)
    timestamps: Floats = field(default_factory=lambda: np.empty(0))
    scores: Floats = field(default_factory=lambda: np.empty(0))
    seconds: dict[str, float] = field(default_factory=dict)


class _Row(NamedTuple):
    """One transaction to decide. ``exempt``: a reversal, clearing or credit, approved without a score."""

    record: Record
    event: Event
    exempt: bool


class _Columns(NamedTuple):
    """A poll's ``n`` rows as arrays: ``matrix`` float64[n, F], the others float64[n] or bool[n]. Exempt rows have
    scores of 0."""

    matrix: Floats
    exempt: NDArray[np.bool_]
    raw: Floats
    percentile: Floats
    score: Floats


def score_poll(
    parts: Sequence[Part],
    versions: Versions,
    partition_of: Callable[[bytes], int],
    moment: float,
    stopwatch: Callable[[], float],
) -> ScoredPoll:
    """Decide every transaction of ``parts`` and move their rows on. ``moment``: unix seconds for `decided_at`;
    ``stopwatch`` times the stages. What cannot be used is refused with its coordinates; the rest goes on."""
    result = ScoredPoll()
    lap = _Laps(stopwatch, result.seconds)
    decoded = [list(_decoded(part, versions.money, partition_of, result)) for part in parts]
    lap.end("decode")
    rows: list[_Row] = []
    features: list[tuple[float, ...]] = []
    counts = []
    for part, events in zip(parts, decoded, strict=True):
        before = len(rows)
        _advance(part, events, rows, features, result)
        counts.append(len(rows) - before)
    lap.end("advance")
    if rows:
        table = _score(rows, np.array(features, dtype=np.float64), versions.model)
        lap.end("model")
        verdicts = _decide(rows, table, versions.policy)
        lap.end("decide")
        _encode_all(parts, counts, rows, table, verdicts, versions, moment, result)
        lap.end("encode")
    return result


class _Laps:
    """Notes how long each stage took."""

    def __init__(self, stopwatch: Callable[[], float], seconds: dict[str, float]) -> None:
        self._stopwatch = stopwatch
        self._seconds = seconds
        self._since = stopwatch()

    def end(self, stage: str) -> None:
        now = self._stopwatch()
        self._seconds[stage] = now - self._since
        self._since = now


def _decoded(
    part: Part, money: Money, partition_of: Callable[[bytes], int], result: ScoredPoll
) -> Iterator[tuple[Record, Event, bytes]]:
    for record in part.records:
        try:
            event = decode(record.value, record.timestamp, money)
            card = event.transaction.card.encode()
            if card not in part.rows and partition_of(card) != part.partition:
                raise Refused(
                    WRONG_PARTITION,
                    "card",
                    f"this card belongs to partition {partition_of(card)}: produce with key = card and the murmur2 partitioner",
                )
        except Refused as refused:
            result.refusals.append(refused.reason)
            result.refused.append(_dead_letter(record, refused))
        else:
            yield record, event, card


def _dead_letter(record: Record, refused: Refused) -> Outgoing:
    letter = DeadLetter(
        topic=TRANSACTIONS.name,
        partition=record.partition,
        offset=record.offset,
        reason=refused.reason,
        detail=refused.detail,
        field=refused.field,
        payload=masked_payload(record.value or b""),
        time=rfc3339(record.timestamp / 1000),
    )
    return Outgoing(f"{TRANSACTIONS.name}:{record.partition}".encode(), _encode(letter))


def _advance(
    part: Part,
    events: Sequence[tuple[Record, Event, bytes]],
    rows: list[_Row],
    features: list[tuple[float, ...]],
    result: ScoredPoll,
) -> None:
    held, dirty = part.rows, part.dirty
    for record, event, card in events:
        row, values, handling = advance(held.get(card, EMPTY_ROW), event)
        if values is None:
            result.repeats += 1
            continue
        held[card] = dirty[card] = row
        features.append(values)
        rows.append(_Row(record, event, handling != Handling.scored))


def _score(rows: Sequence[_Row], matrix: Floats, model: Model) -> _Columns:
    exempt = np.array([row.exempt for row in rows], dtype=np.bool_)
    raw, percentile, score = (np.where(exempt, 0.0, column) for column in model.scores(to_unit(matrix)))
    return _Columns(matrix, exempt, raw, percentile, score)


def _decide(rows: Sequence[_Row], table: _Columns, policy: Policy) -> Verdicts:
    events = [row.event for row in rows]
    named = columns(events, table.matrix, table.score, table.percentile, policy.columns)
    return decide(policy, named, len(rows), table.exempt)


def _encode_all(
    parts: Sequence[Part],
    counts: Sequence[int],
    rows: Sequence[_Row],
    table: _Columns,
    verdicts: Verdicts,
    versions: Versions,
    moment: float,
    result: ScoredPoll,
) -> None:
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
    partition: int, chosen: Sequence[int], rows: Sequence[_Row], table: _Columns, versions: Versions
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


def rfc3339(moment: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

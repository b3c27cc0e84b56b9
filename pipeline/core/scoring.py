"""A poll of transactions becomes a poll of decisions: decode → advance → model → decide → encode.

Each stage takes what the one before made and knows nothing of the ones after. Card rows are the only state:
`advance_part` walks a partition's records in their order, everything else works on whole columns, and no row's result
depends on which other rows share the poll.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.advancing import advance_part
from pipeline.core.card_note import note_features
from pipeline.core.columns import columns
from pipeline.core.counters import Counting
from pipeline.core.currencies import Money
from pipeline.core.dead_letters import dead_letter
from pipeline.core.decide import Verdicts, decide
from pipeline.core.decision import Reason
from pipeline.core.encode import encode_poll
from pipeline.core.entities import entity_keys
from pipeline.core.features import FEATURES
from pipeline.core.grounds import reasons
from pipeline.core.moment import moments
from pipeline.core.poll import Floats, Part, Row, ScoredPoll, Table, Versions
from pipeline.core.shadow import NOTHING_TOLD, ShadowTold, shadow_outcomes, shadow_scores, told
from pipeline.core.topics import TRANSACTIONS, Record
from pipeline.core.transaction import ALL_REASONS, Event, Refused, decode

NOTHING_COUNTED: Floats = np.empty((0, 0))
WRONG_PARTITION = "wrong_partition"
REFUSALS = ALL_REASONS | {WRONG_PARTITION}


def score_poll(
    parts: Sequence[Part],
    versions: Versions,
    partition_of: Callable[[bytes], int],
    moment: float,
    stopwatch: Callable[[], float],
) -> ScoredPoll:
    """Decide every transaction of ``parts`` and move their rows on. ``moment``: unix seconds for `decided_at`;
    ``stopwatch`` times the stages. What cannot be used is refused with its coordinates; the rest goes on."""
    decoded = decode_poll(parts, versions.money, partition_of, stopwatch)
    return score_decoded(parts, decoded, versions, moment, stopwatch)


class DecodedPoll(NamedTuple):
    """The usable transactions of each part, with their cards; ``result`` has what was refused."""

    events: list[list[tuple[Record, Event, bytes]]]
    result: ScoredPoll


def decode_poll(
    parts: Sequence[Part], money: Money, partition_of: Callable[[bytes], int], stopwatch: Callable[[], float]
) -> DecodedPoll:
    """The first stage by itself, which changes nothing: now it is known whose rows will be needed."""
    result = ScoredPoll()
    lap = _Laps(stopwatch, result.seconds)
    events = [list(_decoded(part, money, partition_of, result)) for part in parts]
    lap.end("decode")
    return DecodedPoll(events, result)


def score_decoded(
    parts: Sequence[Part],
    poll: DecodedPoll,
    versions: Versions,
    moment: float,
    stopwatch: Callable[[], float],
) -> ScoredPoll:
    """All other stages. ``parts`` are those that were decoded, in the same order."""
    decoded, result = poll
    lap = _Laps(stopwatch, result.seconds)
    rows: list[Row] = []
    number = sum(map(len, decoded))
    matrix = np.empty((number, len(FEATURES)))
    counters = versions.policy.counters
    counted, matches = NOTHING_COUNTED, None
    if counters.names:
        counted = np.empty((number, len(counters.names)))
        matches = counters.matches([event for events in decoded for _, event, _ in events])
    counts, start = [], 0
    for part, events in zip(parts, decoded, strict=True):
        before = len(rows)
        own = None
        if matches is not None:
            mine = matches if len(parts) == 1 else matches.part(start, start + len(events))
            own = Counting(counters, mine, counted)
        result.repeats += advance_part(part.rows, part.dirty, events, rows, matrix, own)
        counts.append(len(rows) - before)
        start += len(events)
    lap.end("advance")
    if rows:
        notes = [part.notes for part in parts]
        table = _score(rows, matrix[: len(rows)], counted[: len(rows)], versions, notes)
        lap.end("model")
        verdicts, shadow = _decide(rows, table, versions)
        lap.end("decide")
        encode_poll(parts, counts, rows, table, verdicts, shadow, versions, moment, result)
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
            transaction = event.transaction
            card = transaction.card.encode()
            if card not in part.rows and partition_of(card) != part.partition:
                raise Refused(
                    WRONG_PARTITION,
                    "card",
                    f"this card belongs to partition {partition_of(card)}: produce with key = card and the murmur2 partitioner",
                )
        except Refused as refused:
            result.refusals.append(refused.reason)
            letter = dead_letter(TRANSACTIONS, record, refused.reason, refused.field, refused.detail)
            result.refused.append(letter)
        else:
            if transaction.previous_card is not None:
                result.previous.append((part.partition, card, transaction.previous_card))
            yield record, event, card


def _score(
    rows: Sequence[Row], own: Floats, counted: Floats, versions: Versions, notes: Sequence[Mapping[bytes, bytes]]
) -> Table:
    exempt = np.array([row.exempt for row in rows], dtype=np.bool_)
    keys = entity_keys(rows)
    times = keys.times
    told = (
        moments(rows, times), note_features(rows, times, notes), versions.merchants.features(keys, own, exempt),
        versions.customers.features(keys, rows), versions.entities.features(keys),
    )  # fmt: skip
    matrix = np.concatenate([own, *told], axis=1)
    scores = versions.model.scores(matrix)
    raw, percentile, score = (np.where(exempt, 0.0, column) for column in scores)
    shadows = shadow_scores(versions.challengers, rows, matrix, exempt) if versions.challengers else ()
    hits = None
    if counters := versions.policy.entity_counters:
        hits = counters.hits([row.event for row in rows], exempt)
        told_counts = versions.counts.values(counters, keys, hits)
        counted = np.hstack((counted, told_counts)) if versions.policy.counters else told_counts
    tags = versions.tags.held(keys, rows)
    return Table(keys, matrix, exempt, raw, percentile, score, counted, tags, shadows, hits)


def _decide(rows: Sequence[Row], table: Table, versions: Versions) -> tuple[Verdicts, ShadowTold]:
    policy, model = versions.policy, versions.model
    events = [row.event for row in rows]
    counted = {
        name: np.ascontiguousarray(table.counted[:, number])
        for number, name in enumerate(policy.counter_names)
        if name in policy.columns
    }
    counted |= {str(use): table.tags.holds(use.name) for use in policy.tags}
    named = columns(events, table.matrix, table.score, table.percentile, policy.columns, counted, versions.lists)

    def because(told: NDArray[np.int64]) -> Iterator[list[Reason]]:
        matrix = table.matrix[told]
        return reasons(model.grounds(matrix), matrix)

    verdicts = decide(policy, named, len(rows), table.exempt, lambda index: events[index].transaction.id, because)
    if not table.shadows:
        return verdicts, NOTHING_TOLD
    ids = [event.transaction.id for event in events]
    outcomes = shadow_outcomes(policy, table.shadows, named, table.exempt, ids)
    return verdicts, told(table.shadows, outcomes, verdicts.outcome, verdicts.alerted)

"""A simulated past as an archive: decided by the scorer's own core, with the labels that came of it.

A holder who is asked about a fraud says NO some minutes later; the rest comes as chargebacks, weeks later or never.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.memory import StoredRecord
from pipeline.core.archive_columns import ArchiveRow, ArrivedLabel, Told, label_columns, scored_columns
from pipeline.core.archive_files import Piece, day_of
from pipeline.core.poll import Part, Versions
from pipeline.core.records import Label
from pipeline.core.scoring import score_poll
from pipeline.core.topics import Record
from pipeline.core.transaction import decode
from pipeline.lab.simulate.attempt import APPROVED, Attempt, moment
from pipeline.lab.simulate.labels import ChargebackParameters, Chargebacks
from pipeline.ports import MAX_POLL_RECORDS
from pipeline.ports_archive import Shelf

ANSWER_S = 300.0
"""From a payment until its holder, asked, has answered."""


class Fraud(NamedTuple):
    """``value``: what went through, in minor units of the bank's currency; ``point``: where the card was exposed, None: not
    at a compromised merchant. ``asked``: the decision was to ask its holder."""

    time: float
    card: str
    value: float
    asked: bool
    point: str | None


class Genuine(NamedTuple):
    """Of all genuine payments, columns of one length; ``card`` texts, ``time`` unix seconds, ``asked`` as of `Fraud`."""

    card: NDArray[np.object_]
    time: NDArray[np.float64]
    asked: NDArray[np.bool_]


class Past(NamedTuple):
    """What a simulated past held. ``exposing``: places that leaked → the cards that they exposed; ``transactions``: how
    many."""

    frauds: list[Fraud]
    genuine: Genuine
    exposing: dict[str, set[str]]
    transactions: int


def write_past(
    attempts: Iterable[Attempt], shelf: Shelf, versions: Versions, seed: int, late: ChargebackParameters
) -> Past:
    """Decide ``attempts``, in order of time, and put them and their labels into ``shelf``, which is open."""
    told = msgspec.json.Decoder(Told).decode
    rows: dict[bytes, bytes] = {}
    frauds: list[Fraud] = []
    genuine: list[tuple[str, float, bool]] = []
    exposing: dict[str, set[str]] = {}
    labels: list[tuple[float, Label]] = []
    charged = Chargebacks(seed, late)

    def decided() -> Iterator[ArchiveRow]:
        feed = iter(attempts)
        offset = 0
        while chunk := list(islice(feed, MAX_POLL_RECORDS)):
            records = [
                StoredRecord(0, offset + index, int(each.time * 1000), each.key(), each.value())
                for index, each in enumerate(chunk)
            ]
            scored = score_poll([Part(0, records, rows, {})], versions, lambda card: 0, chunk[-1].time, lambda: 0.0)
            decisions = {one.id: one for out in scored.decisions.get(0, ()) if (one := told(out.value or b""))}
            for attempt, record in zip(chunk, records, strict=True):
                decision = decisions.get(attempt.transaction.id)
                if decision is None:
                    continue
                row = _row(record, decision, versions)
                note(attempt, decision, row)
                yield row
            offset += len(chunk)

    def note(attempt: Attempt, decision: Told, row: ArchiveRow) -> None:
        transaction, truth = attempt.transaction, attempt.truth
        asked = decision.actions.contact == "verify"
        if truth.fraud:
            through = transaction.response_code == APPROVED and row.event is not None
            value = row.event.amount if through and row.event is not None else 0.0
            frauds.append(Fraud(attempt.time, transaction.card, value, asked, truth.point))
            if asked:
                when = attempt.time + ANSWER_S
                no = Label(
                    transaction=transaction.id,
                    card=transaction.card,
                    fraud=True,
                    source="cardholder",
                    time=moment(when),
                )
                labels.append((when, no))
        else:
            genuine.append((transaction.card, attempt.time, asked))
            if truth.point is not None:
                exposing.setdefault(truth.point, set()).add(transaction.card)
        charged.saw(attempt)

    count = 0
    for day, group in groupby(decided(), key=lambda row: day_of(row.timestamp_ms)):
        found = list(group)
        count += len(found)
        piece = Piece(day, 0, found[0].offset, found[-1].offset, found[-1].offset + 1, 0)
        asyncio.run(shelf.write("scored", piece, scored_columns(0, found)))
    labels += [(_seconds(label), label) for label in charged.due(float("inf"))]
    _write_labels(sorted(labels, key=lambda each: each[0]), shelf)
    cards, times, asked = zip(*genuine, strict=True)
    columns = Genuine(np.array(cards, dtype=np.object_), np.array(times), np.array(asked, dtype=np.bool_))
    return Past(frauds, columns, exposing, count)


def _row(record: Record, decision: Told, versions: Versions) -> ArchiveRow:
    event = decode(record.value, record.timestamp, versions.money)
    return ArchiveRow(record.offset, record.timestamp, record.offset + 1, decision, event, None, 0, True)


def _seconds(label: Label) -> float:
    return datetime.fromisoformat(label.time).timestamp()


def _write_labels(labels: list[tuple[float, Label]], shelf: Shelf) -> None:
    arrived = [ArrivedLabel(offset, int(when * 1000), label) for offset, (when, label) in enumerate(labels)]
    for day, group in groupby(arrived, key=lambda each: day_of(each.timestamp_ms)):
        found = list(group)
        piece = Piece(day, 0, found[0].offset, found[-1].offset)
        asyncio.run(shelf.write("labels", piece, label_columns(0, found)))

"""The ``scored`` record: what a poll's transactions of one partition looked like to the model, as columns.

Internal and free to change. One record per partition and poll (split below the record limit), MessagePack, columns as
raw little-endian arrays: the learner reads it without touching a row, and a decision can be recomputed from it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core.entity_counts import Definition

Floats = NDArray[np.float64]


class Scored(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``n`` transactions of one partition, in the order of their offsets.

    ``offsets`` int64[n] are offsets in ``transactions``; ``times`` float64[n] event times in unix seconds;
    ``features`` float64[n × F] row-major in the order of the catalogue whose fingerprint is ``layout``; ``raw``,
    ``percentile`` (0–100) and ``score`` (0–1) float64[n]; ``terminals``, ``merchants`` and ``customers`` uint64[n], the
    digests of those texts (`pipeline.core.entities`), 0 where there was none.

    ``counted`` float64[n × K] row-major are the policy's own counters, named ``counters``, NaN: unknown;
    ``counter_layout`` is the fingerprint of their names and definitions, ``counter_fingerprints`` are those of each
    definition alone. Models do not look at them, so they have a
    layout of their own: a changed counter changes nothing for what was learned under ``layout``.

    ``hits`` float64[n × C] row-major is what each counts for the counters per merchant and per customer, whose definitions
    are ``counted_per_entity``, NaN: nothing.

    ``shadow`` float64[n × S] row-major are the scores of the challengers, whose versions are ``shadows``, NaN: not asked.
    ``customer_ids`` are the customers as they were given, "" where none was; ``declined`` uint8[n], 1 where the switch had
    declined it. ``tags`` uint64[n] are the customers' tags, the n-th bit for the n-th of ``tag_names``; told wherever
    customers are.
    """

    partition: int
    layout: str
    policy_version: str
    model_version: str
    ids: Sequence[str]
    cards: Sequence[str]
    offsets: bytes
    times: bytes
    features: bytes
    raw: bytes
    percentile: bytes
    score: bytes
    terminals: bytes
    merchants: bytes
    customers: bytes
    counter_layout: str = ""
    counters: Sequence[str] = ()
    counter_fingerprints: Sequence[str] = ()
    counted: bytes = b""
    counted_per_entity: Sequence[Definition] = ()
    hits: bytes = b""
    shadows: Sequence[str] = ()
    shadow: bytes = b""
    customer_ids: Sequence[str] = ()
    declined: bytes = b""
    tag_names: Sequence[str] = ()
    tags: bytes = b""

    def check(self) -> None:
        """Raises ValueError when the columns are not all of one length."""
        columns = (
            self.times,
            self.offsets,
            self.percentile,
            self.score,
            self.terminals,
            self.merchants,
            self.customers,
        )
        if len(self.hits) != 8 * len(self.ids) * len(self.counted_per_entity):
            raise ValueError("not one hit or none of each counter a row")
        for definition in self.counted_per_entity:
            definition.check()
        if len(self.shadow) != 8 * len(self.ids) * len(self.shadows):
            raise ValueError("not one score of each challenger a row")
        if any(len(column) != 8 * len(self.ids) for column in columns) or len(self.cards) != len(self.ids):
            raise ValueError("columns of different lengths")

    def tags_held(self) -> list[str | None]:
        """The names of each customer's tags, with blanks between; None where no customer was given, or no tags were
        told. Raises ValueError for bits without a name."""
        n = len(self.ids)
        if not self.tags:
            return [None] * n
        held = np.frombuffer(self.tags, dtype="<u8").tolist()
        if not len(held) == len(self.customer_ids) == n or max(held, default=0) >> len(self.tag_names):
            raise ValueError("tags of more than they name, or of other customers")
        words = {bits: " ".join(name for at, name in enumerate(self.tag_names) if bits >> at & 1) for bits in {*held}}
        return [words[bits] if customer else None for bits, customer in zip(held, self.customer_ids, strict=True)]

    def source_offsets(self) -> NDArray[np.int64]:
        return np.frombuffer(self.offsets, dtype="<i8")

    def event_times(self) -> Floats:
        return np.frombuffer(self.times, dtype="<f8")

    def digests(self, kind: Literal["terminals", "merchants", "customers"]) -> NDArray[np.uint64]:
        return np.frombuffer(getattr(self, kind), dtype="<u8")

    def percentiles(self) -> Floats:
        return np.frombuffer(self.percentile, dtype="<f8")

    def scores(self) -> Floats:
        return np.frombuffer(self.score, dtype="<f8")

    def matrix(self) -> Floats:
        """The features, float64[n, F], read-only."""
        return np.frombuffer(self.features, dtype="<f8").reshape(len(self.ids), -1)

    def counter_matrix(self) -> Floats:
        """The policy's own counters, float64[n, C], read-only."""
        return np.frombuffer(self.counted, dtype="<f8").reshape(len(self.ids), len(self.counters))

    def hit_matrix(self) -> Floats:
        """What each counts for the counters per merchant and per customer, float64[n, C], read-only."""
        return np.frombuffer(self.hits, dtype="<f8").reshape(len(self.ids), len(self.counted_per_entity))

    def shadow_matrix(self) -> Floats:
        """The challengers' scores, float64[n, S], read-only."""
        return np.frombuffer(self.shadow, dtype="<f8").reshape(len(self.ids), len(self.shadows))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Scored)


def encode(scored: Scored) -> bytes:
    return _encoder.encode(scored)


def decode(value: bytes) -> Scored:
    """Raises msgspec.DecodeError (or its subclass ValidationError) when ``value`` is no scored record."""
    return _decoder.decode(value)


def by_version(versions: Sequence[str], scores: Floats) -> list[Mapping[str, float]]:
    """Of a record of `scored`, row by row: each challenger's score by its version, where it has one. ``scores``
    float64[n, S]."""
    return [
        {version: value for version, value in zip(versions, row, strict=True) if value == value}
        for row in scores.tolist()
    ]

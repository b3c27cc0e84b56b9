"""What travels through scoring: the parts of a poll, what it is decided under, its rows as columns, what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.currencies import Money
from pipeline.core.customer_table import EMPTY_CUSTOMERS, Customers
from pipeline.core.entities import EntityKeys
from pipeline.core.entity_count_table import NOTHING_TOLD, EntityCounts
from pipeline.core.entity_table import EMPTY_TABLE, EntityTable
from pipeline.core.lists import NO_LISTS, Lists
from pipeline.core.merchant_table import EMPTY_MERCHANTS, Merchants
from pipeline.core.policy import Policy
from pipeline.core.tag_table import EMPTY_TAGS, HeldTags, TagTable
from pipeline.core.topics import Outgoing, Record
from pipeline.core.transaction import Event

Floats = NDArray[np.float64]


class Model(Protocol):
    """Scores whole matrices: raw measure, percentile (0–100, how unusual), probability of fraud (0–1), float64[n] each, of
    ``matrix``, all columns of the catalogue. A row's scores do not depend on the other rows."""

    @property
    def version(self) -> str: ...
    @property
    def warming_up(self) -> bool: ...
    @property
    def as_of(self) -> float | None: ...
    def scores(self, matrix: Floats) -> tuple[Floats, Floats, Floats]: ...
    def grounds(self, matrix: Floats) -> Floats | None:
        """How much more than usually each column adds to a row's log odds of fraud, float64[n, C]; None: not known."""


class Challenger(NamedTuple):
    """A model that scores beside the one that decides: this ``share`` of the transactions, chosen by their ids."""

    model: Model
    share: float


class Shadow(NamedTuple):
    """What a challenger says of a poll's rows, float64[n], NaN where it was not asked."""

    version: str
    score: Floats
    percentile: Floats


class Versions(NamedTuple):
    """What a whole poll is decided under. A policy that asks lists carries their version in its own (`in_force`)."""

    policy: Policy
    model: Model
    money: Money
    lists: Lists = NO_LISTS
    entities: EntityTable = EMPTY_TABLE
    merchants: Merchants = EMPTY_MERCHANTS
    customers: Customers = EMPTY_CUSTOMERS
    challengers: Sequence[Challenger] = ()
    counts: EntityCounts = NOTHING_TOLD
    tags: TagTable = EMPTY_TAGS


NO_NOTES: Mapping[bytes, bytes] = MappingProxyType({})


class Part(NamedTuple):
    """One partition's records of a poll, its rows, where changed rows are noted, and the notes of its cards
    (`card_note`)."""

    partition: int
    records: Sequence[Record]
    rows: dict[bytes, bytes]
    dirty: dict[bytes, bytes]
    notes: Mapping[bytes, bytes] = NO_NOTES


@dataclass(slots=True)
class ScoredPoll:
    """What is to be appended, and what is to be counted. ``timestamps`` are the decided records' own, ms."""

    decisions: dict[int, list[Outgoing]] = field(default_factory=dict)
    scored: dict[int, list[Outgoing]] = field(default_factory=dict)
    refused: list[Outgoing] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    repeats: int = 0
    previous: list[tuple[int, bytes, str]] = field(default_factory=list)
    """Partition and card of the transactions that name a previous card, and that card."""
    outcomes: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    rule_hits: Mapping[str, int] = field(default_factory=dict)
    timestamps: Floats = field(default_factory=lambda: np.empty(0))
    scores: Floats = field(default_factory=lambda: np.empty(0))
    seconds: dict[str, float] = field(default_factory=dict)


class Row(NamedTuple):
    """One transaction to decide. ``exempt``: a reversal, clearing or credit, approved without a score."""

    record: Record
    event: Event
    exempt: bool


class Table(NamedTuple):
    """A poll's ``n`` rows as arrays: ``matrix`` float64[n, C] in the order of the catalogue, the others float64[n] or
    bool[n]. Exempt rows have scores of 0. ``counted`` float64[n, K]: the policy's own counters, NaN: unknown; ``hits``: what
    the rows count for those per merchant and per customer (`EntityCounters.hits`), None where there are none of these;
    ``tags``: of the customers."""

    keys: EntityKeys
    matrix: Floats
    exempt: NDArray[np.bool_]
    raw: Floats
    percentile: Floats
    score: Floats
    counted: Floats
    tags: HeldTags
    shadows: Sequence[Shadow] = ()
    hits: Floats | None = None

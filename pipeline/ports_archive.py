"""What the archive role writes to, and what everybody reads decided transactions and labels of the past from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple, Protocol

from pipeline.core.archive_columns import Columns
from pipeline.core.archive_files import Kind, Piece
from pipeline.core.point_of_compromise import Looked, Window
from pipeline.ports import WholeReader


class PausableReader(WholeReader, Protocol):
    """A reader some of whose partitions can be left alone for a while."""

    def hold(self, partitions: Iterable[int]) -> None:
        """From now on do not read ``partitions``; read all others."""


class Kept(NamedTuple):
    """How much of a kind there is: files that count, and their bytes."""

    files: int
    bytes: int


class ArchiveBusy(Exception):
    """Another process writes to this archive."""


class Shelf(Protocol):
    """The archive as its one writer has it. Whatever a call was interrupted at, the archive holds each source offset
    once, or not yet. The slow ones run beside the event loop. They raise `OSError` where disk or rights are wanting."""

    def open(self) -> None:
        """Become the writer, and tidy up after one that died. Raises `ArchiveBusy`."""

    def close(self) -> None:
        """Let another become the writer."""

    def pieces(self, kind: Kind) -> list[Piece]:
        """The files that count."""

    def kept(self, kind: Kind) -> Kept: ...

    async def write(self, kind: Kind, piece: Piece, columns: Columns) -> None:
        """Make the file ``piece``: all of it, on disk, or none."""

    async def compact(self, kind: Kind, group: Sequence[Piece]) -> None:
        """Make one file of ``group``, files of one partition and day in their order."""

    async def tidy(self, now: float) -> None:
        """Remove files that no longer count, once whoever reads them may be taken to have ended."""

    async def forget(self, kind: Kind, day: date) -> None:
        """Delete a whole day."""


class Archive(Protocol):
    """Reading. Days are those on which transactions and labels arrived, UTC; from ``first`` to ``last``, both inside.

    Reads go on while the archive is written; each sees the files of the moment it began."""

    def days(self, kind: Kind = "scored") -> Sequence[date]:
        """Days of which there is anything, oldest first."""

    def columns(
        self, first: date, last: date, names: Sequence[str], condition: str = "", at_a_time: int = 100_000
    ) -> Iterator[dict[str, Any]]:
        """The columns ``names`` of decided transactions, partition by partition in the order of their offsets, some
        rows at a time: numbers float64 (NaN missing), texts object (None missing), booleans float64 0/1 (NaN missing),
        as rules take them. ``condition``: SQL over the archive's columns, such as `Rule.sql`; empty for all rows."""

    def relation(self, first: date, last: date) -> Any:
        """All rows as a DuckDB relation, with the column ``day``: for questions that SQL answers."""

    def transaction(
        self, identifier: str, first: date | None = None, last: date | None = None
    ) -> Mapping[str, Any] | None:
        """The decided transaction of that id, None where there is none: column → value, None missing. Of a repeated id
        the first."""

    def labels_in_force(self, at_ms: int, first: date | None = None, last: date | None = None) -> dict[str, Any]:
        """What was known at the moment ``at_ms`` (unix milliseconds) of labels that had arrived by then: one row for
        each transaction about which something holds, as columns ``transaction``, ``card``, ``fraud`` (float64 0 or 1),
        ``source``, ``fraud_type``, ``timestamp_ms`` (int64, when it arrived). Precedence as `RANKS`; labels that were
        withdrawn or superseded by then hold no more."""


class Sought(NamedTuple):
    """A transaction of the past, as a label names it."""

    transaction: str
    card: str


class PastRow(NamedTuple):
    """A transaction as it was scored: ``offset`` in ``partition`` of `transactions`, event time (unix seconds),
    percentile, what it was made with and where (texts, for each of `pipeline.core.features.KINDS`), and features
    float64[F] in the order of the catalogue whose fingerprint is ``layout``."""

    partition: int
    offset: int
    at: float
    percentile: float
    entities: tuple[str | None, ...]
    layout: str
    features: Any


class Past(Protocol):
    """Scored rows by the ids of their transactions, long after."""

    def rows(self, sought: Sequence[Sought]) -> list[PastRow | None]:
        """For each of ``sought`` its row; None: there is none, or it was never scored. Of a repeated id the first.
        Slow: to be called beside the event loop. Raises `OSError` where disk or rights are wanting."""


Way = Literal["in_person", "online"]


class Place(NamedTuple):
    """Where one pays, and how: a merchant, or one of its terminals."""

    merchant: str
    terminal: str | None = None
    way: Way = "in_person"


class BadCards(NamedTuple):
    """Cards with a fraud label in force, and where they had been before. ``days``: the days of transactions' own time (UTC,
    since 1970) that were looked at; ``places`` and ``cards`` name what `Looked` numbers; ``loss``: float64[B], labelled
    fraud of each card that went through, minor units of the bank's currency."""

    days: Window
    looked: Looked
    places: Sequence[Place]
    cards: Sequence[str]
    loss: Any


class Visits(Protocol):
    """Who was where, asked of the archive."""

    def bad_cards(self, days: int, at_ms: int, least: int) -> BadCards | None:
        """As known at ``at_ms`` (unix milliseconds), of the ``days`` up to the newest transaction; places at which
        fewer than ``least`` bad cards had been are left out. None: no transaction, or no bad card."""

    def visitors(self, place: Place, days: Window) -> dict[str, Any]:
        """Cards that were at ``place`` on ``days``: columns ``card``, ``visits`` (int64, days there), ``last_day``
        (int64). Only after `bad_cards`, of what that looked at."""

    def words(self, place: Place) -> tuple[str | None, str | None]:
        """Name and town, where the archive knows them. Only after `bad_cards`."""


class Deciders(Protocol):
    """Which models decided what is archived."""

    def named(self, everything: bool) -> Sequence[str]:
        """Versions named by rows that came since the last call; at the first call, by those of the last days, or by all
        there are. Slow: to be called beside the event loop. Raises `OSError`."""


class PastVersions(Protocol):
    """Models and policies that decided once, by version: what `explain` computes a past decision from again. Raises
    `OSError` where disk or rights are wanting."""

    def keep_model(self, sealed: bytes) -> bool:
        """Keep a sealed snapshot; True when it is new here. One met again is as good as new for `forget_models`."""

    def keep_policy(self, version: str, text: bytes) -> bool:
        """Keep a policy's text; True when it is new here. False also for a text that is not the one of ``version``."""

    def mark_decided(self, versions: Iterable[str]) -> int:
        """Models of these versions decided something lately; of how many that was new. Versions that are not here are
        passed over."""

    def forget_models(self, met_before: float, decided_before: float | None) -> int:
        """Delete models that decided nothing and were not met since ``met_before`` (unix seconds), and those that
        decided something, but nothing since ``decided_before`` (None: none of these); how many."""

    def model(self, version: str) -> bytes | None:
        """The sealed snapshot, None where there is none."""

    def any_decided(self) -> bool:
        """Whether a model was ever marked."""

    def policy(self, version: str) -> str | None:
        """The text, None where there is none."""


class Coded(NamedTuple):
    """A column of texts: ``codes`` int32[n] number ``words``, −1: missing."""

    codes: Any
    words: Sequence[str]


class RecordedAs(NamedTuple):
    """What rows were decided as, and all that says whether they can be asked again. ``counters``: see
    `archive_counters`."""

    policy_version: str | None
    outcome: str
    actions: tuple[str, str, str, str, str | None]
    scored: bool
    layout: str | None
    priced: bool
    counters: str | None


class PastRows(NamedTuple):
    """Decided rows of some files, in their order. ``recorded`` uint16[n] number ``ways``; ``score`` float64[n], NaN
    missing; ``value`` int64[n], minor units of the bank's currency; ``card`` and ``customer`` uint64[n], digests: which
    rows are of the same one (without a customer the account counts, without an account the card). ``starts`` int64[p],
    where the rows of each file begin; ``offsets`` of each file int64, None: from its first to its last, without gaps."""

    ways: Sequence[RecordedAs]
    recorded: Any
    score: Any
    value: Any
    card: Any
    customer: Any
    starts: Any
    offsets: Sequence[Any]


class KnownRows(NamedTuple):
    """Rows about which a label is in force: partitions and source offsets int64[k], ``fraud`` bool[k], ``delay_s``
    float64[k], how long after the transaction the label came."""

    partitions: Any
    offsets: Any
    fraud: Any
    delay_s: Any


class Trials(Protocol):
    """Past decisions as columns, some files of the archive at a time. Rows of several questions about the same files come
    in the same order. Raises `OSError` where files cannot be read."""

    def pieces(self, first: date, last: date) -> Sequence[Piece]:
        """The files that count of the days from ``first`` to ``last``, partition by partition."""

    def rows(self, pieces: Sequence[Piece]) -> PastRows: ...

    def columns(self, pieces: Sequence[Piece], wanted: Mapping[str, str]) -> dict[str, Any]:
        """Name → column, of SQL expressions over the archive's columns: numbers and booleans float64[n], NaN missing;
        texts `Coded`."""

    def list_entries(self, entries: Sequence[tuple[str, str, float]]) -> None:
        """What expressions that ask lists look into from now on (`Lists.rows`)."""

    def labels_version(self, first: date, known_at_ms: int) -> object:
        """Equal for equal labels in force at that moment, of those that arrived from ``first`` on."""

    def known(self, pieces: Sequence[Piece], first: date, known_at_ms: int) -> KnownRows:
        """With the labels in force at that moment of those that arrived from ``first`` on."""

    def give_back(self) -> None:
        """Memory that is free again, to the system: something large was done."""

    def fields(
        self, pieces: Sequence[Piece], partitions: Any, offsets: Any, names: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """Of single rows, by partition and source offset: (partition, offset, the fields ``names``), in no order."""

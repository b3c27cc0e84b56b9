"""A trained model as a signed, content-addressed blob of numbers: how the learner hands it to the scorers.

The envelope is that of `models.envelope`; the content is MessagePack, arrays as raw little-endian bytes whose types this
code fixes for each kind of model, never the blob. Nothing in it can run: no pickle, no type names. A blob that is signed is checked all the same, value by value: a scorer must not fall over its
learner's mistake.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from models import detector
from models.detector import Detector
from models.envelope import SIGNATURE_BYTES, SealBroken, open_content, seal_content
from models.labelled_model import load
from models.percentile import Percentile
from models.progress import Progress

MAGIC = b"CWMODEL3"
MAX_BYTES = 1_000_000
"""No sealed snapshot is larger: it travels as one Kafka record below 1 MiB."""
MAX_FEATURES = 256
MAX_TEXT = 200
MAX_CLASSIFIER_BYTES = 650_000
MAX_ARRAYS = 64
"""Arrays of numbers that a classifier may consist of."""
CHAMPION = "champion"
"""What a bank's only model is called."""
MAX_DETECTOR_BYTES = 250_000
"""What then is left is for names, percentile grid and positions."""


class SnapshotRefused(ValueError):
    """Why a blob is not taken as a model: a sentence for the operator."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What was learned of labels, at the same boundary: the classifier of this ``kind`` as ``numbers`` (none before it has
    learned anything), how well it does,
    and where to read on. ``labels`` partition → offset in ``labels`` of the next one to take in; ``waiting_from`` and
    ``labels_from`` partition → offset in ``scored`` and ``labels`` from which what a label may still be needed for, or
    may still change, is read again (it is learned already); ``sought`` partition → offsets in ``labels`` of those that
    were taken in, and wait for their row."""

    kind: str
    numbers: Mapping[str, NDArray[np.generic]]
    progress: Progress
    labels: Mapping[int, int]
    waiting_from: Mapping[int, int]
    labels_from: Mapping[int, int]
    sought: Mapping[int, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What was learned, exactly at a window boundary.

    ``layout`` fingerprint of the feature catalogue the rows came in; ``names`` of the M features that the ``detector``
    looks at, in its order; ``learned`` rows in the model's life; ``grid_rows`` rows behind the percentile grid; ``epoch`` of the
    learner's lease; ``positions`` partition → offset in ``transactions`` of the next row to learn; ``reading``
    partition → offset in ``scored`` of the record that holds it; ``as_of`` newest event time learned, unix seconds;
    ``version`` names the content: equal versions are equal models; ``model`` the one of the bank's models that this is a
    version of; ``share`` of the transactions that it scores, where it is a challenger.
    """

    layout: str
    names: tuple[str, ...]
    detector: Detector
    percentile: Percentile
    grid_rows: int
    learned: int
    epoch: int
    positions: Mapping[int, int]
    reading: Mapping[int, int]
    as_of: float
    labelled: Labelled | None = None
    model: str = CHAMPION
    share: float = 1.0

    @property
    def qualified(self) -> bool:
        """Whether the score is the classifier's probability, not yet the prior curve's."""
        return self.labelled is not None and bool(self.labelled.numbers) and self.labelled.progress.qualified

    @property
    def version(self) -> str:
        digest = hashlib.sha256(_pack(self)).hexdigest()[:12]
        prefix = detector.prefix(self.detector.kind)
        return f"{prefix}-{digest}-{'calibrated' if self.qualified else 'uncalibrated'}"


class _Labelled(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    kind: str
    numbers: dict[str, tuple[list[int], bytes]]
    samples: dict[str, tuple[list[int], bytes]]
    progress: tuple[float, ...]
    labels: dict[int, int]
    waiting_from: dict[int, int]
    labels_from: dict[int, int]
    sought: dict[int, list[int]]


class _Content(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    kind: str
    detector: dict[str, tuple[list[int], bytes]]
    layout: str
    names: list[str]
    levels: bytes
    quantiles: bytes
    grid_rows: int
    learned: int
    epoch: int
    positions: dict[int, int]
    reading: dict[int, int]
    as_of: float
    labelled: _Labelled | None
    model: str
    share: float


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Content)


def seal(snapshot: Snapshot, key: bytes) -> bytes:
    """The blob to publish. Raises SnapshotRefused when ``snapshot`` is not one that `open_sealed` would take."""
    sealed = seal_content(MAGIC, _pack(snapshot), key)
    open_sealed(sealed, key)
    return sealed


def open_sealed(sealed: bytes, key: bytes) -> Snapshot:
    """The snapshot in ``sealed``. Raises SnapshotRefused when it is too large, of another format, not signed with
    ``key``, changed by so much as a bit, or signed but not a sound model."""
    try:
        content = open_content(MAGIC, sealed, key, MAX_BYTES, "model snapshot")
    except SealBroken as broken:
        raise SnapshotRefused(str(broken)) from None
    try:
        return _unpack(_decoder.decode(content))
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotRefused(f"signed model snapshot that is no sound model: {error}") from error


def _pack(snapshot: Snapshot) -> bytes:
    grid, kind, arrays = snapshot.percentile, snapshot.detector.kind, snapshot.detector.dump()
    types = detector.types(kind)
    return _encoder.encode(
        _Content(
            kind,
            {name: (list(arrays[name].shape), arrays[name].astype(types[name]).tobytes()) for name in sorted(types)},
            snapshot.layout,
            list(snapshot.names),
            grid.levels.astype("<f8").tobytes(),
            grid.quantiles.astype("<f8").tobytes(),
            snapshot.grid_rows,
            snapshot.learned,
            snapshot.epoch,
            dict(sorted(snapshot.positions.items())),
            dict(sorted(snapshot.reading.items())),
            snapshot.as_of,
            None if snapshot.labelled is None else _pack_labelled(snapshot.labelled),
            snapshot.model,
            snapshot.share,
        )
    )


def _pack_labelled(labelled: Labelled) -> _Labelled:
    numbers: dict[str, tuple[list[int], bytes]] = {}
    samples: dict[str, tuple[list[int], bytes]] = {}
    for name, array in sorted(labelled.numbers.items()):
        into, kind = (samples, "<f4") if array.dtype == np.float32 else (numbers, "<f8")
        into[name] = (list(array.shape), array.astype(kind).tobytes())
    labels, waiting_from, labels_from = (
        dict(sorted(place.items())) for place in (labelled.labels, labelled.waiting_from, labelled.labels_from)
    )
    sought = {number: list(offsets) for number, offsets in sorted(labelled.sought.items())}
    progress = tuple(map(float, labelled.progress))
    return _Labelled(labelled.kind, numbers, samples, progress, labels, waiting_from, labels_from, sought)


def _unpack_labelled(content: _Labelled) -> Labelled:
    """Raises ValueError."""
    names, progress = [*content.numbers, *content.samples], content.progress
    if len(names) > MAX_ARRAYS or any(not 1 <= len(name) <= MAX_TEXT for name in names):
        raise ValueError("arrays of the classifier without a name, or too many")
    arrays = [*content.numbers.values(), *content.samples.values()]
    if sum(len(array) for _, array in arrays) > MAX_CLASSIFIER_BYTES:
        raise ValueError(f"the classifier has more than {MAX_CLASSIFIER_BYTES} bytes")
    numbers: dict[str, NDArray[np.generic]] = {
        name: np.frombuffer(array, dtype="<f8").reshape([max(size, 0) for size in shape])
        for name, (shape, array) in content.numbers.items()
    }
    if not all(np.isfinite(column.astype("<f8")).all() for column in numbers.values()):
        raise ValueError("the classifier holds what is not a number")
    for name, (shape, array) in content.samples.items():
        numbers[name] = np.frombuffer(array, dtype="<f4").reshape([max(size, 0) for size in shape])
    if len(progress) != len(Progress._fields) or not all(math.isfinite(one) and one >= 0 for one in progress):
        raise ValueError("the classifier's progress is out of range")
    _check_places(content.labels, content.waiting_from, content.labels_from)
    _check_places(*({number: offset} for number, offsets in content.sought.items() for offset in offsets))
    if numbers:
        load(content.kind, numbers)
    return Labelled(
        content.kind, numbers, Progress(*progress), content.labels, content.waiting_from, content.labels_from,
        content.sought,
    )  # fmt: skip


def _check_places(*places: Mapping[int, int]) -> None:
    if any(min(*place, *place.values()) < 0 for place in places if place):
        raise ValueError("a negative partition or offset")


def _unpack_detector(content: _Content) -> Detector:
    """Raises ValueError."""
    types, arrays = detector.types(content.kind), content.detector
    if sum(len(array) for _, array in arrays.values()) > MAX_DETECTOR_BYTES:
        raise ValueError(f"the detector has more than {MAX_DETECTOR_BYTES} bytes")
    if arrays.keys() != types.keys():
        raise ValueError("a detector with other arrays than those of its kind")
    return detector.load(
        content.kind,
        {
            name: np.frombuffer(array, dtype=types[name]).reshape([max(size, 0) for size in shape])
            for name, (shape, array) in arrays.items()
        },
    )


def _unpack(content: _Content) -> Snapshot:
    """Raises ValueError."""
    _check_numbers(content)
    found = _unpack_detector(content)
    if len(found.columns) != len(content.names):
        raise ValueError("the detector looks at more or fewer features than are named")
    if content.learned == 0 or content.learned % found.window:
        raise ValueError("taken inside a window, not at its end")
    grid = Percentile(
        np.frombuffer(content.levels, dtype="<f8").copy(), np.frombuffer(content.quantiles, dtype="<f8").copy()
    )
    return Snapshot(
        layout=content.layout,
        names=tuple(content.names),
        detector=found,
        percentile=grid,
        grid_rows=content.grid_rows,
        learned=content.learned,
        epoch=content.epoch,
        positions=content.positions,
        reading=content.reading,
        as_of=content.as_of,
        labelled=None if content.labelled is None else _unpack_labelled(content.labelled),
        model=content.model,
        share=content.share,
    )


def _check_numbers(content: _Content) -> None:
    """Raises ValueError for what could make the arrays, or the work on them, larger than planned."""
    names = content.names
    if not 1 <= len(names) <= MAX_FEATURES or len(set(names)) != len(names):
        raise ValueError("feature names missing, repeated or too many")
    if any(not 1 <= len(text) <= MAX_TEXT for text in (content.layout, content.model, *names)):
        raise ValueError("a name is empty or too long")
    if not 0.0 < content.share <= 1.0:  # NaN fails too
        raise ValueError("a share of transactions that is none")
    if not math.isfinite(content.as_of):
        raise ValueError("the event time is not a number")
    counts = (content.epoch, content.learned, content.grid_rows)
    if min(counts) < 0:
        raise ValueError("a negative count")
    _check_places(content.positions, content.reading)


def digest_of(sealed: bytes) -> str:
    """The twelve hexadecimal digits that name the model in ``sealed``: they stand in its version. No key is needed, so
    whoever keeps models past their time need not hold one."""
    return hashlib.sha256(sealed[len(MAGIC) + SIGNATURE_BYTES :]).hexdigest()[:12]


def open_named(sealed: bytes, version: str) -> Snapshot:
    """The snapshot in ``sealed`` if it is the one called ``version``: known by its content, so a key that was changed
    since does not matter. For looking back only: a scorer uses `open_sealed`. Raises SnapshotRefused."""
    if len(sealed) > MAX_BYTES or not sealed.startswith(MAGIC):
        raise SnapshotRefused("not a model snapshot of this format")
    try:
        snapshot = _unpack(_decoder.decode(sealed[len(MAGIC) + SIGNATURE_BYTES :]))
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotRefused(f"no sound model: {error}") from error
    if snapshot.version != version:
        raise SnapshotRefused(f"holds {snapshot.version}, not {version}")
    return snapshot

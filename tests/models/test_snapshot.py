"""A sealed snapshot is exactly what was sealed, or it is refused."""

import hashlib
import hmac
import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detector import DetectorPlan
from models.half_space_trees import Shape
from models.percentile import Percentile
from models.progress import Progress
from models.river_logistic import KIND, Logistic
from models.scaling import Scaling
from models.snapshot import MAGIC, MAX_BYTES, Labelled, Snapshot, SnapshotRefused, open_sealed, seal
from models.surprise import MAX_COLUMNS, SurprisePlan
from models.systematic_sample import CAPACITY
from models.trees_detector import TreesPlan, fits

KEY = b"a key of sixteen bytes or more"
NAMES = ("b", "a", "c")
SMALL = Shape(4, 3, 50, 1)
FIELDS = (
    "kind", "detector", "layout", "names", "levels", "quantiles", "grid_rows", "learned", "epoch", "positions", "reading", "as_of", "labelled", "model", "share",
)  # fmt: skip


def trees(shape: Shape = SMALL) -> TreesPlan:
    return TreesPlan(shape, NAMES, Scaling.of(range(3), [[0, 0, 1, 0.5]] * 3))


SURPRISE = SurprisePlan(NAMES, range(3), window=50)


def snapshot_of(plan: DetectorPlan) -> Snapshot:
    learning, window = plan.begin(), plan.window
    matrix = np.random.default_rng(1).random((window, len(plan.names)))
    learning.learn(matrix, np.arange(float(window)))
    detector = learning.detector()
    grid = Percentile.from_scores(detector.score(detector.see(matrix)))
    return Snapshot(
        "f" * 12, plan.names, detector, grid, window, learning.learned, 3, {1: 20, 0: 10}, {0: 2, 1: 3}, 1.7e9
    )


@pytest.fixture(scope="module", params=["trees", "surprise"])
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    return snapshot_of(trees() if request.param == "trees" else SURPRISE)


@pytest.fixture(scope="module")
def sealed(snapshot: Snapshot) -> bytes:
    return seal(snapshot, KEY)


@pytest.fixture(scope="module")
def of_trees() -> bytes:
    return seal(snapshot_of(trees()), KEY)


@pytest.fixture(scope="module")
def of_surprise() -> bytes:
    return seal(snapshot_of(SURPRISE), KEY)


def forged(sealed: bytes, **changes: Any) -> bytes:
    """A blob signed with the right key whose content is wrong."""
    content = msgspec.msgpack.decode(sealed[len(MAGIC) + 32 :], strict=True)
    for name, value in changes.items():
        if name in content[1]:
            content[1][name] = value
        else:
            content[FIELDS.index(name)] = value
    packed = msgspec.msgpack.encode(content)
    return MAGIC + hmac.new(KEY, MAGIC + packed, hashlib.sha256).digest() + packed


def test_opened_equals_sealed(snapshot: Snapshot, sealed: bytes) -> None:
    opened = open_sealed(sealed, KEY)
    for name in (
        "layout",
        "names",
        "grid_rows",
        "learned",
        "epoch",
        "positions",
        "reading",
        "as_of",
        "version",
    ):
        assert getattr(opened, name) == getattr(snapshot, name), name
    now, then = opened.detector, snapshot.detector
    assert now.kind == then.kind
    assert {n: a.tolist() for n, a in now.dump().items()} == {n: a.tolist() for n, a in then.dump().items()}
    probe = np.random.default_rng(2).random((300, len(NAMES)))
    assert now.score(now.see(probe)).tolist() == then.score(then.see(probe)).tolist()
    assert opened.percentile.quantiles.tolist() == snapshot.percentile.quantiles.tolist()
    assert seal(opened, KEY) == sealed


def test_the_version_names_the_content(snapshot: Snapshot) -> None:
    assert snapshot.version == replace(snapshot, positions={0: 10, 1: 20}).version
    assert snapshot.version != replace(snapshot, learned=100).version
    prefix, digest, suffix = snapshot.version.split("-")
    assert (len(digest), suffix) == (12, "uncalibrated")
    assert prefix == {"half_space_trees": "hst", "surprise": "surprise"}[snapshot.detector.kind]


SCALES = np.tile([0.0, 0.0, 10.0, 0.5], (4, 1))


def labelled() -> Labelled:
    classifier = Logistic(SCALES, 1)
    matrix = np.random.default_rng(5).random((30, 4))
    classifier.learn(matrix, (matrix[:, 0] > 0.5).astype(float), np.ones(30))
    done = Progress(60.0, 2_000.0, 1_500.0, 1.0, 2.0, 30.0)
    return Labelled(KIND, classifier.dump(), done, {0: 4}, {1: 2}, {0: 1})


@pytest.fixture(scope="module")
def both(snapshot: Snapshot) -> bytes:
    return seal(replace(snapshot, labelled=labelled()), KEY)


def test_what_was_learned_of_labels_is_part_of_it(both: bytes) -> None:
    opened, given = open_sealed(both, KEY), labelled()
    known = opened.labelled
    assert known is not None
    for name in ("kind", "progress", "labels", "waiting_from", "labels_from"):
        assert getattr(known, name) == getattr(given, name), name
    assert {name: array.tobytes() for name, array in known.numbers.items()} == {
        name: np.asarray(array).tobytes() for name, array in given.numbers.items()
    }
    assert seal(opened, KEY) == both
    assert opened.version.endswith("-calibrated")
    assert not replace(opened, labelled=replace(known, numbers={})).qualified
    assert not replace(opened, labelled=replace(known, progress=known.progress._replace(frauds=1.0))).qualified


ARRAYS = {name: [[len(array)], array.astype("<f8").tobytes()] for name, array in labelled().numbers.items()}
WRONG_LABELLED: list[dict[int, Any]] = [
    {0: "forest"}, {0: 7}, {1: 5}, {1: {**ARRAYS, "": ARRAYS["low"]}}, {1: {**ARRAYS, "low": [[3], ARRAYS["low"][1]]}},
    {1: {**ARRAYS, "low": [[-1], ARRAYS["low"][1]]}}, {1: {**ARRAYS, "low": [[4], bytes(31)]}},
    {1: {**ARRAYS, "low": ARRAYS["low"][1]}},
    {1: {**ARRAYS, "weights": [[4], np.array([math.nan, 0, 0, 0]).tobytes()]}},
    {1: {f"array {number}": ARRAYS["low"] for number in range(100)}},
    {1: {**ARRAYS, "low": [[100_000], bytes(800_000)]}},
    {2: [0.0] * 5}, {2: [-1.0, 0, 0, 0, 0, 0]}, {2: [math.nan] * 6}, {3: {0: -1}}, {4: {-1: 0}}, {5: {0: -1}},
]  # fmt: skip


@pytest.mark.parametrize("changes", WRONG_LABELLED, ids=lambda changes: str(changes)[:30])
def test_signed_nonsense_of_labels_is_refused(both: bytes, changes: dict[int, Any]) -> None:
    part = msgspec.msgpack.decode(both[len(MAGIC) + 32 :])[FIELDS.index("labelled")]
    assert forged(both, labelled=part) == both
    for place, value in changes.items():
        part[place] = value
    with pytest.raises(SnapshotRefused):
        open_sealed(forged(both, labelled=part), KEY)


def test_the_default_model_is_well_below_the_limit() -> None:
    assert len(seal(snapshot_of(trees(Shape())), KEY)) < 150_000


def test_the_largest_surprise_leaves_room_for_a_classifier() -> None:
    names = tuple(f"column {number}" for number in range(MAX_COLUMNS))
    plan = SurprisePlan(names, range(MAX_COLUMNS), window=CAPACITY)
    assert 200_000 < len(seal(snapshot_of(plan), KEY)) < 250_000


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_refused(sealed: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SnapshotRefused):
        open_sealed(bytes(flipped), KEY)


def test_another_key_a_cut_and_an_extended_blob_are_refused(sealed: bytes) -> None:
    with pytest.raises(SnapshotRefused, match="signature"):
        open_sealed(sealed, KEY + b"!")
    for blob in (sealed[:-1], sealed + b"\0"):
        with pytest.raises(SnapshotRefused, match="signature"):
            open_sealed(blob, KEY)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_snapshot_are_refused(blob: bytes) -> None:
    for candidate in (blob, MAGIC + blob):
        with pytest.raises(SnapshotRefused):
            open_sealed(candidate, KEY)


def test_an_oversized_blob_is_refused_unread(sealed: bytes) -> None:
    with pytest.raises(SnapshotRefused, match="limit"):
        open_sealed(sealed + bytes(MAX_BYTES), KEY)


def test_a_model_too_large_for_one_record_is_never_sealed() -> None:
    big = Shape(100, 10, 10, 1)
    assert not fits(big.trees, big.height)
    with pytest.raises(SnapshotRefused, match="limit"):
        seal(snapshot_of(trees(big)), KEY)


def packed(*values: float, kind: str = "<f8") -> bytes:
    return np.array(values, dtype=kind).tobytes()


NODES = 4 * 15
BRANCHES = 4 * 7
WRONG: list[dict[str, Any]] = [
    {"kind": "forest"}, {"kind": 7}, {"kind": ""}, {"detector": {}}, {"detector": []}, {"detector": {"rows": [[1], bytes(8)]}},
    {"layout": ""}, {"layout": "x" * 10_000}, {"layout": 7},
    {"names": []}, {"names": ["a", "a", "b"]}, {"names": ["a", "b", ""]},
    {"columns": [[3], bytes(23)]}, {"columns": [[-3], bytes(24)]}, {"columns": [[3], "text"]}, {"columns": [[100_000], bytes(800_000)]},
    {"columns": [[3], packed(0, 1, -1, kind="<i8")]}, {"columns": [[2], packed(0, 1, kind="<i8")]},
    {"levels": packed(0, 50, 100)}, {"levels": packed(0, 100), "quantiles": packed(0.2, 0.1)},
    {"levels": packed(0, 100), "quantiles": packed(0.1, math.nan)}, {"levels": packed(0, 100), "quantiles": packed(0.1, math.inf)},
    {"levels": b"", "quantiles": b""},
    {"learned": 0}, {"learned": 51}, {"learned": -50}, {"epoch": -1}, {"epoch": 1.5}, {"grid_rows": -1},
    {"positions": {-1: 0}}, {"positions": {0: -5}}, {"positions": {"0": 5}}, {"positions": [0]}, {"reading": {0: -1}},
    {"as_of": math.nan}, {"as_of": math.inf}, {"as_of": None},
    {"model": ""}, {"share": 0.0}, {"share": math.nan}, {"share": 1.5},
]  # fmt: skip
"""Of any kind."""


def shape(*numbers: int) -> list[Any]:
    return [[len(numbers)], packed(*numbers, kind="<i8")]


WRONG_TREES: list[dict[str, Any]] = [
    {"shape": shape(5, 3, 50, 1)}, {"shape": shape(-1, 3, 50, 1)}, {"shape": shape(10**12, 3, 50, 1)}, {"shape": shape(4, 4, 50, 1)},
    {"shape": shape(4, 0, 50, 1)}, {"shape": shape(4, 10**6, 50, 1)}, {"shape": shape(4, 3, 0, 1)}, {"shape": shape(4, 3, 49, 1)},
    {"shape": shape(4, 3, 50)}, {"names": ["a"]},
    {"features": [[4, 7], packed(*[-1] * BRANCHES, kind="<i2")]}, {"features": [[4, 7], packed(*[3] * BRANCHES, kind="<i2")]},
    {"features": [[BRANCHES], packed(*[0] * BRANCHES, kind="<i2")]},
    {"thresholds": [[4, 7], packed(*[math.nan] * BRANCHES)]}, {"thresholds": [[4, 7], packed(*[math.inf] * BRANCHES)]},
    {"thresholds": [[7, 4], packed(*[0.5] * BRANCHES)]},
    {"masses": [[4, 15], packed(*[-1] * NODES, kind="<i4")]}, {"masses": [[4, 15], packed(*[50] * NODES, kind="<i4")]},
    {"scales": [[3, 4], packed(*[0, 0, 0, 0.5] * 3)]}, {"scales": [[3, 4], packed(*[2, 0, 1, 0.5] * 3)]},
    {"scales": [[3, 4], packed(*[0, 0, math.nan, 0.5] * 3)]}, {"scales": [[3, 4], packed(*[0, 0, math.inf, 0.5] * 3)]}, {"scales": [[3, 4], packed(*[0, 0, 1, 7] * 3)]},
]  # fmt: skip
SOME = np.random.default_rng(1).random((50, 3)).astype("<f4")
TIMES = [[50], np.arange(50.0).tobytes()]


def rows(matrix: np.ndarray) -> list[Any]:
    return [list(matrix.shape), matrix.astype("<f4").tobytes()]


def chosen(*numbers: float) -> list[Any]:
    return [[len(numbers)], packed(*numbers)]


WRONG_SURPRISE: list[dict[str, Any]] = [
    {"rows": rows(SOME[:0]), "times": [[0], b""]}, {"rows": rows(SOME[:49])}, {"rows": rows(SOME[:, :2])}, {"rows": rows(SOME + np.inf)},
    {"rows": rows(np.zeros((3_000, 3))), "times": [[3_000], bytes(24_000)]}, {"rows": rows(SOME.ravel())}, {"names": ["a"]},
    {"times": [[50], packed(*[math.inf] * 50)]}, {"times": [[25, 2], TIMES[1]]},
    {"settings": chosen(0, 9, 50)}, {"settings": chosen(3, 9, 50)}, {"settings": chosen(1.5, 9, 50)}, {"settings": chosen(1, 0, 50)},
    {"settings": chosen(1, math.nan, 50)}, {"settings": chosen(1, 9, 0)}, {"settings": chosen(1, 9, 0.5)}, {"settings": chosen(1, 9, 10**9)},
    {"settings": chosen(1, 9)}, {"settings": chosen(math.inf, 9, 50)},
]  # fmt: skip


@pytest.mark.parametrize(
    "changes", WRONG, ids=lambda changes: ",".join(f"{k}={str(v)[:16]}" for k, v in changes.items())
)
def test_signed_nonsense_is_refused(sealed: bytes, changes: dict[str, Any]) -> None:
    assert forged(sealed) == sealed, "the forgery itself is sound"
    with pytest.raises(SnapshotRefused, match="no sound model"):
        open_sealed(forged(sealed, **changes), KEY)


@pytest.mark.parametrize("changes", WRONG_TREES, ids=lambda changes: str(changes)[:30])
def test_signed_nonsense_of_trees_is_refused(of_trees: bytes, changes: dict[str, Any]) -> None:
    with pytest.raises(SnapshotRefused, match="no sound model"):
        open_sealed(forged(of_trees, **changes), KEY)


@pytest.mark.parametrize("changes", WRONG_SURPRISE, ids=lambda changes: str(changes)[:30])
def test_signed_nonsense_of_surprise_is_refused(of_surprise: bytes, changes: dict[str, Any]) -> None:
    with pytest.raises(SnapshotRefused, match="no sound model"):
        open_sealed(forged(of_surprise, **changes), KEY)


def test_a_longer_or_shorter_content_is_refused(sealed: bytes) -> None:
    content = msgspec.msgpack.decode(sealed[len(MAGIC) + 32 :])
    for wrong in (content[:-1], [*content, 1], dict(zip(FIELDS, content, strict=True))):
        body = msgspec.msgpack.encode(wrong)
        with pytest.raises(SnapshotRefused, match="no sound model"):
            open_sealed(MAGIC + hmac.new(KEY, MAGIC + body, hashlib.sha256).digest() + body, KEY)

"""The comparison of models can be broken off and taken up again, and holds every model to the same figures."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import detection_quality
from detection import ablation, comparison, kept, seen_matrix, weekly

from pipeline.lab.evaluate.folds import DAY_S

FOLDS, DAYS, A_DAY = 4, 32, 6


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of six cards; every payment of 900 is fraud."""
    dice = np.random.default_rng(1)
    began, lines = datetime(2026, 1, 1, tzinfo=UTC), []
    for number in range(DAYS * A_DAY):
        fraud = dice.random() < 0.15
        lines.append({
            "id": str(number), "card": f"tok_1_{number % 6:032x}", "currency": "USD", "terminal": f"t{number % 9}",
            "time": (began + timedelta(days=number / A_DAY)).isoformat(),
            "amount": 90_000 if fraud else 1_000 + int(dice.integers(500)), "fraud": int(fraud),
        })  # fmt: skip
    path = tmp_path_factory.mktemp("streams") / "small_0.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class Rate:
    """A batch model that a test can afford: the larger the amount, the likelier."""

    made = 0

    def __init__(self) -> None:
        Rate.made += 1

    def fit(self, x: np.ndarray, fraud: np.ndarray) -> None:
        assert fraud.any()

    def score(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x[:, 0] / 100_000.0, dtype=np.float64)


def test_what_is_worked_out_is_kept_and_not_worked_out_again(
    stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weekly, "MODELS", {comparison.BEST_BATCH: Rate})
    models = f"Cardwatch,{comparison.BEST_BATCH}"
    asked = [str(stream), "--out", str(tmp_path), "--models", models, "--label-delay-days", "1"]
    assert detection_quality.main(asked) == 0
    told = json.loads((tmp_path / "figures.json").read_text())["over_streams"]["labels-1d/small"]
    assert told[comparison.BEST_BATCH]["average_precision"]["mean"] == 1.0
    assert 0.0 < told["Cardwatch"]["ratio"]["mean"] <= 1.0
    assert "| Cardwatch |" in (tmp_path / "figures.md").read_text()
    folder = tmp_path / "labels-1d" / "small_0"
    assert "ece_above_pooled_floor" in kept.read(folder)["Cardwatch"].together
    assert Rate.made == FOLDS
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert detection_quality.main(asked) == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    assert Rate.made == FOLDS
    assert detection_quality.main([*asked, "--again", "Cardwatch"]) == 0
    again = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in again if again[name] != times[name]} == {
        "features.npy",
        "transactions.npz",
        "cardwatch.json",
    }
    assert detection_quality.main([*asked, "--again", "magic"]) == 2
    capsys.readouterr()


def test_a_part_left_out_is_left_out(stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = detection_quality.options_of(detection_quality.parse([str(stream)]))
    seen_matrix.through_cardwatch(stream, options, DAYS - 2, tmp_path)
    found = seen_matrix.kept_stream(tmp_path, options)
    assert found is not None
    assert len(found.features) == len(found.transactions.at) == (DAYS - 2) * A_DAY
    assert found.folds[-1].end == DAYS - 2
    monkeypatch.setattr("models.classifier.ROWS_TO_SETTLE", 6)
    everything = ablation.MODELS[ablation.ALL](found, DAY_S)
    assert len(np.unique(everything)) > 10
    for name in ("without counts and sums", "without calibration", "without the average of weights"):
        assert not np.array_equal(ablation.MODELS[name](found, DAY_S), everything), name


def test_every_feature_is_of_a_group() -> None:
    groups = ablation.GROUPS.values()
    left = {column.name for column in ablation.COLUMNS if not any(is_of_it(column) for is_of_it in groups)}
    assert left == {"transactions_seen", "days_known"}  # they tell a young card from an old one: of no kind


def test_means_and_ratios_are_of_streams() -> None:
    def of(*values: float) -> kept.Kept:
        return kept.Kept("m", "s", 1.0, [{"average_precision": value} for value in values])

    streams = {
        "a_0": {"Cardwatch": of(0.6, 0.8), comparison.BEST_BATCH: of(0.5, 0.5)},
        "a_1": {"Cardwatch": of(0.9), comparison.BEST_BATCH: of(1.0)},
    }
    assert comparison.mean_of(kept.Kept("m", "s", 1.0, [{}], {"ece_above_pooled": 0.03}), "ece_above_pooled") == 0.03
    found = comparison.over_streams(streams, "Cardwatch")["average_precision"]
    assert (found.mean, found.n) == (pytest.approx(0.8), 2)
    ratio = comparison.ratio(streams, "Cardwatch")
    assert ratio is not None
    assert ratio.mean == pytest.approx((1.4 + 0.9) / 2)

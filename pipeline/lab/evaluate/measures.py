"""All figures of one fold, as `--json` gives them."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from pipeline.core.decision import Outcome
from pipeline.lab.evaluate.calibration import (
    LEAST_SCORE,
    Bin,
    bins,
    brier,
    brier_skill,
    expected_error,
    log_odds_line,
    sampling_floor,
)
from pipeline.lab.evaluate.cards import Called, card_precision
from pipeline.lab.evaluate.detection import RATIOS, Detection, detection
from pipeline.lab.evaluate.folds import Fold, base_rate
from pipeline.lab.evaluate.ranking import average_precision, curve, roc_auc
from pipeline.lab.evaluate.seen import Transactions

THRESHOLDS = (0.05, 0.1, 0.15, 0.25, 0.5, 0.7, 0.9)
CURVE_POINTS = 200
PER = 10_000


class Alerts(msgspec.Struct, frozen=True):
    """Alerting on scores from ``threshold`` up: how many of 10,000 transactions, how many of those are fraud, how much
    of the fraud is found."""

    threshold: float
    per_10000: float
    precision: float | None
    recall: float | None


class Kind(msgspec.Struct, frozen=True):
    """One kind of fraud: its transactions and cards; average precision against the genuine ones alone; the share of
    its transactions that reach the threshold of 10:1."""

    transactions: int
    cards: int
    average_precision: float | None
    detected_at_10: float | None


class Measures(msgspec.Struct, frozen=True):
    """``values``: a number for each name in `pipeline.lab.evaluate.words.FIGURES` that is told of a fold, None where it cannot be said. Ranking, cards and detection are of the test set: cards not known to be bad. ``transactions``, ``alerts``,
    ``outcomes_per_10000`` and calibration are of all transactions scored in the days of the fold. ``curve``: recall, precision and threshold, by rising recall."""

    first_day: int
    days: int
    transactions: int
    tested: int
    frauds: int
    fraud_cards: int
    base_rate: float | None
    values: Mapping[str, float | None]
    card_precision_by_day: list[Called]
    detection: Mapping[str, Detection]
    calibration: list[Bin]
    calibration_above: list[Bin]
    alerts: list[Alerts]
    outcomes_per_10000: Mapping[str, float]
    kinds: Mapping[str, Kind]
    curve: list[tuple[float, float, float]]


def measure(transactions: Transactions, fold: Fold, k: int, label_delay_s: float) -> Measures:
    """The figures of ``fold``; ``k`` cards are looked at a day."""
    every, test = transactions.chosen(fold.rows), transactions.chosen(fold.test)
    day = fold.day[fold.test]
    called = card_precision(day, test.card, test.fraud, test.score, range(fold.start, fold.end), k)
    found = {f"{a}:1": detection(test.card, test.fraud, test.score, test.amount, a) for a in RATIOS}
    rate = base_rate(transactions, fold, label_delay_s)
    likely = every.score >= LEAST_SCORE
    all_bins = bins(every.fraud, every.score)
    above = bins(every.fraud[likely], every.score[likely])
    slope, intercept = log_odds_line(every.fraud, every.score)
    values = {
        "roc_auc": roc_auc(test.fraud, test.score),
        "average_precision": average_precision(test.fraud, test.score),
        "average_precision_all": average_precision(every.fraud, every.score),
        "average_precision_raw": average_precision(test.fraud, test.raw),
        "card_precision": float(np.mean([each.precision for each in called])),
        "card_precision_best": float(np.mean([each.best for each in called])),
        **{f"accounts_{a}": each.accounts for a, each in zip(RATIOS, found.values(), strict=True)},
        **{f"value_{a}": each.value for a, each in zip(RATIOS, found.values(), strict=True)},
        **{f"savable_{a}": each.savable for a, each in zip(RATIOS, found.values(), strict=True)},
        "ece": expected_error(all_bins),
        "ece_above": expected_error(above),
        "ece_above_floor": sampling_floor(every.score[likely]),
        "brier": brier(every.fraud, every.score),
        "brier_skill": brier_skill(every.fraud, every.score, rate),
        "log_odds_slope": slope,
        "log_odds_intercept": intercept,
    }
    return Measures(
        first_day=fold.start,
        days=fold.end - fold.start,
        transactions=len(every.at),
        tested=len(test.at),
        frauds=int(test.fraud.sum()),
        fraud_cards=len(np.unique(test.card[test.fraud])),
        base_rate=_number(rate),
        values={name: _number(value) for name, value in values.items()},
        card_precision_by_day=called,
        detection=found,
        calibration=all_bins,
        calibration_above=above,
        alerts=[_alerts(every, threshold) for threshold in THRESHOLDS],
        outcomes_per_10000=_outcomes(every),
        kinds=_kinds(test, found["10:1"].threshold),
        curve=_curve(test),
    )


def measure_together(transactions: Transactions, folds: Sequence[Fold]) -> dict[str, float | None]:
    """What is told of all transactions of ``folds`` at once: the calibration error, which in one fold alone is mostly chance
    where frauds are few."""
    every = transactions.chosen(np.logical_or.reduce([fold.rows for fold in folds]))
    likely = every.score >= LEAST_SCORE
    score = every.score[likely]
    return {
        "ece_above_pooled": _number(expected_error(bins(every.fraud[likely], score))),
        "ece_above_pooled_floor": _number(sampling_floor(score)),
    }


def _alerts(every: Transactions, threshold: float) -> Alerts:
    reached = every.score >= threshold
    alerts, hits, frauds = int(reached.sum()), int(every.fraud[reached].sum()), int(every.fraud.sum())
    return Alerts(
        threshold,
        PER * alerts / max(len(reached), 1),
        hits / alerts if alerts else None,
        hits / frauds if frauds else None,
    )


def _outcomes(every: Transactions) -> dict[str, float]:
    counts = np.bincount(every.outcome, minlength=len(Outcome)).tolist()
    return {outcome.name: PER * counts[outcome] / max(len(every.at), 1) for outcome in Outcome}


def _kinds(test: Transactions, threshold: float | None) -> dict[str, Kind]:
    kinds = {}
    for number, name in enumerate(test.kinds):
        of_kind = test.kind == number
        if of_kind.any():
            compared = of_kind | ~test.fraud
            kinds[name] = Kind(
                int(of_kind.sum()),
                len(np.unique(test.card[of_kind])),
                _number(average_precision(of_kind[compared], test.score[compared])),
                0.0 if threshold is None else float((test.score[of_kind] >= threshold).mean()),
            )
    return kinds


def _curve(test: Transactions) -> list[tuple[float, float, float]]:
    """Recall, precision and threshold at about `CURVE_POINTS` places along the recall."""
    found = curve(test.fraud, test.score)
    if not len(found.recall):
        return []
    wanted = np.searchsorted(found.recall, np.linspace(0.0, 1.0, CURVE_POINTS), side="left")
    places = np.unique(np.clip(wanted, 0, len(found.recall) - 1))
    columns = (found.recall[places], found.precision[places], found.threshold[places])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _number(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None

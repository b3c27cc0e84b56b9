"""Every model's figures on a stream, and over streams of a kind: mean ± standard deviation."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from detection import online, weekly
from detection.seen_matrix import Stream
from pipeline.lab.evaluate.measures import Measures, measure
from pipeline.lab.evaluate.results import Spread, over_folds, spread

CARDWATCH = "Cardwatch"
FIGURES = {
    "average_precision": "average precision",
    "card_precision": "card precision@k",
    "roc_auc": "ROC AUC",
    "accounts_10": "accounts at 10:1",
    "value_10": "value at 10:1",
    "ece_above": "ECE ≥ 0.05",
    "brier_skill": "Brier skill",
    "log_odds_slope": "log-odds slope",
}
NAMES = (CARDWATCH, *weekly.MODELS, *online.MODELS)

Figures = Mapping[str, Spread]


def compared(stream: Stream, names: Iterable[str], k: int, label_delay_s: float) -> dict[str, Figures]:
    """Model → figures over the folds of ``stream``, all measured by the same functions."""
    found = {}
    for name in names:
        if name == CARDWATCH:
            scores = stream.transactions.score
        elif name in weekly.MODELS:
            scores = weekly.weekly_scores(stream, weekly.MODELS[name], label_delay_s)
        else:
            scores = online.MODELS[name](stream, label_delay_s)
        transactions = stream.transactions._replace(score=scores, raw=scores)
        folds: list[Measures] = [measure(transactions, fold, k, label_delay_s) for fold in stream.folds]
        found[name] = over_folds(folds)
    return found


def over_streams(streams: Sequence[Mapping[str, Figures]]) -> dict[str, dict[str, Spread]]:
    """Model → figure → spread of the streams' means."""
    found: dict[str, dict[str, Spread]] = {}
    for name in dict.fromkeys(name for each in streams for name in each):
        for figure in FIGURES:
            means = [each[name][figure].mean for each in streams if figure in each.get(name, {})]
            total = spread(means)
            if total is not None:
                found.setdefault(name, {})[figure] = total
    return found


def table(title: str, found: Mapping[str, Mapping[str, Spread]]) -> str:
    """Markdown, a row a model."""
    lines = [f"### {title}", "", f"| model | {' | '.join(FIGURES.values())} |", f"|---|{'---|' * len(FIGURES)}"]
    for name, figures in found.items():
        lines.append(f"| {name} | {' | '.join(_cell(figures.get(figure)) for figure in FIGURES)} |")
    return "\n".join(lines) + "\n"


def _cell(found: Spread | None) -> str:
    if found is None or not np.isfinite(found.mean):
        return "–"
    return f"{found.mean:.3f}" if found.sd is None else f"{found.mean:.3f} ± {found.sd:.3f}"

"""Every model's figures on a stream, and over streams of a kind: mean ± standard deviation."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from detection import ablation, online, weekly
from detection.kept import Kept, file_of, keep, read
from detection.seen_matrix import Stream, kept_stream, through_cardwatch
from pipeline.lab.evaluate.measures import measure, measure_together
from pipeline.lab.evaluate.results import Spread, spread
from pipeline.lab.evaluate.run import Options

CARDWATCH = "Cardwatch"
BEST_BATCH = "weekly XGBoost"
FIGURES = {
    "average_precision": "average precision",
    "card_precision": "card precision@k",
    "roc_auc": "ROC AUC",
    "accounts_5": "accounts at 5:1",
    "accounts_10": "10:1",
    "accounts_20": "20:1",
    "ece_above": "ECE ≥ 0.05",
    "ece_above_floor": "of true scores",
    "ece_above_pooled": "folds together",
    "ece_above_pooled_floor": "of true scores",
    "brier_skill": "Brier skill",
    "log_odds_slope": "log-odds slope",
}
NAMES = (CARDWATCH, *weekly.MODELS, *online.MODELS)
ABLATION = tuple(ablation.MODELS)

Streams = Mapping[str, Mapping[str, Kept]]
"""Stream → model → what was kept of it."""


def compare(path: Path, names: Iterable[str], options: Options, days: int | None, folder: Path) -> Iterable[Kept]:
    """Work out, and keep in ``folder``, what is not there yet of ``names`` on the stream ``path``; tells each when done.
    Whatever the others are held against is what Cardwatch saw: it comes first."""
    if kept_stream(folder, options) is None:
        began = time.monotonic()
        through_cardwatch(path, options, days, folder)
        yield _measured(folder, CARDWATCH, options, time.monotonic() - began)
    for name in names:
        if not file_of(folder, name).exists():
            yield _measured(folder, name, options, 0.0)


def _measured(folder: Path, name: str, options: Options, seconds: float) -> Kept:
    stream = kept_stream(folder, options)
    assert stream is not None
    delay_s = options.pace.label_delay_s
    began = time.monotonic()
    scores = _scores(stream, name, delay_s)
    seconds += time.monotonic() - began
    transactions = stream.transactions._replace(score=scores, raw=scores)
    values = [measure(transactions, fold, options.cards, delay_s).values for fold in stream.folds]
    kept = Kept(name, folder.name, round(seconds, 1), values, measure_together(transactions, stream.folds))
    keep(folder, kept)
    return kept


def _scores(stream: Stream, name: str, label_delay_s: float) -> np.ndarray:
    if name == CARDWATCH:
        return stream.transactions.score
    if name in weekly.MODELS:
        return weekly.weekly_scores(stream, weekly.MODELS[name], label_delay_s)
    return {**online.MODELS, **ablation.MODELS}[name](stream, label_delay_s)


def kinds(folder: Path) -> dict[str, dict[str, dict[str, Kept]]]:
    """All that was kept under one setting: kind of stream (KIND_SEED) → stream → model → figures."""
    found: dict[str, dict[str, dict[str, Kept]]] = {}
    for stream in sorted(path for path in folder.iterdir() if path.is_dir()):
        if models := read(stream):
            found.setdefault(stream.name.rsplit("_", 1)[0], {})[stream.name] = models
    return found


def over_streams(streams: Streams, name: str) -> dict[str, Spread]:
    """Figure → spread over the streams that have ``name``, each counting with its mean over folds."""
    found = {}
    for figure in FIGURES:
        total = spread(mean_of(models[name], figure) for models in streams.values() if name in models)
        if total is not None:
            found[figure] = total
    return found


def mean_of(kept: Kept, figure: str) -> float | None:
    """Of the folds where it can be said, or of all of them together."""
    over = spread([kept.together.get(figure), *(values.get(figure) for values in kept.values)])
    return None if over is None else over.mean


def ratio(streams: Streams, name: str) -> Spread | None:
    """Of the average precision to that of the best batch model, stream by stream."""
    found = []
    for models in streams.values():
        if name in models and BEST_BATCH in models:
            ours, theirs = (mean_of(models[each], "average_precision") for each in (name, BEST_BATCH))
            if ours is not None and theirs:
                found.append(ours / theirs)
    return spread(found)


def table(title: str, streams: Streams, names: Sequence[str]) -> str:
    """Markdown, a row a model; "" when there is none."""
    shown = [name for name in names if any(name in models for models in streams.values())]
    if not shown:
        return ""
    heads = [*FIGURES.values(), f"× {BEST_BATCH}", "streams"]
    lines = [f"### {title}", "", f"| model | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name in shown:
        figures = over_streams(streams, name)
        number = sum(name in models for models in streams.values())
        cells = [*(_cell(figures.get(figure)) for figure in FIGURES), _cell(ratio(streams, name)), str(number)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(found: Spread | None) -> str:
    if found is None or not np.isfinite(found.mean):
        return "–"
    return f"{found.mean:.3f}" if found.sd is None else f"{found.mean:.3f} ± {found.sd:.3f}"

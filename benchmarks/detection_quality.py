"""How good Cardwatch's scores are beside other models on the same features, stream by stream.

    python benchmarks/detection_quality.py FILE… --out DIR [--models NAME,…] [--ablation] [--label-delay-days 7] [--calls-per-day N]

Each FILE (see `cardwatch evaluate`) goes through Cardwatch as `evaluate` does it; the matrix of features that its model
saw then goes to the others: logistic regression, random forest and XGBoost trained anew each week on the 90 days that
are labelled, River's logistic regression fed with the same late labels, half-space trees. Folds and figures are
`evaluate`'s. Files named KIND_SEED.parquet are put together by KIND: mean ± standard deviation over the seeds.

What is worked out is kept in DIR, a file for each stream and model, and not worked out again: the program may be broken
off, and called for a stream or a model at a time. Each call ends by writing all that DIR holds as DIR/figures.json and
DIR/figures.md. With ``--again Cardwatch`` a stream goes through Cardwatch anew; the others' figures stay.

scikit-learn and XGBoost come with `uv sync --group detection`; `make proof-detection` does all of it. At most 3 GB.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from detection.comparison import ABLATION, CARDWATCH, FIGURES, NAMES, compare, kinds, over_streams, ratio, table
from detection.kept import file_of, setting
from detection.seen_matrix import TRANSACTIONS_FILE

from pipeline.lab.evaluate.folds import DAY_S, FoldPlan
from pipeline.lab.evaluate.loop import Pace
from pipeline.lab.evaluate.run import Options

SIMULATED = "Streams from a simulator: the same methods lose most of their precision on real data."


class Arguments(argparse.Namespace):
    files: list[Path]
    out: Path
    label_delay_days: float
    calls_per_day: int
    cards_per_day: int
    days: int | None
    models: str
    ablation: bool
    again: str


def parse(arguments: Sequence[str]) -> Arguments:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("var/detection-figures"), help="where figures are kept")
    parser.add_argument("--label-delay-days", type=float, default=7.0, help="1000: no labels")
    parser.add_argument("--calls-per-day", type=int, default=0)
    parser.add_argument("--cards-per-day", type=int, default=100, help="the k of card precision@k")
    parser.add_argument("--days", type=int, help="only the first days of each stream")
    parser.add_argument("--models", default=",".join(NAMES), help=f"of: {', '.join((*NAMES, *ABLATION))}")
    parser.add_argument("--ablation", action="store_true", help="the classifier without each of its parts, besides")
    parser.add_argument("--again", default="", help="models whose figures are worked out anew")
    return parser.parse_args(arguments, namespace=Arguments())


def main(arguments: Sequence[str]) -> int:
    """Answers 0, or 2 for a model nobody knows."""
    asked = parse(arguments)
    names, again = _named(asked.models), _named(asked.again)
    if asked.ablation:
        names += [name for name in ABLATION if name not in names]
    unknown = [name for name in (*names, *again) if name not in (*NAMES, *ABLATION)]
    if unknown:
        sys.stderr.write(f"no such model: {', '.join(unknown)}; there are: {', '.join((*NAMES, *ABLATION))}\n")
        return 2
    options = options_of(asked)
    here = asked.out / setting(asked.label_delay_days, asked.calls_per_day, asked.days)
    for path in asked.files:
        folder = here / path.stem
        for name in again:
            file_of(folder, name).unlink(missing_ok=True)
            if name == CARDWATCH:
                (folder / TRANSACTIONS_FILE).unlink(missing_ok=True)
        for done in compare(path, names, options, asked.days, folder):
            sys.stderr.write(f"{path.name}: {done.model}: {done.seconds:.0f} s\n")
    print(write(asked.out))
    return 0


def options_of(asked: Arguments) -> Options:
    """As `cardwatch evaluate` has them."""
    pace = Pace(asked.label_delay_days * DAY_S, 900.0, asked.calls_per_day)
    return Options(pace, FoldPlan(), asked.cards_per_day)


def write(out: Path) -> str:
    """All that is kept below ``out``, as tables; both files are written."""
    tables, figures = [], {}
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        for kind, streams in kinds(folder).items():
            title = f"{kind}, {folder.name.replace('_', ', ')}"
            tables += [table(title, streams, NAMES), table(f"{title}: what each part buys", streams, ABLATION)]
            figures[f"{folder.name}/{kind}"] = {
                name: {**over_streams(streams, name), "ratio": ratio(streams, name)}
                for name in (*NAMES, *ABLATION)
                if any(name in models for models in streams.values())
            }
    text = "\n".join([*filter(None, tables), SIMULATED])
    (out / "figures.md").write_text(text + "\n", encoding="utf-8")
    told = {"figures": FIGURES, "over_streams": msgspec.to_builtins(figures)}
    (out / "figures.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return text


def _named(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

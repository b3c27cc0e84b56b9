"""How good Cardwatch's scores are beside other models on the same features, stream by stream.

    python benchmarks/detection_quality.py FILE… [--label-delay-days 7] [--calls-per-day N] [--models NAME,…] [--json FILE]

Each FILE (see `cardwatch evaluate`) goes through Cardwatch as `evaluate` does it; the matrix of features that its model
saw then goes to the others: logistic regression, random forest and XGBoost trained anew each week on the 90 days that
are labelled, River's logistic regression fed with the same late labels, half-space trees. Folds and figures are
`evaluate`'s. Files named KIND_SEED.parquet are put together by KIND: mean ± standard deviation over the seeds.

scikit-learn and XGBoost come with `uv sync --group detection`; `make proof-detection` does all of it. A stream of
1.8 million transactions takes about half an hour on two cores, and up to 3 GB.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from detection.comparison import NAMES, compared, over_streams, table
from detection.seen_matrix import through_cardwatch

from pipeline.lab.evaluate.folds import DAY_S, FoldPlan
from pipeline.lab.evaluate.loop import Pace
from pipeline.lab.evaluate.run import Options

SIMULATED = "Streams from a simulator: the same methods lose most of their precision on real data."


class Arguments(argparse.Namespace):
    files: list[Path]
    label_delay_days: float
    calls_per_day: int
    cards_per_day: int
    models: str
    json: Path | None


def parse(arguments: Sequence[str]) -> Arguments:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--label-delay-days", type=float, default=7.0)
    parser.add_argument("--calls-per-day", type=int, default=0)
    parser.add_argument("--cards-per-day", type=int, default=100)
    parser.add_argument("--models", default=",".join(NAMES), help=f"of: {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser.parse_args(arguments, namespace=Arguments())


def main(arguments: Sequence[str]) -> int:
    """Answers 0, or 2 for a model nobody knows."""
    asked = parse(arguments)
    names = [name.strip() for name in asked.models.split(",")]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.stderr.write(f"no such model: {', '.join(unknown)}; there are: {', '.join(NAMES)}\n")
        return 2
    delay_s = asked.label_delay_days * DAY_S
    options = Options(Pace(delay_s, 900.0, asked.calls_per_day), FoldPlan(), asked.cards_per_day)
    kinds: dict[str, list[Path]] = {}
    for path in asked.files:
        kinds.setdefault(path.stem.rsplit("_", 1)[0], []).append(path)
    everything = {}
    for kind, paths in kinds.items():
        streams = []
        for path in paths:
            began = time.monotonic()
            streams.append(compared(through_cardwatch(path, options), names, asked.cards_per_day, delay_s))
            sys.stderr.write(f"{path.name}: {time.monotonic() - began:.0f} s\n")
        everything[kind] = over_streams(streams)
        print(table(f"{kind}, {len(paths)} seeds, labels {asked.label_delay_days:g} days late", everything[kind]))
    print(SIMULATED)
    if asked.json is not None:
        asked.json.write_text(json.dumps(msgspec.to_builtins(everything), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

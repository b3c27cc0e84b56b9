"""How quickly are questions about past decisions answered, cold and warm, and in how much memory?

    python benchmarks/whatif.py DIRECTORY [ROWS ...]

Makes an archive of each size (1,000,000 and 10,000,000 without any) below DIRECTORY, unless it is there: 2.6 GB for ten
million, some three minutes. Then asks, each size in a process of its own: opening the window; the delivered policy for the
first time; one threshold moved, one rule's figure moved, a rule of columns not read before, the whole curve of a threshold.
Milliseconds are of single questions, of warm ones the middle of seven; memory is the process's highest.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whatif_archive import DAYS, FIRST, build

from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.parquet_trials import ParquetTrials
from pipeline.adapters.version_files import VersionFiles
from pipeline.core.columns import SCHEMA
from pipeline.core.policy import Policy, parse_policy
from pipeline.lab.whatif.curve import curve
from pipeline.lab.whatif.rescoring import Means
from pipeline.lab.whatif.trying import Question, try_out
from pipeline.lab.whatif.window import Window

SIZES = (1_000_000, 10_000_000)
KNOWN_AT_MS = 1_800_000_000_000
DEFAULT = (Path(__file__).parents[1] / "config" / "policies" / "default.toml").read_text()
WARM = 7


def policy(text: str) -> Policy:
    return parse_policy(text, "benchmark.toml", SCHEMA)


def changed(old: str, new: str) -> Policy:
    assert DEFAULT.count(old) == 1, f"the delivered policy has no single {old}"
    return policy(DEFAULT.replace(old, new))


def took(question: Callable[[], Any]) -> float:
    start = time.perf_counter()
    question()
    return (time.perf_counter() - start) * 1000


def told(name: str, milliseconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {name:<48}{milliseconds:>9,.0f} ms {peak:>7,.0f} MB at most", flush=True)


def measure(root: Path) -> None:
    trials = ParquetTrials(root, len(os.sched_getaffinity(0)))
    archive = ParquetArchive(root)
    means = Means(archive, VersionFiles(root), lambda text, name: parse_policy(text, name, SCHEMA))
    last = FIRST.replace(day=FIRST.day + DAYS - 1)
    kept: list[Window] = []
    told("opening the window", took(lambda: kept.append(Window(trials, FIRST, last, KNOWN_AT_MS))))
    window = kept[0]

    def ask(one: Policy) -> Callable[[], Any]:
        return lambda: try_out(Question(one), window, means)

    told("the delivered policy, first time", took(ask(policy(DEFAULT))))
    told("the same again", took(ask(policy(DEFAULT))))
    moved = [changed("score = 0.15", f"score = {round(0.12 + number / 100, 2)}") for number in range(WARM)]
    told("a threshold moved", statistics.median(took(ask(one)) for one in moved))
    dragged = [changed("amount_ratio > 20 and amount_z > 4", f"amount_ratio > {15 + number} and amount_z > 4") for number in range(WARM)]  # fmt: skip
    told("a rule moved, first time (8 columns)", took(ask(dragged[0])))
    told("that rule moved on", statistics.median(took(ask(one)) for one in dragged[1:]))
    text = "mcc in ('7995', '4829', '6051', '6538', '6540', '5944', '5732', '5816') and new_mcc = 1\nand hour_rarity > {} and amount_ratio > 6"
    texts = [changed(text.format(0.9), text.format(round(0.8 + number / 100, 2))) for number in range(WARM)]
    told("another rule, with a text, first time", took(ask(texts[0])))
    told("that rule moved on", statistics.median(took(ask(one)) for one in texts[1:]))
    told(
        "the whole curve of a threshold",
        statistics.median(took(lambda: curve(policy(DEFAULT), 1, window)) for _ in range(WARM)),
    )
    told(
        "the whole curve of the lowest threshold",
        statistics.median(took(lambda: curve(policy(DEFAULT), 0, window)) for _ in range(WARM)),
    )
    told("refreshed, nothing new", took(lambda: window.refresh(KNOWN_AT_MS + 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("rows", nargs="*", type=int, default=SIZES)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for rows in asked.rows:
        root = asked.directory / str(rows)
        if asked.measure:
            measure(root)
            continue
        build(root, rows, len(os.sched_getaffinity(0)))
        print(f"{rows:,} decisions", flush=True)
        subprocess.run([sys.executable, __file__, str(asked.directory), str(rows), "--measure"], check=True)


if __name__ == "__main__":
    main()

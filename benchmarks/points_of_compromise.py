"""How soon is a simulated place that leaks cards named, how often wrongly, and what does watching the exposed cards save?

    python benchmarks/points_of_compromise.py [SEED ...] [--cards 4000] [--clean]

Each seed: 120 days of the preset `everyone`, decided by the scorer's own core under the delivered policy and the model of
day one, in an archive of its own; who is asked about a fraud says NO five minutes later, seven of ten of the others are
charged back weeks later. From day 60 on the finder looks once every four days, 120 days back. ``--clean``: without the
compromised merchants, so that every place named is named wrongly. Takes two to four minutes a seed; the stream is
simulated, and a bank's own figures will differ.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from models.calibrate import parse_prior
from models.scorer import Model
from pipeline.adapters.parquet_visits import ParquetVisits
from pipeline.adapters.parquet_writing import ParquetShelf
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.features import LAYOUT
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Versions
from pipeline.lab.compromise.measure import look_times, measured
from pipeline.lab.compromise.past import write_past
from pipeline.lab.simulate.command import FILE_ENDS, world_for
from pipeline.lab.simulate.compromised_merchant import CompromisedMerchantParameters
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream

CONFIG = Path(__file__).parents[1] / "config"
DAY_S = 86_400.0
FROM_DAY = 60
EVERY_DAYS = 4


def versions() -> Versions:
    def text(path: str) -> str:
        return (CONFIG / path).read_text()

    curve = parse_prior(text("models/prior.toml"), "prior.toml")
    return Versions(
        parse_policy(text("policies/default.toml"), "default.toml", SCHEMA),
        Model.day_one(LAYOUT, curve),
        parse_rates(text("rates.toml"), "rates.toml"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--cards", type=int, default=4_000)
    parser.add_argument("--clean", action="store_true")
    asked = parser.parse_args()
    preset = PRESETS["everyone"]
    if asked.clean:
        preset = replace(preset, world=replace(preset.world, compromised_merchant=CompromisedMerchantParameters()))
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            world = world_for(preset, seed, FILE_ENDS, cards=asked.cards)
            shelf = ParquetShelf(root)
            shelf.open()
            past = write_past(Stream(world).history(preset.days), shelf, versions(), seed, preset.chargebacks)
            shelf.close()
            looks = look_times(world.start + FROM_DAY * DAY_S, FILE_ENDS, EVERY_DAYS * DAY_S)
            print(seed, measured(past, ParquetVisits(root), looks, preset.days), flush=True)


if __name__ == "__main__":
    main()

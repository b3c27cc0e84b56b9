"""What was worked out already: a file for each stream and model, so that a comparison can be broken off and taken up again.

    DIR/SETTING/STREAM/features.npy, transactions.npz    what Cardwatch saw and said
    DIR/SETTING/STREAM/MODEL.json                        a model's figures, fold by fold

SETTING says how labels came: the same stream under two settings is two streams.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

Values = Mapping[str, float | None]


class Kept(msgspec.Struct, frozen=True):
    """``values`` name → figure, for each fold; ``together`` for all folds at once; ``seconds`` that it took."""

    model: str
    stream: str
    seconds: float
    values: Sequence[Values]
    together: Values = {}


def setting(label_delay_days: float, calls_per_day: int, days: int | None) -> str:
    """How labels come, as the name of a folder."""
    parts = [f"labels-{label_delay_days:g}d"]
    if calls_per_day:
        parts.append(f"calls-{calls_per_day}")
    if days is not None:
        parts.append(f"first-{days}d")
    return "_".join(parts)


def file_of(folder: Path, model: str) -> Path:
    return folder / f"{re.sub('[^a-z0-9]+', '-', model.lower()).strip('-')}.json"


def keep(folder: Path, kept: Kept) -> None:
    """Written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = file_of(folder, kept.model)
    beside = path.with_suffix(".part")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1))
    beside.replace(path)


def read(folder: Path) -> dict[str, Kept]:
    """Model → what was kept of it, of one stream."""
    found = [msgspec.json.decode(path.read_bytes(), type=Kept) for path in sorted(folder.glob("*.json"))]
    return {each.model: each for each in found}

"""What the learner tells people of its models, as a record of `control`: signed as the models are, JSON inside."""

from typing import Final

import msgspec

from models.drift import Kept
from models.envelope import SealBroken, open_content, seal_content
from pipeline.core.topics import MODEL_REPORT_KEY, Outgoing

MAGIC: Final = b"CWMREPT1"
MAX_REPORT_BYTES: Final = 200_000


class Crossing(msgspec.Struct, frozen=True):
    """A band and what lay outside it: ``value`` beside ``limit``. ``band`` is its name in `config/models.toml`."""

    band: str
    value: float
    limit: float


class Judged(msgspec.Struct, frozen=True):
    """A version that was held against the bands: ``outside`` empty, it was released; ``figures`` all that was measured."""

    version: str
    outside: list[Crossing]
    figures: dict[str, float]


class ModelTold(msgspec.Struct, frozen=True):
    """One of the bank's models: its newest ``version`` (empty: none yet), recent log loss a labelled row, and the average
    precision among the recent ones (None: not enough of them)."""

    name: str
    champion: bool
    version: str
    labelled: int
    log_loss: float | None = None
    average_precision: float | None = None


class Report(msgspec.Struct, frozen=True):
    """``at`` unix seconds; ``drift`` the population stability index by what drifted; ``reference`` what it is held
    against, of the model ``reference_of``."""

    at: float
    judged: Judged | None
    models: list[ModelTold] = []
    drift: dict[str, float] = {}
    reference: Kept | None = None
    reference_of: str = ""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Report)


def seal_report(report: Report, key: bytes) -> Outgoing:
    return Outgoing(MODEL_REPORT_KEY, seal_content(MAGIC, _encode(report), key))


def open_report(record: bytes, key: bytes) -> Report:
    """Raises SealBroken."""
    content = open_content(MAGIC, record, key, MAX_REPORT_BYTES, "report of the learner")
    try:
        return _decoder.decode(content)
    except msgspec.DecodeError as error:
        raise SealBroken(f"signed report of the learner that is none: {error}") from error

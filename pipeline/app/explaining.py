"""Wiring of `cardwatch explain`: the archive's directory, today's prior and words."""

from datetime import date

from models.calibrate import parse_prior
from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.version_files import VersionFiles
from pipeline.app.configuration import ListFolder, load_words, read
from pipeline.core.columns import SCHEMA
from pipeline.core.policy import parse_policy
from pipeline.lab.explain.explanation import Explanation
from pipeline.lab.explain.recompute import Explainer, Means
from pipeline.roles.archive.settings import ArchiveSettings


class NotFound(Exception):
    """There is no such decided transaction: a sentence."""


def explain_transaction(identifier: str, first: date | None = None, last: date | None = None) -> Explanation:
    """The decided transaction ``identifier`` of the archive, explained. ``first`` to ``last``: arrived on these days (UTC);
    None: on any. Raises NotFound, ListError, OSError."""
    settings = ArchiveSettings()
    archive = ParquetArchive(settings.archive_dir)
    if not archive.days():
        raise NotFound(f"{settings.archive_dir}: no archive there; set CARDWATCH_ARCHIVE_DIR to the archive role's")
    row = archive.transaction(identifier, first, last)
    if row is None:
        raise NotFound(
            f"{settings.archive_dir} has no decided transaction with that id; one of the last minute may still be on its way"
        )
    means = Means(
        VersionFiles(settings.archive_dir),
        parse_prior(*read(settings, "models/prior.toml")),
        lambda text, name: parse_policy(text, name, SCHEMA),
        load_words(settings),
        ListFolder(settings).read(),
    )
    return Explainer(means).explain(row)

"""Wiring of `cardwatch compromise`."""

from pathlib import Path

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.parquet_visits import ParquetVisits
from pipeline.core.exposed_cards import Costs
from pipeline.lab.compromise.report import Report, report
from pipeline.roles.archive.settings import ArchiveSettings


class NoArchive(Exception):
    """There is no archive where one was said to be: a sentence for the operator."""


def compromise_report(directory: Path | None, days: int, least: int, costs: Costs) -> Report:
    """``directory`` None: the archive of the settings. Raises `NoArchive`."""
    root = directory or ArchiveSettings().archive_dir
    if not (root / "scored").is_dir():
        raise NoArchive(f"{root}: no archive here; name its directory with --archive, or run the role archive first")
    return report(ParquetVisits(root), days, round(SystemClock().now() * 1000), costs, least)

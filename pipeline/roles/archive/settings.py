"""What an operator may set for the archive: ``CARDWATCH_ARCHIVE_…``."""

from pathlib import Path

from pydantic import Field

from pipeline.roles.archive.run import Pace
from pipeline.settings import Settings


class ArchiveSettings(Settings):
    """A row waits in memory, some 1.5 kB of it, until its file is due."""

    archive_dir: Path = Path("var/archive")
    """Of this installation only, on a disk that keeps `flock` (a local one does)."""
    archive_file_rows: int = Field(default=20_000, ge=1, le=1_000_000)
    """A partition's file is written when so many rows are there …"""
    archive_file_seconds: float = Field(default=60.0, gt=0, le=3_600)
    """… or the first of them has waited so long."""
    archive_days: int = Field(default=0, ge=0, le=36_500)
    """Days older than so many are deleted; 0: none is."""

    @property
    def pace(self) -> Pace:
        return Pace(self.archive_file_rows, self.archive_file_seconds, self.archive_days)

"""Wiring of `cardwatch compromise`: the report, and the list of the cards to watch that rules can ask."""

from pathlib import Path

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.parquet_visits import ParquetVisits
from pipeline.app.configuration import LISTS
from pipeline.core.exposed_cards import Costs, watched_until
from pipeline.core.lists import ListError, list_text, listed_as, parse_list
from pipeline.lab.compromise.report import Report, report
from pipeline.roles.archive.settings import ArchiveSettings
from pipeline.settings import Settings


class NoArchive(Exception):
    """There is no archive where one was said to be: a sentence for the operator."""


def compromise_report(directory: Path | None, days: int, least: int, costs: Costs) -> Report:
    """``directory`` None: the archive of the settings. Raises `NoArchive`."""
    root = directory or ArchiveSettings().archive_dir
    if not (root / "scored").is_dir():
        raise NoArchive(f"{root}: no archive here; name its directory with --archive, or run the role archive first")
    return report(ParquetVisits(root), days, round(SystemClock().now() * 1000), costs, least)


def write_watch_list(found: Report, name: str, costs: Costs) -> tuple[Path, int]:
    """Put the exposed cards that are worth watching into the list ``name`` of the configuration, beside those in it whose
    time is not over: the path, and how many cards it now has. The file is replaced as a whole, so a scorer never reads half of
    one. Raises ListError when the list there is not one of cards, or wrong; OSError."""
    now = SystemClock().now()
    path = Settings().config_dir / LISTS / f"{name}.toml"
    before = parse_list(name, path.read_text(encoding="utf-8"), str(path)) if path.exists() else None
    if before is not None and before.column != "card":
        raise ListError(f"{path}:1: this list is of {before.column}: give the watched cards a list of their own")
    until = {card: end for card, end in before.until.items() if end > now} if before is not None else {}
    for place in found.places:
        end = watched_until(place.suspected)
        if end > now:
            for card in place.exposed.worth_watching(costs):
                listed = listed_as(card, "card")
                until[listed] = max(end, until.get(listed, end))
    text = list_text("card", until)
    parse_list(name, text, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{name}.toml.new")
    written.write_text(text, encoding="utf-8")
    written.replace(path)
    return path, len(until)

"""An evaluation on its way out: as text, as JSON, as a page."""

from pathlib import Path

import msgspec

from pipeline.lab.evaluate.report import page
from pipeline.lab.evaluate.results import Evaluation
from pipeline.lab.evaluate.table import table
from pipeline.lab.evaluate.words import LANGUAGES, Language


def known_language(language: str) -> Language:
    """``language``, if there are words in it; else StopIteration."""
    return next(known for known in LANGUAGES if known == language)


def as_text(evaluation: Evaluation, language: str, as_json: bool) -> str:
    """What is printed: the table, or one JSON object (infinite thresholds become null)."""
    if as_json:
        return msgspec.json.encode(evaluation).decode() + "\n"
    return table(evaluation, known_language(language))


def write_report(evaluation: Evaluation, language: str, out: Path) -> None:
    """Write the page to ``out``. Raises OSError when it cannot be."""
    out.write_text(page(evaluation, known_language(language)), encoding="utf-8")

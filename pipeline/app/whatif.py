"""Wiring of `cardwatch whatif`: the archive's directory, its kept versions, the candidate policy."""

import os
from datetime import date
from pathlib import Path

from models.calibrate import parse_prior
from models.scorer import Model
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.parquet_reading import ParquetArchive
from pipeline.adapters.parquet_trials import ParquetTrials
from pipeline.adapters.version_files import VersionFiles
from pipeline.app.configuration import ListFolder, policy_parser, read
from pipeline.core.columns import SCHEMA
from pipeline.core.policy import parse_policy
from pipeline.lab.explain.recompute import past_model
from pipeline.lab.explain.words import WHY
from pipeline.lab.whatif.answer import USUAL, Answer, Effort
from pipeline.lab.whatif.candidate import Refused
from pipeline.lab.whatif.rescoring import Means
from pipeline.lab.whatif.trying import Question, try_out
from pipeline.lab.whatif.window import Progress, Window, unheard
from pipeline.roles.archive.settings import ArchiveSettings


def ask(
    policy: Path | None,
    model: str | None,
    first: date | None,
    last: date | None,
    top: int,
    effort: Effort = USUAL,
    progress: Progress = unheard,
) -> Answer:
    """The candidate ``policy`` and the kept ``model`` of that version on the archive's days from ``first`` to ``last`` (None:
    all). Raises `Refused` where that cannot be answered, PolicyError for a policy that is none, ListError, OSError."""
    settings = ArchiveSettings()
    root = settings.archive_dir
    archive = ParquetArchive(root)
    days = [day for day in archive.days() if (first or day) <= day <= (last or day)]
    if not days:
        raise Refused(f"{root}: no decisions of those days; set CARDWATCH_ARCHIVE_DIR to the archive role's directory")
    past = VersionFiles(root)
    candidate = None
    if policy is not None:
        candidate = policy_parser(settings)(policy.read_text(encoding="utf-8"), str(policy))
    question = Question(candidate, None if model is None else (model, _model(model, past, settings)), top, effort)
    trials = ParquetTrials(root, len(os.sched_getaffinity(0)))
    lists = ListFolder(settings).read()
    means = Means(archive, past, lambda text, name: parse_policy(text, name, SCHEMA), lists)
    window = Window(trials, days[0], days[-1], round(SystemClock().now() * 1000), progress)
    return try_out(question, window, means, progress)


def _model(version: str, past: VersionFiles, settings: ArchiveSettings) -> Model:
    found = past_model(version, past, parse_prior(*read(settings, "models/prior.toml")))
    if isinstance(found, str):
        raise Refused(f"{version}: {WHY[found][0]}")
    return found

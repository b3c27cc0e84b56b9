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
from pipeline.core.policy import Policy, parse_policy
from pipeline.lab.explain.recompute import past_model
from pipeline.lab.explain.words import WHY
from pipeline.lab.whatif.answer import USUAL, Answer, Curve, Effort
from pipeline.lab.whatif.candidate import Refused
from pipeline.lab.whatif.curve import curve
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
    past = VersionFiles(settings.archive_dir)
    chosen = None if model is None else (model, _model(model, past, settings))
    question = Question(None if policy is None else _policy(policy, settings), chosen, top, effort)
    archive = ParquetArchive(settings.archive_dir)
    lists = ListFolder(settings).read()
    means = Means(archive, past, lambda text, name: parse_policy(text, name, SCHEMA), lists)
    return try_out(question, opened(settings, first, last, progress), means, progress)


def ask_curve(
    policy: Path,
    threshold: int,
    first: date | None,
    last: date | None,
    effort: Effort = USUAL,
    progress: Progress = unheard,
) -> Curve:
    """Of the threshold number ``threshold``, from 0, of the candidate ``policy``. Raises as `ask`."""
    settings = ArchiveSettings()
    candidate = _policy(policy, settings)
    window = opened(settings, first, last, progress)
    return curve(candidate, threshold, window, ListFolder(settings).read(), effort, progress)


def opened(settings: ArchiveSettings, first: date | None, last: date | None, progress: Progress = unheard) -> Window:
    """A window on the archive's days from ``first`` to ``last`` (None: all), to be asked again and again. Raises `Refused`
    where there are none, OSError."""
    root = settings.archive_dir
    days = [day for day in ParquetArchive(root).days() if (first or day) <= day <= (last or day)]
    if not days:
        raise Refused(f"{root}: no decisions of those days; set CARDWATCH_ARCHIVE_DIR to the archive role's directory")
    trials = ParquetTrials(root, len(os.sched_getaffinity(0)))
    return Window(trials, days[0], days[-1], round(SystemClock().now() * 1000), progress)


def _policy(path: Path, settings: ArchiveSettings) -> Policy:
    return policy_parser(settings)(path.read_text(encoding="utf-8"), str(path))


def _model(version: str, past: VersionFiles, settings: ArchiveSettings) -> Model:
    found = past_model(version, past, parse_prior(*read(settings, "models/prior.toml")))
    if isinstance(found, str):
        raise Refused(f"{version}: {WHY[found][0]}")
    return found

"""Wiring of `cardwatch evaluate`: the bank's own policy, rates, prior and learner's settings around labelled files."""

import gc
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from models.calibrate import parse_prior
from models.classifier import Classifier
from models.scorer import Model
from pipeline.adapters.transaction_files import TransactionFile
from pipeline.app.configuration import FEATURE_SPACE, load_money, policy_parser, read
from pipeline.core.customer_table import EMPTY_CUSTOMERS
from pipeline.core.features import LAYOUT
from pipeline.core.poll import Versions
from pipeline.lab.evaluate.customer_events import CustomerEvents
from pipeline.lab.evaluate.folds import DAY_S, NEVER_S, FoldPlan
from pipeline.lab.evaluate.groups import GroupsSeen
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.loop import Pace
from pipeline.lab.evaluate.results import Evaluation, FileResult, Spread, over_files
from pipeline.lab.evaluate.run import Options, Played, Start, figures, new_bank, play
from pipeline.roles.learner.columns import COLUMNS
from pipeline.roles.learner.settings import LearnerSettings
from pipeline.roles.scorer.settings import ScorerSettings

YOUNG_OBJECTS = 100_000
"""Objects made before Python looks for cycles among them: labels that wait are many small objects, none in a cycle."""


class EvaluationPlan(NamedTuple):
    """What to evaluate and how. Times in seconds; ``label_delay_s`` `NEVER_S`: no label is shown. ``policy`` None: the one the scorer is set to; ``delays_s``: other
    label delays to run all of it again with; ``simulated`` None: told by the cards' tokens; ``by_group``: tell what each
    group of features buys, which takes longer; ``customer_events``: a file of what became of the customers of the one file
    there is."""

    files: Sequence[Path]
    label_delay_s: float = 7 * DAY_S
    calls_per_day: int = 0
    cards: int = 100
    model_every_s: float = 900.0
    folds: FoldPlan = FoldPlan()
    policy: Path | None = None
    scores: Path | None = None
    delays_s: Sequence[float] = ()
    simulated: bool | None = None
    by_group: bool = False
    customer_events: Path | None = None


class Listener(NamedTuple):
    """Who hears how far it is: ``begin`` a file and its number of rows (0: not counted), ``progress`` the rows read,
    ``left_out`` what was wrong with a file's rows."""

    begin: Callable[[Path, int], None]
    progress: Callable[[int], None]
    left_out: Callable[[Path, LeftOut], None]
    counts: bool


def start(policy: Path | None = None) -> Start:
    """What every evaluation begins with, from the settings and the files below CONFIG_DIR."""
    scorer = ScorerSettings()
    # Nothing is published here, so nothing is signed: the learner's settings get a key of the moment.
    learner = LearnerSettings(snapshot_key=SecretStr(secrets.token_hex(16)))
    curve = parse_prior(*read(scorer, "models/prior.toml"))
    text = read(scorer, scorer.scorer_policy) if policy is None else (policy.read_text(encoding="utf-8"), str(policy))
    model = Model.day_one(LAYOUT, curve)
    labels = learner.labels(lambda: Classifier(COLUMNS), len(COLUMNS), curve.of)._replace(maturity_s=None)
    plan = learner.plan._replace(labels=labels)  # every row of a file has its label: none has to be guessed
    return Start(Versions(policy_parser(scorer)(*text), model, load_money(scorer)), curve, plan, FEATURE_SPACE)


def evaluate(plan: EvaluationPlan, listener: Listener) -> Evaluation:
    """All of ``plan``. Raises FileRefused, NothingScored, NoFolds (sentences), and what a wrong configuration raises."""
    begin = start(plan.policy)
    thresholds = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, *thresholds[1:])
    try:
        return _evaluate(plan, begin, listener)
    finally:
        gc.set_threshold(*thresholds)


def _evaluate(plan: EvaluationPlan, begin: Start, listener: Listener) -> Evaluation:
    if plan.label_delay_s == NEVER_S:
        begin = begin._replace(plan=begin.plan._replace(labels=None))
    options = Options(Pace(plan.label_delay_s, plan.model_every_s, plan.calls_per_day), plan.folds, plan.cards)
    files, simulated = [], []
    for path in plan.files:
        result, played = _one(path, begin, options, listener, plan.scores, plan.by_group, plan.customer_events)
        files.append(result)
        simulated.append(played.seen.simulated)
    by_delay = {
        f"{delay_s / DAY_S:g}": _again(plan.files, begin, options, delay_s, listener, plan.customer_events)
        for delay_s in plan.delays_s
    }
    return Evaluation(
        simulated=all(simulated) if plan.simulated is None else plan.simulated,
        label_delay_days=None if plan.label_delay_s == NEVER_S else plan.label_delay_s / DAY_S,
        calls_per_day=plan.calls_per_day,
        cards_per_day=plan.cards,
        model_every_minutes=plan.model_every_s / 60,
        policy_version=begin.versions.policy.version,
        files=files,
        over_files=over_files(files),
        by_delay=by_delay,
    )


def _again(
    files: Iterable[Path], begin: Start, options: Options, delay_s: float, listener: Listener, events: Path | None
) -> Mapping[str, Spread]:
    later = options._replace(pace=options.pace._replace(label_delay_s=delay_s))
    silent = listener._replace(left_out=lambda path, left_out: None)
    return over_files([_one(path, begin, later, silent, None, events=events)[0] for path in files])


def _one(
    path: Path,
    begin: Start,
    options: Options,
    listener: Listener,
    scores: Path | None,
    by_group: bool = False,
    events: Path | None = None,
) -> tuple[FileResult, Played]:
    file, left_out = TransactionFile(path), LeftOut()
    groups = GroupsSeen() if by_group else None
    listener.begin(path, file.count() if listener.counts else 0)
    no_events = LeftOut()
    customers = EMPTY_CUSTOMERS if events is None else CustomerEvents(events, no_events)
    bank = new_bank(begin, None if groups is None else groups.saw, customers)
    played = play(file, bank, options, left_out, scores, listener.progress)
    listener.left_out(path, left_out)
    if events is not None:
        listener.left_out(events, no_events)
    return figures(path, played, left_out, options, groups), played

"""Wiring of `cardwatch pilot`: a bank's own extract through its mapping into an evaluation."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pipeline.adapters.extract_files import ExtractFile, header_of
from pipeline.app.configuration import secret
from pipeline.app.evaluation import start
from pipeline.core.extract_mapping import FileForm, Tokens, parse_mapping
from pipeline.lab.evaluate.folds import DAY_S, FoldPlan
from pipeline.lab.evaluate.loop import Pace
from pipeline.lab.evaluate.results import Evaluation, over_files
from pipeline.lab.evaluate.run import NothingScored, Options, figures, new_bank, play
from pipeline.lab.pilot import ListedLeftOut, days_of, folds_for
from pipeline.roles.scorer.settings import ScorerSettings
from pipeline.settings import Settings

LEAST_KEY_BYTES = 16
HEAD_BYTES = 65_536


class PilotPlan(NamedTuple):
    """``left_out``: where every row that is not used is listed; ``model_every_s``: how often a model may change."""

    file: Path
    mapping: Path
    label_delay_s: float = 7 * DAY_S
    calls_per_day: int = 0
    policy: Path | None = None
    left_out: Path | None = None
    cards: int = 100
    model_every_s: float = 900.0


class Piloted(NamedTuple):
    """``warm_up_days`` went before what was measured; ``random_key``: tokens were made with a key that is gone now."""

    evaluation: Evaluation
    left_out: ListedLeftOut
    read: int
    warm_up_days: int
    folds: FoldPlan
    random_key: bool


class WeakKey(ValueError):
    """The key for tokens is too short: a sentence."""


def tokens_for(settings: Settings) -> tuple[Tokens, bool]:
    """Tokens under CARDWATCH_TOKEN_KEY, or under a key of this run; then the second is True. Raises WeakKey."""
    key = secret(settings.token_key)
    if key is None:
        return Tokens(secrets.token_bytes(32)), True
    if len(key) < LEAST_KEY_BYTES:
        raise WeakKey(
            f"CARDWATCH_TOKEN_KEY has {len(key)} bytes; at least {LEAST_KEY_BYTES} keep card numbers from being tried out"
        )
    return Tokens(key), False


def pilot(plan: PilotPlan, progress: Callable[[str, int, int], None]) -> Piloted:
    """All of ``plan``; ``progress`` is told a stage, rows done and of how many (0: not known). Raises FileRefused,
    MappingRefused, NothingScored, NoFolds, WeakKey (sentences), OSError."""
    settings = ScorerSettings()
    tokens, random_key = tokens_for(settings)

    def zone_of(name: str) -> tzinfo:
        return ZoneInfo(name or settings.bank_time_zone)

    text = plan.mapping.read_text(encoding="utf-8")
    mapping = parse_mapping(text, str(plan.mapping), tokens, zone_of, settings.billing_currency)
    begin = start(plan.policy)
    with ListedLeftOut(plan.left_out) as left_out:
        file = ExtractFile(plan.file, mapping, left_out.add)
        file.load(lambda rows: progress("reading", rows, 0))
        if file.span is None:
            raise NothingScored(f"{plan.file}: no row could be used; {'; '.join(left_out.told[:3]) or 'it has none'}")
        zone = zone_of(mapping.form.zone)
        folds = folds_for(days_of(*file.span, _midnight(file.span[0], zone)))
        pace = Pace(plan.label_delay_s, plan.model_every_s, plan.calls_per_day)
        options = Options(pace, folds, plan.cards)
        played = play(file, new_bank(begin), options, left_out, None, lambda row: progress("scoring", row, file.read))
        result = figures(plan.file, played, left_out, options)
    evaluation = Evaluation(
        simulated=played.seen.simulated,
        label_delay_days=plan.label_delay_s / DAY_S,
        calls_per_day=plan.calls_per_day,
        cards_per_day=plan.cards,
        model_every_minutes=plan.model_every_s / 60,
        policy_version=begin.versions.policy.version,
        files=[result],
        over_files=over_files([result]),
        by_delay={},
    )
    warm_up = result.days - folds.folds * folds.days
    return Piloted(evaluation, left_out, file.read, warm_up, folds, random_key)


MANY_FOREIGN = 0.3
"""Share of a header's bytes that are not ASCII: where it is more, they are Chinese characters and no accents."""


def guessed(path: Path) -> tuple[Sequence[str], FileForm]:
    """Header and form of ``path``, found by looking at its beginning. Raises FileRefused, OSError."""
    with path.open("rb") as file:
        head = file.readline(HEAD_BYTES)
    encoding = _encoding(head)
    text = head.decode(encoding, "replace")
    delimiter = max(",;\t|", key=text.count)
    form = FileForm(encoding=encoding, delimiter=delimiter)
    return header_of(path, form), form


def _encoding(head: bytes) -> str:
    try:
        head.decode()
    except UnicodeDecodeError:
        return "gb18030" if sum(byte > 127 for byte in head) >= MANY_FOREIGN * len(head) else "cp1252"
    return "utf-8"


def _midnight(moment: float, zone: tzinfo) -> float:
    return datetime.fromtimestamp(moment, zone).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()

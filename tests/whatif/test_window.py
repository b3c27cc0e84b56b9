"""A window that is kept open: what it keeps, what it reads again, and that answers stay the same."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.parquet_trials import ParquetTrials
from pipeline.core.archive_files import Piece
from pipeline.core.columns import SCHEMA
from pipeline.core.policy import Policy, parse_policy
from pipeline.core.rules import compile_rule
from pipeline.lab.whatif import asked, window
from pipeline.lab.whatif.answer import Answer
from pipeline.lab.whatif.positions import Hits, all_of
from pipeline.lab.whatif.rescoring import Means
from pipeline.lab.whatif.rule_hits import part_hits, parts_of
from pipeline.lab.whatif.trying import Question, try_out
from pipeline.lab.whatif.window import Window
from pipeline.ports_archive import Coded

sys.path.append(str(Path(__file__).parents[1] / "explain"))
from explain_world import DEFAULT, KEEN, LISTS, OWN, Past, policy  # its folder has to be on the path first

KNOWN_AT = 1_800_000_000_000


class Watched(ParquetTrials):
    """Tells which columns were read, of how many files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, 1)
        self.read: list[tuple[int, list[str]]] = []
        self.opened: list[Sequence[Piece]] = []
        self.hidden: set[Piece] = set()

    def pieces(self, *days: Any) -> Sequence[Piece]:
        return [each for each in super().pieces(*days) if each not in self.hidden]

    def rows(self, pieces: Sequence[Piece]) -> Any:
        self.opened.append(pieces)
        return super().rows(pieces)

    def columns(self, pieces: Sequence[Piece], wanted: Mapping[str, str]) -> dict[str, Any]:
        self.read.append((len(pieces), sorted(wanted)))
        return super().columns(pieces, wanted)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(tmp_path_factory.mktemp("archive"), 442, (DEFAULT, KEEN, OWN))


def opened(past: Past, trials: ParquetTrials) -> Window:
    days = past.archive.days()
    return Window(trials, days[0], days[-1], KNOWN_AT)


def ask(past: Past, one: Policy, over: Window) -> Answer:
    means = Means(past.archive, past.kept, lambda text, name: parse_policy(text, name, SCHEMA), LISTS)
    return try_out(Question(one, None, 1_000), over, means)


def test_only_what_changes_is_read(past: Past) -> None:
    trials = Watched(past.root)
    over = opened(past, trials)
    first = ask(past, policy(KEEN), over)
    assert {name for _, names in trials.read for name in names} == {"amount", "country", "home_country", "count_1h"}
    trials.read.clear()
    assert ask(past, policy(KEEN), over) == first
    ask(past, policy(KEEN.replace("0.001", "0.01")), over)
    ask(past, policy(KEEN.replace("amount > 4000", "amount > 4500")), over)
    assert trials.read == []  # thresholds need no column, and the amount is still there
    ask(past, policy(KEEN.replace("amount > 4000", "amount > 4500 and percentile > 5")), over)
    assert {name for _, names in trials.read for name in names} == {"percentile"}


@pytest.mark.parametrize(("columns", "hits", "load"), [(0, 0, 1), (10**9, 0, 1), (0, 10**9, 10**9)])
def test_with_little_memory_answers_are_the_same(
    past: Past, monkeypatch: pytest.MonkeyPatch, columns: int, hits: int, load: int
) -> None:
    texts = [KEEN, KEEN.replace("amount > 4000", "amount > 900"), OWN]
    roomy = [ask(past, policy(text), opened(past, ParquetTrials(past.root, 1))) for text in texts]
    monkeypatch.setattr(window, "COLUMN_BYTES", columns)
    monkeypatch.setattr(window, "HIT_BYTES", hits)
    monkeypatch.setattr(window, "BLOCK_ROWS", 30)
    monkeypatch.setattr(asked, "LOAD_BYTES", load)
    over = opened(past, ParquetTrials(past.root, 1))
    assert len(over.blocks) > 1
    for _ in range(2):
        assert [ask(past, policy(text), over) for text in texts] == roomy


def test_files_that_came_since_are_read_and_the_others_are_not(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "BLOCK_ROWS", 1)
    trials = Watched(past.root)
    every = list(trials.pieces(past.archive.days()[0], past.archive.days()[-1]))
    assert len(every) > 2
    trials.hidden = {every[1]}
    over = opened(past, trials)
    few = ask(past, policy(KEEN), over)
    trials.hidden.clear()
    trials.opened.clear()
    assert over.refresh(KNOWN_AT) == every[1].last - every[1].first + 1
    assert trials.opened == [[every[1]]]
    whole = ask(past, policy(KEEN), over)
    assert whole.transactions > few.transactions
    assert whole == ask(past, policy(KEEN), opened(past, ParquetTrials(past.root, 1)))
    trials.hidden = {every[0]}  # as a file that was put together with another is gone
    assert over.refresh(KNOWN_AT) == 0
    assert ask(past, policy(KEEN), over).transactions < whole.transactions


def test_what_is_read_is_told(past: Past) -> None:
    told: list[tuple[int, int]] = []
    days = past.archive.days()
    over = Window(ParquetTrials(past.root, 1), days[0], days[-1], KNOWN_AT, lambda *rows: told.append(rows))
    assert told[0][0] == 0
    assert told[-1] == (sum(block.n for block in over.blocks),) * 2


TEXTS = (
    "entry_mode in ('chip', 'manual')", "country <> home_country", "country is null",
    "coalesce(country, 'TH') = home_country",
    "coalesce(home_country, 'TH') = country", "not (mcc like '59%')",
    "coalesce(country, 'XX') = 'XX'", "amount > 3 or mcc = '5411'", "country = home_country and mcc = '5411' and amount > 2",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_numbered_texts_hit_where_texts_do(text: str) -> None:
    draw = np.random.default_rng(1)
    words = {"entry_mode": ["chip", "manual", "x"], "country": ["CN", "TH"], "home_country": ["TH", "CN", "US"], "mcc": ["5411", "5999"]}  # fmt: skip
    codes = {name: draw.integers(-1, len(known), 300) for name, known in words.items()}
    plain = {name: np.array([*known, None], dtype=np.object_)[codes[name]] for name, known in words.items()}
    numbers = {"amount": np.where(draw.random(300) < 0.2, np.nan, draw.integers(0, 6, 300).astype(np.float64))}
    coded = {name: Coded(codes[name].astype(np.int8), known) for name, known in words.items()}
    rule = compile_rule(text, SCHEMA)
    parts = [Hits.of(part_hits(part, {**coded, **numbers}, 300)) for part in parts_of(rule, SCHEMA)]
    assert np.array_equal(all_of(parts).mask(), rule.hits({**plain, **numbers}, 300))

"""`cardwatch whatif`: what SQL makes of past decisions is what the scorer's own code makes of them, one by one."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.scorer import Model
from pipeline.adapters.memory import FixedClock
from pipeline.adapters.parquet_deciders import ParquetDeciders
from pipeline.adapters.parquet_trials import ParquetTrials
from pipeline.cli import main
from pipeline.core.columns import SCHEMA
from pipeline.core.control_group import ControlGroup
from pipeline.core.policy import Policy, parse_policy
from pipeline.core.topics import LABELS
from pipeline.lab.whatif.answer import Answer
from pipeline.lab.whatif.candidate import Refused
from pipeline.lab.whatif.curve import curve
from pipeline.lab.whatif.rescoring import Means
from pipeline.lab.whatif.trying import Question, try_out
from pipeline.lab.whatif.window import Window
from pipeline.roles.archive.versions import VersionKeeper

sys.path.append(str(Path(__file__).parents[1] / "explain"))
from brute_whatif import KNOWN_AT, brute
from explain_world import (
    CONFIG,
    CURVE,
    DEFAULT,
    KEEN,
    LISTS,
    OWN,
    Past,
    snapshot,
)  # its folder has to be on the path first

sys.path.append(str(Path(__file__).parents[1] / "archive"))
from archive_world import Place

TRANSACTIONS = 442


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Decisions under three policies, the last with counters and a list of the bank's, and two models, and labels of one in five."""
    found = Past(tmp_path_factory.mktemp("archive"), TRANSACTIONS, (DEFAULT, KEEN, OWN))
    keeper = VersionKeeper(found.kept, ParquetDeciders(found.root), FixedClock(), 0)
    for record in found.controls:
        keeper.meet(record)
    rows = found.rows()
    draw = np.random.default_rng(3)
    for number, (name, row) in enumerate(sorted(rows.items())):
        if number % 5 == 0:
            said = {
                "transaction": name, "card": row["card"] if number % 50 else "tok_another_0", "source": "chargeback",
                "fraud": bool(draw.integers(2)), "time": "2026-10-01T00:00:00Z", "id": f"l{number}",
            }  # fmt: skip
            found.traffic.put(LABELS, number % 2, json.dumps(said).encode())
    place = Place(found.traffic, found.root)
    place.clock.time = found.traffic.log.timestamp_ms / 1000 + 2
    place.work(6)
    return found


@pytest.fixture(scope="module")
def rows(past: Past) -> dict[str, dict[str, Any]]:
    return past.rows()


@pytest.fixture(scope="module")
def window(past: Past) -> Window:
    """Kept open for all questions."""
    return opened(past)


def opened(past: Past, known_at_ms: int = KNOWN_AT) -> Window:
    days = past.archive.days()
    return Window(ParquetTrials(past.root, 1), days[0], days[-1], known_at_ms)


def read(text: str) -> Policy:
    return parse_policy(text, "candidate.toml", SCHEMA)


def asked(past: Past, window: Window, policy: Policy | None, model: Any = None, top: int = 1_000) -> Answer:
    means = Means(past.archive, past.kept, lambda text, name: parse_policy(text, name, SCHEMA), LISTS)
    return try_out(Question(policy, model, top), window, means)


def plain(found: Answer) -> dict[str, Any]:
    def side(one: Any) -> dict[str, Any]:
        told: dict[str, Any] = msgspec.structs.asdict(one)
        outcomes = {name: count for name, count in one.outcomes.items() if count}
        return (
            told
            | {"outcomes": outcomes}
            | {name: tuple(msgspec.structs.astuple(told[name])) for name in ("caught", "missed")}
        )

    return {
        "before": side(found.before),
        "after": side(found.after),
        "changed": sorted((one.transaction, one.before, one.after, one.fraud) for one in found.changes),
        "frauds": found.frauds.number,
        "labels": found.labels,
    }


WHENS = (
    "amount > 4000 and country <> home_country", "count_1h >= 3", "count_1h >= 2", "score >= 0.01",
    "available_credit / count_1h < 3000", "percentile > 60 or mcc = '5967'", "not recurring", "entry_mode like 'e%'",
    "amount_ratio > 1 and amount_z > 0", "km_from_last is null", "response_code in ('05', '55')",
)  # fmt: skip
OWN_WHENS = (
    "times > 2 or foreign_3h is null",
    "in_list(merchant, 'hot')",
    "not in_list(merchant, 'hot') and foreign_3h > times * 2000",
    "has_tag('frequent') and amount > 900",
    "not has_tag('night_owl') or amount > 8000",
)
DONE = (
    'queue = "review"', 'contact = "notify"', 'contact = "verify"', 'card = "hold", contact = "verify"',
    'card = "limit", scope = "online"', 'card = "hold", scope = "cash"', 'transaction = "decline"',
    'transaction = "step_up"',
)  # fmt: skip


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """New ones, and past ones with a rule less, a rule more, or other thresholds."""
    base = draw(st.sampled_from(["", KEEN.split("[control_group]")[0], KEEN, DEFAULT, OWN, OWN]))
    text = base or 'name = "new"\n'
    if base in ("", KEEN) and not base:
        for score, actions in zip(
            sorted(draw(st.sets(st.sampled_from([0.001, 0.005, 0.02, 0.1, 0.3])))), DONE, strict=False
        ):
            text += f'[[threshold]]\nscore = {score}\nactions = {{ {actions} }}\nreason = "score_review"\n'
    head, group, tail = text.partition("[control_group]")
    whens = WHENS + OWN_WHENS if base == OWN else WHENS
    for number, when in enumerate(draw(st.lists(st.sampled_from(whens), max_size=4))):
        actions, hard = draw(st.sampled_from(DONE)), str(draw(st.booleans())).lower()
        head += f'[[rule]]\nname = "r{number}"\nwhen = "{when}"\nactions = {{ {actions} }}\nreason = "many_today"\nhard = {hard}\n'
    try:
        made = read(head + group + tail)
    except Exception:  # thresholds whose outcomes go down, by this draw
        made = read(
            head.split("[[threshold]]")[0]
            + '[[rule]]\nname = "x"\nwhen = "count_1h > 1"\nactions = { queue = "review" }\nreason = "many_today"\n'
        )
    if draw(st.booleans()):
        made = made._replace(rules=made.rules[1:])
    if draw(st.booleans()):
        made = made._replace(thresholds=made.thresholds[1:])
    if draw(st.integers(0, 3)) == 0:
        made = made._replace(control_group=ControlGroup(0.4, 6_000.0))
    return made


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(candidate=policies())
def test_what_sql_makes_of_a_candidate_is_what_the_scorers_code_makes_of_each_row(
    past: Past, rows: dict[str, dict[str, Any]], window: Window, candidate: Policy
) -> None:
    assert plain(asked(past, window, candidate)) == brute(past, rows, candidate)


def test_the_policy_that_decided_changes_nothing_of_what_it_decided(
    past: Past, rows: dict[str, dict[str, Any]], window: Window
) -> None:
    for text in (KEEN, DEFAULT):
        policy = read(text)
        found = asked(past, window, policy)
        assert {rows[one.transaction]["policy_version"] for one in found.changes}.isdisjoint({policy.version})
        assert found.changed > 2
        assert found.before.alerts > 10


@pytest.mark.parametrize("text", [None, KEEN])
def test_another_model_is_tried_by_the_scorers_own_code(
    past: Past, rows: dict[str, dict[str, Any]], window: Window, text: str | None
) -> None:
    version = snapshot(2).version
    model = Model.trained(snapshot(2), CURVE)
    policy = None if text is None else read(text)
    found = asked(past, window, policy, (version, model))
    assert plain(found) == brute(past, rows, policy, model)
    assert found.changed > 2
    if policy is None:
        assert version not in {rows[one.transaction]["model_version"] for one in found.changes}


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(candidate=policies(), chosen=st.integers(0, 9), places=st.randoms(use_true_random=False))
def test_a_point_of_the_curve_is_what_the_policy_with_its_threshold_there_comes_to(
    past: Past, rows: dict[str, dict[str, Any]], window: Window, candidate: Policy, chosen: int, places: Any
) -> None:
    assume(candidate.thresholds)
    number = chosen % len(candidate.thresholds)
    found = curve(candidate, number, window, LISTS)
    assert found.points[found.today].score == candidate.thresholds[number].score
    assert [one.score for one in found.points] == sorted({one.score for one in found.points}, reverse=True)
    for point in [found.points[found.today], *places.sample(found.points, min(3, len(found.points)))]:
        thresholds = list(candidate.thresholds)
        thresholds[number] = thresholds[number]._replace(score=point.score)
        moved = candidate._replace(thresholds=tuple(thresholds))
        assert point.side == asked(past, window, moved).after
    assert plain(asked(past, window, moved)) == brute(past, rows, moved)


COUNTING = 'name = "mine"\n[counters]\nmany = "count per card over 10m"\n[[rule]]\nname = "r"\nwhen = "many > 3"\nactions = { queue = "review" }\nreason = "many_today"\n'
LISTING = 'name = "mine"\n[[rule]]\nname = "r"\nwhen = "in_list(merchant, \'cold\')"\nactions = { queue = "review" }\nreason = "many_today"\n'


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (COUNTING, "no past yet"),
        (COUNTING.replace("per card", "per merchant"), "no past yet"),
        (LISTING, "no such list"),
    ],
)
def test_what_past_rows_do_not_hold_is_refused(past: Past, window: Window, text: str, word: str) -> None:
    with pytest.raises(Refused, match=word):
        asked(past, window, read(text))


def test_labels_that_came_later_are_not_known_yet(past: Past) -> None:
    early = opened(past, 0)
    found = asked(past, early, read(KEEN), None, 0)
    assert (found.labels, found.frauds.number, found.label_delay_days, found.changes) == (0, 0, None, [])
    assert found.before.caught.number == found.after.missed.number == 0
    assert early.refresh(KNOWN_AT) == 0
    assert asked(past, early, read(KEEN)) == asked(past, opened(past), read(KEEN))
    assert asked(past, early, read(KEEN)).labels > 0


# --- the command

TELLABLE = KEEN.replace("large_amount", "cash_abroad").replace("many_today", "score_review")
"""There are words for its reasons."""


@pytest.fixture
def command(past: Past, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("CARDWATCH_ARCHIVE_DIR", str(past.root))
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(CONFIG))
    return CliRunner()


def test_the_command_tells_in_both_languages_and_for_programs(command: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "keen.toml"
    file.write_text(TELLABLE)
    english = command.invoke(main, ["whatif", "--policy", str(file), "--top", "3"])
    assert english.exit_code == 0, english.output
    assert "alerts per 10,000" in english.output
    assert english.output.count("→ hold: ") > 0
    chinese = command.invoke(main, ["whatif", "--policy", str(file), "--language", "zh"])
    assert "每万笔警报数" in chinese.output
    told = json.loads(command.invoke(main, ["whatif", "--policy", str(file), "--json", "--top", "3"]).output)
    assert told["policy"] == read(TELLABLE).version
    assert len(told["changes"]) == 3
    assert sum(told["after"]["outcomes"].values()) == told["transactions"] == TRANSACTIONS


def test_the_command_tells_the_curve_of_a_threshold_and_its_best_place(command: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "keen.toml"
    file.write_text(TELLABLE)
    english = command.invoke(main, ["whatif", "--policy", str(file), "--curve", "1"])
    assert english.exit_code == 0, english.output
    assert english.output.count("← today") == 1
    chinese = command.invoke(
        main, ["whatif", "--policy", str(file), "--curve", "1", "--agents", "9", "--language", "zh"]
    )
    assert "最佳" in chinese.output, chinese.output
    none = command.invoke(main, ["whatif", "--policy", str(file), "--curve", "1", "--agents", "0"])
    assert "more agents" in none.output
    told = json.loads(
        command.invoke(main, ["whatif", "--policy", str(file), "--curve", "1", "--agents", "9", "--json"]).output
    )
    assert len(told["suggestion"]["costs"]) == len(told["curve"]["points"]) > 5
    assert told["curve"]["points"][told["curve"]["today"]]["score"] == 0.001


def test_what_cannot_be_answered_is_said(command: CliRunner, past: Past, tmp_path: Path) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        done = command.invoke(main, ["whatif", *arguments])
        return done.exit_code, done.output

    assert said() == (2, said()[1])
    assert "--policy FILE" in said()[1]
    file = tmp_path / "broken.toml"
    file.write_text(
        'name = "x"\n[[rule]]\nname = "r"\nwhen = "amont > 3"\nactions = { queue = "review" }\nreason = "score_review"'
    )
    code, words = said("--policy", str(file))
    assert (code, "broken.toml:" in words, "amont" in words) == (2, True, True), words
    file.write_text(TELLABLE)
    code, words = said("--policy", str(file), "--from", "2030-01-01")
    assert (code, "no decisions of those days" in words) == (1, True)
    code, words = said("--policy", str(file), "--curve", "2")
    assert (code, "no threshold number 2; there are 1" in words) == (1, True), words
    assert said("--model", "x", "--curve", "1")[0] == said("--policy", str(file), "--agents", "3")[0] == 2
    code, words = said("--model", "hst-0123456789ab-calibrated")
    assert (code, "not kept" in words) == (1, True)

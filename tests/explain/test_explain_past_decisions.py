"""`cardwatch explain`: past decisions of the archive computed again, to the last bit."""

import asyncio
import json
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from explain_world import CONFIG, CURVE, KEEN, KEY, WORDS, Past, control, policy, snapshot

from models.calibrate import PriorCurve
from models.snapshot import seal
from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryReader
from pipeline.adapters.parquet_deciders import ParquetDeciders
from pipeline.adapters.version_files import VersionFiles
from pipeline.cli import main
from pipeline.core.decision import Reason
from pipeline.core.features import CATALOGUE, MODEL_FEATURES, SURPRISE_FEATURES
from pipeline.core.grounds import LEAST_LOG_ODDS
from pipeline.core.topics import CONTROL, DECISIONS, MODEL_KEY, POLICY_KEY, Outgoing
from pipeline.lab.explain.explanation import Explanation
from pipeline.lab.explain.recompute import Explainer, Means, Row
from pipeline.lab.explain.telling import tell
from pipeline.lab.explain.words import UNITS, WHY
from pipeline.roles.archive.versions import UNDECIDED_KEPT_S, VersionKeeper


def explain(row: Row, means: Means) -> Explanation:
    return Explainer(means).explain(row)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    found = Past(tmp_path_factory.mktemp("archive"), 1_200)
    keeper = VersionKeeper(found.kept, ParquetDeciders(found.root), FixedClock(), 0)
    for record in found.controls:
        keeper.meet(record)
    return found


@pytest.fixture(scope="module")
def explained(past: Past) -> dict[str, Explanation]:
    explainer = Explainer(past.means)
    return {identifier: explainer.explain(row) for identifier, row in past.rows().items()}


def test_a_thousand_past_decisions_come_out_the_same_to_the_bit(explained: dict[str, Explanation]) -> None:
    assert len(explained) == 1_200
    scored = [one for one in explained.values() if one.scored]
    assert len(scored) > 1_000
    assert Counter(one.score_again.verdict for one in scored) == {"same": len(scored)}
    assert Counter(one.decision_again.verdict for one in explained.values()) == {"same": 1_200}
    assert len({one.model_version for one in scored}) == 3, "models came and went"
    assert len({one.policy_version for one in scored}) == 2
    assert len({one.outcome for one in scored}) >= 4, "not all were approved"
    looked_at = {one.model_version[:4]: {each.name for each in one.features if each.modelled} for one in scored}
    assert looked_at == {"hst-": {*MODEL_FEATURES}, "surp": {*SURPRISE_FEATURES}, "day-": set()}


def test_reasons_and_what_the_score_comes_from_are_those_of_then(past: Past, explained: dict[str, Explanation]) -> None:
    decisions = [json.loads(each.value or b"") for n in (0, 1) for each in past.traffic.log.part(DECISIONS, n)]
    told = {one["id"]: one.get("reasons", []) for one in decisions}
    by_group = 0
    for identifier, recorded in told.items():
        one = explained[identifier]
        again = [(each.code, each.words["en"]) for each in one.reasons or ()]
        said = [(each["code"], WORDS["en"].say(Reason(each["code"], each.get("detail")))) for each in recorded]
        assert said == again
        assert (one.grounds is not None) == (one.scored and one.model_version == past.models[2].version)
        grounds = {each.code: each.log_odds for each in one.grounds or ()}
        by_group += any(grounds.get(each["code"], 0.0) >= LEAST_LOG_ODDS for each in recorded)
    assert by_group > 50
    some = next(one for one in explained.values() if one.grounds)
    assert some.grounds is not None
    assert [each.log_odds for each in some.grounds] == sorted((each.log_odds for each in some.grounds), reverse=True)
    heaviest = some.grounds[0]
    assert f"{heaviest.log_odds:+6.2f}  {heaviest.code}" in tell(some, "en")
    assert heaviest.words["zh-CN"] in tell(some, "zh")


def test_what_was_never_scored_is_explained_too(explained: dict[str, Explanation]) -> None:
    exempt = [one for one in explained.values() if not one.scored]
    assert exempt
    assert all(one.score_again.why == "never_scored" and one.reasons == [] for one in exempt)
    assert "No score" in tell(exempt[0], "en")


@pytest.mark.parametrize("field", ["amount_z", "count_1h"])
def test_one_bit_of_a_feature_is_noticed(past: Past, field: str) -> None:
    row = next(row for row in past.rows().values() if row["scored"] and row["raw"] and row[field])
    mostly = explain(row | {field: row[field] * 40}, past.means)
    assert mostly.score_again.why == "score_differs"
    assert mostly.differs
    last_bit = explain(row | {"raw": row["raw"] * (1 + 2**-52)}, past.means)
    assert last_bit.score_again.recorded.keys() == {"raw"}


def test_the_challengers_scores_come_out_the_same_and_one_that_does_not_is_told(
    past: Past, explained: dict[str, Explanation]
) -> None:
    asked = {identifier: found for identifier, found in explained.items() if found.shadow}
    assert len(asked) > 50
    assert {one.again.verdict for found in asked.values() for one in found.shadow} == {"same"}
    assert {one.model_version for found in asked.values() for one in found.shadow} == {past.models[2].version}
    identifier = next(iter(asked))
    (seen,) = asked[identifier].shadow
    row = {**past.row(identifier), "shadow": f'{{"{seen.model_version}": {seen.score * 2}}}'}
    found = Explainer(past.means).explain(row)
    assert (found.shadow[0].again.verdict, found.differs, found.score_again.verdict) == ("differs", True, "same")
    row["shadow"] = '{"hst-000000000000-calibrated": 0.5}'
    assert Explainer(past.means).explain(row).shadow[0].again.why == "model_gone"
    del row["shadow"]
    assert Explainer(past.means).explain(row).shadow == [], "a file of before there were challengers"


def test_another_decision_than_the_recorded_one_is_told(past: Past, explained: dict[str, Explanation]) -> None:
    held = next(identifier for identifier, one in explained.items() if one.outcome == "hold")
    row = past.row(held)
    found = explain(row | {"outcome": "approve", "card_action": "none"}, past.means)
    assert found.decision_again.why == "decision_differs"
    assert found.decision_again.recorded["outcome"] == "approve"
    assert found.decision_again.computed["outcome"] == "hold"
    assert "outcome: approve / hold" in tell(found, "en")


def test_a_changed_prior_is_told_apart_from_a_changed_score(past: Past) -> None:
    row = next(row for row in past.rows().values() if row["raw"] and row["percentile"] > 10)
    other = PriorCurve(CURVE.base_rate, CURVE.percentiles, CURVE.probabilities * 0.5)
    assert explain(row, past.means._replace(curve=other)).score_again.why == "other_curve"


def test_without_its_model_and_policy_the_record_is_told_and_that_it_cannot_be_computed(
    past: Past, tmp_path: Path
) -> None:
    row = next(row for row in past.rows().values() if row["raw"])
    found = explain(row, past.means._replace(past=VersionFiles(tmp_path)))
    assert (found.score_again.why, found.decision_again.why) == ("model_gone", "policy_gone")
    assert found.reasons is None
    assert found.rules is None
    assert not found.differs
    assert "the policy that decided is not at hand" in tell(found, "en")
    assert "未保留" in tell(found, "zh")
    assert {each.name for each in found.features} == {feature.name for feature in CATALOGUE}


def test_a_score_of_another_catalogue_is_not_computed(past: Past) -> None:
    row = next(row for row in past.rows().values() if row["scored"])
    found = explain(row | {"layout": "another"}, past.means)
    assert found.score_again.why == found.decision_again.why == "other_features"
    assert found.features == []


def test_rules_show_values_beside_limits(past: Past) -> None:
    version = policy(KEEN).version
    row = next(row for row in past.rows().values() if row["policy_version"] == version and row["raw"] is not None)
    row |= {"amount": 3_000.0, "country": "TH", "home_country": "CN", "count_1h": 3.2}
    rules = {rule.name: rule for rule in explain(row, past.means).rules or ()}
    assert rules["often"].hit
    assert not rules["large"].hit
    first, second = rules["large"].parts
    assert (first.condition, first.holds, first.limit, first.values) == (
        "amount > 4000",
        False,
        4_000,
        {"amount": 3_000},
    )
    assert second.holds
    assert second.values == {"country": "TH", "home_country": "CN"}
    far = {rule.name for rule in explain(row | {"amount": 1_900.0}, past.means).rules or ()}
    neither = {rule.name for rule in explain(row | {"country": "CN"}, past.means).rules or ()}
    assert "large" not in far
    assert "large" not in neither
    text = tell(explain(row, past.means), "en")
    assert "– amount > 4000   [amount = 3000]" in text
    assert "often → notify" in text


def test_every_unit_and_every_cause_has_words_in_both_languages() -> None:
    assert {feature.unit for feature in CATALOGUE} <= UNITS.keys()
    assert all(en and zh and en != zh for en, zh in WHY.values())


# --- what is kept


def test_what_comes_by_on_control_is_kept_once_by_version(tmp_path: Path) -> None:
    kept, made = VersionFiles(tmp_path), snapshot(3)
    sealed, text = seal(made, KEY), KEEN.encode()
    assert kept.keep_model(sealed)
    assert not kept.keep_model(sealed)
    assert kept.model(made.version) == sealed
    assert kept.model(snapshot(4).version) is None
    version = policy(KEEN).version
    assert kept.keep_policy(version, text)
    assert not kept.keep_policy(version, text)
    assert kept.policy(version) == KEEN
    assert kept.policy("../../etc/passwd") is None
    assert not kept.keep_policy("keen@000000000000", text), "a text that is not of its version"
    assert not kept.keep_policy("../keen@" + version[-12:], text)
    assert kept.forget_models(0, 4e9) == 0
    assert kept.forget_models(4e9, None) == 1
    assert kept.model(made.version) is None


class At:
    """A clock that is set."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


def test_of_models_those_that_decided_something_are_kept_and_go_with_their_last_day(past: Past, tmp_path: Path) -> None:
    shutil.copytree(past.root / "scored", tmp_path / "scored")
    kept, clock = VersionFiles(tmp_path), At(time.time())
    decided, idle = [snapshot(1), snapshot(2)], snapshot(9)
    for one in (*decided, idle):
        kept.keep_model(seal(one, KEY))

    def keeper(keep_days: int = 0) -> VersionKeeper:
        return VersionKeeper(kept, ParquetDeciders(tmp_path), clock, keep_days)

    first = keeper()
    first.look()
    clock.time += UNDECIDED_KEPT_S - 60
    first.look()
    assert kept.model(idle.version) is not None, "its rows may still be on their way"
    clock.time += 120
    first.look()
    assert kept.model(idle.version) is not None, "an hour is not over"
    clock.time += 3_600
    first.look()
    assert kept.model(idle.version) is None
    assert all(kept.model(one.version) is not None for one in decided)
    keeper(keep_days=40).look()
    assert all(kept.model(one.version) is not None for one in decided)
    shutil.rmtree(tmp_path / "scored")
    clock.time += 42 * 86_400
    keeper(keep_days=40).look()
    assert [kept.model(one.version) for one in decided] == [None, None]


def test_a_crash_before_anything_was_marked_deletes_no_model_that_decided(past: Past, tmp_path: Path) -> None:
    shutil.copytree(past.root / "scored", tmp_path / "scored")
    kept = VersionFiles(tmp_path)
    for one in (snapshot(1), snapshot(2)):
        kept.keep_model(seal(one, KEY))
    first = min((tmp_path / "scored").rglob("*.parquet"))  # a month later, the rows of these models are far back
    later = tmp_path / "scored" / "day=2026-11-30"
    later.mkdir()
    shutil.copy(first, later / "p000-000000900000-000000909999-d000000900000-s000000900000.parquet")
    VersionKeeper(kept, ParquetDeciders(tmp_path), At(time.time() + 30 * 86_400), 0).look()
    assert {path.parent.name for path in tmp_path.rglob("*.model")} == {"decided"}
    again = VersionKeeper(kept, ParquetDeciders(tmp_path), At(time.time() + 60 * 86_400), 0)
    again.look()
    assert len(list(tmp_path.rglob("*.model"))) == 2
    assert not kept.keep_model(seal(snapshot(1), KEY)), "met again: it is there already"


def test_a_look_that_fails_deletes_nothing(tmp_path: Path) -> None:
    class Failing:
        def named(self, everything: bool) -> list[str]:
            raise OSError("the disk is away")

    kept = VersionFiles(tmp_path)
    kept.keep_model(seal(snapshot(1), KEY))
    with pytest.raises(OSError, match="away"):
        VersionKeeper(kept, Failing(), At(4e9), 1).look()
    assert kept.model(snapshot(1).version) is not None


def test_a_model_of_which_a_bit_was_changed_is_not_used(past: Past, tmp_path: Path) -> None:
    sealed = bytearray(seal(snapshot(1), KEY))
    row = next(row for row in past.rows().values() if row["model_version"] == snapshot(1).version and row["raw"])
    kept = VersionFiles(tmp_path)
    kept.keep_model(bytes(sealed))
    sealed[-1] ^= 1
    next((tmp_path / "models").glob("*.model")).write_bytes(sealed)
    assert explain(row, past.means._replace(past=kept)).score_again.why == "model_unreadable"


def test_the_archive_keeps_models_and_policies_beside_its_files(tmp_path: Path) -> None:
    made, version = snapshot(3), policy(KEEN).version

    async def keep() -> None:
        log, stop = MemoryLog(1), asyncio.Event()
        for key, value in ((MODEL_KEY, seal(made, KEY)), (POLICY_KEY + version.encode(), KEEN.encode()), (b"x", b"y")):
            await log.append(CONTROL, {0: [Outgoing(key, value)]})
        opened = 0

        def reader() -> MemoryReader:
            nonlocal opened
            opened += 1
            if opened == 1:
                raise OSError("the broker went away")
            return MemoryReader(log, CONTROL)

        keeper = VersionKeeper(VersionFiles(tmp_path), ParquetDeciders(tmp_path), FixedClock(), 30)
        running = asyncio.create_task(keeper.run(reader, stop, retry_s=0))
        while not (tmp_path / "policies").is_dir() or not list((tmp_path / "policies").glob("*.toml")):
            await asyncio.sleep(0)
        stop.set()
        await running

    asyncio.run(keep())
    assert VersionFiles(tmp_path).policy(version) == KEEN
    assert VersionFiles(tmp_path).model(made.version) is not None
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted(
        [f"{version}.toml", f"{made.version.split('-')[1]}.model"]
    )


# --- the command


@pytest.fixture
def environment(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_ARCHIVE_DIR", str(past.root))
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(CONFIG))


def test_the_command_tells_in_both_languages_and_for_programs(
    environment: None, explained: dict[str, Explanation]
) -> None:
    held = next(identifier for identifier, one in explained.items() if one.outcome == "hold")
    english = CliRunner().invoke(main, ["explain", held])
    assert english.exit_code == 0
    assert english.output.count("the same, to the last bit") == 2
    assert "amount in the billing currency" in english.output
    chinese = CliRunner().invoke(main, ["explain", held, "--language", "zh"])
    assert chinese.exit_code == 0
    assert chinese.output.count("与记录逐位一致") == 2
    assert "入账币种金额" in chinese.output
    told = json.loads(CliRunner().invoke(main, ["explain", held, "--json"]).output)
    assert told["score_again"]["verdict"] == told["decision_again"]["verdict"] == "same"
    assert told["reasons"][0]["words"].keys() == {"en", "zh-CN"}


def test_what_is_not_there_is_said(environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unknown = CliRunner().invoke(main, ["explain", "no-such-id"])
    assert unknown.exit_code == 1
    assert "no decided transaction with that id" in unknown.output
    monkeypatch.setenv("CARDWATCH_ARCHIVE_DIR", str(tmp_path))
    nowhere = CliRunner().invoke(main, ["explain", "t1"])
    assert nowhere.exit_code == 1
    assert "CARDWATCH_ARCHIVE_DIR" in nowhere.output


def test_a_difference_has_its_own_exit_code(environment: None, past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in past.rows().values() if row["raw"])
    monkeypatch.setattr(
        "pipeline.adapters.parquet_reading.ParquetArchive.transaction",
        lambda self, *asked: row | {"raw": row["raw"] * 2},
    )
    assert CliRunner().invoke(main, ["explain", "t1"]).exit_code == 3


def test_only_models_and_policies_are_taken_from_control(tmp_path: Path) -> None:
    keeper = VersionKeeper(VersionFiles(tmp_path), ParquetDeciders(tmp_path), FixedClock(), 0)
    for key, value in ((b"other", b"x"), (MODEL_KEY, b""), (b"", b"x")):
        keeper.meet(control(key, value))
    assert list(tmp_path.iterdir()) == []

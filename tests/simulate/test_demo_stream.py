"""What the demo shows follows from its seed and the policy; a simulator started again goes on and repeats nothing."""

import asyncio
import itertools
import re
import shutil
from pathlib import Path
from time import perf_counter

import pytest

from models.calibrate import parse_prior
from models.scorer import Model
from pipeline.adapters.memory import StoredRecord
from pipeline.app import simulation
from pipeline.app.configuration import FEATURE_SPACE, load_money, policy_parser, read
from pipeline.app.simulation import SimulationPlan, run_simulation
from pipeline.core.features import LAYOUT
from pipeline.core.poll import Part, Versions
from pipeline.core.scoring import score_poll
from pipeline.lab.simulate.command import Sent, world_for
from pipeline.lab.simulate.presets import PRESETS, Preset
from pipeline.lab.simulate.stream import LiveParameters, Stream
from pipeline.lab.warm_up import Past, warm_up
from pipeline.roles.learner.settings import LearnerSettings

CONFIG = Path(__file__).parents[2] / "config"
NOW = 1_790_000_000.0
CARDS = 300
LIVE_S = 600.0
DEMO = PRESETS["demo"]


def alerts(seed: int, config: Path) -> set[str]:
    """The transactions of ten live minutes that become more than approved, after a warm-up."""
    settings = LearnerSettings(snapshot_key="a key that only these tests use", config_dir=config)  # type: ignore[arg-type]
    curve = parse_prior(*read(settings, "models/prior.toml"))
    policy = policy_parser(settings)(*read(settings, "policies/default.toml"))
    versions = Versions(policy, Model.day_one(LAYOUT, curve), load_money(settings))
    world = world_for(DEMO, seed, NOW, cards=CARDS)
    past = (Past(attempt.time, attempt.key(), attempt.value()) for attempt in Stream(world).history(DEMO.days))
    warmed = warm_up(past, versions, curve, 1, lambda card: 0, settings.plan, FEATURE_SPACE)
    assert warmed.snapshot is not None
    versions = versions._replace(model=Model.trained(warmed.snapshot, curve))
    live = itertools.takewhile(lambda attempt: attempt.time < NOW + LIVE_S, Stream(world).live(NOW, DEMO.live))
    records = [
        StoredRecord(0, offset, int(attempt.time * 1000), attempt.key(), attempt.value())
        for offset, attempt in enumerate(live)
    ]
    scored = score_poll([Part(0, records, warmed.rows[0], {})], versions, lambda card: 0, NOW, perf_counter)
    return {
        re.findall(rb'"id":"([^"]+)"', decision.value or b"")[0].decode()
        for decision in scored.decisions[0]
        if b'"outcome":"approve"' not in (decision.value or b"")
    }


def test_another_seed_gives_other_alerts_and_higher_thresholds_fewer(tmp_path: Path) -> None:
    found = alerts(1, CONFIG)
    assert found
    assert found == alerts(1, CONFIG), "the same seed and policy, the same alerts"
    others = alerts(2, CONFIG)
    assert others
    assert not found & others
    shutil.copytree(CONFIG, tmp_path / "config")
    policy = tmp_path / "config" / "policies" / "default.toml"
    policy.write_text(re.sub(r"(?m)^score = 0\.", "score = 0.9", policy.read_text()))
    assert alerts(1, tmp_path / "config") < found


def test_a_stream_begun_again_repeats_no_transaction() -> None:
    world = world_for(DEMO, 1, NOW, cards=3)  # so few that the same card comes up under the same number
    ids = [
        attempt.transaction.id
        for start in (NOW, NOW + 60, NOW + 61, NOW + 86_400)
        for attempt in itertools.islice(Stream(world).live(start, LiveParameters(rate=5.0, opening=0)), 300)
    ]
    assert len(set(ids)) == len(ids)


class Nowhere:
    """Log and reader of a run that is only to be looked at as it begins."""

    def __init__(self, *arguments: object) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def flush(self) -> None: ...


def test_a_simulator_started_again_keeps_its_truth_and_has_no_second_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Preset] = []

    async def begin(world: object, preset: Preset, *rest: object, **more: object) -> Sent:
        begun.append(preset)
        return Sent()

    monkeypatch.setattr(simulation, "simulate", begin)
    monkeypatch.setattr(simulation, "KafkaLog", Nowhere)
    monkeypatch.setattr(simulation, "KafkaReader", Nowhere)
    truth = tmp_path / "truth.jsonl"
    for told in ("", "what the first run knew\n"):
        asyncio.run(run_simulation(asyncio.Event(), SimulationPlan("demo", 1, NOW, cards=10, truth=truth)))
        assert truth.read_text() == told
        truth.write_text("what the first run knew\n")
    openings = [preset.live.opening for preset in begun if preset.live is not None]
    assert openings[0] > 0
    assert openings[1:] == [0]

"""What a scorer accepts as a new policy or model, what it refuses, and that a refusal changes nothing."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scorer_world import (
    CONFIG,
    KEY,
    NOW,
    card_in,
    delivered_curve,
    delivered_money,
    delivered_policy,
    parse,
    place_of,
    records,
    trained_on_noise,
    transaction,
)
from structlog.testing import capture_logs

from models.progress import Progress
from models.river_logistic import KIND, Logistic
from models.scorer import DAY_ONE_VERSION
from models.snapshot import Labelled, Snapshot, seal
from pipeline.adapters.files import WatchedFile
from pipeline.adapters.memory import MemoryLog, MemoryReader
from pipeline.core.entities import EntityKeys
from pipeline.core.entity_history import EMPTY, observe
from pipeline.core.entity_record import seal_part
from pipeline.core.entity_table import Bucket
from pipeline.core.features import ENTITY_FEATURES, FEATURES, SCALES
from pipeline.core.merchant_ledger import MerchantLedger
from pipeline.core.poll import Part
from pipeline.core.scoring import score_poll
from pipeline.core.told import seal_told
from pipeline.core.topics import CONTROL
from pipeline.ports import Outgoing
from pipeline.roles.scorer.knowledge import MODEL_KEY, Knowledge

DELIVERED = (CONFIG / "policies" / "default.toml").read_text()
ACTIONS = b'actions = { queue = "review" }\nreason = "a"\n'
BOUND_S = 20.0


def knowing(key: bytes | None = KEY) -> Knowledge:
    return Knowledge(delivered_policy(), delivered_money(), delivered_curve(), key, parse)


@pytest.fixture
def policy_file(tmp_path: Path) -> WatchedFile:
    path = tmp_path / "policy.toml"
    path.write_text(DELIVERED)
    file = WatchedFile(path)
    file.read()
    return file


def test_a_changed_policy_is_taken(policy_file: WatchedFile) -> None:
    knowledge = knowing()
    before = knowledge.current
    assert not policy_file.changed()
    policy_file.path.write_text(DELIVERED.replace("score = 0.15", "score = 0.165"))
    assert policy_file.changed()
    assert knowledge.reload(policy_file)
    assert not policy_file.changed()
    assert knowledge.current.policy.version != before.policy.version
    assert (knowledge.current.model, knowledge.current.money) == (before.model, before.money)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'name = "x\n', 1),
        (b'name = "x"\n\n[[rule]]\nname = "a"\nwhen = "no_such_column > 1"\n' + ACTIONS, 5),
        (b"name = \xff\n", None),
        (b"", 1),
    ],
    ids=["no TOML", "unknown column", "no UTF-8", "empty"],
)
def test_a_wrong_policy_is_refused_with_file_and_line(
    policy_file: WatchedFile, content: bytes, line: int | None
) -> None:
    knowledge = knowing()
    before = knowledge.current
    policy_file.path.write_bytes(content)
    with capture_logs() as lines:
        assert not knowledge.reload(policy_file)
    assert knowledge.current is before
    (said,) = lines
    assert (said["log_level"], said["running"]) == ("error", before.policy.version)
    assert line is None or said["reason"].startswith(f"{policy_file.path}:{line}: ")


def test_a_policy_that_is_gone_is_refused(policy_file: WatchedFile) -> None:
    knowledge = knowing()
    before = knowledge.current
    policy_file.path.unlink()
    assert not policy_file.changed(), "an editor that writes by renaming leaves a moment without the file"
    assert not knowledge.reload(policy_file)
    assert knowledge.current is before


def test_a_model_signed_with_our_key_is_taken() -> None:
    knowledge = knowing()
    assert knowledge.current.model.version == DAY_ONE_VERSION
    snapshot = trained_on_noise()
    assert knowledge.take_model(seal(snapshot, KEY))
    assert knowledge.current.model.version == snapshot.version
    assert not knowledge.current.model.warming_up


def changed_bit(snapshot: Snapshot) -> bytes:
    sealed = bytearray(seal(snapshot, KEY))
    sealed[-20] ^= 1
    return bytes(sealed)


def other_names(snapshot: Snapshot) -> bytes:
    names = ("another", *snapshot.names[1:])
    return seal(dataclasses.replace(snapshot, names=names), KEY)


REFUSED: dict[str, Callable[[Snapshot], bytes]] = {
    "another key": lambda snapshot: seal(snapshot, b"some other key, as long"),
    "a changed bit": changed_bit,
    "another layout": lambda snapshot: seal(dataclasses.replace(snapshot, layout="other"), KEY),
    "other features": other_names,
    "an earlier learner": lambda snapshot: seal(dataclasses.replace(snapshot, epoch=4), KEY),
    "no model": lambda snapshot: b"{}",
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
def test_a_model_that_is_not_right_is_refused_and_the_running_one_stays(made: Callable[[Snapshot], bytes]) -> None:
    knowledge = knowing()
    assert knowledge.take_model(seal(trained_on_noise(epoch=5), KEY))
    before = knowledge.current
    with capture_logs() as lines:
        assert not knowledge.take_model(made(trained_on_noise(epoch=6, seed=8)))
    assert knowledge.current is before
    assert [(line["log_level"], line["running"]) for line in lines] == [("error", before.model.version)]
    assert knowledge.take_model(seal(trained_on_noise(epoch=5, seed=9), KEY)), "the epoch in force is not raised by it"


def test_without_a_key_no_model_is_taken() -> None:
    knowledge = knowing(key=None)
    assert not knowledge.take_model(seal(trained_on_noise(), KEY))
    assert knowledge.current.model.version == DAY_ONE_VERSION


async def publish(log: MemoryLog, key: bytes, value: bytes) -> None:
    await log.append(CONTROL, {0: [Outgoing(key, value)]})


class Patient(MemoryReader):
    """Gives others their turn; counts polls."""

    polls = 0

    async def poll(self, timeout_s: float) -> object:  # type: ignore[override]
        self.polls += 1
        await asyncio.sleep(0)
        return await super().poll(timeout_s)


def test_the_scorer_knows_when_it_has_read_what_was_there() -> None:
    async def story() -> None:
        log = MemoryLog()
        first, second, third = (trained_on_noise(seed=seed) for seed in (1, 2, 3))
        for key, value in ((MODEL_KEY, seal(first, KEY)), (b"other", b"x"), (MODEL_KEY, seal(second, KEY))):
            await publish(log, key, value)
        knowledge, caught_up, stop = knowing(), asyncio.Event(), asyncio.Event()
        following = asyncio.create_task(knowledge.follow_control(lambda: Patient(log, CONTROL), caught_up, stop))
        async with asyncio.timeout(BOUND_S):
            await caught_up.wait()
            assert knowledge.current.model.version == second.version
            await publish(log, MODEL_KEY, seal(third, KEY))
            while knowledge.current.model.version != third.version:
                await asyncio.sleep(0)
            stop.set()
            await following

    asyncio.run(story())


def test_it_has_not_caught_up_before_the_last_record_that_was_there() -> None:
    class Slow(Patient):
        """One record a poll."""

        async def poll(self, timeout_s: float) -> object:
            found = await super().poll(timeout_s)
            for number, some in dict(found).items():  # type: ignore[call-overload]
                self._next[number] = some[0].offset + 1
                return {number: some[:1]}
            return {}

    async def story() -> None:
        log = MemoryLog()
        for seed in (1, 2):
            await publish(log, MODEL_KEY, seal(trained_on_noise(seed=seed), KEY))
        knowledge, caught_up, stop = knowing(), asyncio.Event(), asyncio.Event()
        reader = Slow(log, CONTROL)
        following = asyncio.create_task(knowledge.follow_control(lambda: reader, caught_up, stop))
        async with asyncio.timeout(BOUND_S):
            while reader.polls < 1:
                await asyncio.sleep(0)
            assert not caught_up.is_set()
            await caught_up.wait()
            assert knowledge.current.model.version == trained_on_noise(seed=2).version
            stop.set()
            await following

    asyncio.run(story())


def test_an_empty_control_topic_is_caught_up_with_at_once() -> None:
    async def story() -> None:
        knowledge, caught_up, stop = knowing(), asyncio.Event(), asyncio.Event()
        following = asyncio.create_task(
            knowledge.follow_control(lambda: Patient(MemoryLog(), CONTROL), caught_up, stop)
        )
        async with asyncio.timeout(BOUND_S):
            await caught_up.wait()
            stop.set()
            await following
        assert knowledge.current.model.warming_up

    asyncio.run(story())


# --- the table of entities


def part_of(epoch: int = 1, sequence: int = 1) -> Bucket:
    row = observe(EMPTY, NOW, True, 0.0)
    return Bucket(5, epoch, sequence, ({5: row}, {}, {}), {}, {}, {})


def sealed_part(part: Bucket, key: bytes = KEY) -> bytes:
    return seal_part(part, key).value


def test_a_part_of_the_table_signed_with_our_key_is_in_force_at_once() -> None:
    knowledge = knowing()
    assert knowledge.take_part(sealed_part(part_of()))
    assert len(knowledge.current.entities) == 1


@pytest.mark.parametrize("bit", [0, 8 * 20, 8 * 60, -3])
def test_a_part_with_one_bit_flipped_is_refused_and_the_one_in_hand_stays(bit: int) -> None:
    knowledge = knowing()
    assert knowledge.take_part(sealed_part(part_of()))
    flipped = bytearray(sealed_part(part_of(sequence=2)._replace(rows=({}, {}, {}))))
    flipped[bit // 8] ^= 1 << bit % 8
    with capture_logs() as lines:
        assert not knowledge.take_part(bytes(flipped))
    assert [line["log_level"] for line in lines] == ["error"]
    assert len(knowledge.current.entities) == 1


def test_a_part_of_another_key_an_earlier_learner_or_another_kind_is_refused() -> None:
    knowledge = knowing()
    assert knowledge.take_part(sealed_part(part_of(epoch=3)))
    for wrong in (
        sealed_part(part_of(epoch=4), b"some other key, as long"),
        sealed_part(part_of(epoch=2, sequence=9)),
        seal(trained_on_noise(), KEY),
        b"",
    ):
        assert not knowledge.take_part(wrong)
    assert not knowledge.take_model(sealed_part(part_of(epoch=4)))
    assert not knowing(key=None).take_part(sealed_part(part_of()))
    assert knowledge.take_part(sealed_part(part_of(epoch=3, sequence=2)))


def test_a_classifier_for_other_features_is_refused_before_anything_is_scored_with_it() -> None:
    classifier = Logistic(np.tile([0.0, 0.0, 1.0, 0.5], (3, 1)))
    learned = Labelled(KIND, classifier.dump(), Progress(60.0, 2_000.0, 1_500.0, 1.0, 2.0, 30.0), {}, {}, {})
    knowledge = knowing()
    with capture_logs() as lines:
        assert not knowledge.take_model(seal(dataclasses.replace(trained_on_noise(), labelled=learned), KEY))
    assert "takes 3 features a row" in lines[0]["reason"]
    fitting = Logistic(SCALES, len(ENTITY_FEATURES))
    learned = dataclasses.replace(learned, numbers=fitting.dump())
    assert knowledge.take_model(seal(dataclasses.replace(trained_on_noise(), labelled=learned), KEY))
    assert knowledge.current.model.version.endswith("-calibrated")


def test_the_table_is_read_from_control_with_the_model() -> None:
    async def story() -> None:
        log = MemoryLog()
        out = seal_part(part_of(), KEY)
        await publish(log, out.key or b"", out.value)
        await publish(log, MODEL_KEY, seal(trained_on_noise(), KEY))
        knowledge, caught_up, stop = knowing(), asyncio.Event(), asyncio.Event()
        following = asyncio.create_task(knowledge.follow_control(lambda: Patient(log, CONTROL), caught_up, stop))
        async with asyncio.timeout(BOUND_S):
            await caught_up.wait()
            assert len(knowledge.current.entities) == 1
            assert not knowledge.current.model.warming_up
            stop.set()
            await following

    asyncio.run(story())


def test_without_a_learner_a_scorer_goes_on_with_the_table_and_model_it_has() -> None:
    knowledge = knowing()
    assert knowledge.take_part(sealed_part(part_of()))
    assert knowledge.take_model(seal(trained_on_noise(), KEY))
    message = transaction("x1", card_in(0), terminal="any")
    made = records(0, [message])

    def scored() -> list[float]:
        poll = score_poll([Part(0, made, {}, {})], knowledge.current, place_of, NOW, lambda: 0.0)
        return poll.scores.tolist()

    assert scored() == scored()
    assert len(scored()) == 1


def test_what_is_told_of_merchants_is_taken_and_forgeries_and_leaders_of_the_past_are_not() -> None:
    ledger = MerchantLedger()
    own = np.full((6, len(FEATURES)), 5_000.0)
    nobody, shop = np.zeros(6, dtype=np.uint64), np.full(6, 77, dtype=np.uint64)
    ledger.observe(shop, nobody, np.full(6, NOW), own)
    changes, part = ledger.tellings(4, {})
    knowledge = knowing()
    assert knowledge.take_told(seal_told(changes, KEY).value)
    keys = EntityKeys(np.full(6, NOW), nobody, shop, nobody, nobody)
    seen = knowledge.current.merchants.features(keys, own, np.zeros(6, dtype=np.bool_))
    assert np.isfinite(seen).all()
    gone = changes._replace(part=77, rows={})
    assert not knowledge.take_told(seal_told(gone, b"another key of sixteen bytes").value)
    assert not knowledge.take_told(seal_told(gone._replace(epoch=3), KEY).value)
    assert not knowledge.take_told(seal_told(changes._replace(rows={77: b"short"}), KEY).value)
    assert not knowing(None).take_told(seal_told(part, KEY).value)
    again = knowledge.current.merchants.features(keys, own, np.zeros(6, dtype=np.bool_))
    assert again.tobytes() == seen.tobytes()
    assert knowledge.take_told(seal_told(gone, KEY).value)
    assert np.isnan(knowledge.current.merchants.features(keys, own, np.zeros(6, dtype=np.bool_))).all()

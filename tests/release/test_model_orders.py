"""Orders about the model, from the command to the scorers: freeze, roll back, pin, promote, unfreeze."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from release_world import CURVE, KEY, Town, snapshot

from models.envelope import SealBroken
from models.snapshot import Snapshot, seal
from pipeline.app import model_telling as telling
from pipeline.app.model import Overtaken
from pipeline.cli import main
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.model_board import OrderRefused
from pipeline.core.model_order import open_order
from pipeline.core.policy import parse_policy
from pipeline.core.topics import MODEL_KEY, MODEL_ORDER_KEY, MODEL_WITHHELD_KEY, kept_key
from pipeline.roles.scorer.knowledge import Knowledge

CONFIG = Path(__file__).parents[2] / "config"
POLICY = parse_policy((CONFIG / "policies/default.toml").read_text(), "default.toml", SCHEMA)
MONEY = parse_rates((CONFIG / "rates.toml").read_text(), "rates.toml")


def scorer(town: Town, compacted: bool = False) -> Knowledge:
    """One that starts now and has read all of `control`."""
    knowledge = Knowledge(POLICY, MONEY, CURVE, KEY, lambda text, name: POLICY)
    log = Town()
    for record in town.compacted() if compacted else ():
        log.put(record.key or b"", record.value)

    async def follow() -> None:
        caught_up, stop = asyncio.Event(), asyncio.Event()
        reader = (log if compacted else town).reader()
        task = asyncio.create_task(knowledge.follow_control(lambda: reader, caught_up, stop))
        while not caught_up.is_set():
            await asyncio.sleep(0)
        stop.set()
        await task

    asyncio.run(asyncio.wait_for(follow(), 20))
    return knowledge


def in_force(town: Town) -> str:
    """On a scorer that saw everything, and on one that starts when `control` was compacted."""
    versions = {scorer(town, compacted).current.model.version for compacted in (False, True)}
    assert len(versions) == 1
    return versions.pop()


def withheld(town: Town, made: Snapshot) -> Snapshot:
    town.put(MODEL_WITHHELD_KEY, seal(made, KEY))
    return made


def test_what_is_frozen_stays_whatever_the_learner_releases_and_goes_on_from_there() -> None:
    town = Town()
    kept = town.release(snapshot(1))
    assert town.order("freeze").version.name == kept.version
    town.release(snapshot(2))
    town.release(snapshot(1, epoch=2))
    assert in_force(town) == kept.version
    assert town.order("unfreeze").version.name == kept.version
    assert in_force(town) == kept.version, "what was released meanwhile was judged beside something else"
    later = town.release(snapshot(2, epoch=2))
    assert in_force(town) == later.version


def test_back_to_the_version_before_and_further_back() -> None:
    town = Town()
    versions = [snapshot(number) for number in (1, 2, 3)]
    for slot, earlier in ((2, versions[0]), (1, versions[1])):
        town.put(kept_key(slot), seal(earlier, KEY))
    town.release(versions[2])
    assert town.order("rollback").version.name == versions[1].version
    town.release(snapshot(4))
    assert in_force(town) == versions[1].version
    assert town.board().find(versions[2].version), "what an order replaced is kept, though the learner goes on"
    assert town.order("rollback").version.name == versions[0].version
    with pytest.raises(OrderRefused, match="no earlier version"):
        town.order("rollback")
    assert town.order("pin", versions[1].version).version.name == versions[1].version
    assert town.order("rollback").version.name == versions[0].version, "what the pin replaced"
    assert in_force(town) == versions[0].version


def test_a_version_withheld_is_in_force_when_somebody_promotes_it_until_a_later_one_is_released() -> None:
    town = Town()
    town.release(snapshot(1))
    outside = withheld(town, snapshot(2))
    assert in_force(town) == snapshot(1).version
    assert [shown.state for shown in town.board().versions()] == ["withheld", "in_force"]
    town.order("promote", outside.version.split("-")[1])
    assert in_force(town) == outside.version
    town.release(snapshot(3))
    assert in_force(town) == snapshot(3).version


def test_an_old_order_written_once_more_changes_nothing() -> None:
    town = Town()
    town.release(snapshot(1))
    town.order("freeze")
    old = town.compacted()[-1]
    town.release(snapshot(2))
    town.order("unfreeze")
    town.release(snapshot(3))
    town.put(MODEL_ORDER_KEY, old.value)
    assert scorer(town).current.model.version == snapshot(3).version


def test_of_two_orders_at_the_same_moment_all_follow_one() -> None:
    town = Town()
    first, second = town.release(snapshot(1)), snapshot(2)
    town.put(kept_key(1), seal(first, KEY))
    town.release(second)
    seen = town.board()
    town.order("pin", first.version, by="zoe", board=seen)
    town.clock.time -= 1
    with pytest.raises(Overtaken, match="zoe ordered pin"):
        town.order("freeze", by="ann", board=seen)
    assert in_force(town) == first.version, "a worker that starts later sees only the order written last"
    assert town.order("unfreeze").sequence == 2


def test_an_order_of_another_key_or_with_a_bit_changed_is_refused() -> None:
    town = Town()
    town.release(snapshot(1))
    town.order("freeze")
    order = town.compacted()[-1].value
    for place in (9, 60, len(order) - 3):
        flipped = bytearray(order)
        flipped[place] ^= 1
        with pytest.raises(SealBroken):
            open_order(bytes(flipped), KEY)
        knowledge = scorer(Town())
        assert not knowledge.take_order(bytes(flipped))
    with pytest.raises(SealBroken):
        open_order(order, KEY + b"!")
    assert not Knowledge(POLICY, MONEY, CURVE, None, lambda text, name: POLICY).take_order(order)


@pytest.mark.parametrize(
    ("action", "target", "words"),
    [
        ("unfreeze", "", "nothing is frozen"),
        ("rollback", "", "no earlier version"),
        ("pin", "hst-000000000000", "no such version"),
        ("promote", snapshot(2).version, "in force already"),
        ("promote", snapshot(1).version, "to go back to it, pin it"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_a_sentence(action: str, target: str, words: str) -> None:
    town = Town()
    if action == "promote":
        town.put(kept_key(1), seal(snapshot(1), KEY))
    town.release(snapshot(2))
    before = len(town.compacted())
    with pytest.raises(OrderRefused, match=words):
        town.order(action, target)  # type: ignore[arg-type]  # one of the actions
    assert len(town.compacted()) == before


def test_before_anything_was_released_there_is_nothing_to_order() -> None:
    with pytest.raises(OrderRefused, match="no model was ever released"):
        Town().order("freeze")


def test_list_and_show_tell_in_both_languages_and_as_json() -> None:
    town = Town()
    town.release(snapshot(1))
    withheld(town, snapshot(2))
    town.order("freeze")
    board = town.board()
    for language, frozen in (("en", "Frozen"), ("zh", "已冻结")):
        text = "\n".join([*telling.list_lines(board, language), *telling.show_lines(board, None, language)])
        assert all(words in text for words in (frozen, "because of ann", snapshot(2).version))
    told = msgspec.json.decode(telling.as_json(board))
    assert (told["in_force"], told["frozen"], told["order"]["by"]) == (snapshot(1).version, True, "ann")
    assert [one["state"] for one in told["versions"]] == ["withheld", "in_force"]
    assert list(telling.list_lines(Town().board(), "en")) == list(telling.show_lines(Town().board(), None, "en"))


def test_the_command_needs_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARDWATCH_SNAPSHOT_KEY", raising=False)
    found = CliRunner().invoke(main, ["model", "list"])
    assert (found.exit_code, "CARDWATCH_SNAPSHOT_KEY" in found.output) == (2, True)
    assert CliRunner().invoke(main, ["model", "freeze"]).exit_code == 2, "nobody orders without a reason"


def test_a_snapshot_released_by_an_earlier_learner_is_no_newer() -> None:
    town = Town()
    town.release(snapshot(1, epoch=2))
    town.put(MODEL_KEY, seal(snapshot(9, epoch=1), KEY))
    assert scorer(town).current.model.version == snapshot(1, epoch=2).version
    assert town.board().release.in_force == town.board().find(snapshot(1, epoch=2).version)

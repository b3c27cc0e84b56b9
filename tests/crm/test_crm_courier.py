"""How far a topic is told: nothing left out, nothing told behind what waits, and no record that holds up the rest for ever."""

import pytest
from crm_world import Desk, Read, ScriptedSystem, step, told_of

from pipeline.core.crm_outcome import NOT_WANTED, Told
from pipeline.roles.crm.courier import GIVEN_UP_AFTER

STEPS = ("planned", "sending", "accepted", "answered")


def records() -> list[Read]:
    return [step(what, offset) for offset, what in enumerate(STEPS)]


def ids(*numbers: int) -> list[str]:
    events = told_of(*records())
    return [events[number].id for number in numbers]


def test_what_is_taken_is_done_with() -> None:
    desk = Desk(ScriptedSystem())
    assert desk.carry(*records()) == 4
    assert desk.system.heard == ids(0, 1, 2, 3)
    assert desk.sent("taken") == 4
    assert desk.courier.oldest_ms() is None


def test_a_system_that_is_away_holds_everything_and_loses_nothing() -> None:
    desk = Desk(ScriptedSystem(away=True))
    for _ in range(3 * GIVEN_UP_AFTER):
        assert desk.carry(*records()) == 0
    assert desk.courier.oldest_ms() == 1_000_000
    assert desk.letters == []
    desk.system.away = False
    assert desk.carry(*records()) == 4
    assert desk.system.heard == ids(0, 1, 2, 3)
    assert desk.courier.oldest_ms() is None


def test_what_was_taken_before_the_one_that_waits_is_done_with() -> None:
    desk = Desk(ScriptedSystem({ids(2)[0]: Told("later", "http_503")}))
    assert desk.carry(*records()) == 2
    assert desk.courier.oldest_ms() == 1_002_000
    assert (desk.sent("taken"), desk.sent("later")) == (2, 1)


def test_a_refusal_for_good_is_a_dead_letter_and_the_rest_goes_on() -> None:
    desk = Desk(ScriptedSystem({ids(1)[0]: Told("rejected", "http_410")}))
    assert desk.carry(*records()) == 4
    assert desk.letters == [(1, "crm_rejected", None, "webhook does not take it: http_410")]
    assert (desk.sent("taken"), desk.sent("rejected")) == (3, 1)


def test_an_unusable_record_is_a_dead_letter_and_the_rest_goes_on() -> None:
    desk = Desk(ScriptedSystem())
    assert desk.carry(step(offset=0), Read(b"{}", offset=1), step("completed", offset=2)) == 3
    ((offset, reason, _, _),) = desk.letters
    assert (offset, reason) == (1, "not_a_contact_step")
    assert desk.registry.get_sample_value("cardwatch_dead_letters_total", {"reason": "not_a_contact_step"}) == 1


def test_an_unusable_record_behind_one_that_waits_is_told_of_when_its_turn_comes() -> None:
    desk = Desk(ScriptedSystem(away=True))
    both = (step(offset=0), Read(b"{}", offset=1))
    assert desk.carry(*both) == 0
    assert desk.letters == []
    desk.system.away = False
    assert desk.carry(*both) == 2
    assert len(desk.letters) == 1


def test_what_a_system_is_not_to_hear_is_done_with() -> None:
    desk = Desk(ScriptedSystem({ids(0)[0]: NOT_WANTED}))
    assert desk.carry(*records()) == 4
    assert desk.sent("not_wanted") == 1


def test_an_event_that_alone_is_not_taken_is_given_up_at_last() -> None:
    """A system that answers 500 to one event and 200 to all others has nothing wrong with it but that event."""
    desk = Desk(ScriptedSystem({ids(0)[0]: Told("later", "http_500")}))
    for _ in range(GIVEN_UP_AFTER - 1):
        assert desk.carry(*records()) == 0
    assert desk.carry(*records()) == 4
    assert desk.letters == [(0, "crm_rejected", None, "webhook does not take it: http_500")]


def test_an_event_that_waits_for_somebody_to_set_something_right_is_never_given_up() -> None:
    """A right that is missing for one table says nothing against what was to be written there."""
    desk = Desk(ScriptedSystem({ids(0)[0]: Told("later", "NO_PERMISSION", set_up=True)}))
    for _ in range(3 * GIVEN_UP_AFTER):
        assert desk.carry(*records()) == 0
    assert desk.letters == []


def test_a_partition_that_went_to_another_worker_is_not_counted_as_late() -> None:
    desk = Desk(ScriptedSystem(away=True))
    desk.carry(step(partition=1))
    desk.carry(step(partition=2, offset=5))
    desk.courier.forget([2])
    assert desk.courier.oldest_ms() == 1_005_000


def test_a_dead_letter_that_could_not_be_written_leaves_the_record_where_it_is() -> None:
    desk = Desk(ScriptedSystem({ids(0)[0]: Told("rejected", "http_410")}))

    async def down(*_: object) -> None:
        raise ConnectionError("the log is away")

    desk.courier._dead_letters = down
    with pytest.raises(ConnectionError):
        desk.carry(*records())

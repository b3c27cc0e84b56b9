"""When the watchdog is told that something waits: a worker that is alive and idle must not live on unseen."""

import pytest

from pipeline.adapters.kafka.watchdog import Watchdog
from pipeline.adapters.kafka.worker import left_waiting


@pytest.mark.parametrize(
    ("lag", "is_open", "waits"),
    [
        ({}, True, False),
        ({0: 0, 1: 0}, True, False),
        ({0: 0, 1: 7}, True, True),
        ({}, False, True),
        ({0: 3}, False, True),
    ],
)
def test_records_wait_where_they_do_and_in_a_rebalance_that_does_not_end(
    lag: dict[int, int], is_open: bool, waits: bool
) -> None:
    assert (left_waiting(lag, is_open) > 0) is waits


def test_checks_are_counted_only_while_something_waits_and_nothing_is_handled() -> None:
    dog = Watchdog()
    dog.beat(1, left_waiting({}, True), False)
    dog._stuck = 7
    dog.beat(1, left_waiting({}, False), False)
    assert dog._stuck == 7, "a rebalance goes on: the count goes on"
    for handled, behind, waiting in ((2, 5, False), (2, 0, False), (2, 5, True)):
        dog._stuck = 7
        dog.beat(handled, behind, waiting)
        assert dog._stuck == 0

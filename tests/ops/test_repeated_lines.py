"""A library that says the same a hundred times a second is heard once."""

import logging

import pytest

from pipeline.logs import SAME_AGAIN_S, Repeats


def line(message: str, at: float, name: str = "aiokafka") -> logging.LogRecord:
    record = logging.LogRecord(name, logging.ERROR, "", 0, message, ("node 1",), None)
    record.created = at
    return record


@pytest.mark.parametrize(
    ("message", "name", "later", "heard"),
    [
        ("no %s", "aiokafka", 0.1, False),
        ("no %s", "aiokafka", SAME_AGAIN_S, True),
        ("lost %s", "aiokafka", 0.1, True),
        ("no %s", "faust", 0.1, True),
    ],
)
def test_a_line_of_the_same_kind_is_heard_once_in_a_while(message: str, name: str, later: float, heard: bool) -> None:
    repeats = Repeats()
    assert repeats.filter(line("no %s", 100.0))
    assert repeats.filter(line(message, 100.0 + later, name)) is heard

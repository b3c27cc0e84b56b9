"""What became of an event that was handed to another system, and how that follows from what became of its rows."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.core.crm_rows import Row

Result = Literal["taken", "not_wanted", "rejected", "later"]
_BY_WEIGHT: tuple[Result, ...] = ("not_wanted", "taken", "rejected", "later")


class Told(NamedTuple):
    """ "taken": the system has it; "not_wanted": it is to hear nothing of it; "rejected": it never will have it; "later":
    not now. ``reason`` is a word or two, without values. ``set_up``: it is for later until somebody sets something right (a
    right, a table that is not there): that says nothing against the event, which is never given up."""

    result: Result
    reason: str = ""
    set_up: bool = False


TAKEN = Told("taken")
NOT_WANTED = Told("not_wanted")
NOT_TRIED = Told("later", "not_tried")


def told_by(rows: Sequence[Row], fates: Mapping[int, Told], events: int) -> list[Told]:
    """Of each of so many events the heaviest fate of its rows: one row for later, and the event comes again. ``fates``:
    by a row's position; a row without one was not tried. An event without rows is not wanted."""
    told = [NOT_WANTED] * events
    for position, row in enumerate(rows):
        fate = fates.get(position, NOT_TRIED)
        for event in row.events:
            if _BY_WEIGHT.index(fate.result) > _BY_WEIGHT.index(told[event].result):
                told[event] = fate
    return told

"""The rows that can be evaluated, in order of time, and what is wrong with the others."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.adapters.transaction_files import LabelledRow
from pipeline.lab.evaluate.left_out import LeftOut

OUT_OF_ORDER = "out_of_order"
NO_LABEL = "no_label"
REPEAT = "repeat"
BROKEN_LINE = "broken_line"
"""Reasons of our own, beside those that the scorer refuses a transaction for."""


class Labelled(NamedTuple):
    """One transaction: its row's number in the file, event time (unix seconds), the message, the truth."""

    number: int
    at: float
    value: bytes
    fraud: bool
    kind: str | None


def in_order(chunks: Iterable[list[LabelledRow]], left_out: LeftOut) -> Iterator[list[Labelled]]:
    """``chunks`` without the rows that have no label or lie before one already seen. A row whose time cannot be read
    goes along with the one before it: the scorer refuses it, in its own words."""
    newest, newest_row = float("-inf"), 0
    for chunk in chunks:
        kept = []
        for number, at, value, fraud, kind in chunk:
            if fraud is None and at is not None:
                left_out.add(number, NO_LABEL, "fraud must be 0 or 1")
            elif at is not None and at < newest:
                left_out.add(
                    number,
                    OUT_OF_ORDER,
                    f"lies {newest - at:,.0f} s before row {newest_row}: rows must be in order of time",
                )
            else:
                if at is not None:
                    newest, newest_row = at, number
                kept.append(Labelled(number, max(newest, 0.0), value, bool(fraud), kind))
        if kept:
            yield kept

"""Killed at any record and begun again, the learner learns of labels as if it had never stopped."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from labelled_world import LABELLED, LABELS, course, label, label_entry, learn, row_record
from learner_world import KEY, Entry, masses

from models.snapshot import Snapshot, open_sealed, seal
from pipeline.core.entity_table import Bucket
from pipeline.core.topics import LABELS as LABELS_TOPIC
from pipeline.core.topics import SCORED, Topic
from pipeline.roles.learner.course import Course, Plan

TILLS = ("a", "b", "c")
MATURING = LABELLED._replace(labels=LABELS._replace(maturity_s=90.0, keep_s=160.0))
Said = tuple[Topic, Entry]


def story() -> list[Said]:
    """Rows in records of 17, and among them labels of all kinds: early, late, repeated, overruled, withdrawn."""
    rows = iter([(SCORED, row_record(n * 17, 17, n, terminals=TILLS)) for n in range(20)])
    said = [
        label(4, id="a"), label(30, fraud=False, id="b"), label(200, id="early"), label(9, source="network", id="c"),
        label(30, source="chargeback", id="d"), label(4, id="a"), label(4, fraud=None, supersedes="a", id="e"),
        label(45, fraud=False, id="f", confidence=0.7), label(160, id="g"), label(45, id="h", confidence=0.9),
        label(160, fraud=False, id="i", supersedes="g"), label(210, id="j"), label(9, fraud=None, id="k", source="network"),
        label(1, id="long gone"), label(250, fraud=False, id="l"), label(200, fraud=False, id="m", source="analyst"),
    ]  # fmt: skip
    entries = iter([(LABELS_TOPIC, label_entry(one, offset)) for offset, one in enumerate(said)])
    merged: list[Said] = []
    for number in range(20):
        merged.append(next(rows))
        if number % 4:
            merged.extend(itertools.islice(entries, 1))
    return [*merged, *entries]


STORY = story()


def feed(one: Course, said: Sequence[Said]) -> Snapshot | None:
    newest = None
    for topic, entry in said:
        if topic is SCORED:
            newest = [newest, *learn(one, entry)][-1]
        else:
            one.label_record(entry)
    return newest


def table_of(one: Course) -> list[Bucket]:
    return [*one.table_changes(1), *one.table(1)]


def resumed(plan: Plan, snapshot: Snapshot, parts: Sequence[Bucket]) -> tuple[Course, list[Said]]:
    """A course begun again from ``snapshot``, and what it has to read."""
    snapshot = open_sealed(seal(snapshot, KEY), KEY)
    known = snapshot.labelled
    assert known is not None
    one, _ = course(plan, snapshot, parts)
    for topic, entry in STORY:
        if topic is SCORED and known.waiting_from.get(0, 0) <= entry.offset <= snapshot.reading[0]:
            one.recall(entry)
        elif topic is LABELS_TOPIC and known.labels_from.get(0, 0) <= entry.offset < known.labels.get(0, 0):
            one.recall_label(entry)
    one.recalled()
    rest = [
        (topic, entry)
        for topic, entry in STORY
        if entry.offset >= (snapshot.reading[0] if topic is SCORED else known.labels.get(0, 0))
    ]
    return one, rest


@pytest.mark.parametrize("plan", [LABELLED, MATURING], ids=["labels only", "maturing and forgetting"])
@pytest.mark.parametrize("cut", range(4, len(STORY), 3))
def test_a_crash_after_any_record_changes_nothing(plan: Plan, cut: int) -> None:
    ends = [(topic, entry) for topic, entry in STORY if topic is SCORED][-1]
    last = (
        SCORED,
        row_record(340, 60, 20, terminals=TILLS),
    )  # fills the window, so that there is a snapshot to look at
    assert ends[1].offset == 19
    whole, _ = course(plan)
    feed(whole, STORY)
    broken, _ = course(plan)
    newest = feed(broken, STORY[:cut])
    if newest is None:
        pytest.skip("no window was full yet: begun anew")
    told = table_of(broken)
    again, rest = resumed(plan, newest, told)
    feed(again, rest)
    final_whole, final_again = feed(whole, [last]), feed(again, [last])
    assert final_whole is not None
    assert final_again is not None
    assert masses(final_again).tobytes() == masses(final_whole).tobytes()
    assert final_again.labelled is not None
    assert final_whole.labelled is not None
    mine, theirs = final_again.labelled, final_whole.labelled
    assert {n: c.tolist() for n, c in mine.numbers.items()} == {n: c.tolist() for n, c in theirs.numbers.items()}
    assert (mine.progress, mine.labels) == (theirs.progress, theirs.labels)
    assert contents(again) == contents(whole)


def contents(one: Course) -> dict[int, object]:
    """What the table says, whoever tells it."""
    return {part.number: (part.rows, part.explained) for part in table_of(one) if part.explained or any(part.rows)}


def test_equal_scores_and_equal_learning_after_a_dump_and_a_load() -> None:
    one, _ = course(LABELLED)
    newest = feed(one, STORY)
    assert newest is not None
    opened = open_sealed(seal(newest, KEY), KEY)
    assert opened.labelled is not None
    assert newest.labelled is not None
    assert {n: c.tobytes() for n, c in opened.labelled.numbers.items()} == {
        n: c.tobytes() for n, c in newest.labelled.numbers.items()
    }
    assert np.isfinite(opened.labelled.numbers["weights"]).all()

"""Labels learned together teach what they teach one by one, to the bit: how a log was cut into polls changes nothing."""

import contextlib
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from labelled_world import LABELLED, LABELS, course, label, label_entry, learn, numbers, row_record
from learner_world import figures_of

from models import classifier
from models.binning import Column
from models.classifier import Classifier
from pipeline.core.entities import digest_of
from pipeline.core.records import Label
from pipeline.core.transaction import Refused
from pipeline.roles.learner.course import Course, Plan

COLUMNS = (
    Column("night", "time", crossed=True),
    Column("amount", "amount", crossed=True),
    Column("distance", "place"),
    Column("run", "labels", knots=(0.0, 2.0, 5.0, 9.0), coarse=(0.0, 5.0), label_derived=True, crossed=True),
)
RECORDS, ROWS = 12, 25
OURS = LABELLED._replace(labels=LABELS._replace(classifier=lambda: Classifier(COLUMNS), keep_s=250.0))
RIVERS = LABELLED._replace(labels=LABELS._replace(keep_s=250.0, maturity_s=90.0))
MATURING = OURS._replace(labels=OURS.labels._replace(maturity_s=90.0))  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def few_rows_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "ROWS_TO_SETTLE", 60)


def story(seed: int) -> list[list[Label]]:
    """Labels after each record of rows, of all kinds: some come before their row, many of one transaction."""
    dice = random.Random(seed)

    def said() -> Label:
        return label(
            dice.randrange(RECORDS * ROWS + 10),
            fraud=dice.choice([True, True, False, False, None]),
            source=dice.choice(["cardholder", "analyst", "chargeback"]),
            confidence=dice.choice([None, 0.5, 0.9]),
            id=dice.choice(["a", "b", "c", None]),
            supersedes=dice.choice([None, None, None, "a", "b"]),
        )

    made = []
    for _ in range(RECORDS):
        labels = [said() for _ in range(dice.randrange(30))]
        made.append(labels + dice.sample(labels, len(labels) // 5))
    return made


def told(plan: Plan, story: Sequence[Sequence[Label]], together: int) -> tuple[Any, ...]:
    """All there is to see of a course that took labels in, ``together`` at a time."""
    one, registry = course(plan)
    offset = 0
    for number, labels in enumerate(story):
        learn(one, row_record(number * ROWS, ROWS, number, terminals=("a", "b", "c"), percentile=number * 8.0))
        for start in range(0, len(labels), together):
            some = labels[start : start + together]
            one.label_records([label_entry(said, offset + place) for place, said in enumerate(some)])
            offset += len(some)
    assert one.labelled is not None
    parts = [*one.table_changes(1)]
    figures = {name: figure for name, figure in figures_of(registry).items() if "_created" not in name}
    return numbers(one), one.labelled.progress, one.labelled.part().labels_from, parts, figures


@pytest.mark.parametrize("plan", [OURS, MATURING, RIVERS], ids=["ours", "maturing", "rivers"])
@pytest.mark.parametrize("seed", range(6))
def test_labels_together_are_labels_one_by_one(plan: Plan, seed: int) -> None:
    alone = told(plan, story(seed), 1)
    assert told(plan, story(seed), 2 + 5 * seed) == alone
    figures = alone[-1]
    assert min(figures[f"cardwatch_labelled_total/{what}"] for what in ("fraud", "genuine")) > 20
    assert figures["cardwatch_unlearned_total"] >= 5


def taught(labels: Iterable[Label]) -> Course:
    one, _ = course(OURS)
    learn(one, row_record(0, 100, 0, terminals=("a",)))
    with contextlib.suppress(Refused):
        one.labels(labels)
    return one


def test_of_labels_together_those_before_one_without_a_time_are_learned() -> None:
    good, bad = [label(3), label(4, fraud=False)], label(5, time="yesterday")
    assert numbers(taught([*good, bad, label(6)])) == numbers(taught(good))
    assert numbers(taught(good)) != numbers(taught(good[:1]))


def test_a_fraud_is_explained_by_what_was_known_just_before_it() -> None:
    one = taught(label(number) for number in range(40))
    assert one.labelled is not None
    explained = [one.labelled.ledger.explained(digest_of(f"t0-{number}")) for number in range(40)]
    assert 0.0 < explained[0] <= explained[39] / 2, "those of the same batch were learned by then"

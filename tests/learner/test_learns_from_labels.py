"""What the learner makes of labels: which row is learned as what, and how it is taken back."""

import numpy as np
import pytest
from labelled_world import LABELLED, LABELS, SCALES, course, label, learn, numbers, row_record
from learner_world import KEY, PLAN, Entry, features, figures_of, masses, taught

from models.river_logistic import Logistic
from models.snapshot import open_sealed, seal
from pipeline.core.entities import digest_of
from pipeline.core.entity_table import EntityTable
from pipeline.core.transaction import Refused


def alone(*steps: tuple[int, bool, float]) -> dict[str, list[float]]:
    """A classifier that was taught just this: row, fraud, weight."""
    classifier = Logistic(SCALES, 1)
    for row, fraud, weight in steps:
        classifier.learn(features(1, row + 1)[row:], np.array([float(fraud)]), np.array([weight]))
    return {name: column.tolist() for name, column in classifier.dump().items()}


def test_a_label_finds_its_row_and_the_classifier_learns_it() -> None:
    one, registry = course()
    learn(one, row_record(0, 20, 0))
    one.label(label(3))
    one.label(label(7, fraud=False))
    assert numbers(one) == alone((3, True, 1.0), (7, False, 1.0))
    figures = figures_of(registry)
    assert figures["cardwatch_labelled_total/fraud"] == figures["cardwatch_labelled_total/genuine"] == 1
    assert figures["cardwatch_waiting_rows"] == 20
    assert figures["cardwatch_waiting_bytes"] > 20 * 8 * 4


def test_a_label_that_comes_before_its_row_waits_for_it() -> None:
    one, registry = course()
    one.label(label(3))
    assert figures_of(registry)["cardwatch_labels_unmatched_total"] == 1
    learn(one, row_record(0, 20, 0))
    assert numbers(one) == alone((3, True, 1.0))


def test_the_same_label_again_is_learned_once() -> None:
    one, _ = course()
    learn(one, row_record(0, 20, 0))
    for _ in range(3):
        one.label(label(3, id="l1"))
    one.label(label(3, source="analyst"))  # agrees
    assert numbers(one) == alone((3, True, 1.0))


def test_a_hijackers_yes_is_unlearned_when_the_network_says_fraud() -> None:
    one, registry = course()
    learn(one, row_record(0, 20, 0))
    one.label(label(3, fraud=False))
    one.label(label(3, source="network"))
    assert numbers(one) == alone((3, False, 1.0), (3, False, -1.0), (3, True, 1.0))
    one.label(label(3, fraud=False, id="again"))  # says so once more: the network is believed
    assert numbers(one) == alone((3, False, 1.0), (3, False, -1.0), (3, True, 1.0))
    assert figures_of(registry)["cardwatch_unlearned_total"] == 1


def test_a_withdrawn_label_leaves_the_row_unknown() -> None:
    one, _ = course()
    learn(one, row_record(0, 20, 0))
    one.label(label(3, id="l1"))
    one.label(label(3, fraud=None, supersedes="l1"))
    assert numbers(one) == alone((3, True, 1.0), (3, True, -1.0))


def test_a_label_of_less_confidence_weighs_less() -> None:
    one, _ = course()
    learn(one, row_record(0, 20, 0))
    one.label(label(3, confidence=0.8))
    assert numbers(one) == alone((3, True, 0.8))


def test_without_a_label_a_row_is_nothing_until_it_is_mature() -> None:
    maturing = LABELLED._replace(labels=LABELS._replace(maturity_s=100.0))
    one, registry = course(maturing)
    learn(one, row_record(0, 3, 0))
    one.label(label(1))
    learn(one, row_record(50, 1, 1))
    assert numbers(one) == alone((1, True, 1.0))
    learn(one, row_record(101, 1, 2))  # rows 0 and 1 are a hundred seconds old; 1 has a label
    assert numbers(one) == alone((1, True, 1.0), (0, False, 0.5))
    one.label(label(0))
    one.label(label(1, fraud=None))
    steps = [(1, True, 1.0), (0, False, 0.5), (0, False, -0.5), (0, True, 1.0), (1, True, -1.0), (1, False, 0.5)]
    assert numbers(one) == alone(*steps)
    assert figures_of(registry)["cardwatch_labelled_total/unlabelled"] == 2


def test_where_all_labels_come_none_is_taken_for_granted() -> None:
    one, _ = course()
    for offset in range(4):
        learn(one, row_record(offset * 1_000, 2, offset))
    assert numbers(one) == alone()


def test_what_is_older_than_is_kept_is_learned_no_more() -> None:
    one, registry = course(LABELLED._replace(labels=LABELS._replace(keep_s=1_000.0)))
    learn(one, row_record(0, 20, 0))
    learn(one, row_record(1_004, 1, 1))
    one.label(label(3))
    assert numbers(one) == alone()
    assert list(one.table_changes(1)) == []
    one.label(label(4))
    assert numbers(one) == alone((4, True, 1.0)), "exactly as old as is kept"
    assert figures_of(registry)["cardwatch_labels_unmatched_total"] == 1
    assert len(list(one.table_changes(1))) == 2
    assert figures_of(registry)["cardwatch_table_entities"] == 1


def test_known_fraud_is_not_learned_as_usual() -> None:
    one, registry = course()
    for number in (2, 60):
        one.label(label(number))
    one.label(label(5, fraud=False))
    snapshots = learn(one, row_record(0, 102, 0))
    without = np.delete(features(1, 102), [2, 60], axis=0)
    assert [snapshot.positions for snapshot in snapshots] == [{0: 51}, {0: 102}]
    assert np.array_equal(masses(snapshots[-1]), taught(without, PLAN).trees().masses)
    assert figures_of(registry)["cardwatch_learner_skipped_total/fraud"] == 2
    assert numbers(one) == alone((2, True, 1.0), (5, False, 1.0), (60, True, 1.0)), "by labels it is"


def test_a_fraud_marks_its_terminal_and_card_and_a_withdrawal_takes_the_mark_away() -> None:
    one, _ = course()
    learn(one, row_record(0, 20, 0, terminals=("till-a", "till-b")))
    one.label(label(3, id="l1"))
    table = EntityTable()
    for part in one.table_changes(epoch=4):
        assert part.epoch == 4
        table.take(part)
    assert len(table) == 2
    assert {digest_of(text) % 256 for text in ("till-b", "tok_00000000", "t0-3")} == set(table._told)
    assert list(one.table_changes(epoch=4)) == []
    one.label(label(3, fraud=None, supersedes="l1"))
    for part in one.table_changes(epoch=4):
        table.take(part)
    assert len(table) == 0


def test_progress_is_judged_before_learning_and_only_once_a_row() -> None:
    one, registry = course()
    learn(one, row_record(0, 20, 0))
    one.label(label(3))
    assert one.labelled is not None
    progress = one.labelled.progress
    assert (progress.frauds, progress.genuine, progress.ordinary) == (1, 0, 0)
    said = Logistic(SCALES, 1).scores(features(1, 4)[3:])[0]
    assert progress.loss == pytest.approx(-np.log(said))
    assert progress.prior_loss == pytest.approx(-np.log(0.01))
    assert figures_of(registry)["cardwatch_log_loss/prior"] == pytest.approx(-np.log(0.01))
    one.label(label(3, source="analyst"))
    assert one.labelled.progress == progress


def test_a_label_without_a_time_is_refused_and_a_record_that_is_none_is_counted() -> None:
    one, registry = course()
    with pytest.raises(Refused):
        one.label(label(3, time="yesterday"))
    for offset, value in enumerate((None, b"{}", b"\xff", b'{"transaction":1}')):
        one.label_record(Entry(0, offset, 0, b"k", value))
    assert figures_of(registry)["cardwatch_labels_unreadable_total"] == 4
    assert one.labelled is not None
    assert one.labelled.reading == {0: 4}


def test_without_a_plan_for_labels_nothing_is_kept() -> None:
    one, registry = course(PLAN)
    (snapshot,) = learn(one, row_record(0, 50, 0))
    one.label(label(3))
    assert snapshot.labelled is None
    assert list(one.table_changes(1)) == []
    assert figures_of(registry)["cardwatch_waiting_rows"] == 0


class Unsettled(Logistic):
    """Has seen too little to begin."""

    @property
    def settled(self) -> bool:
        return False


def test_of_a_classifier_that_has_not_begun_a_snapshot_keeps_the_places_and_no_numbers() -> None:
    plan = LABELLED._replace(labels=LABELS._replace(classifier=lambda: Unsettled(SCALES, 1)))
    one, _ = course(plan)
    (snapshot,) = learn(one, row_record(0, 50, 0))
    opened = open_sealed(seal(snapshot, KEY), KEY)
    assert opened.labelled is not None
    assert (opened.labelled.numbers, opened.labelled.waiting_from, opened.qualified) == ({}, {0: 0}, False)
    again, _ = course(plan, opened)
    assert again.labelled is not None
    assert isinstance(again.labelled.classifier, Unsettled)

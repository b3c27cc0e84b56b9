"""Labels of transactions that have left the learner's memory: with the archive, it learns as if it forgot nothing."""

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from labelled_world import LABELLED, LABELS, course, label, label_entry, learn, numbers
from late_world import MemoryPast, fetch, rows_of
from learner_world import KEY, Bank, MemoryLog, MemoryReader

from models.snapshot import open_sealed, seal
from pipeline.core.records import Label
from pipeline.core.scored import decode
from pipeline.core.topics import LABELS as LABELS_TOPIC
from pipeline.core.topics import SCORED
from pipeline.roles.learner import late
from pipeline.roles.learner.arrival import arrived
from pipeline.roles.learner.course import Course, Plan
from pipeline.roles.learner.inputs import EVERYTHING_MS, LabelsRead
from pipeline.roles.learner.metrics import LATE

RECORDS = 24
"""Of 17 rows each, a second apart."""
ENDLESS = LABELLED._replace(labels=LABELS._replace(keep_s=1e9, maturity_s=60.0))
FORGETFUL = LABELLED._replace(labels=LABELS._replace(keep_s=100.0, maturity_s=60.0, archived=True))
SAID: dict[int, Sequence[Label]] = {
    3: [label(4, id="a"), label(20, fraud=False, id="b")],
    9: [label(1, id="c", source="chargeback"), label(20, id="d", source="network")],
    12: [label(4, fraud=None, id="e", supersedes="a"), label(33, id="f"), label(33, id="f")],
    15: [label(33, fraud=False, id="g", source="analyst"), label(130, id="h"), label(240, fraud=False, id="i")],
    18: [label(1, fraud=None, id="j", source="chargeback"), label(80, id="k", confidence=0.5)],
    21: [label(80, fraud=False, id="l", source="analyst"), label(130, fraud=False, id="m", supersedes="h")],
    23: [label(5, id="n"), label(5, fraud=None, id="o")],
}
"""After the record of this number. Rows leave the forgetful one's memory 100 s after."""
ENTRIES = {
    number: [label_entry(one, sum(len(SAID[n]) for n in SAID if n < number) + k) for k, one in enumerate(said)]
    for number, said in SAID.items()
}


def table(one: Course) -> dict[int, object]:
    parts = [*one.table_changes(1), *one.table(1)]
    return {part.number: (part.rows, part.explained) for part in parts if part.explained or any(part.rows)}


def told(plan: Plan, past: MemoryPast | None) -> Course:
    one, _ = course(plan)
    for number in range(RECORDS):
        record = rows_of(number)
        learn(one, record if past is None else past.archive(record))
        for entry in ENTRIES.get(number, ()):
            one.label_record(entry)
            if past is not None:
                fetch(one, past)
    return one


def test_with_the_archive_a_learner_of_short_memory_learns_what_one_that_forgets_nothing_does() -> None:
    past = MemoryPast()
    short, long = told(FORGETFUL, past), told(ENDLESS, None)
    assert numbers(short) == numbers(long), "to the bit: features, order, what is taken back"
    assert table(short) == table(long)
    assert {"t0-1", "t0-4", "t0-5", "t0-20", "t0-33"} <= set(past.asked)
    assert past.asked.count("t0-33") == 1, "what was found lately is at hand"
    assert "t0-240" not in past.asked


@pytest.mark.parametrize("cut", [11, 14, 17, 20, 22])
def test_labels_whose_row_was_being_looked_for_are_resumed_after_a_crash(cut: int) -> None:
    past = MemoryPast()
    whole, broken = course(FORGETFUL)[0], course(FORGETFUL)[0]
    newest = None
    for number in range(cut + 1):
        record = past.archive(rows_of(number))
        learn(whole, record)
        newest = [newest, *learn(broken, record)][-1]
        for entry in ENTRIES.get(number, ()):
            whole.label_record(entry)
            fetch(whole, past)
            broken.label_record(entry)  # and no row of its comes before the crash
    if newest is None or newest.labelled is None:
        pytest.fail("no window was full")
    snapshot = open_sealed(seal(newest, KEY), KEY)
    known = snapshot.labelled
    assert known is not None
    again, _ = course(FORGETFUL, snapshot, [*broken.table_changes(1), *broken.table(1)])
    for number in range(known.waiting_from.get(0, 0), snapshot.reading[0] + 1):
        again.recall(rows_of(number))
    every = [entry for said in ENTRIES.values() for entry in said]
    for entry in every[known.labels_from.get(0, 0) : known.labels.get(0, 0)]:
        again.recall_label(entry)
    again.recalled()
    wanted = [one.sought.transaction for one in again.wanted().values()]
    assert bool(wanted) == bool(known.sought)
    for number in range(snapshot.reading[0], cut + 1):
        learn(again, rows_of(number))
        for entry in ENTRIES.get(number, ()):
            if entry.offset >= known.labels.get(0, 0):
                again.label_record(entry)
    fetch(again, past)
    fetch(broken, past)
    assert numbers(again) == numbers(broken), "the one that was not broken off, told of the rows as late"
    assert table(again) == table(broken)
    frauds = {key for part in table(again).values() for key in part[1]}  # type: ignore[index]
    assert frauds == {key for part in table(whole).values() for key in part[1]}  # type: ignore[index]


def test_what_scored_still_has_to_bring_is_not_taken_from_the_archive() -> None:
    past = MemoryPast()
    records = [past.archive(rows_of(number)) for number in range(4)]
    without = FORGETFUL._replace(labels=LABELS._replace(keep_s=100.0, maturity_s=60.0))
    ahead, usual = course(FORGETFUL)[0], course(without)[0]
    for one in (ahead, usual):
        learn(one, records[0])
        one.label(label(40))
    fetch(ahead, past)
    assert past.asked == ["t0-40"]
    for record in records[1:]:
        learn(ahead, record)
        learn(usual, record)
    assert numbers(ahead) == numbers(usual)


def test_a_row_of_other_features_or_of_another_card_is_not_learned() -> None:
    past = MemoryPast()
    one, registry = course(FORGETFUL)
    for number in range(20):
        learn(one, past.archive(rows_of(number), layout="another"))
    before = numbers(one)
    one.label(label(1))
    one.label(msgspec.structs.replace(label(9_999), card="tok_99999999"))
    fetch(one, past)
    assert numbers(one) == before
    late_total = {
        result: registry.get_sample_value("cardwatch_labels_late_total", {"result": result}) for result in LATE
    }
    assert late_total == {"found": 0, "not_archived": 1, "other_features": 1, "to_come": 0, "failed": 0}
    assert registry.get_sample_value("cardwatch_labels_unmatched_total") == 2


def test_nothing_is_taken_back_of_a_row_that_was_not_found_for_what_was_said_first() -> None:
    twice, once = course(FORGETFUL)[0], course(FORGETFUL)[0]
    past = MemoryPast()
    for number in range(20):
        learn(twice, past.archive(rows_of(number)))
        learn(once, rows_of(number))
    twice.label(label(1, fraud=False))
    fetch(twice, MemoryPast())
    twice.label(label(1, source="analyst"))
    once.label(label(1, source="analyst"))
    fetch(twice, past)
    fetch(once, past)
    assert numbers(twice) == numbers(once)


def test_a_label_said_long_ago_is_learned_though_nobody_remembers_it() -> None:
    past = MemoryPast()
    one, registry = course(FORGETFUL)
    for number in range(20):
        learn(one, past.archive(rows_of(number)))
    one.label_record(label_entry(label(1, source="import", time="1970-01-01T00:00:02Z"), 7))
    assert one.labelled is not None
    assert one.labelled.part().labels_from == {0: 7}, "until it is learned, it is read again"
    assert one.labelled.part().sought == {0: (7,)}
    fetch(one, past)
    assert registry.get_sample_value("cardwatch_labelled_total", {"as": "fraud"}) == 1
    assert (one.labelled.part().labels_from, one.labelled.part().sought) == ({}, {})


def test_with_the_archive_each_labelled_row_counts_once_however_few_are_left_in_memory() -> None:
    one, registry = course(LABELLED._replace(labels=LABELS._replace(keep_s=1e9, most_bytes=2_850_000, archived=True)))
    past, size = MemoryPast(), 1_550
    assert one.labelled is not None
    for number in range(8):
        record = past.archive(rows_of(number, size))
        one.labelled.arrived(arrived(decode(record.value or b""), np.arange(size)), 0, number)
    assert registry.get_sample_value("cardwatch_waiting_rows") != 8 * size, "thinned out"
    for number in range(600):
        one.label(label(number, fraud=number % 3 == 0))
    wanted = one.wanted()
    assert 200 < len(wanted) < 500
    one.labelled.fetched({key: past.known[each.sought.transaction] for key, each in wanted.items()})
    assert one.labelled.progress.weight == pytest.approx(600, rel=0.1), "fading a little"
    assert registry.get_sample_value("cardwatch_labelled_total", {"as": "fraud"}) == 200


def test_no_more_labels_are_taken_in_than_rows_can_be_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "MOST_SOUGHT", 3)
    past, bank = MemoryPast(), Bank()
    one, _ = course(FORGETFUL)
    for number in range(12):
        learn(one, past.archive(rows_of(number)))
    log: MemoryLog = bank.log
    for number in range(8):
        log.put(LABELS_TOPIC, label_entry(label(number), 0).value)

    async def scenario() -> list[int]:
        reader = MemoryReader(log, LABELS_TOPIC)
        await reader.start()
        heard, done = LabelsRead(reader), []
        for _ in range(4):
            await heard.hear(one, EVERYTHING_MS)
            assert one.labelled is not None
            done.append(one.labelled.reading.get(0, 0))
            fetch(one, past)
        return done

    assert asyncio.run(scenario()) == [3, 6, 8, 8]


def test_an_archive_that_fails_holds_nothing_up_and_the_next_label_is_looked_for_again() -> None:
    past = MemoryPast(failures=[OSError("no such disk")])
    bank = Bank(plan=FORGETFUL, past=past)
    for number in range(20):
        bank.log.put(SCORED, past.archive(rows_of(number)).value)
    bank.log.put(LABELS_TOPIC, label_entry(label(2), 0).value)
    figures = asyncio.run(bank.until_idle(lambda seen: seen["cardwatch_labels_unmatched_total"] == 1))
    assert figures["cardwatch_labels_late_total/failed"] == 1
    assert figures["cardwatch_learner_failures_total"] == 0
    bank.log.put(LABELS_TOPIC, label_entry(label(3), 1).value)
    figures = asyncio.run(bank.until_idle(lambda seen: seen["cardwatch_labelled_total/fraud"] == 1))
    assert figures["cardwatch_labels_late_total/found"] == 1

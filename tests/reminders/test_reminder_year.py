"""Three months of the simulated year of reminders (`make proof-reminder-year` is the whole of it), and a judge who finds
what is wrong."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from simulated_year.dunning_evidence import DunningEvidence
from simulated_year.dunning_figures import DunningTally, summary, table, tallied
from simulated_year.dunning_file import Attempt, DunningFile
from simulated_year.dunning_judge import judged
from simulated_year.dunning_year import CONFIG, DunningScope, plan_text, reminded
from simulated_year.evidence import Said
from simulated_year.reminder_rules import read_plan_rules, read_reminder_rules

SCOPE = DunningScope("us", 80, 90, seed=3, first=date(2026, 2, 1))
"""Clocks go forward on the 8th of March."""
RULES = read_reminder_rules(CONFIG / "contact" / "us.toml")
PLAN = read_plan_rules(plan_text("us"))
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def lived() -> DunningEvidence:
    return reminded(SCOPE)


@pytest.fixture
def evidence(lived: DunningEvidence) -> DunningEvidence:
    """A copy, to be spoiled."""
    return replace(
        lived,
        told=list(lived.told),
        spoken=list(lived.spoken),
        said=list(lived.said),
        records=list(lived.records),
        claimed=dict(lived.claimed),
        answered=dict(lived.answered),
        events=tuple(list(each) for each in lived.events),  # type: ignore[arg-type] # two, as before
    )


def the_file(evidence: DunningEvidence) -> DunningFile:
    return DunningFile(evidence, RULES, PLAN)


def test_three_months_with_every_trouble_break_no_rule(lived: DunningEvidence) -> None:
    assert [violation.words for violation in judged(the_file(lived))] == []
    troubles = {
        "a worker killed",
        "nobody reminds for a day",
        "an account's record written twice",
        "a payment returned",
    }
    assert troubles <= set(lived.faults)


def test_the_figures_are_of_these_days(lived: DunningEvidence) -> None:
    tally = tallied(the_file(lived), SCOPE.customers)
    assert tally.attempts > 100
    assert tally.told["channel reminder sms"] > tally.cured["channel reminder sms"] > 0
    assert tally.stopped_by_payment > 0
    assert tally.per_customer.total() == SCOPE.customers
    both = DunningTally()
    both.add(tally)
    both.add(tally)
    assert summary(both)["attempts"] == 2 * tally.attempts
    assert f"| attempts that reminded | {2 * tally.attempts:,} |" in table(both).splitlines()


def first(file: DunningFile, which: Callable[[Attempt], bool] = lambda one: True) -> Attempt:
    return next(one for one in file.attempts if not one.thanks and one.spoken and one.alone and which(one))


def reminds_of_nothing(evidence: DunningEvidence, file: DunningFile) -> None:
    """As if no statement had asked for anything."""
    for events in evidence.events:
        for place, event in enumerate(events):
            if event.value["type"] == "statement":
                events[place] = event._replace(value={**event.value, "minimum_due": 0, "past_due": 0})


def says_another_amount(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file, lambda one: bool(one.amounts))
    place = evidence.spoken.index(one.spoken)  # type: ignore[arg-type] # it was spoken
    evidence.spoken[place] = evidence.spoken[place]._replace(text="USD 1.23 is due")


def collects_before_the_grace_is_over(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file, lambda one: one.stage == "due")
    changed(evidence, one, **{"class": "collection"})


def tells_a_stage_again(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file)
    told = next(each for each in evidence.told if each.value.get("step") == "sending" and is_of(each.value, one))
    evidence.told.append(told._replace(value={**told.value, "contact": "ct_again"}))
    evidence.claimed["ct_again", one.number] = evidence.claimed[one.contact, one.number]


def is_ordered_twice(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file)
    assert one.spoken is not None
    evidence.spoken.append(one.spoken)


def tells_at_night(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file)
    step, at_ms = evidence.claimed[one.contact, one.number]
    evidence.claimed[one.contact, one.number] = step, at_ms // DAY_MS * DAY_MS + 10 * 3_600_000  # five in New York


def tells_too_often(evidence: DunningEvidence, file: DunningFile) -> None:
    """Everything of one customer at once."""
    one = first(
        file, lambda one: sum(each.customer == one.customer and each.channel == "sms" for each in file.attempts) > 3
    )
    for each in file.attempts:
        if each.customer == one.customer:
            evidence.claimed[each.contact, each.number] = each.step, one.at_ms


def tells_the_protected(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file)
    record = {**file.record(one.customer, one.at_ms), "protections": ["breathing_space"]}
    evidence.records.append((one.at_ms - DAY_MS, one.customer, record))


def tells_without_consent(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file)
    record = {**file.record(one.customer, one.at_ms), "consent": {"automated_calls": False}}
    evidence.records.append((one.at_ms - DAY_MS, one.customer, record))


def tells_after_a_stop(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file)
    before_ms = one.at_ms - 1
    evidence.said.append(Said(before_ms, one.contact, 1, (), "stop", "sms", "sms", heard_ms=before_ms))


def tells_during_a_promise(evidence: DunningEvidence, file: DunningFile) -> None:
    one = first(file, lambda one: one.stage == "due_in_1")
    told = next(each for each in evidence.told if each.value.get("step") == "sending" and is_of(each.value, one))
    moment = datetime.fromtimestamp((one.at_ms - DAY_MS) / 1000, UTC).isoformat()
    value = {**told.value, "step": "answered", "answer": "promise", "time": moment}
    evidence.told.append(told._replace(id="promised", value=value))
    evidence.answered["promised"] = (one.step - 2, one.step - 1)


def forgets_the_overdue(evidence: DunningEvidence, file: DunningFile) -> None:
    evidence.told = [
        told
        for told in evidence.told
        if told.value.get("stage") != "m1" and (told.value.get("bill") or {}).get("stage") != "m1"
    ]


def is_of(value: object, one: Attempt) -> bool:
    assert isinstance(value, dict)
    return (value.get("contact"), value.get("attempt")) == (one.contact, one.number)


def changed(evidence: DunningEvidence, one: Attempt, **more: object) -> None:
    for place, told in enumerate(evidence.told):
        if told.value.get("step") == "sending" and is_of(told.value, one):
            evidence.told[place] = told._replace(value={**told.value, **more})


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (reminds_of_nothing, "owed nothing"),
        (says_another_amount, "wrong amount"),
        (collects_before_the_grace_is_over, "too early"),
        (tells_a_stage_again, "told twice"),
        (is_ordered_twice, "told twice"),
        (tells_at_night, "outside hours"),
        (tells_too_often, "too often"),
        (tells_the_protected, "not respected"),
        (tells_without_consent, "not respected"),
        (tells_after_a_stop, "not respected"),
        (tells_during_a_promise, "promise ignored"),
        (forgets_the_overdue, "forgotten"),
    ],
)
def test_the_judge_of_reminders_finds(
    evidence: DunningEvidence, spoil: Callable[[DunningEvidence, DunningFile], None], rule: str
) -> None:
    spoil(evidence, the_file(evidence))
    assert rule in {violation.rule for violation in judged(the_file(evidence))}

"""Two weeks of the simulated year (`make proof-contact-year` is the whole of it), and a judge who finds what is wrong."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from simulated_year.case_file import CaseFile
from simulated_year.evidence import Evidence, Said, Told
from simulated_year.figures import Tally, summary, table, tallied
from simulated_year.judge import judged
from simulated_year.rules import read_rules
from simulated_year.year import CONFIG, Scope, simulated

SCOPE = Scope("us", 250, 14, alerts=30.0, seed=1, first=date(2026, 3, 1))
"""Clocks go forward on the 8th of March."""
EAST, HOUR_MS, DAY_MS = "America/New_York", 3_600_000, 86_400_000
RULES = read_rules(CONFIG / "contact" / "us.toml")


@pytest.fixture(scope="module")
def lived() -> Evidence:
    return simulated(SCOPE)


@pytest.fixture
def evidence(lived: Evidence) -> Iterator[Evidence]:
    """A copy, to be spoiled."""
    return replace(
        lived,
        raised=list(lived.raised),
        records=list(lived.records),
        told=list(lived.told),
        handled=list(lived.handled),
        said=[replace(said) for said in lived.said],
    )


def test_two_weeks_with_every_trouble_break_no_rule(lived: Evidence) -> None:
    assert [violation.words for violation in judged(lived, RULES)] == []
    troubles = {"a worker killed", "busy", "lost", "dropped", "outage", "a report lost", "a report delivered twice"}
    assert troubles <= set(lived.faults)


def test_the_figures_are_of_these_weeks_and_the_same_each_time(lived: Evidence) -> None:
    tally = tallied(lived, SCOPE.customers)
    assert tally.alerts == len(lived.raised) > 150
    assert {"released", "blocked", "cancelled"} <= tally.ends.keys()
    assert 0 < tally.without_people < tally.conversations
    assert tally.deferred > 0
    assert tally.hold_s
    small = Scope("uk", 30, 7, alerts=40.0, seed=2)
    first, second = (tallied(simulated(small), small.customers) for _ in range(2))
    for tally in (first, second):
        tally.cpu_s, tally.measured_s = 0.0, []
    assert first == second


def test_figures_of_profiles_add_up_and_stand_in_one_table(lived: Evidence) -> None:
    tally, both = tallied(lived, SCOPE.customers), Tally()
    both.add(tally)
    both.add(tally)
    assert both.alerts == 2 * tally.alerts
    assert both.reached == tally.reached + tally.reached
    rows = table({"us": summary(tally, 6.0), "all": summary(both, 6.0)}).splitlines()
    assert rows[0] == "| | us | all |"
    assert f"| agents' hours | {tally.cases / 10:,.0f} | {tally.cases / 5:,.0f} |" in rows


Spoiler = Callable[[Evidence, CaseFile], None]


def rings_again(evidence: Evidence, file: CaseFile) -> None:
    evidence.handled.append(file.questions[5]._replace(at_ms=file.questions[5].at_ms + 600_000))


def asks_what_was_answered(evidence: Evidence, file: CaseFile) -> None:
    one = next(one for one in file.questions for said in file.said[one.contact] if said.word == "yes" and said.covers)
    heard_ms = max(file.heard_ms(said) or 0 for said in file.said[one.contact])
    evidence.handled.append(one._replace(at_ms=heard_ms + 60_000, number=9))


def asks_while_a_text_is_open(evidence: Evidence, file: CaseFile) -> None:
    one = next(one for one in file.questions if one.channel == "sms")
    evidence.handled.append(one._replace(at_ms=one.at_ms + 1_000, number=one.number + 1, channel="voice"))


def asks_at_night(evidence: Evidence, file: CaseFile) -> None:
    east = [one for one in file.questions if file.record(file.customer(one.contact), one.at_ms)["time_zone"] == EAST]
    evidence.handled.append(east[0]._replace(at_ms=east[0].at_ms // DAY_MS * DAY_MS + 8 * HOUR_MS, number=3))


def asks_too_often(evidence: Evidence, file: CaseFile) -> None:
    one = file.questions[3]
    evidence.handled += [one._replace(at_ms=one.at_ms + more * 600_000, number=10 + more) for more in range(4)]


def forgets_a_conversation(evidence: Evidence, file: CaseFile) -> None:
    contact = next(iter(file.steps))
    evidence.told = [
        told for told in evidence.told if told.value.get("contact") != contact or told.value.get("step") == "planned"
    ]


def loses_an_alert(evidence: Evidence, file: CaseFile) -> None:
    evidence.raised.append(replace(evidence.raised[0], id="tx_nobody_knows"))


def ends_without_a_reason(evidence: Evidence, file: CaseFile) -> None:
    changed(evidence, lambda told: told.value.get("step") == "completed", reason=None)


def holds_a_card_for_ever(evidence: Evidence, file: CaseFile) -> None:
    """The switch never hears of the release."""
    released = next(told for told in evidence.told if told.value.get("command") == "release" and alone(file, told))
    steps = file.steps[released.value["id"].partition(":")[0]]
    handed = {told.id for told in steps if told.value["step"] in ("escalated", "expired")}
    evidence.told = [told for told in evidence.told if told.id not in handed | {released.id}]


def gives_a_number_twice(evidence: Evidence, file: CaseFile) -> None:
    commands = next(commands for commands in file.commands.values() if len(commands) > 1)
    number = commands[0].value["sequence"]
    changed(evidence, lambda told: told.id == commands[1].id, sequence=number)


def releases_before_the_hold(evidence: Evidence, file: CaseFile) -> None:
    changed(evidence, lambda told: told.value.get("command") == "release", sequence=1)


def asks_after_a_stop(evidence: Evidence, file: CaseFile) -> None:
    spoken(evidence, file, "stop")


def calls_a_stranger_again(evidence: Evidence, file: CaseFile) -> None:
    spoken(evidence, file, "wrong_person")


def asks_about_the_dead(evidence: Evidence, file: CaseFile) -> None:
    one = file.questions[0]
    customer = file.customer(one.contact)
    record = {**file.record(customer, one.at_ms), "protections": ["deceased"]}
    evidence.records.append((one.at_ms, customer, record))


def releases_after_a_no(evidence: Evidence, file: CaseFile) -> None:
    for said in evidence.said:
        said.word = "no" if said.word == "yes" else said.word


def releases_on_a_thiefs_word(evidence: Evidence, file: CaseFile) -> None:
    for said in evidence.said:
        said.number, said.assurance = "+12125550000", "sms"


def releases_more_than_was_asked(evidence: Evidence, file: CaseFile) -> None:
    for said in evidence.said:
        said.covers = said.covers[1:]


def alone(file: CaseFile, told: Told) -> bool:
    """Whether the card has had one hold and this release of it."""
    return [one.value["command"] for one in file.commands[told.key]] == ["hold", "release"]


def changed(evidence: Evidence, which: Callable[[Told], bool], **more: object) -> None:
    """The first record of that kind says something else."""
    place = next(place for place, told in enumerate(evidence.told) if which(told))
    told = evidence.told[place]
    evidence.told[place] = told._replace(value={**told.value, **more})


def spoken(evidence: Evidence, file: CaseFile, word: str) -> None:
    """``word`` was heard just before a question."""
    one = file.questions[4]
    before_ms = one.at_ms - 1
    evidence.said.append(Said(before_ms, one.contact, 1, (), word, "sms", "sms", number=one.to, heard_ms=before_ms))


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (rings_again, "asked twice"),
        (asks_what_was_answered, "asked twice"),
        (asks_while_a_text_is_open, "two questions"),
        (asks_at_night, "outside hours"),
        (asks_too_often, "too many"),
        (forgets_a_conversation, "never ended"),
        (loses_an_alert, "never ended"),
        (ends_without_a_reason, "never ended"),
        (holds_a_card_for_ever, "hold left"),
        (gives_a_number_twice, "out of order"),
        (releases_before_the_hold, "out of order"),
        (asks_after_a_stop, "not respected"),
        (calls_a_stranger_again, "not respected"),
        (asks_about_the_dead, "not respected"),
        (releases_after_a_no, "false release"),
        (releases_on_a_thiefs_word, "false release"),
        (releases_more_than_was_asked, "false release"),
    ],
)
def test_the_judge_finds(evidence: Evidence, spoil: Spoiler, rule: str) -> None:
    spoil(evidence, CaseFile(evidence, RULES))
    assert rule in {violation.rule for violation in judged(evidence, RULES)}

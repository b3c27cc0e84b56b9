"""What the policy guide shows works: its example is a policy, and it names exactly the columns rules may speak of."""

import re
from pathlib import Path

import pytest

from pipeline.core.columns import SCHEMA
from pipeline.core.counter_slots import SLOTS
from pipeline.core.features import CATALOGUE
from pipeline.core.lists import parse_list
from pipeline.core.policy import parse_policy
from pipeline.core.rules import FUNCTIONS, compile_rule

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = ("en", "zh-CN")
ACTION_NAMES = ("transaction", "card", "contact", "queue")


def guide(language: str) -> str:
    return (DOCS / language / "policy-guide.md").read_text()


def examples(language: str) -> list[str]:
    """A policy, then what else it may hold: each begins a table of its own."""
    return re.findall(r"^```toml\n(.*?)^```", guide(language), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_examples_together_are_a_policy(language: str) -> None:
    policy = parse_policy("\n".join(examples(language)), "policy-guide.md", SCHEMA)
    assert policy.thresholds
    assert policy.rules
    assert policy.explanations
    assert policy.control_group


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_counters_shown_fit_in_a_row_and_are_as_exact_as_is_said(language: str) -> None:
    (example,) = (each for each in examples(language) if "[counters]" in each)
    counters = parse_policy('name = "x"\n' + example, "policy-guide.md", SCHEMA).counters
    assert sum(counter.slots for counter in counters.each) == SLOTS
    rows = re.findall(r"^\| `(\w+)[ (].*\| (\d)(?: 段)? \| (\d) \|$", guide(language), re.MULTILINE)
    said = {name: (int(parts), int(slots)) for name, parts, slots in rows}
    assert said == {each.function: (each.window_s / each.bucket_s, each.slots) for each in counters.each}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_counters_per_merchant_and_customer_shown_are_such(language: str) -> None:
    (example,) = re.findall(r"^```\n(tested_here_10m = .*?)^```", guide(language), re.MULTILINE | re.DOTALL)
    counters = parse_policy(f'name = "x"\n[counters]\n{example}', "policy-guide.md", SCHEMA).entity_counters
    assert {each.per for each in counters.definitions} == {"merchant", "customer"}
    assert len(counters.each) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_shown_is_a_list(language: str) -> None:
    (example,) = re.findall(r"^```\n(column = .*?)^```", guide(language), re.MULTILINE | re.DOTALL)
    assert len(parse_list("hot", example, "policy-guide.md").until) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_and_function_of_the_rule_language_is_named(language: str) -> None:
    named = set(re.findall(r"`(\w+)`", guide(language)))
    features = {feature.name for feature in CATALOGUE}
    assert set(SCHEMA) - features <= named
    assert set(FUNCTIONS) - {"ceiling"} <= named


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_conditions_shown_in_the_text_are_accepted(language: str) -> None:
    shown = re.findall(r"`((?:country|amount|new_merchant|count_10m) (?:<>|=|>) [^`]*)`", guide(language))
    assert len(shown) >= 4
    for condition in shown:
        compile_rule(condition, SCHEMA)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_lists_the_rules_of_the_delivered_policy(language: str) -> None:
    file = DOCS.parent / "config" / "policies" / "default.toml"
    delivered = parse_policy(file.read_text(), str(file), SCHEMA)
    rows = re.findall(r"^\| `(\w+)`((?: \(hard\)|（硬规则）)?) \|", guide(language), re.MULTILINE)
    listed = [(name, bool(hard)) for name, hard in rows if name not in ACTION_NAMES]
    assert listed == [(rule.name, rule.hard) for rule in delivered.rules]
    scores = [float(score) for score in re.findall(r"^\| (0\.\d+) \|", guide(language), re.MULTILINE)]
    assert scores == [threshold.score for threshold in delivered.thresholds]

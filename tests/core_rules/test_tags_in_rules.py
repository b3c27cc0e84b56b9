"""``has_tag('frequent')`` in rules: what may be written, what it answers, in NumPy and in DuckDB alike."""

import duckdb
import numpy as np
import pytest
from policy_texts import POLICY, SCHEMA

from pipeline.core.customer_tags import TagError, parse_tags
from pipeline.core.policy import parse_policy
from pipeline.core.rules import RuleError, compile_rule
from pipeline.core.tag_table import HeldTags
from pipeline.core.tag_use import TagUse, tag_use

PAST = [(100.0, "frequent night_owl"), (100.0, "frequently"), (100.0, ""), (100.0, None), (1.0, "frequent")]


@pytest.mark.parametrize(
    ("condition", "hits"),
    [
        ("has_tag('frequent')", [1, 0, 0, 0, 1]),
        ("not has_tag('frequent')", [0, 1, 1, 0, 0]),
        ("HAS_TAG('night_owl') or amount < 50", [1, 0, 0, 0, 1]),
        ("has_tag('frequent') and not has_tag('night_owl') and amount / amount > 0", [0, 0, 0, 0, 1]),
        ("case when has_tag('frequent') then amount else 0 end > 50", [1, 0, 0, 0, 0]),
    ],
)
def test_a_tag_is_asked_alike_of_arrays_and_of_the_archive(condition: str, hits: list[int]) -> None:
    rule = compile_rule(condition, {"amount": "number"})
    columns = {"amount": np.array([amount for amount, _ in PAST])}
    for use in filter(None, map(tag_use, rule.columns)):
        columns[str(use)] = np.array([use.of(tags) for _, tags in PAST])
    assert rule.hits(columns, len(PAST)).tolist() == [bool(hit) for hit in hits]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE past (amount DOUBLE, tags VARCHAR)")
        connection.executemany("INSERT INTO past VALUES (?, ?)", PAST)
        found = connection.execute(f"SELECT coalesce(({rule.sql}), false) FROM past").fetchall()
    assert [hit for (hit,) in found] == [bool(hit) for hit in hits]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("has_tag(amount)", "a tag's name in single quotes"),
        ("has_tag('a', 'b')", "a tag's name in single quotes"),
        ("has_tag()", "a tag's name in single quotes"),
        ("has_tag('Frequent')", "a–z first"),
        ("has_tag('it''s')", "a–z first"),
        ("has_tag(merchant, 'hot')", "unknown column"),
        ("has_tags('hot')", "no such function"),
    ],
)
def test_what_is_no_question_of_a_tag_is_refused(condition: str, why: str) -> None:
    with pytest.raises(RuleError, match=why):
        compile_rule(condition, {"amount": "number"})


def test_a_policy_knows_which_tags_it_asks_and_where() -> None:
    text = POLICY.replace("amount_ratio > 5", "amount_ratio > 5 and has_tag('travelling')")
    policy = parse_policy(text, "p.toml", SCHEMA)
    line = next(number for number, each in enumerate(text.split("\n"), 1) if "has_tag" in each)
    assert policy.tags == {TagUse("travelling"): f"p.toml:{line}"}
    assert policy.unknown_tags(["travelling", "frequent"]) == []
    assert policy.unknown_tags(["frequent", "cash_user"]) == [
        f"p.toml:{line}: has_tag('travelling'): there is no such tag (there are: cash_user, frequent): name it in "
        "tags.toml, or correct it here"
    ]


def test_neither_a_counter_nor_a_tag_may_ask_for_a_tag() -> None:
    counters = "[counters]\nmine = \"count per card over 10m where has_tag('frequent')\"\n"
    with pytest.raises(ValueError, match="lists or tags"):
        parse_policy(f'name = "x"\n{counters}', "p.toml", SCHEMA)
    with pytest.raises(TagError, match="tags speak of customers"):
        parse_tags('[[tag]]\nname = "a"\nwhen = "has_tag(\'b\')"\nen = "a"\nzh = "a"\n', "tags.toml")


def test_a_tag_nobody_told_of_is_held_by_nobody_and_unknown_without_a_customer() -> None:
    held = HeldTags(("frequent",), np.array([1, 0, 0], dtype=np.uint64), np.array([True, True, False]))
    assert held.holds("frequent").tolist()[:2] == [1.0, 0.0]
    assert held.holds("gone").tolist()[:2] == [0.0, 0.0]
    assert np.isnan(held.holds("frequent")[2])
    assert np.isnan(held.holds("gone")[2])

"""Tags: conditions over a customer's figures, left later than entered, and files refused with place and reason."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.customer_activity import Figures
from pipeline.core.customer_tags import MAX_TAGS, TagError, Tags, parse_tags

CONFIG = Path(__file__).parents[2] / "config"
TEXT = """\
[[tag]]
name = "traveller"
when = "abroad_share > 0.3 and payments_30d > 5"
leave = "abroad_share < 0.1"
en = "pays abroad"
zh = "境外消费"
[[tag]]
name = "busy"
when = "payments_30d > 10"
en = "pays often"
zh = "消费频繁"
"""


def known(**values: float) -> list[float]:
    return list(Figures(*[values.get(name, 0.0) for name in Figures._fields]))


def after(tags: Tags, held: list[int], *people: list[float]) -> list[int]:
    found: list[int] = tags.after(np.array(held, dtype=np.uint32), np.array(people)).tolist()
    return found


def test_a_tag_is_entered_at_one_condition_and_left_at_another() -> None:
    tags, held, seen = parse_tags(TEXT, "tags.toml"), 0, []
    for abroad in (0.2, 0.31, 0.2, 0.31, 0.11, 0.09, 0.2):
        (held,) = after(tags, [held], known(abroad_share=abroad, payments_30d=20))
        seen.append(tags.of(held))
    both, busy = ["traveller", "busy"], ["busy"]
    assert seen == [busy, both, both, both, both, busy, busy]
    people = [known(abroad_share=0.2, payments_30d=n) for n in (1, 11)]
    assert after(tags, [1, 1], *people) == [1, 3]
    assert [after(tags, [had], each)[0] for had, each in ((1, people[0]), (2, people[1]))] == [1, 2]
    assert after(tags, [2], known(payments_30d=9)) == [0], "without `leave`: as soon as `when` no longer holds"
    assert tags.bits(["busy", "gone"]) == 2


def test_the_shipped_tags_are_sound_and_each_can_be_had_and_lost() -> None:
    tags = parse_tags((CONFIG / "tags.toml").read_text(), "tags.toml")
    assert {"traveller", "fraud_victim"} <= set(tags.names)
    quiet = after(tags, [2**32 - 1], known(days_known=400.0))
    assert quiet == [0], "nobody keeps a tag who stopped"
    eager = known(**dict.fromkeys(Figures._fields, 0.9) | {"payments_30d": 50.0, "declined_30d": 30.0, "days_known": 40.0,
                                                             "frauds_confirmed": 1.0})  # fmt: skip
    new = known(days_known=1.0)
    assert after(tags, [0], eager)[0] | after(tags, [0], new)[0] == 2 ** len(tags.tags) - 1
    assert all(tag.en and any(letter >= "\u4e00" for letter in tag.zh) for tag in tags.tags)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "busy"', 'name = "traveller"', "tags.toml:8: a second tag named traveller"),
        ('name = "busy"', 'name = "Busy!"', "tags.toml:8: 'Busy!' is no name"),
        ("payments_30d > 10", "payment_30d > 10", "tags.toml:9: when: unknown column: did you mean payments_30d?"),
        ("payments_30d > 10", "amount > 10", "tags.toml:9: when: unknown column"),
        ("payments_30d > 10", "in_list(customer, 'vip')", "tags.toml:9: when: in_list(customer, 'vip') asks about a transaction"),
        ("payments_30d > 10", "payments_30d >", "tags.toml:9: when:"),
        ('leave = "abroad_share < 0.1"', 'leave = "abroad_share"', "tags.toml:4: leave: a number is not a condition"),
        ('zh = "消费频繁"', 'zh = " "', "tags.toml:11: busy: say in zh what it means"),
        ('zh = "消费频繁"', "", "tags.toml:7: [[tag]]: Object missing required field zh; a tag has"),
        ('zh = "消费频繁"', 'zh = "x"\ncolour = "red"', "tags.toml:12: [[tag]]: Object contains unknown field colour"),
        ("[[tag]]\nname", 'tags = 1\n[[tag]]\nname', "tags.toml:1: unknown entry 'tags'"),
        (TEXT, "[tag]\nname = 1", "tags.toml:1: tag is a list of tables"),
        (TEXT, "x = [", "not valid TOML"),
        (TEXT, "[[tag]]\n" * (MAX_TAGS + 1), f"{MAX_TAGS + 1} tags; there may be at most {MAX_TAGS}"),
        (TEXT, "#" * 100_001, "at most 100000"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_place_and_reason(old: str, new: str, message: str) -> None:
    with pytest.raises(TagError) as refused:
        parse_tags(TEXT.replace(old, new, 1), "tags.toml")
    assert message in str(refused.value)

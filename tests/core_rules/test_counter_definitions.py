"""What a policy's [counters] may say, how they are refused, and what rules make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.columns import SCHEMA
from pipeline.core.counters import Counters, parse_counter
from pipeline.core.entity_counters import definition_of
from pipeline.core.policy import Policy, PolicyError, parse_policy
from pipeline.core.rules import RuleError

FILE = """name = "own"

[counters]
declined_online_10m = "count per card over 10m where entry_mode = 'ecommerce' and response_code <> '00'"
spent_abroad_24h = '''
sum(amount) per card over 24h
where country <> home_country'''

[[rule]]
name = "many"
when = "declined_online_10m >= 3 and amount > 5"
actions = { queue = "review" }
reason = "many"
figures = ["declined_online_10m"]
"""


def policy(text: str = FILE) -> Policy:
    return parse_policy(text, "own.toml", SCHEMA)


def test_a_counter_is_a_column_of_rules_and_figures() -> None:
    made = policy()
    assert made.counters.names == ("declined_online_10m", "spent_abroad_24h")
    assert made.columns == {"declined_online_10m", "amount"}
    first, second = made.counters.each
    assert (first.function, first.column, first.window_s, first.bucket_s, first.slots) == ("count", None, 600, 120, 1)
    assert (second.function, second.column, second.window_s, second.bucket_s) == ("sum", "amount", 86_400, 21_600)


def test_a_policy_without_counters_has_none() -> None:
    assert not parse_policy('name = "x"', "f", SCHEMA).counters


MISTAKES = [
    ("count per card over 10m where", "count per card over 10m when", 4, "declined_online_10m: no counter: write it as in"),
    ("count per card", "avg(amount) per card", 4, "no such function of counters: there are count, sum, max, distinct"),
    ("count per card", "sum(available_credit) per card", 4, "sum is of the amount"),
    ("count per card", "sum per card", 4, "sum is of the amount"),
    ("count per card", "count(merchant) per card", 4, "count takes no column"),
    ("count per card", "distinct(amount) per card", 4, "distinct is of one of merchant"),
    ("count per card", "count per terminal", 4, "counters are `per card`, `per merchant` or `per customer`, nothing else"),
    ("count per card", "distinct(card) per card", 4, "distinct is of one of merchant, terminal, mcc, country, city, currency,"),
    ("count per card", "distinct(merchant) per merchant", 4, "distinct is of one of terminal, mcc, country, city, currency, card"),
    ("[counters]", "[counters]\nx = \"count  PER merchant over 10m\"\ny = \"count per merchant over 10m\"", 5, "the same as x"),
    ("[counters]", "[counters]\n" + "".join(f'x{n} = "count per merchant over {n}m"\n' for n in range(1, 10)), 12,
     "at most 8 counters per merchant and per customer"),
    ("10m where", "10s where", 4, "windows are in minutes, hours or days"),
    ("10m where", "0m where", 4, "a window is from 1m to 31d long"),
    ("10m where", "32d where", 4, "a window is from 1m to 31d long"),
    ("entry_mode =", "entry_mod =", 4, "did you mean entry_mode"),
    ("entry_mode =", "amount_ratio > 3 and entry_mode =", 4, "looks at the transaction's own fields only"),
    ("entry_mode =", "score > .5 and entry_mode =", 4, "looks at the transaction's own fields only"),
    ("entry_mode =", "in_list(merchant, 'hot') and entry_mode =", 4, "looks at the transaction's own fields only"),
    ("country <> home_country", "country <> 3", 7, "compares a text with a number"),
    ("country <> home_country", "country\n<> homecountry", 8, "unknown column"),
    ("declined_online_10m = ", "amount = ", 4, "there is a column of that name"),
    ("declined_online_10m = ", "select = ", 4, "the word means something in SQL"),
    ("declined_online_10m = ", "foreign = ", 4, "the word means something in SQL"),
    ("declined_online_10m = ", "Declined = ", 4, "is no name"),
    ("declined_online_10m >= 3", "declined_online_1m >= 3", 11, "did you mean declined_online_10m"),
    ("[counters]", "[[counters]]", 1, "counters is a table"),
    ("[counters]", "[counters]\nx = 3", 4, "x: write a text"),
    ("[counters]", '[counters]\nx = ""', 4, "no counter"),
    ("[counters]", "[counters]\nx = \"COUNT  per card over 10m where entry_mode='x'\"\ny = \"count per card over 10m where entry_mode='x'\"", 5, "the same as x"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), MISTAKES, ids=[new[:40] for _, new, _, _ in MISTAKES])
def test_a_mistake_is_refused_with_its_line(old: str, new: str, line: int, message: str) -> None:
    assert old in FILE
    with pytest.raises(PolicyError) as refused:
        policy(FILE.replace(old, new, 1))
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"own.toml:{line}: ")


def test_counters_per_merchant_and_customer_take_no_slots_and_are_columns_like_the_others() -> None:
    made = policy(
        FILE.replace(
            "[counters]\n",
            '[counters]\nhere_10m = "count per merchant over 10m where amount < 500"\n'
            + "".join(f'c{days} = "sum(amount) per customer over {days}d"\n' for days in range(1, 6))
            + 'cards_1h = "distinct(card) per Merchant over 1h"\n',
        ).replace("amount > 5", "here_10m > 5")
    )
    assert made.entity_counters.names == ("here_10m", "c1", "c2", "c3", "c4", "c5", "cards_1h")
    assert made.counter_names == ("declined_online_10m", "spent_abroad_24h", *made.entity_counters.names)
    assert made.columns == {"declined_online_10m", "here_10m"}
    one, *_, last = made.entity_counters.definitions
    assert (one.per, one.function, one.window_s, one.bucket_s) == ("merchant", "count", 600, 60)
    assert (last.per, last.function, last.window_s) == ("merchant", "distinct", 3_600)


def test_a_counter_is_known_by_its_definition_not_by_its_name() -> None:
    def tag(name: str, text: str) -> int:
        return definition_of(parse_counter(name, text, tuple(SCHEMA))).tag

    same = tag("x", "count per merchant over 10m where mcc = 'A'")
    assert tag("y", "COUNT per  merchant over 10m\nwhere MCC = 'A'") == same
    assert tag("x", "count per merchant over 10m where mcc = 'a'") != same
    assert tag("x", "count per customer over 10m where mcc = 'A'") != same


def test_more_than_a_row_holds_is_refused_with_what_holds_it() -> None:
    more = "".join(f'c{days} = "sum(amount) per card over {days}d"\n' for days in range(1, 4))
    with pytest.raises(PolicyError) as refused:
        policy(FILE.replace("[counters]\n", "[counters]\n" + more))
    assert str(refused.value) == (
        "own.toml:8: spent_abroad_24h: needs 2 of a card row's 7 slots, 0 are free "
        "(c1 2, c2 2, c3 2, declined_online_10m 1): remove a counter (count takes one slot, sum, max and distinct two)"
    )


def test_the_layout_tells_one_set_of_counters_from_another() -> None:
    layouts = {policy(text).counters.layout for text in (FILE, FILE.replace("10m where", "9m where"), 'name = "x"')}
    assert len(layouts) == 3
    assert "" in layouts
    assert policy(FILE.replace("amount > 5", "amount > 6")).counters.layout in layouts


@pytest.mark.parametrize("count", [8, 4])
def test_no_set_of_counters_is_made_that_a_row_cannot_hold(count: int) -> None:
    text = (
        "count per card over 1h where mcc = '{:04}'"
        if count == 8
        else "max(amount) per card over 1h where mcc = '{:04}'"
    )
    with pytest.raises(ValueError, match="7 slots"):
        Counters([parse_counter(f"c{number}", text.format(number)) for number in range(count)])


@given(st.text(max_size=50) | st.lists(st.sampled_from(["count", "sum(amount)", " per card", " over ", "10m", " where ", "amount", "= 'x'", "("])).map("".join))  # fmt: skip
def test_whatever_the_text_it_is_a_counter_or_a_rule_error(text: str) -> None:
    slots = 0
    try:
        slots = parse_counter("x", text, tuple(SCHEMA)).slots
    except RuleError as refused:
        slots = 1 if refused.message else 0
    assert slots

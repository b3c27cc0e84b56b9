"""The bank's lists: what a file may say, what a rule makes of it, and that DuckDB makes the same of it."""

import math
import re
from datetime import UTC, datetime
from hashlib import sha256

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_texts import POLICY

from pipeline.core.columns import SCHEMA, columns
from pipeline.core.lists import MAX_ENTRIES, NO_LISTS, ListError, Lists, ListUse, listed_as, parse_list
from pipeline.core.policy import parse_policy
from pipeline.core.rules import RuleError, compile_rule
from pipeline.core.transaction import Event, Transaction

NOON = 1_767_268_800.0
HOT = f"""
column = "merchant"
[entries]
"m1" = "always"
"m2" = {datetime.fromtimestamp(NOON, UTC).isoformat()}
"it's" = "always"
"""
TOKEN = "tok_k1_0123abcd"


def event(at: float = NOON, card: str = TOKEN, **fields: object) -> Event:
    time = "2026-01-01T12:00:00Z"
    return Event(Transaction(id="t", card=card, time=time, amount=1, currency="CNY", **fields), at, 1.0)  # type: ignore[arg-type]


def lists(**texts: str) -> Lists:
    return Lists([parse_list(name, text, f"lists/{name}.toml") for name, text in ({"hot": HOT} | texts).items()])


def hits(rule: str, *events: Event, given: Lists | None = None) -> list[bool]:
    compiled, n = compile_rule(rule, SCHEMA), len(events)
    empty = np.full((n, 33), math.nan)
    table = columns(events, empty, np.zeros(n), np.zeros(n), compiled.columns, lists=given or lists())
    return compiled.hits(table, n).tolist()


def test_a_listed_value_counts_until_its_time_by_the_event_s_own() -> None:
    events = [
        event(NOON + at, merchant=merchant) for merchant, at in (("m1", 9e9), ("m2", -0.25), ("m2", 0), ("m3", 0))
    ]
    assert hits("in_list(merchant, 'hot')", *events) == [True, True, False, False]
    assert hits("not in_list(merchant, 'hot')", *events) == [False, False, True, True]


def test_what_has_no_value_is_neither_listed_nor_not() -> None:
    assert hits("in_list(merchant, 'hot')", event()) == [False]
    assert hits("not in_list(merchant, 'hot')", event()) == [False]
    assert hits("in_list(merchant, 'hot') is null", event()) == [True]


def test_a_card_is_listed_by_a_digest_of_its_token() -> None:
    digest = sha256(TOKEN.encode()).hexdigest()
    given = lists(stolen=f'column = "card"\n[entries]\n{digest} = "always"')
    assert listed_as(TOKEN, "card") == digest
    assert hits("in_list(card, 'stolen')", event(), event(card="tok_k1_99999999"), given=given) == [True, False]


@pytest.mark.parametrize(
    ("column", "value", "fields"),
    [("mcc", "7995", {"mcc": "7995"}), ("country", "KP", {"country": "KP"}), ("terminal", "t1", {"terminal": "t1"}),
     ("customer", "c1", {"customer": "c1"})],
)  # fmt: skip
def test_other_columns(column: str, value: str, fields: dict[str, str]) -> None:
    given = lists(x=f'column = "{column}"\n[entries]\n"{value}" = "always"')
    assert hits(f"in_list({column}, 'x')", event(**fields), event(), given=given) == [True, False]


MISTAKES = [
    ('column = "merchant"', 'column = "amount"', 2, 'write column = "…" before [entries]: one of merchant'),
    ('column = "merchant"', "", 1, 'write column = "…"'),
    ('column = "merchant"', "column = 3", 2, 'write column = "…"'),
    ('"m1" = "always"', '"m1" = "forever"', 4, '"always", or a time with zone'),
    ('"m1" = "always"', '"m1" = 2026-01-01', 4, '"always", or a time with zone'),
    ('"m1" = "always"', '"m1" = 2026-01-01T00:00:00', 4, '"always", or a time with zone'),
    ('"m1" = "always"', '"4111 1111 1111 1111" = "always"', 4, "a clear card number"),
    ('"m1" = "always"', f'"{"x" * 129}" = "always"', 4, "1 to 128 characters"),
    ('"m1" = "always"', '"" = "always"', 4, "1 to 128 characters"),
    ('"m1" = "always"', '"m2" = "always"', 5, "not valid TOML"),
    ("[entries]", "[entry]", 3, "unknown entry 'entry'"),
    ("[entries]", "entries = 3\n[x]", 4, "unknown entry 'x'"),
    ('column = "merchant"', 'column = "mcc"', 4, "a category is four digits"),
    ('column = "merchant"', 'column = "country"', 4, "two capital letters"),
    ('column = "merchant"', 'column = "card"', 4, "the SHA-256 of its token"),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), MISTAKES, ids=[new[:24] for _, new, _, _ in MISTAKES])
def test_a_mistake_is_refused_with_its_line_and_no_value_is_repeated(
    old: str, new: str, line: int, message: str
) -> None:
    with pytest.raises(ListError) as refused:
        parse_list("hot", HOT.replace(old, new, 1), "hot.toml")
    assert str(refused.value).startswith(f"hot.toml:{line}: ")
    assert message in str(refused.value)
    assert "4111" not in str(refused.value)


def test_the_name_is_the_file_s() -> None:
    with pytest.raises(ListError, match="named after its file"):
        parse_list("Hot list", HOT, "Hot list.toml")


def test_all_lists_together_are_limited() -> None:
    half = "\n".join(f'"m{number}" = "always"' for number in range(MAX_ENTRIES // 2 + 1))
    one = parse_list("one", f'column = "merchant"\n[entries]\n{half}', "one.toml")
    with pytest.raises(ListError, match=rf"{MAX_ENTRIES + 2} entries in all lists together \(one 50001, two 50001\)"):
        Lists([one, one._replace(name="two")])
    with pytest.raises(ListError, match="51 lists; there may be at most 50"):
        Lists([one._replace(name=f"l{number}", until={}) for number in range(51)])


@given(st.text(max_size=60) | st.lists(st.sampled_from(["[entries]", 'column = "card"', "a = 1", '"x" = "always"', "[[entries]]"])).map("\n".join))  # fmt: skip
def test_whatever_the_text_it_is_a_list_or_a_list_error(text: str) -> None:
    refusal = "f:1: none"
    try:
        parse_list("hot", text, "f")
    except ListError as refused:
        refusal = str(refused)
    assert re.match(r"f:\d+: .", refusal)


REFUSED = [
    ("in_list(amount, 'hot')", "IN_LIST takes one of merchant"),
    ("in_list(merchant)", "IN_LIST takes one of merchant"),
    ("in_list(merchant, 'a', 'b')", "IN_LIST takes one of merchant"),
    ("in_list('m1', 'hot')", "IN_LIST takes one of merchant"),
    ("in_list(merchant, hot)", "unknown column"),
    ("in_list(merchant, 3)", "stands in single quotes"),
    ("in_list(merchant, 'Hot list')", "stands in single quotes"),
    ("in_list(coalesce(merchant, 'x'), 'hot')", "IN_LIST takes one of merchant"),
    ("card = 'tok_k1_0123abcd'", "unknown column"),
    ("in_lists(merchant, 'hot')", "no such function in rules; there are abs"),
    ("in_list(merchant, 'hot') > 0", "compares a boolean with a number"),
]


@pytest.mark.parametrize(("rule", "message"), REFUSED, ids=[rule for rule, _ in REFUSED])
def test_other_ways_to_ask_are_refused(rule: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        compile_rule(rule, SCHEMA)
    assert message in str(refused.value)


# --- the policy


ASKING = (
    POLICY
    + """
[[rule]]
name = "hot"
when = '''
amount > 5 and
in_list(merchant, 'hot')'''
actions = { queue = "review" }
reason = "large"
"""
)


def test_a_policy_names_the_line_that_asks_a_list_which_is_not_there() -> None:
    policy = parse_policy(ASKING, "p.toml", SCHEMA | {"rare": "number"})
    (line,) = [number for number, text in enumerate(ASKING.split("\n"), 1) if text == "amount > 5 and"]
    assert policy.lists == {ListUse("merchant", "hot"): f"p.toml:{line}"}
    assert policy.unmet(lists()) == []
    assert policy.unmet(NO_LISTS) == [
        f"p.toml:{line}: in_list(merchant, 'hot'): there is no such list (there are: none): put lists/hot.toml in place first"
    ]
    (other,) = policy.unmet(lists(hot='column = "terminal"'))
    assert other.endswith("this list is of terminal: write in_list(terminal, 'hot')")


def test_the_version_names_the_lists_that_are_asked_and_only_those() -> None:
    policy = parse_policy(ASKING, "p.toml", SCHEMA)
    version = policy.in_force(lists()).version
    assert version.startswith(policy.version + "+")
    assert policy.in_force(lists()).in_force(lists()).version == version
    assert policy.in_force(lists(cold='column = "mcc"')).version == version
    assert policy.in_force(lists(hot=HOT.replace("m1", "m7"))).version != version
    assert policy.in_force(lists(hot=HOT + "# a word")).version == version
    plain = parse_policy(POLICY, "p.toml", SCHEMA)
    assert plain.in_force(lists()) is plain


def test_a_list_that_is_not_there_is_an_error_and_no_answer() -> None:
    with pytest.raises(LookupError, match="there is no such list"):
        hits("in_list(merchant, 'cold')", event())


# --- DuckDB


@pytest.fixture(scope="module")
def database():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE list_entries (list VARCHAR, value VARCHAR, until DOUBLE)")
    connection.execute('CREATE TABLE rows (i INTEGER, merchant VARCHAR, card VARCHAR, amount DOUBLE, "at" DOUBLE)')
    yield connection
    connection.close()


asked = st.sampled_from([
    "in_list(merchant, 'hot')", "not in_list(merchant, 'hot')", "in_list(merchant, 'hot') is null",
    "in_list(card, 'stolen') or in_list(merchant, 'hot')", "coalesce(in_list(merchant, 'hot'), true) and amount > 5",
    "amount / amount > 0 and not in_list(card, 'stolen')", "case when in_list(merchant, 'hot') then amount end > 3",
    "(in_list(merchant, 'hot')) = in_list(card, 'stolen')",
])  # fmt: skip
times = st.sampled_from([NOON - 1, NOON, NOON + 0.5, math.inf])
merchants = st.sampled_from(["m1", "it's", "商户", "x"])
cards = st.sampled_from(["tok_k1_aaaaaaaa", "tok_k1_bbbbbbbb"])


@settings(max_examples=80, deadline=None)
@given(
    asked,
    st.dictionaries(merchants, times),
    st.dictionaries(cards, times),
    st.lists(st.tuples(st.none() | merchants, cards, st.sampled_from([0.0, 4.0, 9.0]), st.sampled_from([NOON - 2, NOON, NOON + 1])), min_size=1, max_size=6),
)  # fmt: skip
def test_duckdb_finds_the_same(database, text, hot, stolen, rows) -> None:
    def as_list(name, column, until):
        empty = parse_list(name, f'column = "{column}"', "f")
        return empty._replace(until={listed_as(value, column): time for value, time in until.items()})

    given_lists = Lists([as_list("hot", "merchant", hot), as_list("stolen", "card", stolen)])
    database.execute("DELETE FROM rows")
    database.execute("DELETE FROM list_entries")
    for row in given_lists.rows():
        database.execute("INSERT INTO list_entries VALUES (?, ?, ?)", row)
    for number, row in enumerate(rows):
        database.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (number, *row))
    rule = compile_rule(text, SCHEMA)
    answer = database.execute(f"SELECT ({rule.sql}) FROM rows ORDER BY i").fetchall()
    events = [event(at, card, merchant=merchant) for merchant, card, _, at in rows]
    matrix = np.full((len(rows), 33), math.nan)
    matrix[:, 0] = [amount for _, _, amount, _ in rows]
    nothing = np.zeros(len(rows))
    table = columns(events, matrix, nothing, nothing, rule.columns, lists=given_lists)
    assert rule.hits(table, len(rows)).tolist() == [hit is True for (hit,) in answer]

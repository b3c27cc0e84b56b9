"""Rules mean in NumPy what they mean in DuckDB, missing values and all; and a row's hit depends on that row only."""

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.rules import Schema, compile_rule

SCHEMA: Schema = {
    "a": "number", "b": "number", "c": "number", "s": "text", "t": "text", "f": "boolean", "g": "boolean",
}  # fmt: skip
SQL_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN"}
WORDS = ("CN", "US", "a%b", "", "mañana", "a\\b", "x_y", "it's")

numbers = st.sampled_from([0.0, 1.0, -1.0, 0.1, 0.5, -2.5, 3.0, 1e6, 0.3]) | st.floats(-1e3, 1e3).map(lambda x: x + 0.0)
number_literals = st.sampled_from(["0.1", "2", "3.25", "-1", "1e3", "0.5", "12345.678", "0.3", "1_000"])
text_literals = st.sampled_from(WORDS).map(lambda word: "'" + word.replace("'", "''") + "'")
patterns = st.lists(st.sampled_from(["%", "_", "a", "b", "N", "U", "\\", "ñ", "y", "."]), max_size=5).map("".join)

number_columns = st.sampled_from(["a", "b", "c"])
branches = st.sampled_from(["f", "not g", "a > b", "not (b <= 0.5)", "s is null", "t <> 'US'", "coalesce(f, c > 1)"])
"""What a CASE asks: fixed, for a CASE within a CASE within a CASE is longer than a rule may be."""


def calculated(inner):
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), number_columns),
        st.builds("{} {} {}".format, number_columns, st.sampled_from("+-*/"), number_columns),
        st.builds("{} / {}".format, inner, st.sampled_from(["2", "0.3", "-7"])),
        st.builds("({} - {})".format, number_columns, number_literals),
        st.builds("{}({})".format, st.sampled_from(["abs", "floor", "ceil", "ceiling", "round"]), inner),
        st.builds("round({}, {})".format, inner, st.integers(0, 4)),
        st.builds("{}({}, {}, {})".format, st.sampled_from(["least", "greatest"]), inner, number_literals, number_columns),
        st.builds("coalesce({}, {}, {})".format, number_columns, inner, number_literals),
        st.builds("nullif({}, {})".format, inner, st.sampled_from(["0", "1", "-2.5"])),
        st.builds("(-{})".format, inner),
        st.builds("case when {} then {} when {} then {} else {} end".format,
                  branches, inner, branches, number_literals, inner),
        st.builds("case when {} then {} end".format, branches, inner),
    )  # fmt: skip


calculations = st.recursive(number_columns, calculated, max_leaves=4)
texts = st.sampled_from(["s", "t"]) | st.builds("coalesce(s, {})".format, text_literals | st.just("t")) | st.builds(
    "case when {} then s else {} end".format, branches, text_literals
)  # fmt: skip
simple = st.one_of(
    st.sampled_from(["f", "g", "true", "false", "coalesce(f, g)", "f = g", "f <> true", "coalesce(g, false)",
                     "case when f then g end", "a = b is null", "f is null = g"]),
    st.builds("{} {} {}".format, calculations, st.sampled_from(["<", "<=", ">", ">=", "=", "<>", "!="]),
              calculations | number_literals),
    st.builds("{} {} {} and {}".format, calculations, st.sampled_from(["between", "not between"]), calculations,
              number_literals),
    st.builds("{} {} ({})".format, calculations, st.sampled_from(["in", "not in"]),
              st.lists(number_literals, min_size=1, max_size=6).map(", ".join)),
    st.builds("{} is {}".format, st.sampled_from(["a", "(a / b)", "f", "s", "coalesce(s, t)", "nullif(a, 0)"]),
              st.sampled_from(["null", "not null"])),
    st.builds("{} {} {}".format, texts, st.sampled_from(["=", "<>"]), texts | text_literals),
    st.builds("{} {} ({})".format, texts, st.sampled_from(["in", "not in"]),
              st.lists(text_literals, min_size=1, max_size=4).map(", ".join)),
    st.builds("{} {} '{}'".format, texts, st.sampled_from(["like", "not like"]), patterns),
)  # fmt: skip
predicates = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("({} and {} or {})".format, inner, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("not {}".format, simple),
        st.builds("(({}) = {})".format, inner, st.sampled_from(["f", "g", "(a > b)"])),
    ),
    max_leaves=5,
)

rows = st.lists(
    st.tuples(
        *[st.none() | numbers] * 3,
        *[st.none() | st.sampled_from(WORDS) | st.text("abN\n.U", max_size=4)] * 2,
        *[st.sampled_from([None, True, False])] * 2,
    ),
    min_size=1,
    max_size=12,
)


def as_columns(table):
    made = {}
    for (name, kind), values in zip(SCHEMA.items(), zip(*table, strict=True), strict=True):
        if kind == "text":
            made[name] = np.array([*values, ""], dtype=object)[:-1]
        else:
            made[name] = np.array([np.nan if value is None else float(value) for value in values])
    return made


@pytest.fixture(scope="module")
def database():
    connection = duckdb.connect()
    described = ", ".join(f"{name} {SQL_TYPES[kind]}" for name, kind in SCHEMA.items())
    connection.execute(f"CREATE TABLE rows (i INTEGER, {described})")
    yield connection
    connection.close()


@settings(max_examples=150, deadline=None)
@given(table=rows, text=predicates)
def test_same_hits_as_duckdb(database, table, text):
    rule = compile_rule(text, SCHEMA)
    database.execute("DELETE FROM rows")
    places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(table))
    database.execute(f"INSERT INTO rows VALUES {places}", [cell for i, row in enumerate(table) for cell in (i, *row)])
    answer = database.execute(f"SELECT ({rule.sql}) FROM rows ORDER BY i").fetchall()
    assert rule.hits(as_columns(table), len(table)).tolist() == [hit is True for (hit,) in answer]


@settings(max_examples=60, deadline=None)
@given(table=rows, text=predicates)
def test_a_row_alone_hits_as_it_does_among_others(table, text):
    rule = compile_rule(text, SCHEMA)
    together = rule.hits(as_columns(table * 3), len(table) * 3).tolist()
    alone = [rule.hits(as_columns([row]), 1).tolist()[0] for row in table]
    assert together == alone * 3

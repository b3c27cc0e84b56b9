"""What the rule language takes, what it refuses, and that a hit depends on nothing but the row."""

import re

import numpy as np
import pytest

from pipeline.core.rules import MAX_CHARACTERS, RuleError, Schema, compile_rule

SCHEMA: Schema = {
    "amount": "number", "ratio": "number", "count_1h": "number", "country": "text", "home_country": "text",
    "mcc": "text", "recurring": "boolean", "preauthorisation": "boolean",
}  # fmt: skip
NAN = float("nan")


def columns(**given):
    made = {}
    for name, values in given.items():
        made[name] = np.array(values, dtype=object if SCHEMA[name] == "text" else np.float64)
    return made


def hits(text, **given):
    made = columns(**given)
    return compile_rule(text, SCHEMA).hits(made, len(next(iter(made.values())))).tolist()


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("amount > 5", {"amount": [4, 6, NAN]}, [False, True, False]),
        ("not amount > 5", {"amount": [4, 6, NAN]}, [True, False, False]),
        ("amount <> 5", {"amount": [5, 6, NAN]}, [False, True, False]),
        ("amount is null", {"amount": [5, NAN]}, [False, True]),
        ("country is not null", {"country": ["CN", None]}, [True, False]),
        ("country <> home_country", {"country": ["CN", "US", None, None], "home_country": ["CN", "CN", "CN", None]},
         [False, True, False, False]),
        ("country = home_country", {"country": ["CN", None], "home_country": ["CN", None]}, [True, False]),
        ("not (country = 'CN')", {"country": ["CN", "US", None]}, [False, True, False]),
        ("country not in ('CN', 'HK')", {"country": ["CN", "US", None]}, [False, True, False]),
        ("amount in (1, -2)", {"amount": [1, -2, 2, NAN]}, [True, True, False, False]),
        ("amount not between 2 and 3", {"amount": [1, 2, NAN]}, [True, False, False]),
        ("mcc like '60_%'", {"mcc": ["6011", "60", "7995", None]}, [True, False, False, False]),
        ("mcc not like '60%'", {"mcc": ["6011", "7995", None]}, [False, True, False]),
        ("mcc like '%a%ab'", {"mcc": ["aab", "ab", "xaxab", "aabb"]}, [True, False, True, False]),
        ("recurring", {"recurring": [1, 0, NAN]}, [True, False, False]),
        ("not recurring", {"recurring": [1, 0, NAN]}, [False, True, False]),
        ("recurring = false", {"recurring": [1, 0, NAN]}, [False, True, False]),
        ("recurring or amount > 5", {"recurring": [NAN, NAN, 0], "amount": [6, 5, 6]}, [True, False, True]),
        ("not (recurring and amount > 5)", {"recurring": [NAN, NAN, 1], "amount": [6, 5, 6]}, [False, True, False]),
        ("amount / ratio > 1", {"amount": [4, 4, 4], "ratio": [2, 0, NAN]}, [True, False, False]),
        ("(amount / ratio) is null", {"amount": [4, 4, 4], "ratio": [2, 0, NAN]}, [False, True, True]),
        ("nullif(amount, 4) is null", {"amount": [4, 5]}, [True, False]),
        ("coalesce(amount, 9) > 5", {"amount": [4, NAN]}, [False, True]),
        ("coalesce(country, '??') = '??'", {"country": ["CN", None]}, [False, True]),
        ("least(amount, ratio) = 2", {"amount": [2, NAN, NAN], "ratio": [5, 2, NAN]}, [True, True, False]),
        ("greatest(amount, 3) = 3", {"amount": [2, 4, NAN]}, [True, False, True]),
        ("round(amount) = 3", {"amount": [2.5, 3.49, -3]}, [True, True, False]),
        ("round(amount) = -3", {"amount": [-2.5, -3.5]}, [True, False]),
        ("round(amount, 1) = 0.5", {"amount": [0.45, 0.44]}, [True, False]),
        ("abs(-amount) = 2 and floor(amount) = 2 and ceil(amount) = 2", {"amount": [2, -2]}, [True, False]),
        ("case when recurring then amount when amount > 5 then 1 end = 1",
         {"recurring": [1, 0, 0, NAN], "amount": [1, 6, 5, 6]}, [True, True, False, True]),
        ("case when recurring then country else 'XX' end = 'XX'", {"recurring": [1, 0], "country": ["CN", "CN"]},
         [False, True]),
        ("case when amount > 5 then recurring end", {"recurring": [1, 1, 0], "amount": [6, 5, 6]},
         [True, False, False]),
        ("TRUE", {"amount": [1, NAN]}, [True, True]),
        ("not true or AMOUNT > 1", {"amount": [1, 2]}, [False, True]),
        ("country = 'it''s'", {"country": ["it's"]}, [True]),
        ("recurring = (amount > 5)", {"recurring": [1, 0, NAN, 1], "amount": [6, 6, 6, NAN]},
         [True, False, False, False]),
    ],
)  # fmt: skip
def test_three_valued_logic(text, given, expected):
    assert hits(text, **given) == expected


HOSTILE = [
    # other rows, other tables, other work
    ("avg(amount) > 5", "no such function", "avg"),
    ("amount > (select 1)", "not part of the rule language", "select"),
    ("amount in (select 1)", "not part of the rule language", "select"),
    ("exists (select 1)", "not part of", "exists"),
    ("sum(amount) over () > 1", "no such function", "sum"),
    ("row_number() > 1", "no such function", "row_number"),
    ("pg_sleep(10) = 1", "no such function", "pg_sleep"),
    ("read_csv('/etc/passwd') = 1", "no such function", "read_csv"),
    ("random() > 0.5", "no such function", "random"),
    ("now() > 1", "no such function", "now"),
    ("current_date > 1", "not part of", "current_date"),
    ("ln(amount) > 1", "no such function", "ln"),
    ("amount > 5; drop table x", "not part of", ";"),
    ("amount > 5 -- and recurring", "comments", "5"),
    ("amount /* x */ > 5", "comments", "amount"),
    ("select amount", "not part of", "select"),
    ("from x", "not part of", "from"),
    ("attach 'x'", "not part of", "attach"),
    # other syntax
    ("amount::text = '5'", "not part of", "::"),
    ("cast(amount as text) = '5'", "no such function", "cast"),
    ("date '2020-01-01' > 1", "not part of", "date"),
    ("interval 1 day > 1", "not part of", "interval"),
    ("t.amount > 5", "unknown column", "t"),
    ("amount[1] > 1", "not part of", "["),
    ("{'a': 1} = 1", "not part of", "{"),
    ("country || 'x' = 'y'", "not part of", "||"),
    ("country ~ '(a+)+'", "not part of", "~"),
    ("regexp_matches(country, '(a+)+')", "no such function", "regexp_matches"),
    ("country similar to 'x'", "not part of", "similar to"),
    ("country ilike 'x'", "not part of", "ilike"),
    ("country like home_country", "LIKE compares", "country like home_country"),
    ("country like 'a!%' escape '!'", "not part of", "escape"),
    ("amount between symmetric 1 and 2", "unknown column", "symmetric"),
    ("amount % 2 = 1", "not part of", "%"),
    ("amount ** 2 > 1", "not part of", "**"),
    ("amount // 2 > 1", "not part of", "//"),
    ("amount & 1 = 1", "not part of", "&"),
    ("amount is distinct from 1", "unknown column|not part of", "distinct"),
    ("recurring is true", "IS can only", "recurring"),
    ("if(recurring, 1, 2) = 1", "no such function", "if"),
    ("lambda x : x", "not part of|unknown column", "lambda"),
    ("$1 = amount", "not part of", "$"),
    ("? = amount", "not part of", "?"),
    ("$$amount$$ = country", "not part of", "$$amount$$"),
    ("E'\\n' = country", "not part of|unknown", "E'\\n'"),
    ('"amount" > 5', "double quotes", '"amount"'),
    ('country = "CN"', "double quotes", '"CN"'),
    (".5 < amount", "not part of", "."),
    ("amount as b", "not part of", "as"),
    ("amount ratio", "not part of", "amount ratio"),
    ("amount, ratio", "not a condition", ","),
    ("(amount, ratio) = (1, 2)", "not part of", "amount, ratio"),
    ("amount and", "not a condition", "and"),
    ("(amount > 1", "not a condition", "1"),
    ("country = 'x", "quote left open", "country = 'x"),
    ("*", "not part of", "*"),
    ("", "empty", ""),
    ("  \n ", "empty", ""),
    # names and kinds
    ("amout > 5", "did you mean amount", "amout"),
    ("nothing_like_it > 5", "unknown column", "nothing_like_it"),
    ("__class__ = 1", "unknown column", "__class__"),
    ("amount", "a number is not a condition", "amount"),
    ("country", "a text is not a condition", "country"),
    ("amount and recurring", "a number is not a condition", "amount"),
    ("country < 5", "compares a text with a number", "country < 5"),
    ("mcc = 6011", "compares a text with a number", "mcc = 6011"),
    ("amount = '5'", "compares a number with a text", "amount = '5'"),
    ("recurring = 1", "compares a boolean with a number", "recurring = 1"),
    ("country < 'CN'", "no order", "country < 'CN'"),
    ("recurring > preauthorisation", "no order", "recurring > preauthorisation"),
    ("country + 1 > 2", "a text where a number is needed", "country"),
    ("abs(country) = 1", "a text where a number is needed", "country"),
    ("amount in ('5')", "a text in a list for a number", "'5'"),
    ("amount in (ratio)", "literals only", "ratio"),
    ("amount in (1, null)", "literals only", "amount in (1, null)"),
    ("country between 'A' and 'B'", "BETWEEN is for numbers", "country between 'A' and 'B'"),
    ("coalesce(amount, 'x') = 1", "mixes number and text", "coalesce(amount, 'x'"),
    ("case when recurring then 1 else 'x' end = 1", "mixes number and text", None),
    ("case recurring when true then 1 end = 1", "CASE WHEN", None),
    ("amount = null", "NULL can only follow", "amount = null"),
    ("null", "NULL can only follow", "null"),
    # what engines would read or calculate differently
    ("1 = 1", "compares constants", "1 = 1"),
    ("0.1 + 0.2 = amount", "constants only", "0.1 + 0.2"),
    ("abs(1) = amount", "constants only", "abs(1"),
    ("amount = 1 = recurring", "put this condition in brackets", "amount = 1"),
    ("amount in (1) = recurring", "put this condition in brackets", "amount in (1"),
    ("recurring is null is null", "put this condition in brackets", "recurring"),
    ("amount / 0 > 1", "divides by zero", "amount / 0"),
    ("amount > 1234567890123456", "digits", "1234567890123456"),
    ("amount > 1e400", "digits", "1e400"),
    ("round(amount, 10) = 1", "decimals", None),
    ("round(amount, count_1h) = 1", "decimals", None),
    ("floor(amount, 1) = 1", "decimals is not part", "amount, 1"),
    # size
    ("amount > 1" + " " * MAX_CHARACTERS, "longer than", None),
    ("(" * 33 + "recurring" + ")" * 33, "too deeply nested", "("),
    ("not " * 400 + "recurring", "too deeply nested", "not"),
    ("- " * 900 + "amount > 1", "too deeply nested", "-"),
    ("case when " * 150 + "recurring" + " then true end" * 30, "too deeply nested", "case"),
    ("amount" + "+amount" * 280 + " > 1", "too deeply nested", None),
    (f"amount in ({', '.join(['1'] * 201)})", "IN takes a list", None),
    ("amount > 1\x00", "does not print", "\x00"),
    ("amount >\u202e 1", "does not print", "\u202e"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "piece"), HOSTILE, ids=[text[:40] for text, _, _ in HOSTILE])
def test_refused_with_reason_and_piece(text, message, piece):
    with pytest.raises(RuleError) as refused:
        compile_rule(text, SCHEMA)
    assert re.search(message, refused.value.message)
    assert len(str(refused.value)) < 400
    if piece is not None:
        assert refused.value.piece.lower().startswith(piece.lower())


def test_refusal_names_line_and_column():
    with pytest.raises(RuleError) as refused:
        compile_rule("amount > 5\n  and  coutry = 'CN'", SCHEMA)
    assert (refused.value.line, refused.value.column, refused.value.piece) == (2, 8, "coutry")
    assert str(refused.value) == "line 2, column 8, at 'coutry': unknown column: did you mean country?"


def test_columns_are_those_looked_at():
    rule = compile_rule("case when country = 'CN' then amount else ratio end > 5 and not recurring", SCHEMA)
    assert rule.columns == {"country", "amount", "ratio", "recurring"}


def test_only_a_division_is_written_anew_for_duckdb():
    assert compile_rule("amount>5", SCHEMA).sql == "amount>5"
    assert compile_rule("amount / 2 > 5", SCHEMA).sql == "amount / 2 > 5"
    assert compile_rule("amount / ratio > 5", SCHEMA).sql == "amount / NULLIF(ratio, 0) > 5"


def test_a_long_chain_is_no_deep_nesting():
    text = " or ".join(f"amount = {number}" for number in range(120))
    assert hits(text, amount=[119, 120]) == [True, False]


def test_like_does_not_step_back_for_ever():
    pattern = "%a" * 60 + "b%c"
    assert hits(f"country like '{pattern}'", country=["a" * 256, "a" * 256 + "bc"]) == [False, True]


def test_columns_are_left_as_they_were():
    given = columns(amount=[1.0, NAN, 7.0], ratio=[0.0, 2.0, 7.0], recurring=[1.0, 0.0, NAN])
    before = {name: values.copy() for name, values in given.items()}
    for text in ("amount / ratio > 0 and recurring", "coalesce(amount, ratio) = 7 or recurring", "recurring"):
        compile_rule(text, SCHEMA).hits(given, 3)
    for name, values in before.items():
        np.testing.assert_array_equal(given[name], values)

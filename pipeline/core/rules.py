"""A rule is a SQL condition over one transaction's columns, such as ``amount_ratio > 5 and country <> home_country``.

The language is an allow-list: what is not named here is refused when the rule is read, with the place and the reason,
so nothing can look at another row, run long or fail while transactions are decided. A rule hits where its condition
is TRUE; missing values are NULL, as SQL has them. DuckDB evaluates the same rule over an archive (`Rule.sql`).

``in_list(merchant, 'hot')`` asks one of the bank's own lists, ``has_tag('frequent')`` a tag of the customer: to the rule
a column of its own, named as it is written.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from pipeline.core.expressions import Columns, Kind
from pipeline.core.lists import LIST_COLUMNS
from pipeline.core.rule_compiler import MAX_DEPTH, Compiler, Schema, chain
from pipeline.core.rule_error import RuleError, refuse

__all__ = ["Columns", "Kind", "Rule", "RuleError", "Schema", "compile_rule", "conjuncts"]

MAX_CHARACTERS = 2_000

FUNCTIONS = (
    "abs", "ceil", "ceiling", "coalesce", "floor", "greatest", "has_tag", "in_list", "least", "nullif", "round",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. ``columns`` are those it looks at; ``sql`` is what DuckDB evaluates alike (the rule's own text
    but for divisions, whose divisor is made NULL where it is zero: DuckDB would answer infinity; and for lists, which
    are looked up in a table, see `ListUse.sql`; and for tags, see `TagUse.sql`)."""

    text: str
    columns: frozenset[str]
    sql: str
    _true: Callable[[Columns, int], NDArray[np.bool_]] = field(repr=False)
    _calculates: bool = field(repr=False)

    def hits(self, columns: Columns, n: int) -> NDArray[np.bool_]:
        """bool[n]: where the condition is TRUE. ``columns`` holds at least `Rule.columns`, each of length ``n``:
        numbers float64 (NaN missing), booleans float64 0/1 (NaN missing), texts object (None missing)."""
        if not self._calculates:
            return self._true(columns, n)
        with np.errstate(all="ignore"):  # overflow gives infinity or a missing value, both by the language's rules
            return self._true(columns, n)


def compile_rule(text: str, schema: Schema) -> Rule:
    """Read a rule once. Raises `RuleError` for anything that is not in the language or does not fit ``schema``."""
    _check_characters(text)
    _check_tokens(text, schema)
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except SqlglotError as error:
        place: Mapping[str, Any] = (getattr(error, "errors", None) or [{}])[0]
        piece = place.get("highlight") or text[:40]
        raise RuleError("not a condition SQL can read", place.get("line") or 1, place.get("col") or 1, piece) from None
    except RecursionError:
        raise RuleError("too deeply nested", 1, 1, text[:40]) from None
    compiler = Compiler(text, schema)
    condition = compiler.condition(tree)
    return Rule(text, condition.names, compiler.sql(tree), condition.true, compiler.calculates)


def conjuncts(text: str, schema: Schema) -> list[Rule]:
    """The parts of the outermost AND of a rule: all of them hit where the rule does, and only there. Raises `RuleError`
    as `compile_rule` does."""
    compile_rule(text, schema)
    tree = sqlglot.parse_one(text, dialect="duckdb").unnest()
    made = []
    for part in chain(tree) if isinstance(tree, exp.And) else [tree]:
        compiler = Compiler(text, schema)
        condition = compiler.condition(part)
        words = str(part.sql(dialect="duckdb"))
        made.append(Rule(words, condition.names, compiler.sql(part), condition.true, compiler.calculates))
    return made


# --- before parsing: which characters and tokens may occur at all


def _check_characters(text: str) -> None:
    if not text.strip():
        raise RuleError("the condition is empty", 1, 1, "")
    if len(text) > MAX_CHARACTERS:
        refuse(text, MAX_CHARACTERS, len(text), f"longer than {MAX_CHARACTERS} characters: split the rule")
    for position, character in enumerate(text):
        if not character.isprintable() and character not in "\n\r\t":
            refuse(text, position, position + 1, "a character that does not print: remove it")


_T = TokenType
_TOKENS = frozenset({
    _T.VAR, _T.NUMBER, _T.STRING, _T.L_PAREN, _T.R_PAREN, _T.COMMA, _T.AND, _T.OR, _T.NOT, _T.LT, _T.GT, _T.LTE,
    _T.GTE, _T.EQ, _T.NEQ, _T.PLUS, _T.DASH, _T.STAR, _T.SLASH, _T.BETWEEN, _T.IN, _T.IS, _T.NULL, _T.LIKE, _T.CASE,
    _T.WHEN, _T.THEN, _T.ELSE, _T.END, _T.TRUE, _T.FALSE,
})  # fmt: skip
_OPENING = frozenset({_T.L_PAREN, _T.CASE})
_CLOSING = frozenset({_T.R_PAREN, _T.END})
_PREFIXES = frozenset({_T.NOT, _T.DASH, _T.PLUS})
_MAX_PREFIXES = 3


def _check_tokens(text: str, schema: Schema) -> None:
    """What the parser gets to see is short, known and shallow: it recurses into what it reads."""
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
    except SqlglotError:
        raise RuleError("not readable: is a quote left open?", 1, 1, text[:40]) from None
    depth = prefixes = 0
    before = ["", ""]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        start, end = token.start, token.end + 1
        if token.comments:
            refuse(text, start, end, "comments are not part of a rule: put them outside, after a # of the file")
        name = token.text.lower()
        if token.token_type is _T.IDENTIFIER:
            refuse(text, start, end, "double quotes: write column names bare and texts in single quotes")
        asked = before == ["in_list", "("] and name in LIST_COLUMNS
        before = [before[-1], name]
        if name not in schema and token.token_type not in _TOKENS:
            refuse(text, start, end, "not part of the rule language")
        if token.token_type is _T.VAR:
            if following is not None and following.token_type is _T.L_PAREN:
                if name not in FUNCTIONS:
                    refuse(text, start, end, f"no such function in rules; there are {', '.join(FUNCTIONS)}")
            elif name not in schema and not asked:
                close = difflib.get_close_matches(name, schema, 1)
                refuse(text, start, end, "unknown column" + (f": did you mean {close[0]}?" if close else ""))
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        prefixes = prefixes + 1 if token.token_type in _PREFIXES else 0
        if depth > MAX_DEPTH or prefixes > _MAX_PREFIXES:
            refuse(text, start, end, "too deeply nested: split the rule")

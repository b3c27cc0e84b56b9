"""From a rule's syntax tree to closures: which nodes the language has, and what each demands of its parts.

An allow-list. Where SQL engines read the same text in different ways (chained comparisons, arithmetic in decimals),
the text is refused, so that a rule means the same here and over an archive.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import sqlglot
from sqlglot import exp

from pipeline.core import expressions
from pipeline.core.expressions import Condition, Kind, Value
from pipeline.core.lists import LIST_COLUMNS, LIST_NAME, ListUse
from pipeline.core.rule_error import refuse
from pipeline.core.tag_use import TAG_NAME, TagUse

Schema = Mapping[str, Kind]

MAX_DEPTH = 32
"""Of brackets and CASEs within one another, and of the operators of one formula."""
MAX_IN = 200
MAX_LITERAL = 1e18
MAX_DIGITS = 15
"""Of a number: up to here it means the same as a double and as SQL's decimal."""
MAX_DECIMALS = 9
"""Of ``round``."""

_COMPARISONS: Mapping[type[Any], str] = {
    exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.EQ: "=", exp.NEQ: "<>",
}  # fmt: skip
_ARITHMETIC: Mapping[type[Any], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_UNARY: Mapping[type[Any], str] = {exp.Abs: "abs", exp.Floor: "floor", exp.Ceil: "ceil"}
_PREDICATES = (*_COMPARISONS, exp.Is, exp.In, exp.Like, exp.Between, exp.Not, exp.And, exp.Or)
_PARTS: Mapping[type[Any], frozenset[str]] = {
    # node → the parts it may have besides ``this`` and ``expression``; anything else there is refused
    exp.In: frozenset({"expressions"}),
    exp.Like: frozenset({"negate"}),
    exp.Between: frozenset({"low", "high", "negate"}),
    exp.Case: frozenset({"ifs", "default"}),
    exp.If: frozenset({"true"}),
    exp.Round: frozenset({"decimals"}),
    exp.Coalesce: frozenset({"expressions"}),
    exp.Least: frozenset({"expressions", "ignore_nulls"}),
    exp.Greatest: frozenset({"expressions", "ignore_nulls"}),
    exp.Literal: frozenset({"is_string"}),
    exp.Anonymous: frozenset({"expressions"}),
}


class Compiler:
    """One rule's way from tree to closures; remembers what the rule as a whole needs."""

    def __init__(self, text: str, schema: Schema) -> None:
        self._text = text
        self._schema = schema
        self._depth = 0
        self.calculates = False
        self.divides = False
        self.asks_beside = False

    def sql(self, tree: Any) -> str:
        """For DuckDB, which divides by zero to infinity and has neither lists nor tags: the rule's own text unless it
        divides by a column or asks for one of these."""
        if not (self.divides or self.asks_beside):
            return self._text
        return str(tree.transform(_for_duckdb).sql(dialect="duckdb"))

    def _fail(self, node: Any, message: str) -> NoReturn:
        places = [part.meta for part in node.walk() if "start" in part.meta]
        start = min((place["start"] for place in places), default=0)
        end = max((place["end"] + 1 for place in places), default=len(self._text))
        refuse(self._text, start, end, message)

    # what an expression is used as

    def condition(self, node: Any) -> Condition:
        made = self._compile(node)
        if isinstance(made, Condition):
            return made
        if made.kind == "boolean":
            return expressions.as_condition(made)
        hint = "compare it with something, such as = 1" if made.kind == "number" else "compare it with something"
        self._fail(node, f"a {made.kind} is not a condition: {hint}")

    def _value(self, node: Any) -> Value:
        made = self._compile(node)
        return expressions.as_value(made) if isinstance(made, Condition) else made

    def _operand(self, node: Any) -> Value:
        if isinstance(node, _PREDICATES):  # engines read a = b = c in different ways
            self._fail(node, "put this condition in brackets")
        return self._value(node)

    def _numbers(self, node: Any, *operands: Any) -> list[Value]:
        """Operands of a formula: numbers, and not literals only (SQL would calculate those in decimals)."""
        values = [self._operand(operand) for operand in operands]
        for value, operand in zip(values, operands, strict=True):
            if value.kind != "number":
                self._fail(operand, f"a {value.kind} where a number is needed")
        if all(value.exact for value in values):
            self._fail(node, "calculates with constants only: write the result")
        self.calculates = True
        return values

    # the nodes

    def _compile(self, node: Any) -> Value | Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH * 2:
            self._fail(node, "too deeply nested: split the rule")
        known = _PARTS.get(type(node), frozenset())
        for name, part in node.args.items():
            if part and name not in known and name not in ("this", "expression"):
                self._fail(node, f"{name.replace('_', ' ')} is not part of the rule language here")
        made = self._node(node)
        self._depth -= 1
        return made

    def _node(self, node: Any) -> Value | Condition:
        kind = type(node)
        if kind is exp.Paren:
            return self._compile(node.this)
        if kind is exp.And or kind is exp.Or:
            parts = [self.condition(part) for part in chain(node)]
            return expressions.conjunction(parts) if kind is exp.And else expressions.disjunction(parts)
        if kind is exp.Not:
            return expressions.negation(self.condition(node.this))
        if kind in _COMPARISONS:
            return self._comparison(node, _COMPARISONS[kind])
        if kind in _ARITHMETIC:
            return self._arithmetic(node, _ARITHMETIC[kind])
        if kind in _UNARY:
            return expressions.unary(_UNARY[kind], *self._numbers(node, node.this))
        method = _METHODS.get(kind)
        if method is None:
            self._fail(node, "not part of the rule language")
        return method(self, node)

    def _column(self, node: Any) -> Value:
        name = node.name.lower()
        if not isinstance(node.this, exp.Identifier) or name not in self._schema:
            self._fail(node, "unknown column")
        return expressions.column(name, self._schema[name])

    def _literal(self, node: Any) -> Value:
        if node.is_string:
            return expressions.literal(str(node.this))
        return expressions.literal(self._plain_number(node))

    def _plain_number(self, node: Any) -> float:
        digits = str(node.this).lower().split("e")[0].replace(".", "").lstrip("0")
        number = float(node.this)
        if abs(number) > MAX_LITERAL or len(digits) > MAX_DIGITS:
            self._fail(node, f"numbers have at most {MAX_DIGITS} digits and stay below {MAX_LITERAL:g}")
        return number

    def _boolean(self, node: Any) -> Condition:
        return expressions.constant(bool(node.this))

    def _null(self, node: Any) -> NoReturn:
        self._fail(node, "NULL can only follow IS or IS NOT: nothing equals it")

    def _comparison(self, node: Any, operator: str) -> Condition:
        left, right = self._operand(node.this), self._operand(node.expression)
        if left.kind != right.kind:
            hint = " (texts stand in single quotes, numbers do not)" if "boolean" not in (left.kind, right.kind) else ""
            self._fail(node, f"compares a {left.kind} with a {right.kind}{hint}")
        if not left.names and not right.names:
            self._fail(node, "compares constants: no column is looked at")
        if left.kind != "number" and operator not in ("=", "<>"):
            self._fail(node, f"a {left.kind} has no order here: only = and <> (and IN, LIKE for texts)")
        if operator == "<>":
            return expressions.negation(expressions.comparison("=", left, right))
        return expressions.comparison(operator, left, right)

    def _arithmetic(self, node: Any, operator: str) -> Value:
        left, right = self._numbers(node, node.this, node.expression)
        if operator == "/":
            if not right.literal:
                self.divides = True
            elif right.of({}, 0) == 0:
                self._fail(node, "divides by zero")
        return expressions.arithmetic(operator, left, right)

    def _negative(self, node: Any) -> Value:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return expressions.literal(-self._plain_number(node.this))
        return expressions.negative(*self._numbers(node, node.this))

    def _asked(self, node: Any) -> Condition:
        """A function of our own: no other unknown one comes through the look at the tokens."""
        return self._has_tag(node) if node.name.lower() == "has_tag" else self._in_list(node)

    def _has_tag(self, node: Any) -> Condition:
        named = node.expressions
        if len(named) != 1 or not isinstance(named[0], exp.Literal) or not named[0].is_string:
            self._fail(node, "HAS_TAG takes a tag's name in single quotes")
        if not TAG_NAME.fullmatch(named[0].name):
            self._fail(node, "a tag's name is a–z first, then a–z, 0–9, _ (at most 64)")
        self.asks_beside = True
        return expressions.as_condition(expressions.column(str(TagUse(named[0].name)), "boolean"))

    def _in_list(self, node: Any) -> Condition:
        column, *others = node.expressions
        if len(others) != 1 or not isinstance(column, exp.Column) or column.name.lower() not in LIST_COLUMNS:
            self._fail(node, f"IN_LIST takes one of {', '.join(LIST_COLUMNS)} and a list's name in single quotes")
        if not (isinstance(others[0], exp.Literal) and others[0].is_string and LIST_NAME.fullmatch(others[0].name)):
            self._fail(node, "the list's name stands in single quotes: a–z first, then a–z, 0–9, _ (at most 64)")
        self.asks_beside = True
        use = ListUse(column.name.lower(), others[0].name)
        return expressions.as_condition(expressions.column(str(use), "boolean"))

    def _is(self, node: Any) -> Condition:
        if not isinstance(node.expression, exp.Null):
            self._fail(node, "IS can only be followed by NULL or NOT NULL")
        return expressions.missing(self._looked_at(node.this))

    def _looked_at(self, node: Any) -> Value:
        value = self._operand(node)
        if not value.names:
            self._fail(node, "no column is looked at")
        return value

    def _between(self, node: Any) -> Condition:
        value, low, high = self._looked_at(node.this), self._operand(node.args["low"]), self._operand(node.args["high"])
        if {value.kind, low.kind, high.kind} != {"number"}:
            self._fail(node, "BETWEEN is for numbers")
        return self._unless(node, expressions.between(value, low, high))

    def _in(self, node: Any) -> Condition:
        value = self._looked_at(node.this)
        choices = node.expressions
        if not choices or len(choices) > MAX_IN:
            self._fail(node, f"IN takes a list of 1 to {MAX_IN} literals")
        literals = []
        for choice in choices:
            if not isinstance(choice, exp.Literal | exp.Neg):
                self._fail(choice, "IN takes literals only")
            made = self._value(choice)
            if made.kind != value.kind or not made.literal:
                self._fail(choice, f"a {made.kind} in a list for a {value.kind}")
            literals.append(made.of({}, 0))
        if value.kind == "text":
            return expressions.one_of(value, [str(text) for text in literals])
        return expressions.one_of(value, [float(number) for number in literals])

    def _like(self, node: Any) -> Condition:
        value, pattern = self._looked_at(node.this), node.expression
        if value.kind != "text" or not isinstance(pattern, exp.Literal) or not pattern.is_string:
            self._fail(node, "LIKE compares a text with a pattern in single quotes")
        return self._unless(node, expressions.like(value, str(pattern.this)))

    def _unless(self, node: Any, condition: Condition) -> Condition:
        return expressions.negation(condition) if node.args.get("negate") else condition

    def _same_kind(self, node: Any, values: Sequence[Value]) -> None:
        if len({value.kind for value in values}) > 1:
            self._fail(node, "mixes " + " and ".join(sorted({value.kind for value in values})))
        if not any(value.names for value in values) and not isinstance(node, exp.Case):
            self._fail(node, "no column is looked at")

    def _case(self, node: Any) -> Value:
        if node.this is not None:
            self._fail(node, "write CASE WHEN condition THEN value … END")
        branches = node.args["ifs"]
        conditions = [self.condition(branch.this) for branch in branches]
        values = [self._value(branch.args["true"]) for branch in branches]
        default = node.args.get("default")
        otherwise = self._value(default) if default is not None else None
        self._same_kind(node, values if otherwise is None else [*values, otherwise])
        cases = [(condition.true, value) for condition, value in zip(conditions, values, strict=True)]
        return expressions.choose(cases, otherwise, conditions)

    def _coalesce(self, node: Any) -> Value:
        values = [self._value(part) for part in (node.this, *node.expressions)]
        self._same_kind(node, values)
        if any(value.literal for value in values[:-1]) or len(values) < 2:
            self._fail(node, "COALESCE takes columns and, last, what stands in for them")
        return expressions.coalesce(values)

    def _extreme(self, node: Any) -> Value:
        values = self._numbers(node, node.this, *node.expressions)
        return expressions.extreme("least" if isinstance(node, exp.Least) else "greatest", values)

    def _round(self, node: Any) -> Value:
        digits = node.args.get("decimals")
        number = 0.0 if digits is None else self._plain_number(digits) if isinstance(digits, exp.Literal) else -1.0
        if number not in range(MAX_DECIMALS + 1):
            self._fail(node, f"ROUND takes 0 to {MAX_DECIMALS} decimals")
        (value,) = self._numbers(node, node.this)
        return expressions.rounded(value, int(number))

    def _nullif(self, node: Any) -> Value:
        (value,) = self._numbers(node, node.this)
        number = self._value(node.expression)
        if not number.literal or number.kind != "number":
            self._fail(node, "NULLIF takes a number and a literal")
        return expressions.null_if(value, number.of({}, 0))


def chain(node: Any) -> list[Any]:
    """a AND b AND c → [a, b, c], without recursion: two thousand characters hold a long chain."""
    parts = []
    kind = type(node)
    while type(node) is kind:
        parts.append(node.expression)
        node = node.this
    return [node, *reversed(parts)]


_METHODS: Mapping[type[Any], Callable[[Compiler, Any], Value | Condition]] = {
    exp.Column: Compiler._column,
    exp.Literal: Compiler._literal,
    exp.Boolean: Compiler._boolean,
    exp.Null: Compiler._null,
    exp.Neg: Compiler._negative,
    exp.Is: Compiler._is,
    exp.Between: Compiler._between,
    exp.In: Compiler._in,
    exp.Like: Compiler._like,
    exp.Case: Compiler._case,
    exp.Coalesce: Compiler._coalesce,
    exp.Least: Compiler._extreme,
    exp.Greatest: Compiler._extreme,
    exp.Round: Compiler._round,
    exp.Nullif: Compiler._nullif,
    exp.Anonymous: Compiler._asked,
}


def _for_duckdb(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Div) and not isinstance(node.expression, exp.Literal):
        return exp.Div(this=node.this, expression=exp.Nullif(this=node.expression, expression=exp.Literal.number(0)))
    if isinstance(node, exp.Anonymous):
        if node.name.lower() == "has_tag":
            return sqlglot.parse_one(TagUse(node.expressions[0].name).sql(), dialect="duckdb")
        column, name = node.expressions
        return sqlglot.parse_one(ListUse(column.name.lower(), name.name).sql(), dialect="duckdb")
    return node

"""What a rule's expression becomes: NumPy closures over columns, with SQL's three-valued logic.

A column is an array with a value per transaction. A missing value, SQL's NULL, is NaN among numbers and booleans
(float64, booleans as 0 and 1) and None among texts (object), so arithmetic and comparisons carry it along without a
mask beside them. A condition is two closures, one saying where it is TRUE and one where it is FALSE; where neither
says so it is NULL. NOT swaps the two, so a null check is paid for only where the text asks for one.

Everything works row by row: a row gives the same answer alone as among thousands. Numbers are finite or missing.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "text", "boolean"]
Columns = Mapping[str, NDArray[Any]]
Values = Callable[[Columns, int], Any]
"""Columns and their length n → float64[n] or object[n]; for a literal the value itself."""
Mask = Callable[[Columns, int], NDArray[np.bool_]]
"""Columns and their length n → bool[n], an array nobody else holds."""

_NONE: Any = None


@dataclass(frozen=True, slots=True)
class Value:
    """An expression with a value. ``exact``: SQL gives it a decimal type, not a double (made of literals only)."""

    kind: Kind
    of: Values
    names: frozenset[str]
    literal: bool = False
    exact: bool = False

    @property
    def texts(self) -> bool:
        return self.kind == "text"


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that is TRUE, FALSE or NULL. ``texts``: it looks at texts, which costs far more than numbers."""

    true: Mask
    false: Mask
    names: frozenset[str]
    texts: bool = False


def column(name: str, kind: Kind) -> Value:
    return Value(kind, lambda columns, n: columns[name], frozenset((name,)))


def literal(value: float | str) -> Value:
    if isinstance(value, str):
        boxed = np.array(value, dtype=object)  # without dimensions: NumPy would make fixed-width text of a str
        return Value("text", lambda columns, n: boxed, frozenset(), literal=True)
    return Value("number", lambda columns, n: value, frozenset(), literal=True, exact=True)


def constant(truth: bool) -> Condition:
    everywhere: Mask = lambda columns, n: np.ones(n, np.bool_)  # noqa: E731 - reads as the pair it is
    nowhere: Mask = lambda columns, n: np.zeros(n, np.bool_)  # noqa: E731 - as above
    return Condition(everywhere, nowhere, frozenset()) if truth else Condition(nowhere, everywhere, frozenset())


def as_condition(value: Value) -> Condition:
    of = value.of
    return Condition(lambda c, n: np.equal(of(c, n), 1.0), lambda c, n: np.equal(of(c, n), 0.0), value.names)


def as_value(condition: Condition) -> Value:
    true, false = condition.true, condition.false
    return Value("boolean", lambda c, n: np.where(true(c, n), 1.0, np.where(false(c, n), 0.0, np.nan)), condition.names)


# --- conditions


def negation(part: Condition) -> Condition:
    return Condition(part.false, part.true, part.names, part.texts)


def conjunction(parts: Sequence[Condition]) -> Condition:
    names = frozenset[str]().union(*(part.names for part in parts))
    falses = [part.false for part in parts]
    return Condition(_all_true(parts), _any(falses), names, any(part.texts for part in parts))


def disjunction(parts: Sequence[Condition]) -> Condition:
    return negation(conjunction([negation(part) for part in parts]))


def _any(masks: Sequence[Mask]) -> Mask:
    first, *rest = masks

    def anywhere(columns: Columns, n: int) -> NDArray[np.bool_]:
        found = first(columns, n)
        for mask in rest:
            found |= mask(columns, n)
        return found

    return anywhere


def _all_true(parts: Sequence[Condition]) -> Mask:
    """Stops as soon as no row is left; conditions on texts come last and see only the rows still left."""
    dense = [part.true for part in parts if not part.texts]
    sparse = [part for part in parts if part.texts]
    if not dense:
        first, *sparse = sparse
        dense = [first.true]

    def everywhere(columns: Columns, n: int) -> NDArray[np.bool_]:
        left = dense[0](columns, n)
        for mask in dense[1:]:
            if not np.count_nonzero(left):
                return left
            left &= mask(columns, n)
        for part in sparse:
            rows = np.flatnonzero(left)
            if not len(rows):
                return left
            if len(rows) == n:
                left = part.true(columns, n)
            else:
                left[rows] = part.true({name: columns[name][rows] for name in part.names}, len(rows))
        return left

    return everywhere


def missing(value: Value) -> Condition:
    """IS NULL."""
    of = value.of
    if value.kind == "text":
        return Condition(
            lambda c, n: np.equal(of(c, n), _NONE), lambda c, n: np.not_equal(of(c, n), _NONE), value.names, texts=True
        )
    return Condition(lambda c, n: np.isnan(of(c, n)), lambda c, n: ~np.isnan(of(c, n)), value.names)


ORDERINGS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    # operator → where it is true, where it is false; both answer False beside a NaN
    ">": (np.greater, np.less_equal),
    ">=": (np.greater_equal, np.less),
    "<": (np.less, np.greater_equal),
    "<=": (np.less_equal, np.greater),
    "=": (np.equal, lambda left, right: (left < right) | (left > right)),
}


def comparison(operator: str, left: Value, right: Value) -> Condition:
    """``left operator right``, both of one kind; texts only with ``=``."""
    a, b = left.of, right.of
    names = left.names | right.names
    if left.kind != "text":
        holds, fails = ORDERINGS[operator]
        return Condition(lambda c, n: holds(a(c, n), b(c, n)), lambda c, n: fails(a(c, n), b(c, n)), names)
    present = [missing(side).false for side in (left, right) if not side.literal]

    def where(ufunc: Callable[..., Any]) -> Mask:
        return lambda c, n: reduce(np.logical_and, (here(c, n) for here in present), ufunc(a(c, n), b(c, n)))

    return Condition(where(np.equal), where(np.not_equal), names, texts=True)


def between(value: Value, low: Value, high: Value) -> Condition:
    return conjunction([comparison(">=", value, low), comparison("<=", value, high)])


def one_of(value: Value, choices: Collection[float] | Collection[str]) -> Condition:
    """IN, among literals."""
    of = value.of
    present = missing(value).false
    if value.kind == "text":
        words = frozenset(choices)
        return _each_text(value, words.__contains__)
    numbers = np.array(sorted(choices), dtype=np.float64)

    def true(columns: Columns, n: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.equal(of(columns, n)[:, None], numbers).any(axis=1)
        return found

    return Condition(true, lambda c, n: present(c, n) & ~true(c, n), value.names)


def like(value: Value, pattern: str) -> Condition:
    """LIKE: % any text, _ one character, everything else itself. Linear in the text: no step back behind a part
    already found (the first place a part fits is as good as any later one)."""
    parts = [re.escape(part).replace("_", ".") for part in pattern.split("%")]
    head, *middle = parts
    regex = head + "".join(f"(?>.*?{part})" for part in middle[:-1])
    if middle:
        regex += f".*{middle[-1]}"
    match = re.compile(regex, re.DOTALL).fullmatch
    return _each_text(value, lambda text: match(text) is not None)


def _each_text(value: Value, test: Callable[[str], bool]) -> Condition:
    of = value.of
    return Condition(
        lambda c, n: np.fromiter((text is not None and test(text) for text in of(c, n)), np.bool_, n),
        lambda c, n: np.fromiter((text is not None and not test(text) for text in of(c, n)), np.bool_, n),
        value.names,
        texts=True,
    )


# --- values


def _number(values: Sequence[Value], of: Values) -> Value:
    return Value("number", of, frozenset[str]().union(*(value.names for value in values)))


def arithmetic(operator: str, left: Value, right: Value) -> Value:
    """``left operator right``; a division by zero is missing."""
    a, b = left.of, right.of
    if operator != "/":
        ufunc = {"+": np.add, "-": np.subtract, "*": np.multiply}[operator]
        return _number((left, right), lambda c, n: ufunc(a(c, n), b(c, n)))
    if right.literal:
        return _number((left, right), lambda c, n: np.divide(a(c, n), b(c, n)))

    def divided(columns: Columns, n: int) -> Any:
        by = b(columns, n)
        return np.divide(a(columns, n), np.where(np.equal(by, 0.0), np.nan, by))

    return _number((left, right), divided)


def negative(value: Value) -> Value:
    of = value.of
    return Value("number", lambda c, n: np.negative(of(c, n)), value.names, exact=value.exact)


UNARY: Mapping[str, Callable[..., Any]] = {"abs": np.abs, "floor": np.floor, "ceil": np.ceil}


def unary(name: str, value: Value) -> Value:
    ufunc, of = UNARY[name], value.of
    return _number((value,), lambda c, n: ufunc(of(c, n)))


def rounded(value: Value, digits: int) -> Value:
    """Half away from zero, as SQL has it (NumPy's own rounds half to even)."""
    of, scale = value.of, 10.0**digits

    def round_half_away(columns: Columns, n: int) -> Any:
        scaled = of(columns, n) * scale if digits else of(columns, n)
        whole = np.trunc(scaled)
        away = whole + np.copysign(np.abs(scaled - whole) >= 0.5, scaled)
        return away / scale if digits else away

    return _number((value,), round_half_away)


def extreme(name: Literal["least", "greatest"], values: Sequence[Value]) -> Value:
    """Of the values that are there."""
    ufunc = np.fmin if name == "least" else np.fmax
    every = [value.of for value in values]
    return _number(values, lambda c, n: reduce(ufunc, (of(c, n) for of in every)))


def null_if(value: Value, number: float) -> Value:
    of = value.of

    def nulled(columns: Columns, n: int) -> Any:
        values = of(columns, n)
        return np.where(np.equal(values, number), np.nan, values)

    return _number((value,), nulled)


def coalesce(values: Sequence[Value]) -> Value:
    return choose([(missing(value).false, value) for value in values[:-1]], values[-1], ())


def choose(cases: Sequence[tuple[Mask, Value]], otherwise: Value | None, conditions: Sequence[Condition]) -> Value:
    """The value of the first case that is TRUE; ``conditions`` are the cases' own, for the columns they look at."""
    results = [value for _, value in cases] + ([otherwise] if otherwise is not None else [])
    kind = results[0].kind
    null: Any = np.array(None, dtype=object) if kind == "text" else np.nan

    def chosen(columns: Columns, n: int) -> Any:
        result = otherwise.of(columns, n) if otherwise is not None else null
        for mask, value in reversed(cases):
            result = np.where(mask(columns, n), value.of(columns, n), result)
        return result

    parts: list[Value | Condition] = [*results, *conditions]
    names = frozenset[str]().union(*(part.names for part in parts))
    return Value(kind, chosen, names, exact=all(value.exact for value in results))

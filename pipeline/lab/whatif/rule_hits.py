"""Which rows a part of a rule hits, by the scorer's own code, where texts are numbered: a condition on texts alone is asked
once for each combination of words that there can be, not for each row.

A rule is taken apart at its outermost AND: who drags one figure of it changes one part, and the others' hits are kept.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.rules import Rule, Schema, conjuncts
from pipeline.ports_archive import Coded

MOST_COMBINATIONS: Final = 100_000
_KEPT: Final = 1_000
_nothing: Any = None


def parts_of(rule: Rule, schema: Schema) -> Sequence[Rule]:
    """All of them hit where ``rule`` does, and only there. ``schema``: by which it was read."""
    return _parts(rule.text, tuple(schema.items()))


@lru_cache(_KEPT)
def _parts(text: str, schema: tuple[tuple[str, Any], ...]) -> Sequence[Rule]:
    return conjuncts(text, dict(schema))


def part_hits(part: Rule, columns: Mapping[str, Any], n: int) -> NDArray[np.bool_]:
    """bool[n], as `Rule.hits`. ``columns``: numbers float64[n], texts `Coded`."""
    taken = {name: columns[name] for name in part.columns}
    texts = {name: each for name, each in taken.items() if isinstance(each, Coded)}
    combinations = int(np.prod([len(each.words) + 1 for each in texts.values()], dtype=np.float64))
    if len(texts) == len(taken) and combinations <= min(MOST_COMBINATIONS, n):
        return _by_word(part, texts, combinations)
    return part.hits(taken | {name: _spelt(each) for name, each in texts.items()}, n)


def _by_word(part: Rule, texts: Mapping[str, Coded], combinations: int) -> NDArray[np.bool_]:
    every = np.arange(combinations)
    number: Any = 0
    spelt: dict[str, NDArray[Any]] = {}
    for name, each in texts.items():
        size = len(each.words) + 1
        spelt[name] = _words(each)[every % size]
        every //= size
    for each in reversed(list(texts.values())):
        number = number * (len(each.words) + 1) + np.where(each.codes < 0, len(each.words), each.codes).astype(np.int32)
    found: NDArray[np.bool_] = part.hits(spelt, combinations)
    return np.asarray(found[number])


def _spelt(column: Coded) -> NDArray[Any]:
    return np.asarray(_words(column)[column.codes])  # −1, a missing one, is the last


def _words(column: Coded) -> NDArray[Any]:
    return np.array([*column.words, _nothing], dtype=np.object_)

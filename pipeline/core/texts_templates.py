"""One template: read by Jinja, refused unless it only prints facts and asks whether they are known.

No filter, call, loop, assignment or include: what a template can do is seen by looking at it, and the sandbox has
nothing left to guard.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import SandboxedEnvironment

from pipeline.core.texts_facts import KINDS, TextRefused

MAX_CHARACTERS = 4_000
MAX_DEPTH = 4
"""Conditions within conditions."""


class _Unknown(StrictUndefined):
    """A fact nobody gave: it can't be printed, but it may be asked for in a condition."""

    def __bool__(self) -> bool:  # type: ignore[override] # Jinja types its own as never returning
        return False


class Fault(ValueError):
    """What is wrong with a template, and on which of its lines, from 0."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Piece(NamedTuple):
    """A template and what can be said of it without filling it. ``names``: the facts it prints or asks for;
    ``always``: those it prints under no condition; ``words``: all its own words; ``sure``: those under no condition."""

    names: frozenset[str]
    always: frozenset[str]
    words: str
    sure: str
    template: Template

    def fill(self, said: Mapping[str, str]) -> str:
        """The text. Raises TextRefused naming a fact it needs and does not get."""
        try:
            return self.template.render(said).strip()
        except UndefinedError as error:
            raise TextRefused(f"the text needs a fact that is not known: {error}") from None


class _Found(NamedTuple):
    """A piece of output at ``depth`` conditions: a fact's name or words."""

    depth: int
    name: str | None
    words: str
    line: int


def environment() -> SandboxedEnvironment:
    """Jinja with everything taken away that a message does not need."""
    made = SandboxedEnvironment(undefined=_Unknown, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    made.globals.clear()
    made.filters.clear()
    made.tests.clear()
    return made


def read_template(jinja: SandboxedEnvironment, source: str) -> Piece:
    """``source`` as a piece. Raises Fault."""
    if len(source) > MAX_CHARACTERS:
        raise Fault(f"is longer than {MAX_CHARACTERS} characters")
    try:
        tree = jinja.parse(source)
    except (TemplateSyntaxError, RecursionError) as error:
        message, line = (error.message, error.lineno) if isinstance(error, TemplateSyntaxError) else ("too deep", 1)
        raise Fault(f"{message}: write {{{{ fact }}}} and {{% if fact %}} only", line - 1) from None
    found = list(_walk(tree.body, 0))
    for each in found:
        if each.name is not None and each.name not in KINDS:
            raise Fault(f"there is no fact named {each.name}: there are {', '.join(sorted(KINDS))}", each.line - 1)
        if each.name == "currency":
            raise Fault("the currency is said with its amount", each.line - 1)
    printed = [each for each in found if each.depth == 0]
    return Piece(
        frozenset(each.name for each in found if each.name),
        frozenset(each.name for each in printed if each.name),
        " ".join(each.words for each in found if each.words),
        " ".join(each.words for each in printed if each.words),
        jinja.from_string(tree),
    )


def _walk(body: Sequence[nodes.Node], depth: int) -> Iterator[_Found]:
    """Every output in ``body`` and every fact a condition asks for, the latter as if it were within the condition."""
    for node in body:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                if isinstance(part, nodes.TemplateData):
                    yield _Found(depth, None, part.data, part.lineno)
                elif isinstance(part, nodes.Name):
                    yield _Found(depth, part.name, "", part.lineno)
                else:
                    raise _not_allowed(part)
        elif isinstance(node, nodes.If) and depth < MAX_DEPTH:
            for name in _asked(node.test):
                yield _Found(depth + 1, name, "", node.lineno)
            for branch in (node.body, node.elif_, node.else_):
                yield from _walk(branch, depth if branch is node.elif_ else depth + 1)
        else:
            raise _not_allowed(node)


def _asked(test: nodes.Node) -> Iterator[str]:
    """The facts a condition asks for."""
    if isinstance(test, nodes.Name):
        yield test.name
    elif isinstance(test, nodes.Not):
        yield from _asked(test.node)
    elif isinstance(test, nodes.And | nodes.Or):
        yield from _asked(test.left)
        yield from _asked(test.right)
    else:
        raise _not_allowed(test)


def _not_allowed(node: nodes.Node) -> Fault:
    what = type(node).__name__.lower()
    return Fault(f"{what} is not allowed: write {{{{ fact }}}} and {{% if fact %}} only", node.lineno - 1)

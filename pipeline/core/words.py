"""Reasons in words: what a reason code means, as a sentence an agent can read out.

One TOML file per language, ``code = "sentence"``. Figures stand in optional parts, ``[, {amount_ratio} times as much
as usual]``: a part is said only if all its figures came with the reason, so a sentence is whole without them.
``{speed_kmh}`` is the number itself; after a colon stands how to say it (`FORMS`).
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from pipeline.core.decision import Reason
from pipeline.core.grounds import GROUP_FIGURES
from pipeline.core.policy import Policy
from pipeline.core.toml_text import FileError, TomlText

MAX_SENTENCE = 200
"""Characters: more is not read out."""

_PART = re.compile(r"\[([^\[\]]*)\]")
_FIGURE = re.compile(r"\{(\w+)(?::(\w+))?\}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


FORMS: Mapping[str, Callable[[float], str]] = {
    "number": _number,
    "count": lambda value: f"{value:,.0f}",
    "percent": lambda value: f"{value * 100:.0f}%",
    "minutes": lambda seconds: f"{max(seconds / 60, 1):,.0f}",
}
"""How a figure may be said. Counts fade with time, so they are rounded; minutes are made of seconds, at least one."""


class WordsError(FileError):
    """Why a file of words is refused: ``file:line: what is wrong, what to do``."""


class Words(NamedTuple):
    """One language's sentences by reason code."""

    sentences: Mapping[str, str]

    def say(self, reason: Reason) -> str:
        """The sentence for ``reason``, with the figures it has; the code itself where no words are known."""
        sentence = self.sentences.get(reason.code)
        if sentence is None:
            return reason.code
        detail = reason.detail or {}
        return _PART.sub(lambda part: _said(part[1], detail), sentence)


def _said(part: str, detail: Mapping[str, Any]) -> str:
    """The optional ``part`` with its figures, empty where one is missing or no number."""
    for name, form in _FIGURE.findall(part):
        value = detail.get(name)
        if isinstance(value, str) and not form:
            continue
        if not isinstance(value, int | float):
            return ""
    return _FIGURE.sub(lambda figure: _figure(detail[figure[1]], figure[2]), part)


def _figure(value: float | str, form: str | None) -> str:
    return value if isinstance(value, str) else FORMS[form or "number"](value)


def parse_words(text: str, filename: str, figures: Collection[str] | None = None) -> Words:
    """Read one language's words. ``figures``: the columns there are (None: not checked). Raises `WordsError`."""
    file = TomlText(text, filename, WordsError)
    for code, sentence in file.data.items():
        line = file.key(code)
        if not isinstance(sentence, str) or not sentence.strip():
            file.fail(f"{code}: write one sentence in quotes", line)
        if len(sentence) > MAX_SENTENCE:
            file.fail(f"{code}: {len(sentence)} characters; at most {MAX_SENTENCE} are read out", line)
        outside = _PART.sub("", sentence)
        if re.search(r"[\[\]{}]", outside):
            file.fail(f"{code}: figures stand in optional parts, as in [, {{amount_ratio}} times the usual]", line)
        for part in _PART.findall(sentence):
            _check_part(file, line, code, part, figures)
    return Words(dict(file.data))


def _check_part(file: TomlText, line: int, code: str, part: str, figures: Collection[str] | None) -> None:
    placeholders = _FIGURE.findall(part)
    if not placeholders or re.search(r"[{}]", _FIGURE.sub("", part)):
        file.fail(f"{code}: an optional part needs figures, written {{column}} or {{column:form}}", line)
    for name, form in placeholders:
        if figures is not None and name not in figures:
            file.fail(f"{code}: unknown figure {{{name}}}: name a column", line)
        if form and form not in FORMS:
            file.fail(f"{code}: unknown form {form!r}: there are {', '.join(FORMS)}", line)


def check_words(policy: Policy, languages: Mapping[str, Words]) -> list[str]:
    """What is missing for ``policy`` to be told in every language, a sentence each: codes without words, and figures
    that a sentence names but no rule of that code gives."""
    given: dict[str, set[str]] = {threshold.reason: set() for threshold in policy.thresholds}
    for code, figures in [(each.reason, each.figures) for each in policy.rules] + [
        (each.reason, each.figures) for each in policy.explanations
    ]:
        given.setdefault(code, set()).update(figures)
    return _missing(given, languages, "the policy does not give")


def check_ground_words(languages: Mapping[str, Words]) -> list[str]:
    """What is missing for what a score comes from to be told in every language, a sentence each."""
    return _missing(GROUP_FIGURES, languages, "does not come with it")


def _missing(given: Mapping[str, Collection[str]], languages: Mapping[str, Words], why: str) -> list[str]:
    missing = []
    for language, words in languages.items():
        for code, known in given.items():
            sentence = words.sentences.get(code)
            if sentence is None:
                missing.append(f"{language}: no words for {code}")
                continue
            unknown = sorted({name for name, _ in _FIGURE.findall(sentence)} - set(known))
            missing += [f"{language}: {code} names {{{name}}}, which {why}" for name in unknown]
    return missing

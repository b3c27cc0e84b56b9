"""Reading ``messages.toml``: every template of the table must be there, and each is held to its rule before it is used.

First by looking at the template alone (what it names, what it says whatever the facts), then by filling it with sample
facts, once with all it may name and once with only what it must.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from jinja2.sandbox import SandboxedEnvironment

from pipeline.core.messages import TemplateError
from pipeline.core.texts import FALLBACK_LANGUAGE, Key, LanguageTexts, Message, Texts
from pipeline.core.texts_facts import Locale, Plain, TextRefused
from pipeline.core.texts_rules import RULES, TITLED, Row, forbidden, not_said, title_row
from pipeline.core.texts_templates import Fault, Piece, environment, read_template
from pipeline.core.toml_text import FileError, TomlText

ANY = "any"
"""The part that stands for those of its table which are not written, but never for what only the right party hears."""
MAX_FORMS = 4
_SAMPLE: Mapping[str, Plain] = {
    "last4": "4242",
    "amount": 123450,
    "minimum": 20000,
    "balance": 987654,
    "limit": 2000000,
    "currency": "CNY",
    "count": 3,
    "days": 5,
    "time": datetime(2026, 11, 23, 14, 5),  # noqa: DTZ001 - the customer's own clock, in no zone
    "due": date(2026, 11, 30),
}
SAMPLES: Mapping[str, Mapping[str, Plain]] = {
    "zh": {**_SAMPLE, "bank": "示例银行", "merchant": "京东商城", "name": "王小明", "offer": "本月为您准备了新礼遇"},
    "": {**_SAMPLE, "bank": "Demo Bank", "merchant": "Corner Books", "name": "Ann Lee", "offer": "Airport lounges"},
}
"""Facts to show the templates with, by primary language; "": any other."""


class TextsError(FileError, TemplateError):
    """Why a file of messages is refused: ``file:line: what is wrong, what to do``."""


class _Place(NamedTuple):
    """Where a message's parts stand in its file: lines of the title and of each form."""

    title: int
    forms: tuple[int, ...]


def parse_texts(files: Mapping[str, tuple[str, str]]) -> Texts:
    """``files``: by language (BCP 47) the text of its ``messages.toml`` and the file's name. Raises TextsError, a
    TemplateError."""
    if FALLBACK_LANGUAGE not in files:
        raise TextsError(
            f"messages/{FALLBACK_LANGUAGE}/messages.toml:1: is missing; it is read to all whose language is not there"
        )
    return Texts({language: _parse(language, *files[language]) for language in files})


def _parse(language: str, text: str, filename: str) -> LanguageTexts:
    file = TomlText(text, filename, TextsError)
    locale = _locale(file, file.data.get("locale"))
    sample = SAMPLES.get(language.split("-")[0].casefold(), SAMPLES[""])
    jinja = environment()
    _only_known(file)
    messages, places = {}, {}
    for key, row in RULES.items():
        if row.channel == "webhook":
            continue
        messages[key], places[key] = _message(file, jinja, row, key, language)
    texts = LanguageTexts(language, locale, messages, sample)
    for key, message in messages.items():
        _try(file, texts, key, message, places[key])
    return texts


def _locale(file: TomlText, found: Any) -> Locale:
    line = _header(file, "locale") or 1
    if not isinstance(found, dict):
        file.fail("[locale] is missing: money, day, moment, months and [locale.units]", line)
    units = found.get("units", {})
    if not isinstance(units, dict) or not all(isinstance(unit, str) and unit for unit in units.values()):
        file.fail("[locale.units] maps currency codes to words", _header(file, "locale.units") or line)
    for name in found.keys() - {*Locale._fields}:
        file.fail(f"[locale] has no {name}: it has {', '.join(Locale._fields)}", file.key(name, line))
    months = found.get("months")
    if not isinstance(months, list) or len(months) != 12 or not all(isinstance(month, str) for month in months):
        file.fail("months are twelve names", file.key("months", line))
    wanted = {"money": {"value", "unit"}, "day": {"day", "month"}, "moment": {"day", "month", "time"}}
    for name, parts in wanted.items():
        form = found.get(name)
        if not isinstance(form, str) or sorted(re.findall(r"\{(.*?)\}", form)) != sorted(parts) or _odd(form):
            shown = ", ".join(f"{{{part}}}" for part in sorted(parts))
            file.fail(f"{name} is a text with each of {shown} once", file.key(name, line))
    return Locale(found["money"], found["day"], found["moment"], tuple(months), dict(units))


def _odd(form: str) -> bool:
    return bool(re.search(r"[{}]", re.sub(r"\{\w+\}", "", form)))


def _only_known(file: TomlText) -> None:
    """Refuse a table or a part that no rule speaks of: a mistyped name would otherwise never be said."""
    channels = {(row.class_, row.channel) for row in RULES.values() if row.channel != "webhook"}
    for class_, tables in file.data.items():
        if class_ == "locale":
            continue
        for channel, parts in tables.items() if isinstance(tables, dict) else [("", None)]:
            where = f"{class_}.{channel}" if channel else class_
            line = _header(file, where) or 1
            if (class_, channel) not in channels or not isinstance(parts, dict):
                file.fail(f"[{where}] is not a class and channel with texts; a webhook carries fields, no words", line)
            for part in parts:
                if part != ANY and (class_, channel, part) not in RULES:
                    file.fail(
                        f"there is no part {where}.{part}", _header(file, f"{where}.{part}") or file.key(part, line)
                    )


def _message(file: TomlText, jinja: SandboxedEnvironment, row: Row, key: Key, language: str) -> tuple[Message, _Place]:
    """The message ``key``, each of its templates held to its row."""
    table = f"{row.class_}.{row.channel}"
    parts = file.data.get(row.class_, {}).get(row.channel, {})
    line = _header(file, table) or 1
    part = key[2] if key[2] in parts or row.stage == "after" else ANY
    if part not in parts:
        file.fail(f"the text {table}.{key[2]} is missing", line)
    title, forms, place = _sources(file, row, part, parts[part], line)
    pieces = []
    for form, at in zip(forms, place.forms, strict=True):
        pieces.append(_piece(file, jinja, form, row, f"{table}.{part}", at, language))
    heading = None
    if title is not None:
        heading = _piece(file, jinja, title, title_row(row), f"the title of {table}.{part}", place.title, language)
    return Message(heading, tuple(pieces)), place


def _sources(file: TomlText, row: Row, part: str, found: Any, line: int) -> tuple[str | None, list[str], _Place]:
    """Title and forms of a part as they stand in the file, and where."""
    where = f"{row.class_}.{row.channel}.{part}"
    if row.channel in TITLED:
        line = _header(file, where) or line
        heading = "title" if row.channel == "push" else "subject"
        if not isinstance(found, dict) or found.keys() != {heading, "body"}:
            file.fail(f"[{where}] must have {heading} and body", line)
        title, forms = found[heading], [found["body"]]
        place = _Place(file.value(heading, line), (file.value("body", line),))
    else:
        title, forms = None, found if isinstance(found, list) and row.channel == "sms" else [found]
        place = _Place(0, tuple(_form_line(file, form, file.value(part, line)) for form in forms))
    if not 1 <= len(forms) <= MAX_FORMS:
        file.fail(f"{where} must have from one to {MAX_FORMS} forms", line)
    for text, at in [*zip(forms, place.forms, strict=True), *([(title, place.title)] if title is not None else [])]:
        if not isinstance(text, str) or not text.strip():
            file.fail(f"{where} must be a text", at)
    return title, forms, place


def _form_line(file: TomlText, form: object, line: int) -> int:
    """The line of one form of several, if it stands there as it is."""
    lines = file.text.split("\n")
    return next((n for n in range(line, len(lines) + 1) if isinstance(form, str) and form in lines[n - 1]), line)


def _piece(
    file: TomlText, jinja: SandboxedEnvironment, source: str, row: Row, where: str, line: int, language: str
) -> Piece:
    """One template, held to ``row`` by what can be seen without facts."""
    try:
        piece = read_template(jinja, source)
    except Fault as fault:
        file.fail(f"{where}: {fault.reason}", line + fault.line)
    for name in sorted(piece.names - row.may):
        allowed = ", ".join(sorted(row.may)) or "nothing"
        file.fail(f"{where} may not name {name} ({row.stage} the right party is confirmed); allowed: {allowed}", line)
    for name in sorted(row.must - piece.always):
        file.fail(f"{where} must name {{{{ {name} }}}}, outside any condition", line)
    unsaid = not_said(row, language, piece.sure)
    if unsaid is not None:
        file.fail(f"{where} must say {unsaid}, outside any condition", line)
    found = forbidden(row, piece.words)
    if found is not None:
        file.fail(f"{where} may never hold {found}", line)
    return piece


def _try(file: TomlText, texts: LanguageTexts, key: Key, message: Message, place: _Place) -> None:
    """Fill every form with all it may name and with only what it must."""
    row = RULES[key]
    least = {name: texts.sample[name] for name in ("bank", "currency", *row.must)}
    for form, line in zip(message.forms, place.forms, strict=True):
        alone = texts._replace(messages={key: Message(message.title, (form,))})
        for facts in (texts.sample, least):
            try:
                alone.render(key, facts)
            except TextRefused as refused:
                file.fail(f"filled with sample facts: {refused.reason}", line)


def _header(file: TomlText, name: str) -> int | None:
    """The line of ``[name]``."""
    pattern = re.compile(rf"\s*\[\s*{re.escape(name)}\s*\]\s*(#.*)?")
    return next(_lines(file, pattern), None)


def _lines(file: TomlText, pattern: re.Pattern[str]) -> Iterator[int]:
    return (number for number, line in enumerate(file.text.split("\n"), 1) if pattern.fullmatch(line))

"""Reading ``crm.toml``: which steps go to which system, and into which of its fields. Mistakes name their line."""

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, get_args

from pipeline.core.crm_rows import NAMES, Rule, Source, names_in
from pipeline.core.crm_words import LANGUAGES
from pipeline.core.records import AnswerWord, Step
from pipeline.core.toml_text import FileError, TomlText

STEPS: frozenset[str] = frozenset(get_args(Step))
ANSWERS: frozenset[str] = frozenset(get_args(AnswerWord))
SOURCES: tuple[Source, ...] = get_args(Source)
TABLES = ("zoho", "fxiaoke")
_RULE_KEYS = {"about", "steps", "answers", "module", "key", "language", "fields", "known_tags"}


class MappingError(FileError):
    """Why ``crm.toml`` is refused: ``file:line: what is wrong, what to do``."""


class CrmMapping(NamedTuple):
    """``webhook``: the steps that are posted; ``zoho``, ``fxiaoke``: the rules for their tables; ``overdue``: the reasons
    of a step that say that a promised call-back is late."""

    webhook: frozenset[str]
    zoho: tuple[Rule, ...]
    fxiaoke: tuple[Rule, ...]
    overdue: frozenset[str]


def parse_mapping(text: str, filename: str) -> CrmMapping:
    """Raises MappingError."""
    file = TomlText(text, filename, MappingError)
    for name in file.data:
        if name not in {"webhook", "staff", *TABLES}:
            file.fail(f"there is no part {name!r}; there are webhook, staff, zoho and fxiaoke", file.key(name))
    webhook, staff = _table(file, "webhook", {"steps"}), _table(file, "staff", {"overdue"})
    zoho, fxiaoke = ([*_rules(file, name)] for name in TABLES)
    overdue = _texts(file, staff, "overdue", _header(file, "staff"))
    return CrmMapping(
        webhook=_known(file, webhook, "steps", STEPS, _header(file, "webhook")) or STEPS,
        zoho=tuple(zoho),
        fxiaoke=tuple(fxiaoke),
        overdue=frozenset(overdue),
    )


def _table(file: TomlText, name: str, keys: set[str]) -> Mapping[str, Any]:
    table = file.data.get(name, {})
    if not isinstance(table, dict) or table.keys() - keys:
        file.fail(f"[{name}] may hold {', '.join(sorted(keys))} and nothing else", _header(file, name))
    return table


def _header(file: TomlText, name: str) -> int:
    """The line of ``[name]``; 1 when it was written in another form."""
    lines = file.text.split("\n")
    return next((number for number, line in enumerate(lines, 1) if line.split("#")[0].strip() == f"[{name}]"), 1)


def _rules(file: TomlText, system: str) -> list[Rule]:
    tables = file.data.get(system, [])
    if not isinstance(tables, list):
        file.fail(f"write each rule for {system} as a table of its own: [[{system}]]")
    return [_rule(file, table, file.table(system, number), system) for number, table in enumerate(tables)]


def _rule(file: TomlText, table: Mapping[str, Any], line: int, system: str) -> Rule:
    def refuse(message: str, key: str) -> NoReturn:
        file.fail(message, file.key(key, line))

    if unknown := sorted(table.keys() - _RULE_KEYS):
        refuse(f"a rule has no {unknown[0]!r}; it may have {', '.join(sorted(_RULE_KEYS))}", unknown[0])
    source = table.get("about")
    if source not in SOURCES:
        refuse('about must be "contact" (its steps) or "customer" (their tags)', "about")
    module, key, fields = table.get("module"), table.get("key"), table.get("fields")
    if not (isinstance(module, str) and module.strip("_").replace("_", "").isalnum()):
        refuse("module must be the name that the system's API has for the table", "module")
    if not isinstance(fields, dict) or not all(isinstance(text, str) for text in fields.values()):
        refuse(f"the rule needs [{system}.fields]: field = text, with {{names}} of what is known", "fields")
    if not isinstance(key, str) or not names_in(fields.get(key, "")):
        refuse("key must be one of the fields, and tell rows apart by at least one {name}", "key")
    for text in fields.values():
        if unknown := sorted(names_in(text) - NAMES[source]):
            known = ", ".join(sorted(NAMES[source]))
            file.fail(f"nothing is called {{{unknown[0]}}} here; there are {known}", line)
    language = table.get("language", "en")
    if language not in LANGUAGES:
        refuse('language must be "en" or "zh"', "language")
    if source == "customer" and (table.keys() & {"steps", "answers"}):
        refuse("steps and answers are a contact's: a rule about customers has none", "steps")
    known_tags = _texts(file, table, "known_tags", line) if "known_tags" in table else None
    if known_tags is not None and (source != "customer" or system != "zoho"):
        refuse("known_tags belong to a rule for zoho about customers", "known_tags")
    return Rule(
        source=source,
        module=module,
        key=key,
        fields=fields,
        steps=_known(file, table, "steps", STEPS, line),
        answers=_known(file, table, "answers", ANSWERS, line),
        language=language,
        known_tags=None if known_tags is None else frozenset(known_tags),
    )


def _known(file: TomlText, table: Mapping[str, Any], key: str, known: frozenset[str], line: int) -> frozenset[str]:
    found = _texts(file, table, key, line)
    for name in found:
        if name not in known:
            file.fail(f"{key}: there is no {name!r}; there are {', '.join(sorted(known))}", file.key(key, line))
    return frozenset(found)


def _texts(file: TomlText, table: Mapping[str, Any], key: str, line: int) -> list[str]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        file.fail(f'{key} must be a list of texts: ["…", "…"]', file.key(key, line))
    return found

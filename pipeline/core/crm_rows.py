"""Which rows an event makes in another system's tables, by rules that are data.

A rule names the records it is about, the table (Zoho: a module, Fxiaoke: an object), the field by which a row is found
again, and what goes into each field: a text with ``{names}`` of facts. A field that would be all blanks is left out, so
that a later step does not erase what an earlier one said.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from pipeline.core.crm_event import CrmEvent, CustomerErased, CustomerTags
from pipeline.core.crm_words import ANSWERS, CHANNELS, STEPS, Language, word
from pipeline.core.records import ContactStep

Source = Literal["contact", "customer"]
Value = str | int
_STEP = {field.encode_name: field.name for field in msgspec.structs.fields(ContactStep)}
"""A step's own facts: the name on the topic → the attribute."""
NAMES: Mapping[Source, frozenset[str]] = {
    "contact": frozenset({*_STEP, "event", "subject_kind", "step_words", "channel_words", "answer_words", "time_ms"}),
    "customer": frozenset({"event", "customer", "activity", "tags", "time", "time_ms"}),
}
"""What a rule's fields may name, by what it is about."""
NUMBERS = frozenset({"attempt", "time_ms"})
"""Facts that stay numbers where they are all that a field says."""
_NAMED = re.compile(r"\{(\w+)\}")


class Rule(NamedTuple):
    """``steps`` and ``answers``: only of these; empty, of all. ``known_tags``: the tags that are ours to take away again;
    None: tags are not told by this rule."""

    source: Source
    module: str
    key: str
    fields: Mapping[str, str]
    steps: frozenset[str] = frozenset()
    answers: frozenset[str] = frozenset()
    language: Language = "en"
    known_tags: frozenset[str] | None = None

    def wants(self, event: CrmEvent) -> bool:
        data = event.data
        if isinstance(data, CustomerTags):
            return self.source == "customer"
        if isinstance(data, CustomerErased):
            return False  # rows about customers are the bank's own: it deletes them where they are
        if self.source != "contact" or (self.steps and data.step not in self.steps):
            return False
        return not self.answers or data.answer in self.answers


class Tags(NamedTuple):
    """The tags a row is to have, and those it is not to have any more."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


class Row(NamedTuple):
    """One row to be there: found by its field ``key``, with these ``fields``. ``events``: positions of those it tells."""

    module: str
    key: str
    fields: Mapping[str, Value]
    events: tuple[int, ...]
    tags: Tags | None = None


def names_in(template: str) -> frozenset[str]:
    return frozenset(_NAMED.findall(template))


def rows_of(rules: Sequence[Rule], events: Sequence[CrmEvent]) -> list[Row]:
    """The rows that ``events``, in their order, make. Events about the same row make one, the last word counting: a
    table is told where things stand, not how they got there."""
    found: dict[tuple[str, str, Value], Row] = {}
    for position, event in enumerate(events):
        for rule in rules:
            if not rule.wants(event):
                continue
            fields = filled(rule, event)
            if rule.key not in fields:
                continue  # a step without customer says nothing to a table of customers
            name = (rule.module, rule.key, fields[rule.key])
            earlier = found.get(name)
            told = (*earlier.events, position) if earlier else (position,)
            tags = _tags(rule, event) or (earlier.tags if earlier else None)
            merged = {**earlier.fields, **fields} if earlier else fields
            found[name] = Row(rule.module, rule.key, merged, told, tags)
    return list(found.values())


def filled(rule: Rule, event: CrmEvent) -> dict[str, Value]:
    """The fields of the rule's row for ``event``."""
    known = facts(event, rule.language)
    row: dict[str, Value] = {}
    for field, template in rule.fields.items():
        named = names_in(template)
        only = _NAMED.fullmatch(template)
        if only and only[1] in NUMBERS and only[1] in known:
            row[field] = known[only[1]]
        elif not named or any(name in known for name in named):
            row[field] = _NAMED.sub(lambda name: str(known.get(name[1], "")), template).strip()
    return row


def facts(event: CrmEvent, language: Language) -> dict[str, Value]:
    """What is known of ``event``, by the names of `NAMES`; what is not known is missing."""
    moment = datetime.fromisoformat(event.time)
    known: dict[str, Value | None] = {
        "event": event.id,
        "customer": event.customer,
        "time": moment.isoformat(timespec="seconds"),
        "time_ms": int(moment.timestamp() * 1000),
    }
    match event.data:
        case ContactStep() as step:
            kind, subject = next(iter(step.subject.items()), (None, None))
            known = {name: getattr(step, attribute) for name, attribute in _STEP.items()} | known
            known |= {
                "subject_kind": kind,
                "subject": subject,
                "step_words": word(STEPS, step.step, language),
                "channel_words": step.channel and word(CHANNELS, step.channel, language),
                "answer_words": step.answer and word(ANSWERS, step.answer, language),
            }
        case CustomerTags() as state:
            known |= {"activity": state.activity, "tags": ", ".join(state.tags)}
    return {name: value for name, value in known.items() if value is not None}


def _tags(rule: Rule, event: CrmEvent) -> Tags | None:
    if rule.known_tags is None or not isinstance(event.data, CustomerTags):
        return None
    wanted = tuple(dict.fromkeys(event.data.tags))
    return Tags(wanted, tuple(sorted(rule.known_tags - set(wanted))))

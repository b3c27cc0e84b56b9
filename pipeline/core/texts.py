"""The words of every message: templates as data, held to the table of `texts_rules` when read and when filled.

``messages/<language>/messages.toml`` has a table per class and channel with a template per part; ``any`` stands for
the parts not written. A part of push or e-mail is a table of ``title`` or ``subject`` and ``body``. An SMS may have
several forms, the fullest first: the first that fits one segment is taken, its merchant shortened before a shorter
form is tried. What breaks a rule only when filled is refused, and people take over.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from pipeline.core.conversation import Alert
from pipeline.core.messages import choose_language
from pipeline.core.segments import count_segments
from pipeline.core.texts_facts import Locale, Plain, TextRefused, merchant_name, plain_facts, say_facts
from pipeline.core.texts_rules import (
    CHARACTERS,
    MAX_SEGMENTS,
    RULES,
    TITLE_CHARACTERS,
    Row,
    forbidden,
    title_row,
)
from pipeline.core.texts_templates import Piece

FALLBACK_LANGUAGE = "en"
MERCHANT_LENGTHS = (18, 12, 8)
"""To how many characters a merchant's name may be shortened to save a segment."""

Key = tuple[str, str, str]
"""Class, channel, part."""


class Rendered(NamedTuple):
    """A message in words. ``subject``: of an e-mail, the title of a push message; ``segments``: of an SMS."""

    language: str
    text: str
    subject: str | None
    segments: int | None


class Preview(NamedTuple):
    """One template filled with facts made up for the purpose."""

    class_: str
    channel: str
    part: str
    rendered: Rendered


class Message(NamedTuple):
    """The templates of one part: ``forms`` from the fullest to the shortest."""

    title: Piece | None
    forms: tuple[Piece, ...]


class LanguageTexts(NamedTuple):
    """One language's templates, ``sample``: facts to show them with."""

    language: str
    locale: Locale
    messages: Mapping[Key, Message]
    sample: Mapping[str, Plain]

    def render(self, key: Key, plain: Mapping[str, Plain]) -> Rendered:
        """The message ``key`` (one of `RULES`, no webhook) with these facts. Raises TextRefused."""
        row, message = RULES[key], self.messages[key]
        said = say_facts(plain, self.locale)
        for name in sorted(row.must - said.keys()):
            raise TextRefused(f"{name} is not known, and {'.'.join(key)} must name it")
        subject = None
        if message.title is not None:
            subject = " ".join(message.title.fill(said).split())
            _hold(title_row(row), f"the title of {'.'.join(key)}", subject, said, TITLE_CHARACTERS)
        if row.channel != "sms":
            text = message.forms[0].fill(said)
            _hold(row, ".".join(key), text, said, CHARACTERS[row.channel])
            return Rendered(self.language, text, subject, None)
        text, segments = _fit(message.forms, said)
        _hold(row, ".".join(key), text, said, CHARACTERS["sms"])
        return Rendered(self.language, text, None, segments)


class Texts(NamedTuple):
    """The messages of every language."""

    languages: Mapping[str, LanguageTexts]

    def render(self, class_: str, channel: str, part: str, language: str, facts: Mapping[str, object]) -> Rendered:
        """What is said in ``language``, or the nearest there is. ``facts``: see `KINDS`; amounts in minor units of
        ``currency``, times by the customer's own clock; no template names what its part may not. For a webhook the
        text is JSON of the facts. Raises TextRefused: nothing may be sent, people take over."""
        key = (class_, channel, part)
        if key not in RULES:
            raise TextRefused(f"there is no message {'.'.join(key)}")
        chosen = choose_language(language, tuple(self.languages), FALLBACK_LANGUAGE)
        plain = plain_facts(facts)
        if channel == "webhook":
            return Rendered(chosen, _fields(key, chosen, plain), None, None)
        return self.languages[chosen].render(key, plain)

    def preview(self) -> Iterator[Preview]:
        """Every template in every language, filled with sample facts."""
        for texts in self.languages.values():
            for key in texts.messages:
                yield Preview(*key, texts.render(key, texts.sample))


def question(bank: str, last4: str | None, alerts: Sequence[Alert]) -> tuple[str, dict[str, object]]:
    """The part of class fraud that asks about ``alerts`` (at least one), and its facts: those of the one alert, or the
    number of them and the largest of those that were not taken back meanwhile."""
    standing = [alert for alert in alerts if not alert.reversed]
    largest = max(standing or alerts, key=lambda alert: alert.amount or 0)
    facts: dict[str, object] = {
        "bank": bank,
        "last4": last4,
        "amount": largest.amount,
        "currency": largest.currency,
        "merchant": largest.merchant,
        "count": len(alerts),
    }
    return "ask_one" if len(alerts) == 1 else "ask_many", facts


def preview_lines(texts: Texts) -> Iterator[str]:
    """The preview as a person reads it: the template's name and an SMS's segments, then the text, indented."""
    for class_, channel, part, rendered in texts.preview():
        size = ""
        if rendered.segments is not None:
            counted = count_segments(rendered.text)
            plural = "" if counted.segments == 1 else "s"
            size = f"  [{counted.segments} segment{plural}, {counted.units} {counted.encoding} units]"
        yield f"{rendered.language} {class_}.{channel}.{part}{size}"
        for line in (rendered.subject, *rendered.text.split("\n")):
            if line is not None:
                yield f"    {line}"


def _fit(forms: Sequence[Piece], said: Mapping[str, str]) -> tuple[str, int]:
    """The first text of one segment, else the first of two. Raises TextRefused."""
    second = None
    for form in forms:
        for facts in _shortened(said) if "merchant" in form.names else (said,):
            text = form.fill(facts)
            segments = count_segments(text).segments
            if segments == 1:
                return text, 1
            if second is None and segments <= MAX_SEGMENTS:
                second = text, segments
    if second is None:
        raise TextRefused(f"the text takes more than {MAX_SEGMENTS} segments")
    return second


def _shortened(said: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The facts, then with the merchant's name ever shorter."""
    yield said
    name = said.get("merchant", "")
    for length in MERCHANT_LENGTHS:
        short = merchant_name(name, length)
        if short and len(name) > length:
            yield {**said, "merchant": short}


def _hold(row: Row, where: str, text: str, said: Mapping[str, str], most: int) -> None:
    """Raise TextRefused if ``text`` breaks the row's rules."""
    if not text:
        raise TextRefused(f"{where} would be empty")
    if len(text) > most:
        raise TextRefused(f"{where} would have {len(text)} characters, at most {most} are allowed")
    found = forbidden(row, text, [said[name] for name in ("merchant", "last4") if name in said])
    if found is not None:
        raise TextRefused(f"{where} would hold {found}")


def _fields(key: Key, language: str, plain: Mapping[str, Plain]) -> str:
    """What a webhook carries instead of words: JSON with sorted keys."""
    for name, value in plain.items():
        found = forbidden(RULES[key], str(value)) if isinstance(value, str) else None
        if found is not None:
            raise TextRefused(f"{'.'.join(key)} would hold {found} in {name}")
    facts = {name: value.isoformat() if isinstance(value, date) else value for name, value in plain.items()}
    body = {"class": key[0], "template": key[2], "language": language, "facts": facts}
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

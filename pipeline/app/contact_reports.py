"""What a person may ask the contact store, reading only: what the gates say of a customer, what a dossier holds."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from pydantic import Field

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.redis.connection import connect, refusal
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.adapters.redis.rights import RIGHTS
from pipeline.app.configuration import read
from pipeline.core import contact_report
from pipeline.core.contact_facts import place_of
from pipeline.core.contact_hours import DAY_MS, SEARCH_DAYS
from pipeline.core.contact_report import Explained
from pipeline.core.conversation import CALL_CLASS, decode
from pipeline.core.dossier import Broken, read_entry, verify
from pipeline.core.texts import preview_lines
from pipeline.core.verdict import Asked
from pipeline.core.words import Words, parse_words
from pipeline.ports import ContactStore, StoreDown
from pipeline.roles.contact.permission import Permission
from pipeline.roles.contact.profile import read_profile, read_texts
from pipeline.settings import Settings

T = TypeVar("T")
LANGUAGES = {"en": "en", "zh": "zh-CN", "zh-CN": "zh-CN"}


class NotAnswered(Exception):
    """There is no such customer or contact, or the store cannot be asked: a sentence."""


class ReportSettings(Settings):
    """As the contact role's, without the secrets it needs for its providers."""

    contact_profile: str = Field(default="demo", pattern=r"^[A-Za-z0-9_-]+$")

    @property
    def store_url(self) -> str:
        return self.redis_contact_url or self.redis_url


class Dossier(NamedTuple):
    """``broken``: what is wrong with its chain; nothing: it holds."""

    contact: str
    entries: list[dict[str, Any] | None]
    broken: list[Broken]

    def as_json(self) -> str:
        broken = [link._asdict() for link in self.broken]
        told = {"contact": self.contact, "holds": not broken, "broken": broken, "entries": self.entries}
        return json.dumps(told, ensure_ascii=False, indent=2)


def words_for(settings: Settings, language: str) -> Words:
    """The words of reports in ``language``: en, zh."""
    return parse_words(*read(settings, f"messages/{LANGUAGES[language]}/contact.toml"))


def preview(settings: Settings, language: str | None) -> list[str]:
    """The preview of every message; of one language, if it is given."""
    texts = read_texts(settings.config_dir)
    if language is not None:
        wanted = LANGUAGES[language]
        texts = texts._replace(languages={wanted: texts.languages[wanted]})
    return list(preview_lines(texts))


async def explained(settings: ReportSettings, customer: str, class_: str, at_ms: int) -> Explained:
    """What the gates of the configured profile say, along its ladder, at that moment. Raises NotAnswered."""
    profile = read_profile(settings.config_dir, settings.contact_profile, world_almanac())
    permission = Permission(profile.policy, profile.plan)
    known = await _asked(settings, lambda store: store.customer(customer))
    if known.record is None:
        raise NotAnswered(f"there is no customer {customer} in the directory")
    record = permission.customer(known.record, known.notes)
    patience_ms = round(profile.plan.patience_s * 1000) if class_ == CALL_CLASS else SEARCH_DAYS * DAY_MS
    asked = Asked(class_, "", [rung.way for rung in profile.plan.ladder], at_ms + patience_ms)
    verdict = permission.verdict(asked, record, known.notes, at_ms)
    policy = profile.policy
    zones = place_of(policy, record).zones
    return Explained(customer, class_, policy.version, policy.signed_by, at_ms, zones, verdict)


def explained_json(found: Explained) -> str:
    return json.dumps(contact_report.explained_json(found), ensure_ascii=False, indent=2)


async def dossier(settings: ReportSettings, contact: str) -> Dossier:
    """A contact's dossier, verified; against the conversation too while it is remembered. Raises NotAnswered."""
    values = await _asked(settings, lambda store: store.dossier(contact))
    kept = await _asked(settings, lambda store: store.conversation(contact))
    if not values and kept is None:
        raise NotAnswered(f"there is no contact {contact}, or it is forgotten")
    try:
        last = None if kept is None else decode(kept.value).proof
    except msgspec.DecodeError:
        last = None
    return Dossier(contact, [read_entry(value) for value in values], verify(contact, values, last))


async def _asked(settings: ReportSettings, question: Callable[[ContactStore], Awaitable[T]]) -> T:
    url = settings.store_url
    if (why := await refusal(url, RIGHTS["contact"], settings.topic_prefix)) is not None:
        raise NotAnswered(f"the contact store {why}")
    client = connect(url)
    try:
        return await question(RedisContactStore(client, settings.topic_prefix))
    except StoreDown as error:
        raise NotAnswered(f"the contact store does not answer: {error}") from None
    finally:
        await client.aclose()

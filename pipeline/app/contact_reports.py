"""What a person may ask the contact store, reading only: what the gates say of a customer, what a dossier holds."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self, TypeVar

import msgspec
from pydantic import Field, SecretStr, model_validator

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.redis.connection import connect, refusal
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.adapters.redis.reach import RedisReach
from pipeline.adapters.redis.rights import RIGHTS
from pipeline.app.configuration import read
from pipeline.core import contact_report
from pipeline.core.contact_hours import DAY_MS, SEARCH_DAYS
from pipeline.core.contact_order import Climb, Person, marked
from pipeline.core.contact_report import Explained
from pipeline.core.conversation import CALL_CLASS, decode
from pipeline.core.dossier import Broken, read_entry, verify
from pipeline.core.plan import Plan
from pipeline.core.texts import preview_lines
from pipeline.core.verdict import Asked
from pipeline.core.words import Words, parse_words
from pipeline.ports import StoreDown
from pipeline.ports_contact import ContactStore, Reach
from pipeline.roles.contact.digests import Digests
from pipeline.roles.contact.directory import renewal
from pipeline.roles.contact.permission import Permission
from pipeline.roles.contact.profile import Profile, read_profile, read_texts
from pipeline.roles.contact.settings import wrong_key, wrong_profile
from pipeline.roles.contact.ways import ways_of
from pipeline.settings import Settings

T = TypeVar("T")
LANGUAGES = {"en": "en", "zh": "zh-CN", "zh-CN": "zh-CN"}


class NotAnswered(Exception):
    """There is no such customer or contact, or the store cannot be asked: a sentence."""


class ReportSettings(Settings):
    """As the contact role's, without what it needs for its providers."""

    @property
    def store_url(self) -> str:
        return self.redis_contact_url or self.redis_url


class ExplainSettings(ReportSettings):
    """With the profile that is asked, and what it takes to find what the store remembers of numbers."""

    contact_profile: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    contact_key: SecretStr | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if refusals := [*wrong_profile(self.contact_profile), *wrong_key(self.contact_key)]:
            raise ValueError("\n".join(refusals))
        return self

    def digests(self) -> Digests:
        assert self.contact_key is not None, "checked when the settings were read"
        return Digests(self.contact_key.get_secret_value().encode())


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


async def explained(settings: ExplainSettings, customer: str, class_: str, at_ms: int) -> Explained:
    """What the gates of the configured profile say, along its ladder in this customer's order, at that moment. Raises
    NotAnswered."""
    profile = read_profile(settings.config_dir, settings.contact_profile, world_almanac())
    plan = profile.plans.of_class(class_)
    permission = Permission(profile.policy, profile.plans, settings.digests())
    known = await _asked(settings, lambda store, _: store.customer(customer))
    if known.record is None:
        raise NotAnswered(f"there is no customer {customer} in the directory")
    notes = dict(known.notes)
    if new := renewal(known.record, notes, permission.digests):  # as the contact role will find them
        notes |= {note.key: note.after for note in new.notes}
    record = permission.customer(known.record, notes)
    person = permission.person(record, notes)
    climb = await _asked(settings, lambda _, reach: _climbed(profile, plan, reach, class_, person, at_ms))
    patience_ms = round(plan.patience_s * 1000) if class_ == CALL_CLASS else SEARCH_DAYS * DAY_MS
    asked = Asked(class_, "", [rung.way for rung in plan.climbed(climb.order)], at_ms + patience_ms)
    verdict = permission.verdict(asked, record, notes, at_ms)
    policy = profile.policy
    order = climb.placings if marked(plan.ladder) else ()
    return Explained(customer, class_, policy.version, policy.signed_by, at_ms, person.place.zones, verdict, order)


async def _climbed(profile: Profile, plan: Plan, reach: Reach, class_: str, person: Person, at_ms: int) -> Climb:
    """The order in which a conversation would climb if no chance were drawn, but each was as expected."""
    ways = ways_of(profile, reach, drawn=False)
    ways.climb("", class_, plan.ladder, person, at_ms)  # says which counts are wanted
    await ways.refresh(at_ms)
    return ways.climb("", class_, plan.ladder, person, at_ms)


def explained_json(found: Explained) -> str:
    return json.dumps(contact_report.explained_json(found), ensure_ascii=False, indent=2)


async def dossier(settings: ReportSettings, contact: str) -> Dossier:
    """A contact's dossier, verified; against the conversation too while it is remembered. Raises NotAnswered."""
    values = await _asked(settings, lambda store, _: store.dossier(contact))
    kept = await _asked(settings, lambda store, _: store.conversation(contact))
    if not values and kept is None:
        raise NotAnswered(f"there is no contact {contact}, or it is forgotten")
    try:
        last = None if kept is None else decode(kept.value).proof
    except msgspec.DecodeError:
        last = None
    return Dossier(contact, [read_entry(value) for value in values], verify(contact, values, last))


async def _asked(settings: ReportSettings, question: Callable[[ContactStore, Reach], Awaitable[T]]) -> T:
    url = settings.store_url
    if (why := await refusal(url, RIGHTS["contact"], settings.topic_prefix)) is not None:
        raise NotAnswered(f"the contact store {why}")
    client = connect(url)
    try:
        return await question(
            RedisContactStore(client, settings.topic_prefix), RedisReach(client, settings.topic_prefix)
        )
    except StoreDown as error:
        raise NotAnswered(f"the contact store does not answer: {error}") from None
    finally:
        await client.aclose()

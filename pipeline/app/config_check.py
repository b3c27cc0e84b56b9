"""Everything an operator writes, read as the roles read it: `cardwatch config check`, and refusals in plain words.

A role refuses its configuration where it reads it, each with an error of its own; `refusal` says which errors are that,
and how an operator is told.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from models.calibrate import PriorRefused, parse_prior
from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.channels.settings import ChannelSettings
from pipeline.adapters.crm.apprise import NoApprise
from pipeline.app.configuration import (
    LANGUAGES,
    LISTS,
    MODELS,
    TAGS,
    ListFolder,
    WrongInstallation,
    load_money,
    policy_parser,
    read,
    read_models,
)
from pipeline.core.columns import SCHEMA
from pipeline.core.contact_hours import Almanac
from pipeline.core.counters import explain
from pipeline.core.crm_mapping import parse_mapping
from pipeline.core.customer_tags import parse_tags
from pipeline.core.entity_counters import explain_entity_counters
from pipeline.core.lists import parse_list
from pipeline.core.messages import TemplateError
from pipeline.core.reminder_policy import ReminderPolicy, read_reminders
from pipeline.core.toml_text import FileError
from pipeline.core.words import Words, check_ground_words, check_words, parse_words
from pipeline.desk.settings import DeskSettings
from pipeline.roles.archive.settings import ArchiveSettings
from pipeline.roles.contact.profile import ProfileError, check_channels, read_profile, read_texts
from pipeline.roles.contact.settings import ContactSettings
from pipeline.roles.crm.settings import CrmSettings
from pipeline.roles.learner.settings import LearnerSettings
from pipeline.roles.scorer.settings import ScorerSettings
from pipeline.settings import PREFIX, Settings

PLAN = "reminders"
"""How the names of files in ``policies`` begin that are plans of reminders."""
SETTINGS: Mapping[str, type[Settings]] = {
    "scorer": ScorerSettings,
    "learner": LearnerSettings,
    "contact": ContactSettings,
    "channels": ChannelSettings,
    "crm": CrmSettings,
    "archive": ArchiveSettings,
    "desk": DeskSettings,
}


class Checked(NamedTuple):
    """One thing that was looked at, and what is wrong with it (nothing: it is right). ``notes``: what its author should
    know of it."""

    name: str
    refusals: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Found(NamedTuple):
    """What a look found, where it has something to note."""

    refusals: list[str]
    notes: list[str]


def refusal(error: Exception) -> str | None:
    """What an operator is told of ``error``; None when it is not about configuration."""
    match error:
        case ValidationError():
            return "\n".join(_settings_refusals(error))
        case FileError() | PriorRefused() | ProfileError() | TemplateError() | WrongInstallation() | NoApprise():
            return str(error)
        case FileNotFoundError() | PermissionError() | IsADirectoryError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        case UnicodeDecodeError():
            return f"a configuration file is not UTF-8: {error.reason} at byte {error.start}"
        case ValueError() if _names_a_line(str(error)):
            return str(error)
    return None


def _names_a_line(text: str) -> bool:
    """Whether ``text`` begins ``file:line: ``, as everything that reads a file of ours puts it."""
    parts = text.split(":", 2)
    return len(parts) == 3 and parts[1].isdecimal() and parts[0].endswith(".toml")


def _settings_refusals(error: ValidationError) -> Iterator[str]:
    """A line for each wrong setting, by the name of its variable; values are not repeated, they may be secrets."""
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        words = each["msg"].removeprefix("Value error, ")
        named = not each["loc"] or PREFIX in words
        yield words if named else f"{PREFIX}{str(each['loc'][0]).upper()}: {words}"


def check_configuration() -> list[Checked]:
    """The settings of every role and of the channels, and every file below CONFIG_DIR. Looks at all of them, whatever the first is."""
    checked = [_check(f"settings of the {role}", settings) for role, settings in SETTINGS.items()]
    try:
        settings = Settings()
    except (ValidationError, OSError):
        return checked  # told above: without it nobody knows where the files are
    return [*checked, *(_check(name, look) for name, look in _files(settings))]


def _check(name: str, look: Callable[[], object]) -> Checked:
    """``look`` raises, or answers a list of what is wrong, `Found`, or anything else."""
    try:
        found = look()
    except Exception as error:
        words = refusal(error)
        if words is None:
            raise
        return Checked(name, tuple(words.splitlines()))
    if isinstance(found, Found):
        return Checked(name, tuple(found.refusals), tuple(found.notes))
    return Checked(name, tuple(found) if isinstance(found, list) else ())


def _files(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    root, almanac = settings.config_dir, world_almanac()
    for language in LANGUAGES:
        yield f"messages/{language}/reasons.toml", partial(_words, settings, language)
        yield f"messages/{language}/contact.toml", partial(_report_words, settings, language)
    yield "messages/*/reasons.toml, what scores come from", partial(_ground_words, settings)
    yield "messages/*/messages.toml", lambda: read_texts(root)
    for path in sorted(root.glob(f"{LISTS}/*.toml")):
        yield f"{LISTS}/{path.name}", partial(_list, path)
    yield "all lists together", lambda: ListFolder(settings).read()
    for path in sorted(root.glob("policies/*.toml")):
        check = partial(_reminders, settings, almanac) if path.stem.startswith(PLAN) else partial(_policy, settings)
        yield f"policies/{path.name}", partial(check, path)
    yield "plan of reminders in use", partial(_reminders, settings, almanac, settings.reminder_plan)
    yield "policy in use", lambda: _policy(settings, root / ScorerSettings().scorer_policy)
    yield "models/prior.toml", lambda: parse_prior(*read(settings, "models/prior.toml"))
    yield MODELS, lambda: read_models(settings)
    yield "rates.toml", lambda: load_money(settings)
    yield TAGS, lambda: parse_tags(*read(settings, TAGS))
    yield "crm.toml", lambda: parse_mapping(*read(settings, CrmSettings().crm_mapping))
    for path in sorted(root.glob("contact/*.toml")):
        yield f"contact/{path.name}", partial(read_profile, root, path.stem, almanac)
    yield "contact profile in use", lambda: _contact_profile(root, almanac)
    yield "reminders by the contact profile in use", partial(_reminded, settings, almanac)


def _words(settings: Settings, language: str) -> Words:
    return parse_words(*read(settings, f"messages/{language}/reasons.toml"), SCHEMA)


def _ground_words(settings: Settings) -> list[str]:
    return check_ground_words({each: _words(settings, each) for each in LANGUAGES})


def _contact_profile(root: Path, almanac: Almanac) -> None:
    """Raises ProfileError where the ladder wants a channel that no setting provides."""
    profile = read_profile(root, ContactSettings().contact_profile, almanac)
    check_channels(profile.plans, ChannelSettings().carried())


def _reminders(settings: Settings, almanac: Almanac, path: Path) -> ReminderPolicy:
    """Raises ReminderError."""
    return read_reminders(*read(settings, path), almanac, parse_tags(*read(settings, TAGS)).names)


def _reminded(settings: Settings, almanac: Almanac) -> list[str]:
    """Which stages nobody would be told by the ladders of the contact profile in use."""
    plans = read_profile(settings.config_dir, ContactSettings().contact_profile, almanac).plans
    plan = settings.reminder_plan
    return [f"{plan}: {each}" for each in _reminders(settings, almanac, plan).uncarried(plans)]


def _report_words(settings: Settings, language: str) -> Words:
    return parse_words(*read(settings, f"messages/{language}/contact.toml"))


def _list(path: Path) -> Found:
    made = parse_list(path.stem, path.read_text(encoding="utf-8"), str(path))
    return Found([], [f"  in_list({made.column}, '{made.name}'): {len(made.until)} entries"])


def _policy(settings: Settings, path: Path) -> Found:
    """Raises what `policy_parser` and the lists raise; answers what could not be told in words, which lists
    and tags are missing, and what the policy's counters keep to."""
    policy = policy_parser(settings)(path.read_text(encoding="utf-8"), str(path))
    missing = check_words(policy, {each: _words(settings, each) for each in LANGUAGES})
    unmet = policy.unmet(ListFolder(settings).read()) if policy.lists else []
    if policy.tags:
        unmet += policy.unknown_tags(parse_tags(*read(settings, TAGS)).names)
    counters = explain(policy.counters) + explain_entity_counters(policy.entity_counters)
    return Found([f"{path}: {each}" for each in missing] + unmet, [f"  {each}" for each in counters])

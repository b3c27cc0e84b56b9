"""What people write for the contact role: the plan of times, the policy of its gates, the words of its messages. Read
once, checked whole."""

import re
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.core.contact_hours import Almanac
from pipeline.core.contact_policy import CLASSES, ContactPolicy, SilenceRule
from pipeline.core.contact_profile import parse_contact_policy
from pipeline.core.conversation import (
    CALL_CLASS,
)
from pipeline.core.ladders import Plans
from pipeline.core.messages import TemplateError
from pipeline.core.plan import OnSilence, Plan
from pipeline.core.texts import Texts
from pipeline.core.texts_file import parse_texts

FALLBACK_LANGUAGE = "en"
MAY_BE_NOTHING = frozenset({"acknowledge_s"})
SETTINGS = {
    "sms": "CARDWATCH_SMS_VIA",
    "email": "CARDWATCH_SMTP_HOST",
    "push": "CARDWATCH_PUSH_PROJECT",
    "wechat": "CARDWATCH_WECHAT_APP_ID",
    "webhook": "CARDWATCH_WEBHOOK_URL",
}
"""Channel → the setting with which somebody carries it."""
_FIELDS = frozenset(Plan.__struct_fields__) - {"on_silence"}


class ProfileError(ValueError):
    """``file:line: reason``."""


class Profile(NamedTuple):
    """A file of ``config/contact``: ``plans`` how long and how often, ``policy`` who may be contacted when, ``hours``
    whether what can wait is put off to hours at which customers are reached more often."""

    plans: Plans
    policy: ContactPolicy
    hours: bool = False


class _Reach(msgspec.Struct, forbid_unknown_fields=True):
    """``[reach]``."""

    hours: bool = False


def read_profile(config_dir: Path, name: str, almanac: Almanac) -> Profile:
    """The profile in ``contact/<name>.toml``. Raises ProfileError and ContactPolicyError naming file and line."""
    path = config_dir / "contact" / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    plan = _plan(text, str(path))
    policy = parse_contact_policy(text, str(path), almanac, others=("ladder", "reach"))
    silences = {name: _on_silence(rules.silences) for name, rules in policy.classes.items()}
    return Profile(Plans(plan, silences), policy, _reach(text, str(path)).hours)


def _on_silence(rules: Sequence[SilenceRule]) -> tuple[OnSilence, ...]:
    return tuple(
        OnSilence(do=rule.then, below_score=rule.below_score, below_exposure=rule.below_amount) for rule in rules
    )


def _plan(text: str, where: str) -> Plan:
    try:
        found = tomllib.loads(text)
        tables = {name for name, value in found.items() if name not in _FIELDS and isinstance(value, dict | list)}
        plan = msgspec.convert({name: value for name, value in found.items() if name not in tables}, Plan)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        raise ProfileError(f"{where}:{place.group(1) if place else 1}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        field = re.search(r"\$\.(\w+)|field `(\w+)`", str(error))
        name = (field.group(1) or field.group(2)) if field else ""
        raise ProfileError(f"{where}:{_line(text, name)}: {error}") from error
    for name, value in msgspec.structs.asdict(plan).items():
        if isinstance(value, int | float) and (value < 0 or (value == 0 and name not in MAY_BE_NOTHING)):
            raise ProfileError(f"{where}:{_line(text, name)}: {name} must be above zero")
    _check_ladder(plan, f"{where}:{_line(text, 'ladder')}")
    return plan


def _reach(text: str, where: str) -> _Reach:
    try:
        return msgspec.convert(tomllib.loads(text).get("reach", {}), _Reach)
    except msgspec.ValidationError as error:
        raise ProfileError(f"{where}:{_line(text, 'reach')}: [reach]: {error}") from error


def _check_ladder(plan: Plan, where: str) -> None:
    if not any(CALL_CLASS in rung.classes for rung in plan.ladder):
        raise ProfileError(f'{where}: the ladder needs a rung: [[ladder]] channel = "voice"')
    for number, rung in enumerate(plan.ladder, 1):
        if not rung.classes:
            raise ProfileError(f"{where}: rung {number}: classes names none")
        if rung.tries <= 0:
            raise ProfileError(f"{where}: rung {number}: tries must be above zero")
        if rung.channel != "voice" and rung.wait_s <= 0:
            raise ProfileError(f"{where}: rung {number}: give wait_s, how long the answer to a message may take")
    if any(sum(rung.learn for rung in plan.ladder if class_ in rung.classes) == 1 for class_ in CLASSES):
        raise ProfileError(f"{where}: one rung alone is marked learn; mark those that may change places, or none")


def _line(text: str, name: str) -> int:
    lines = text.splitlines()
    return next(
        (number for number, line in enumerate(lines, 1) if re.match(rf"\s*(\[+)?{name}(\]+)?\s*(=|$)", line)), 1
    )


def check_channels(plans: Plans, messages: Collection[str]) -> None:
    """Raises ProfileError for a rung whose channel nobody carries."""
    for number, rung in enumerate(plans.rungs, 1):
        if rung.channel != "voice" and rung.channel not in messages:
            raise ProfileError(
                f"rung {number} of the ladder wants {rung.channel}, which no setting provides: "
                f"set {SETTINGS[rung.channel]}, or take the rung out of the contact profile"
            )


def read_texts(config_dir: Path) -> Texts:
    """The messages of every language in ``messages/<language>/messages.toml``. Raises TemplateError."""
    found = {}
    for path in sorted((config_dir / "messages").glob("*/messages.toml")):
        found[path.parent.name] = (path.read_text(encoding="utf-8"), str(path))
    if FALLBACK_LANGUAGE not in found:
        raise TemplateError(f"{config_dir / 'messages' / FALLBACK_LANGUAGE / 'messages.toml'}:1: is missing")
    return parse_texts(found)

"""What people write for the contact role: the plan of times, and the words of the calls. Read once, checked whole."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.core.conversation import Plan
from pipeline.core.messages import CallText, TemplateError, read_call_text

FALLBACK_LANGUAGE = "en"


class ProfileError(ValueError):
    """``file:line: reason``."""


def read_plan(config_dir: Path, profile: str) -> Plan:
    """The plan in ``contact/<profile>.toml``. Raises ProfileError naming file and line."""
    path = config_dir / "contact" / f"{profile}.toml"
    try:
        text = path.read_text(encoding="utf-8")
        plan = msgspec.convert(tomllib.loads(text), Plan)
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise ProfileError(f"{path}:{found.group(1) if found else 1}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        field = re.search(r"\$\.(\w+)|field `(\w+)`", str(error))
        name = (field.group(1) or field.group(2)) if field else ""
        raise ProfileError(f"{path}:{_line(text, name)}: {error}") from error
    for name, value in msgspec.structs.asdict(plan).items():
        if value <= 0:
            raise ProfileError(f"{path}:{_line(text, name)}: {name} must be above zero")
    return plan


def _line(text: str, name: str) -> int:
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(rf"\s*{name}\s*=", line)), 1)


def read_texts(config_dir: Path) -> Mapping[str, CallText]:
    """The call texts of every language in ``messages/<language>/calls.toml``. Raises TemplateError."""
    texts = {}
    for path in sorted((config_dir / "messages").glob("*/calls.toml")):
        language = path.parent.name
        texts[language] = read_call_text(path.read_text(encoding="utf-8"), language, str(path))
    if FALLBACK_LANGUAGE not in texts:
        raise TemplateError(f"{config_dir / 'messages' / FALLBACK_LANGUAGE / 'calls.toml'}:1: is missing")
    return texts

"""The rights that operations are told to give are those the roles ask for, to the word."""

import re
from pathlib import Path

import pytest

from pipeline.adapters.redis.rights import RIGHTS, rule

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_each_role_of_the_store_has_its_acl_rule(language: str) -> None:
    text = (ROOT / f"docs/{language}/operations.md").read_text()
    told = dict(re.findall(r"^ACL SETUSER (\w+) on >PASSWORD (.+)$", text, re.MULTILINE))
    assert told == {role: rule(role) for role in RIGHTS}


def test_every_command_of_the_scripts_is_in_the_rights() -> None:
    """Scripts and calls name their commands; a right that nothing names is one too many."""
    folder = ROOT / "pipeline" / "adapters" / "redis"
    outbox = "outbox*.py"
    files = {
        "scorer": ["profiles*.py"],
        "contact": ["contacts*.py", outbox],
        "reminder": ["accounts*.py", outbox],
        "learner": ["lease*.py"],
    }
    for role, names in files.items():
        text = "".join(path.read_text() for name in names for path in folder.glob(name))
        used = {
            found.lower() for found in re.findall(r"redis\.call\('([A-Z]+)'|_redis\.(\w+)\(", text) for found in found
        }
        assert used - {""} == set(RIGHTS[role].commands), role

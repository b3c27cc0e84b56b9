"""The documentation holds together: two languages side by side, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH = sorted((ROOT / "docs" / "en").rglob("*.md"))
CHINESE = sorted((ROOT / "docs" / "zh-CN").rglob("*.md"))
PAPERS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#{1,6}) +(.*)$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> list[str]:
    """The lines outside fenced code."""
    lines, fenced = [], False
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return lines


def headings(path: Path) -> list[tuple[int, str]]:
    found = [HEADING.match(line) for line in prose(path)]
    return [(len(match[1]), match[2]) for match in found if match]


def anchors(path: Path) -> set[str]:
    """Anchors as GitHub makes them of headings: lower case, punctuation dropped, spaces to hyphens."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(path)}


def twin(path: Path) -> Path:
    return ROOT / "docs" / "zh-CN" / path.relative_to(ROOT / "docs" / "en")


def test_both_languages_have_the_same_pages() -> None:
    assert ENGLISH
    assert [twin(path) for path in ENGLISH] == CHINESE


@pytest.mark.parametrize("page", ENGLISH, ids=name)
def test_a_page_and_its_chinese_twin_have_the_same_headings(page: Path) -> None:
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(twin(page))]


def table_rows(path: Path) -> int:
    return sum(line.startswith("|") for line in prose(path))


@pytest.mark.parametrize("page", ENGLISH, ids=name)
def test_tables_have_as_many_rows_in_both_languages(page: Path) -> None:
    assert table_rows(page) == table_rows(twin(page))


def test_the_two_readmes_have_the_same_headings() -> None:
    levels = [[level for level, _ in headings(ROOT / readme)] for readme in ("README.md", "README.zh-CN.md")]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("page", PAPERS, ids=name)
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for target in LINK.findall("\n".join(prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def test_every_decision_record_has_its_parts_and_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        parts = [text for level, text in headings(path) if level == 2]
        assert parts == ["Context", "Decision", "Consequences"], path.name
        assert path.name in listed

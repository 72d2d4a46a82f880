"""README and docs/ are short, their links have targets, and the names in them exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from api.errors import STATUS
from celery_app.settings import PREFIX, Settings
from tests.parts import ACCELERATED, ROOT

DOCS = ROOT / "docs"
#: Maximum number of words of the README, as `wc -w` counts them.
README_WORDS = 900
#: Maximum number of files whose code a message passes.
FILES = 19
PAGES = sorted(
    [
        *DOCS.rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ]
)

_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as the site of the docs makes them."""
    titles = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def changed(title: str) -> list[tuple[str, str]]:
    """Returns the rows of the changelog's first table after the line that begins with ``title``."""
    section = text("CHANGELOG.md").partition(f"\n{title}")[2].partition("|---|---|\n")[2]
    rows = [line.strip("| ").split(" | ") for line in section.partition("\n\n")[0].splitlines()]
    return [(old, new) for old, new in rows]


def test_the_readme_is_one_page_with_one_picture() -> None:
    readme = text("README.md")
    assert len(readme.split()) <= README_WORDS
    assert len(re.findall(r"!\[", readme)) == 1


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link, heading in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        target = (page.parent / link).resolve() if link else page
        # The folder api/accelerator/ may be deleted.
        assert target.exists() or (not ACCELERATED and "api/accelerator" in link), link
        if heading:
            assert heading in anchors(target), f"{link}#{heading}"


def test_a_message_passes_fewer_than_twenty_files_and_each_is_there() -> None:
    rows = re.findall(
        r"^\| (\d+) \| \[`([^`]+)`\]\(\.\./([^)]+)\) \|", text("docs/architecture.md"), re.MULTILINE
    )
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert 10 < len(rows) <= FILES
    for _, shown, link in rows:
        assert shown == link
        assert (ROOT / link).is_file(), link


def test_the_reference_of_http_has_each_error_code() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text("docs/reference/http.md"), re.MULTILINE)
    assert {code: int(status) for status, code in rows} == STATUS


def test_the_changelog_names_variables_and_metrics_that_there_are() -> None:
    variables = {f"`{PREFIX}{field.upper()}`" for field in Settings.__struct_fields__}
    for old, new in changed("Environment variables:"):
        assert (old in variables, new in variables) == (False, True)
    metrics = text("docs/monitoring.md")
    for old, new in changed("Metrics:"):
        assert (f"| {old} |" in metrics, f"| {new} |" in metrics) == (False, True)


@pytest.mark.parametrize(("old", "new"), changed("Commands, which"))
def test_the_changelog_names_commands_that_there_are(old: str, new: str) -> None:
    def there(command: str) -> bool:
        path = ROOT / command.strip("`").replace(".", "/")
        return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()

    assert (there(old), there(new)) == (False, True)


@pytest.mark.parametrize(("old", "new"), changed("Classes."))
def test_the_changelog_names_classes_that_there_are(old: str, new: str) -> None:
    for path in re.findall(r"`([\w.]+\.\w+)`", new):
        module, _, found = path.rpartition(".")
        if module.startswith("api.accelerator") and not ACCELERATED:
            pytest.skip("api/accelerator/ is deleted")
        assert hasattr(importlib.import_module(module), found), path

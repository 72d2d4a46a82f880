"""Git ignores every file that readers of the docs make in the checkout."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.parts import ROOT

#: Files that sentences of the pages name, and that no command on a page makes by a redirection.
NAMED = (
    ".byline/models/ngram/card.json",
    "backups/byline-20300101T000000Z.tar.gz",
    "bench-results/1.json",
    "build/site/index.html",
    "compose/secrets/redis-password",
    "alerting/alertmanager/secrets/slack-url",
    "messages.csv",
    "mine/vowels.py",
    "out.jsonl",
    "out.jsonl.journal",
    "out.jsonl.part",
)
_FENCE = re.compile(r"^```(?:sh|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
#: A redirection to a file in the checkout, or a file of one's own that a command reads.
_MADE = re.compile(r"(?:(?<![0-9&=-])>{1,2} ?|\b(?:DATA|BYLINE_KEYS_FILE)=)([\w-][\w./-]*\.\w+)")


def made() -> list[str]:
    """Returns the files that the commands on the pages write or expect, beside NAMED."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    fences = "\n".join(fence for page in pages for fence in _FENCE.findall(page.read_text("utf-8")))
    return sorted({*_MADE.findall(fences)})


def test_there_are_files_that_commands_make() -> None:
    assert {"keys.txt", "messages.jsonl", "next.log", "next.pid"} <= {*made()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a checkout of git")
@pytest.mark.parametrize("path", [*NAMED, *made()])
def test_file_that_a_page_has_people_make_is_ignored(path: str) -> None:
    command = ["git", "check-ignore", "--no-index", "--quiet", path]
    assert subprocess.run(command, cwd=ROOT, timeout=20, check=False).returncode == 0

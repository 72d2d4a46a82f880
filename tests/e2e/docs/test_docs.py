"""Runs the commands of the README and of docs/, in the order of the pages.

`test_support_mail.py`, `test_huggingface_page.py` and `test_retrain_page.py` run those of three
further pages.

A code fence `sh` is run unchanged, except for the ports. Two Bylines serve the pages: one with the
model of the page models.md, and one with the default model for the README and the tutorial. `make
run` in a fence starts Byline with the settings of that line. A fence whose first line is STOPPED is
run while Byline is stopped. If a fence `json` follows, the output must be equal to it. A fence
`python` on the pages of PYTHON is run as a program. `test_other_hosts.py` runs the two fences for
other hosts (HOSTS).

A fence `text` is not run. On the pages of PARSED, such a fence has commands that need a container
engine, a cluster, or hours. A test only reads these commands, and each `make …` and `python -m …`
within a sentence of any page: all targets, modules, files, services and workloads in them must
exist.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.docs.named_commands import check_names, commands_in
from tests.e2e.docs.pages import (
    FENCE,
    HUGGING_FACE_PAGE,
    RETRAIN_PAGE,
    TRAINED_PAGE,
    needs_tools,
    page_text,
)
from tests.e2e.docs.reader import PYTHON, Block, Reader, blocks
from tests.parts import ROOT, Stack

pytestmark = needs_tools

#: Pages by the Byline that serves them, in order. The last page of MINE_PAGES stops Byline.
MINE_PAGES = (
    *("models", "tuning", "monitoring", "security", "versions"),
    *("how-to/celery", "how-to/client", "how-to/traces", "how-to/train", "how-to/troubleshoot"),
    "operating",
)
SHIPPED_PAGES = ("../README", "tutorial/first-attribution", "how-to/attribute-file")
#: Pages whose commands in a fence `text` need a container engine, a cluster, or hours.
PARSED = (
    *("../README", "compose", "kubernetes", "how-to/train", "explanation/quality", "reliability"),
    "releases",
)
#: Number of fences `text` by page; other pages have none. Besides commands (PARSED), they have
#: queries, diagrams, a rule, and a command for the user's own server. These fences are not run.
NOT_RUN = {
    "../README": 1,
    "architecture": 3,
    "compose": 3,
    "explanation/quality": 1,
    "how-to/celery": 1,
    "how-to/retrain": 2,
    "how-to/traces": 2,
    "how-to/train": 2,
    "kubernetes": 4,
    "releases": 1,
    "reliability": 1,
    "security": 2,
    "tutorial/first-attribution": 1,
    "versions": 1,
}
#: Every page.
ALL = (
    "../README",
    "../CONTRIBUTING",
    *sorted(
        path.relative_to(ROOT / "docs").with_suffix("").as_posix()
        for path in (ROOT / "docs").rglob("*.md")
    ),
)
MINE_BLOCKS = blocks(MINE_PAGES)
SHIPPED_BLOCKS = blocks(SHIPPED_PAGES)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader whose Byline serves a model of the reader's own."""
    reader = Reader(tmp_path_factory.mktemp("docs"), MINE_BLOCKS)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader whose Byline serves the default model."""
    newcomer = Reader(tmp_path_factory.mktemp("newcomer"), SHIPPED_BLOCKS)
    try:
        yield newcomer
    finally:
        newcomer.close()


@pytest.mark.parametrize("block", SHIPPED_BLOCKS, ids=lambda block: f"{block.page}-{block.number}")
def test_the_commands_for_a_newcomer_do_what_the_page_says(newcomer: Reader, block: Block) -> None:
    newcomer.follow(block)


@pytest.mark.parametrize("block", MINE_BLOCKS, ids=lambda block: f"{block.page}-{block.number}")
def test_the_commands_do_what_the_page_says(reader: Reader, block: Block) -> None:
    reader.follow(block)


def test_the_tutorial_shows_the_output_of_make_run(newcomer: Reader) -> None:
    fences = FENCE.findall(page_text(SHIPPED_PAGES[1]))
    [shown] = [text for kind, text in fences if kind == "text"]
    assert shown in newcomer.run.output
    for title in ("Sure, and right:", "No author, on purpose:"):
        assert newcomer.run.output.count(title) == 1
    assert newcomer.run.output.count("  took  ") in (2, 3)  # there may be no hard message


def test_a_restored_backup_has_the_answers_from_before(reader: Reader) -> None:
    [block] = [block for block in MINE_BLOCKS if block.answer]
    stack = Stack(reader.folder / ".byline")
    try:
        stack.valkey()
        cached = stack.redis.keys(f"*{json.loads(block.answer)['id']}*")
    finally:
        stack.close()
    assert cached


@pytest.mark.parametrize("page", PARSED)
def test_commands_that_are_not_run_name_only_what_exists(page: str) -> None:
    for commands in [content for kind, content in FENCE.findall(page_text(page)) if kind == "text"]:
        subprocess.run(["bash", "-n", "-c", commands], check=True)
        for words in commands_in(commands):
            check_names(words)


@pytest.mark.parametrize("page", ALL)
def test_commands_within_sentences_name_only_what_exists(page: str) -> None:
    said = re.findall(r"`((?:\w+=\S+ )*(?:make|\S*python -m) [^`…]+)`", page_text(page))
    for command in sorted({" ".join(one.split()) for one in said}):
        for words in commands_in(command):
            check_names(words)


@pytest.mark.parametrize("page", ALL)
def test_only_the_listed_fences_are_not_run(page: str) -> None:
    kinds = [kind for kind, _ in FENCE.findall(page_text(page))]
    assert kinds.count("text") == NOT_RUN.get(page, 0)
    assert "" not in kinds, "a fence says what it is"


def test_no_page_with_commands_is_left_out() -> None:
    commands = {
        page for page in ALL if "sh" in [kind for kind, _ in FENCE.findall(page_text(page))]
    }
    own = {TRAINED_PAGE, HUGGING_FACE_PAGE, RETRAIN_PAGE}
    assert commands | {*PYTHON} == {*MINE_PAGES, *SHIPPED_PAGES} | own

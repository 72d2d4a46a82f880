"""Runs the commands of the README and of docs/, in the order of the pages.

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
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.conftest import Run
from tests.e2e.docs.named_commands import check_names, commands_in
from tests.e2e.docs.pages import FENCE, HOSTS, needs_tools, page_text
from tests.e2e.docs.shell import checkout, typed
from tests.parts import ROOT, Stack

pytestmark = needs_tools

#: Pages by the Byline that serves them, in order. The last page of MINE_PAGES stops Byline.
MINE_PAGES = (
    *("models", "tuning", "monitoring", "security", "versions"),
    *("how-to/celery", "how-to/client", "how-to/traces", "how-to/troubleshoot", "operating"),
)
SHIPPED_PAGES = ("../README", "tutorial/first-attribution", "how-to/attribute-file")
#: Pages whose commands in a fence `text` need a container engine, a cluster, or hours.
PARSED = (
    *("../README", "compose", "kubernetes", "how-to/train", "explanation/quality", "reliability"),
    "releases",
)
#: Pages whose fences `python` are programs for a running Byline, if they have its Redis' URL.
PYTHON = ("how-to/celery", "how-to/client")
BROKER = "redis://localhost:6390/0"
#: Each fence `python` that is run has one of these: the URL of Byline's Redis, or an app with it.
PROGRAM = (BROKER, "from authors import")
#: The Python that runs such a fence; on one page, the Python of the reader's own environment.
INTERPRETERS = {"how-to/client": "mine-env/bin/python"}
#: Number of fences `text` by page; other pages have none. Besides commands (PARSED), they have
#: queries, diagrams, a rule, and a command for the user's own server. These fences are not run.
NOT_RUN = {
    "../README": 1,
    "architecture": 3,
    "compose": 3,
    "explanation/quality": 1,
    "how-to/celery": 1,
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
STOPPED = "# Byline is stopped."
#: The id of the README's message, with the model that comes with Byline.
SAMPLE = "4530ed6916a37d7cedea156ff12f9d05"
#: Models on the pages: the page, the file to save the model in, and the beginning of the class.
MINE = (
    ("models", "vowels.py", "VowelModel:"),
    ("versions", "vowels2.py", "NextModel"),
)
#: How a problem document begins.
PROBLEM = "urn:byline:error"
_START = re.compile(r"^((?:\w+=\S+ )*)make run((?: \w+=\S+)*)\n$")


class Block(NamedTuple):
    """The commands of one fence."""

    page: str
    number: int
    commands: str
    #: The content of the next fence, if that fence is `json`; else empty.
    answer: str

    @property
    def settings(self) -> dict[str, str] | None:
        """The settings with which the fence starts Byline; None if the fence starts nothing."""
        found = _START.match(self.commands)
        if found is None:
            assert "make run" not in self.commands, "it needs a fence of its own"
            return None
        before, after = (dict(one.split("=", 1) for one in part.split()) for part in found.groups())
        return {**before, **{f"BYLINE_{name}": value for name, value in after.items()}}


def _blocks(pages: Sequence[str]) -> list[Block]:
    found = []
    for page in pages:
        fences = [(kind, content) for kind, content in FENCE.findall(page_text(page))]
        for number, (kind, commands) in enumerate(fences):
            if kind == "python" and page in PYTHON and any(one in commands for one in PROGRAM):
                python = INTERPRETERS.get(page, "python")
                found.append(Block(page, number, f"{python} - <<'END'\n{commands}END\n", ""))
            elif kind == "sh" and not commands.startswith(HOSTS):
                follows, answer = (*fences[number + 1 :], ("", ""))[0]
                # The checkout exists already.
                own = re.sub(r"^git clone .*\n", "", commands)
                found.append(Block(page, number, own, answer if follows == "json" else ""))
    return found


MINE_BLOCKS = _blocks(MINE_PAGES)
SHIPPED_BLOCKS = _blocks(SHIPPED_PAGES)


def _rounded(text: str) -> Any:
    """Returns decoded JSON. Rounds fractions, whose last digits differ between machines."""
    return json.loads(text, parse_float=lambda digits: round(float(digits), 3))


class Reader:
    """Follows pages as a reader does, in a folder like this checkout, with one Byline."""

    def __init__(self, folder: Path, blocks: Sequence[Block]) -> None:
        self.folder = checkout(folder / "byline")
        #: The settings of all pages, since one Byline for all pages is faster.
        settings = {
            name: value for block in blocks for name, value in (block.settings or {}).items()
        }
        self.own_model = "BYLINE_MODEL" in settings
        if self.own_model:
            self._mine()
            settings["PYTHONPATH"] = str(self.folder / settings["PYTHONPATH"])
        settings = {"BYLINE_MODEL": "", **settings}
        self.run = Run(folder, **settings, BYLINE_STATE_DIR=str(self.folder / ".byline"))

    def follow(self, block: Block) -> None:
        """Runs the commands of a fence. They must succeed, and print the answer of the page."""
        if block.settings is not None:
            self.run.wait_until_up()
            return
        if block.commands.startswith(STOPPED):
            self.run.interrupt()
        commands = block.commands
        if SAMPLE in commands and self.own_model:  # another model gives another id
            commands = commands.replace(SAMPLE, self.run.attribute("aeiou")["id"])
        said = self._do(commands)
        # Only pages of MINE_PAGES show errors.
        assert self.own_model or PROBLEM not in said
        if block.answer:
            assert _rounded(said) == _rounded(block.answer)

    def _do(self, commands: str) -> str:
        done = typed(commands, self.folder, self.run)
        assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}{self.run.output}"
        return done.stdout

    def _mine(self) -> None:
        """Saves the models of the pages in the files that the pages name."""
        (self.folder / "mine").mkdir()
        for page, name, model in MINE:
            [code] = [
                code for _, code in FENCE.findall(page_text(page)) if f"class {model}" in code
            ]
            (self.folder / "mine" / name).write_text(code, "utf-8")

    def close(self) -> None:
        """Ends Byline, and the workers that two pages start, if they still run."""
        self.run.close()
        for file in ("next.pid", "authors.pid"):
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((self.folder / file).read_text()), signal.SIGKILL)


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
    assert commands | {*PYTHON} == {*MINE_PAGES, *SHIPPED_PAGES}

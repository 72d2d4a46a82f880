"""Every command in the docs is run, in the order of the pages, against one Byline.

What stands in a fence `sh` is run as it is, but for the ports; `make run` there starts Byline, with
what its line says; a fence whose first line is STOPPED is run while Byline is not. Where `json`
follows, that is the answer. A fence `text` is not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.conftest import Run
from tests.e2e.shell import checkout, typed
from tests.parts import ROOT, Stack

#: In this order: the last one stops Byline.
PAGES = ("models", "tuning", "versions", "operating")
#: Fences `text` on these pages, which are not run: queries, and what needs a cluster.
NOT_RUN = {
    "models": 0,
    "tuning": 0,
    "versions": 1,
    "operating": 0,
    "kubernetes": 3,
    "scaling": 0,
}
STOPPED = "# Byline is stopped."
#: Models on the pages, and the files they are to be in.
MINE = (
    ("models", "vowels.py", "VowelModel:"),
    ("versions", "vowels2.py", "NextModel"),
)
TOOLS = ("curl", "pgrep")

pytestmark = pytest.mark.skipif(
    None in map(shutil.which, TOOLS) and os.environ.get("CI") != "true",
    reason=f"needs {' and '.join(TOOLS)}",
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_START = re.compile(r"^((?:\w+=\S+ )*)make run((?: \w+=\S+)*)\n$")


class Block(NamedTuple):
    """The commands of one fence."""

    page: str
    number: int
    commands: str
    #: The fence that follows at once, where that is `json`.
    answer: str

    @property
    def settings(self) -> dict[str, str] | None:
        """What Byline is started with here; None: it is not."""
        found = _START.match(self.commands)
        if found is None:
            assert "make run" not in self.commands, "it needs a fence of its own"
            return None
        before, after = (dict(one.split("=", 1) for one in part.split()) for part in found.groups())
        return {**before, **{f"BYLINE_{name}": value for name, value in after.items()}}


def _page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def _blocks() -> list[Block]:
    found = []
    for page in PAGES:
        fences = [(kind, content) for kind, content in _FENCE.findall(_page(page))]
        for number, (kind, commands) in enumerate(fences):
            if kind == "sh":
                follows, answer = (*fences[number + 1 :], ("", ""))[0]
                found.append(Block(page, number, commands, answer if follows == "json" else ""))
    return found


BLOCKS = _blocks()


class Reader:
    """Somebody who follows the pages, in a folder like this one, with one Byline."""

    def __init__(self, folder: Path) -> None:
        self.folder = checkout(folder / "byline")
        self._mine()
        #: Of all pages: one Byline for them all is quicker.
        settings = {
            name: value for block in BLOCKS for name, value in (block.settings or {}).items()
        }
        settings["PYTHONPATH"] = str(self.folder / settings["PYTHONPATH"])
        self.run = Run(folder, **settings, BYLINE_STATE_DIR=str(self.folder / ".byline"))

    def follow(self, block: Block) -> None:
        """Do what a fence says; it must succeed, and answer what the page says."""
        if block.settings is not None:
            self.run.wait_until_up()
            return
        if block.commands.startswith(STOPPED):
            self.run.interrupt()
        said = self._do(block.commands)
        if block.answer:
            assert json.loads(said) == json.loads(block.answer)

    def _do(self, commands: str) -> str:
        done = typed(commands, self.folder, self.run)
        assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}{self.run.output}"
        return done.stdout

    def _mine(self) -> None:
        """Save the models that the pages show where they say."""
        (self.folder / "mine").mkdir()
        for page, name, model in MINE:
            [code] = [code for _, code in _FENCE.findall(_page(page)) if f"class {model}" in code]
            (self.folder / "mine" / name).write_text(code, "utf-8")

    def close(self) -> None:
        """End Byline, and the worker of the page about versions where that is not through."""
        self.run.close()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / "next.pid").read_text()), signal.SIGKILL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(tmp_path_factory.mktemp("docs"))
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}-{block.number}")
def test_the_commands_do_what_the_page_says(reader: Reader, block: Block) -> None:
    reader.follow(block)


def test_a_restored_backup_has_the_answers_from_before(reader: Reader) -> None:
    [block] = [block for block in BLOCKS if block.answer]
    stack = Stack(reader.folder / ".byline")
    try:
        stack.valkey()
        cached = stack.redis.keys(f"*{json.loads(block.answer)['id']}*")
    finally:
        stack.close()
    assert cached


@pytest.mark.parametrize("page", NOT_RUN)
def test_links_lead_somewhere(page: str) -> None:
    for link, _, heading in re.findall(r"\]\(([^)#:]*)(#([^)]*))?\)", _page(page)):
        target = ROOT / "docs" / (link or f"{page}.md")
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


@pytest.mark.parametrize(("page", "fences"), NOT_RUN.items())
def test_few_commands_are_not_run(page: str, fences: int) -> None:
    kinds = [kind for kind, _ in _FENCE.findall(_page(page))]
    assert kinds.count("text") == fences
    assert "" not in kinds, "a fence says what it is"

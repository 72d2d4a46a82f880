"""A reader of the docs: follows the commands of pages, in a folder like this checkout."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.conftest import Run
from tests.e2e.docs.pages import FENCE, HOSTS, page_text
from tests.e2e.docs.shell import checkout, typed

#: Pages whose fences `python` are programs for a running Byline, if they have its Redis' URL.
PYTHON = ("how-to/celery", "how-to/client")
BROKER = "redis://localhost:6390/0"
#: Each fence `python` that is run has one of these: the URL of Byline's Redis, or an app with it.
PROGRAM = (BROKER, "from authors import")
#: The Python that runs such a fence; on one page, the Python of the reader's own environment.
INTERPRETERS = {"how-to/client": "mine-env/bin/python"}
STOPPED = "# Byline is stopped."
#: The id of the README's message, with the model that comes with Byline.
SAMPLE = "1121e39db15bb924da180d0e5aa80f82"
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


def blocks(pages: Sequence[str]) -> list[Block]:
    """Returns the fences of the pages whose commands are run, in order."""
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


def _rounded(text: str) -> Any:
    """Returns decoded JSON. Rounds fractions, whose last digits differ between machines."""
    return json.loads(text, parse_float=lambda digits: round(float(digits), 3))


class Reader:
    """Follows pages as a reader does, in a folder like this checkout, with one Byline."""

    def __init__(self, folder: Path, blocks: Sequence[Block], at_once: bool = True) -> None:
        """``at_once``: whether to start Byline now, or only where a page does."""
        self.folder = checkout(folder / "byline")
        #: The settings of all pages, since one Byline for all pages is faster.
        settings = {
            name: value for block in blocks for name, value in (block.settings or {}).items()
        }
        self.own_model = "PYTHONPATH" in settings
        if self.own_model:
            self._mine()
        for name in {"PYTHONPATH", "BYLINE_MODEL_DIR"} & settings.keys():
            settings[name] = str(self.folder / settings[name])
        state = {"BYLINE_STATE_DIR": str(self.folder / ".byline")}
        self._settings = {"BYLINE_MODEL": "", **settings, **state}
        self._run: Run | None = None
        if at_once:
            self._start()

    @property
    def run(self) -> Run:
        """The reader's Byline, which is started."""
        assert self._run is not None, "no fence has started Byline yet"
        return self._run

    def _start(self) -> None:
        if self._run is None:
            self._run = Run(self.folder.parent, **self._settings)

    def follow(self, block: Block) -> str:
        """Runs the commands of a fence, and returns their output.

        The commands must succeed, and print the answer of the page.
        """
        if block.settings is not None:
            self._start()
            self.run.wait_until_up()
            return ""
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
        return said

    def _do(self, commands: str) -> str:
        done = typed(commands, self.folder, self._run)
        log = self._run.output if self._run else ""
        assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}{log}"
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
        if self._run is not None:
            self._run.close()
        for file in ("next.pid", "authors.pid"):
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((self.folder / file).read_text()), signal.SIGKILL)

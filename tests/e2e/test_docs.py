"""Runs the commands of the README and of docs/, in the order of the pages.

A fence `sh` is run as it is, but for the ports. Two Bylines serve the pages: one with the model
of the page models.md, one with the model that comes with Byline, for the README and the tutorial.
`make run` in a fence starts Byline, with the settings of its line; a fence whose first line is
STOPPED is run while Byline is stopped. Where a fence `json` follows, the answer must be that. A
fence `python` on the pages of PYTHON is run as a program. The two fences for other hosts (HOSTS)
are run by themselves, with a Redis of the test in the place of the page's.

A fence `text` is not run. On the pages of PARSED it holds commands that need an engine for
containers, a cluster, or hours; they are read. So is each `make …` and `python -m …` within a
sentence, on every page. The target or module must exist, and so must the files, services and
workloads that are named.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.conftest import Run
from tests.e2e.shell import checkout, typed
from tests.parts import ROOT, Part, Stack, free_port, wait_for
from tests.tls import PASSWORD, documented_user, guarded
from tests.unit.compose.files import SERVICES
from tests.unit.compose.manifests import files

#: Pages, by the Byline that serves them, in this order: the last one of the first stops Byline.
MINE_PAGES = (
    *("models", "tuning", "monitoring", "security", "versions"),
    *("how-to/celery", "how-to/client", "how-to/troubleshoot", "operating"),
)
SHIPPED_PAGES = ("../README", "tutorial/first-attribution")
#: Pages whose commands in a fence `text` need an engine, a cluster, or hours.
PARSED = (
    *("../README", "compose", "kubernetes", "how-to/train", "explanation/quality", "reliability"),
)
#: Pages with fences `python` that are programs for a Byline that runs, if they name its Redis.
PYTHON = ("how-to/celery", "how-to/client")
BROKER = "redis://localhost:6390/0"
#: The number of fences `text`, which are not run; on other pages there is none. Beside those of
#: PARSED, they hold queries, diagrams, a rule, what `make run` prints, and a command for a server
#: of one's own.
NOT_RUN = {
    "../README": 1,
    "architecture": 3,
    "compose": 3,
    "explanation/quality": 1,
    "how-to/train": 2,
    "kubernetes": 4,
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
HOSTS = ("# On the host of a worker.", "# On the host of an api.")
#: The id of the README's message, with the model that comes with Byline.
SAMPLE = "4530ed6916a37d7cedea156ff12f9d05"
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
#: How a problem document begins.
PROBLEM = "urn:byline:error"
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


def _blocks(pages: Sequence[str]) -> list[Block]:
    found = []
    for page in pages:
        fences = [(kind, content) for kind, content in _FENCE.findall(_page(page))]
        for number, (kind, commands) in enumerate(fences):
            if kind == "python" and page in PYTHON and BROKER in commands:
                found.append(Block(page, number, f"python - <<'END'\n{commands}END\n", ""))
            elif kind == "sh" and not commands.startswith(HOSTS):
                follows, answer = (*fences[number + 1 :], ("", ""))[0]
                # The checkout is there already.
                own = re.sub(r"^git clone .*\n", "", commands)
                found.append(Block(page, number, own, answer if follows == "json" else ""))
    return found


MINE_BLOCKS = _blocks(MINE_PAGES)
SHIPPED_BLOCKS = _blocks(SHIPPED_PAGES)


def _rounded(text: str) -> Any:
    """Return what JSON says; its fractions differ in the last digits from machine to machine."""
    return json.loads(text, parse_float=lambda digits: round(float(digits), 3))


class Reader:
    """Somebody who follows pages, in a folder like this one, with one Byline."""

    def __init__(self, folder: Path, blocks: Sequence[Block]) -> None:
        self.folder = checkout(folder / "byline")
        #: Of all pages: one Byline for them all is quicker.
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
        """Do what a fence says; it must succeed, and answer what the page says."""
        if block.settings is not None:
            self.run.wait_until_up()
            return
        if block.commands.startswith(STOPPED):
            self.run.interrupt()
        commands = block.commands
        if SAMPLE in commands and self.own_model:  # another model, another id
            commands = commands.replace(SAMPLE, self.run.attribute("aeiou")["id"])
        said = self._do(commands)
        # Another page shows what a wrong question gets.
        assert self.own_model or PROBLEM not in said
        if block.answer:
            assert _rounded(said) == _rounded(block.answer)

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
    """Somebody whose Byline serves a model of their own."""
    reader = Reader(tmp_path_factory.mktemp("docs"), MINE_BLOCKS)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody whose Byline is as it comes."""
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


def test_the_tutorial_shows_what_make_run_prints(newcomer: Reader) -> None:
    [shown] = [text for kind, text in _FENCE.findall(_page(SHIPPED_PAGES[1])) if kind == "text"]
    assert shown in newcomer.run.output
    for title in ("Sure, and right:", "No author, on purpose:"):
        assert newcomer.run.output.count(title) == 1
    assert newcomer.run.output.count("  took  ") in (2, 3)  # a hard one may not be found


def test_a_restored_backup_has_the_answers_from_before(reader: Reader) -> None:
    [block] = [block for block in MINE_BLOCKS if block.answer]
    stack = Stack(reader.folder / ".byline")
    try:
        stack.valkey()
        cached = stack.redis.keys(f"*{json.loads(block.answer)['id']}*")
    finally:
        stack.close()
    assert cached


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Stack]:
    """A Redis as the page about operating has it, and what is on the disks of other hosts."""
    stack = Stack(tmp_path, BYLINE_MODEL="", BYLINE_METRICS_PORT=str(free_port()))
    try:
        guarded(stack, "127.0.0.1", f"user byline {documented_user()}", "user default off")
        (tmp_path / "redis-password").write_text(PASSWORD + "\n")
        with (tmp_path / "keys.txt").open("wb") as keys:
            make = [sys.executable, "-m", "api.access.keys", "test"]
            made = subprocess.run(make, stdout=keys, stderr=subprocess.PIPE, check=True, cwd=ROOT)
        stack.env["TEST_KEY"] = made.stderr.split()[-1].decode()
        yield stack
    finally:
        stack.close()


@pytest.mark.skipif(
    None in map(shutil.which, ("redis-server", "openssl")) and os.environ.get("CI") != "true",
    reason="needs redis-server and openssl",
)
def test_a_worker_and_an_api_start_on_other_hosts(elsewhere: Stack) -> None:
    port = elsewhere.redis.connection_pool.connection_kwargs["port"]
    places = {
        "redis.example.org:6379": f"localhost:{port}",
        "/etc/byline/ca.pem": str(elsewhere.folder / "cert.pem"),
        "/etc/byline/redis-password": str(elsewhere.folder / "redis-password"),
        "/srv/byline/model": str(ROOT / "model" / "weights" / "ngram"),
        "=keys.txt": f"={elsewhere.folder / 'keys.txt'}",
        "API_HOST=0.0.0.0": "API_HOST=127.0.0.1",
        ".venv/bin/python": sys.executable,
    }
    fences = [text for _, text in _FENCE.findall(_page("operating")) if text.startswith(HOSTS)]
    assert len(fences) == len(HOSTS)
    parts: list[Part] = []
    for fence in fences:
        own = reduce(lambda text, place: text.replace(*place), places.items(), fence)
        parts.append(elsewhere.start(["bash", "-euc", own], f"host-{len(parts)}"))

    def answered() -> bool:
        assert all(part.alive for part in parts), [part.output for part in parts]
        key = {"Authorization": f"Bearer {elsewhere.env['TEST_KEY']}"}
        url, text = f"{elsewhere.url}/v1/attributions", {"text": "from another host"}
        with suppress(httpx.TransportError):
            return httpx.post(url, json=text, headers=key, timeout=40).status_code == 200
        return False

    wait_for(answered, 60, "an answer")
    assert elsewhere.redis.zscore("byline:workers", "byline@worker-1")


@pytest.mark.parametrize("page", PARSED)
def test_what_can_not_be_run_here_names_what_is_there(page: str) -> None:
    for commands in [content for kind, content in _FENCE.findall(_page(page)) if kind == "text"]:
        subprocess.run(["bash", "-n", "-c", commands], check=True)
        for words in _simple(commands):
            _look(words)


@pytest.mark.parametrize("page", ALL)
def test_what_a_sentence_says_to_type_is_there(page: str) -> None:
    said = re.findall(r"`((?:\w+=\S+ )*(?:make|\S*python -m) [^`…]+)`", _page(page))
    for command in sorted({" ".join(one.split()) for one in said}):
        for words in _simple(command):
            _look(words)


def _simple(commands: str) -> Iterator[list[str]]:
    """Yield the words of each command, those of a pipe or a list each by themselves."""
    for line in commands.replace("\\\n", " ").replace("|\n", "| ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, "&&"]:
            if word in ("&&", "|", ";"):
                if words:
                    yield words
                words = []
            elif words or not re.match(r"\w+=", word):
                words.append(word)


def _look(words: list[str]) -> None:
    """See that what a command names is there."""
    program, *rest = words
    assert program in {
        *("make", "docker", "kubectl", "python", ".venv/bin/python", "curl", "sleep", "printf")
    }, words
    if program == "make":
        done = subprocess.run(
            [*words, "--dry-run"], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
    for option in {"-f", "--file", "--kustomize"} & set(rest if program != "curl" else ()):
        path = rest[rest.index(option) + 1]
        assert path == "-" or (ROOT / path).exists(), words
    if words[:2] == ["docker", "compose"]:
        assert rest[rest.index("exec") + 1] in SERVICES, words
    if "-m" in rest and program != "curl":
        module = rest[rest.index("-m") + 1]
        assert importlib.util.find_spec(module) is not None, words
    if program == "kubectl":
        workloads = {(one["kind"].lower(), one["metadata"]["name"]) for one in files()}
        for kind, name in (
            word.split("/") for word in rest if re.fullmatch(r"[a-z]+/[a-z-]+", word)
        ):
            # Those of the next version are made of the others.
            assert (kind, name.removesuffix("-next")) in workloads, words


@pytest.mark.parametrize("page", ALL)
def test_few_commands_are_not_run(page: str) -> None:
    kinds = [kind for kind, _ in _FENCE.findall(_page(page))]
    assert kinds.count("text") == NOT_RUN.get(page, 0)
    assert "" not in kinds, "a fence says what it is"


def test_no_page_with_commands_is_left_out() -> None:
    commands = {page for page in ALL if "sh" in [kind for kind, _ in _FENCE.findall(_page(page))]}
    assert commands | {*PYTHON} == {*MINE_PAGES, *SHIPPED_PAGES}

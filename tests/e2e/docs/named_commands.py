"""Checks the docs' commands that no test runs: the files and targets in them must exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator

from tests.parts import ROOT
from tests.unit.compose.files import SERVICES
from tests.unit.compose.manifests import files


def commands_in(commands: str) -> Iterator[list[str]]:
    """Yields the words of each command; a pipe or a list has several commands."""
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


def check_names(words: list[str]) -> None:
    """Fails if a command names a target, file, module, service or workload that does not exist."""
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
            # The workloads of the next version are made from the other workloads.
            assert (kind, name.removesuffix("-next")) in workloads, words

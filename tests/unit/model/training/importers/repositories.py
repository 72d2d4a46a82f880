"""Makes git repositories for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class Commit(NamedTuple):
    """A commit to make. ``day`` is the number of days since 1970-01-01."""

    message: str | bytes
    name: str = "Ann"
    day: int = 18_000
    address: str = "ann@example.org"
    #: The mark of a second parent: the number of another commit, from 1; 0 for none.
    merged: int = 0


def git(folder: Path, *arguments: str, content: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        env=ENVIRONMENT,
        input=content,
        capture_output=True,
    )
    return done.stdout.decode(errors="replace")


def repository(folder: Path, commits: Iterable[Commit] = (), mailmap: str = "") -> Path:
    """Makes a repository, whose first commit has the file ``.mailmap``."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "--initial-branch=main")
    stream = b"".join(_stream(n, commit, mailmap) for n, commit in enumerate(commits, 1))
    git(folder, "fast-import", "--quiet", content=stream)
    if stream:
        git(folder, "reset", "--hard", "main")
    return folder


def _stream(number: int, commit: Commit, mailmap: str) -> bytes:
    message = commit.message if isinstance(commit.message, bytes) else commit.message.encode()
    person = f"{commit.name} <{commit.address}> {commit.day * 86400} +0000"
    lines = [
        b"commit refs/heads/main",
        b"mark :%d" % number,
        f"author {person}".encode(),
        f"committer {person}".encode(),
        b"data %d" % len(message),
        message,
    ]
    if commit.merged:
        lines += [b"from :%d" % (number - 1), b"merge :%d" % commit.merged]
    if number == 1 and mailmap:
        lines += [b"M 644 inline .mailmap", b"data %d" % len(mailmap), mailmap.encode()]
    return b"\n".join([*lines, b""])

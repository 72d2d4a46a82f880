"""Runs the README's first lines on a bare Debian, without root's rights, and takes the time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.system.system import free_ports, listens
from tests.bare_root import HOME, USER, BareRoot, lacking
from tests.e2e.conftest import PORTS, UP
from tests.parts import ROOT, wait_for

#: Set by `make newcomer`: `run`, or `test`, which also runs the tests.
ASKED = os.environ.get("NEWCOMER", "")
#: Longest time from `git clone` to the first attribution, with a fast package index, in seconds.
LIMIT_S = 60
#: Longest time of the tests, in seconds.
TESTS_S = 3600
#: Longest time between two lines of output, in seconds.
SILENT_S = 5
#: Seconds after which a start without a first attribution is ended.
PATIENCE_S = 1800

pytestmark = pytest.mark.skipif(
    not ASKED, reason="`make newcomer` runs it: root, debootstrap, minutes"
)


@pytest.fixture(scope="module")
def root() -> Iterator[BareRoot]:
    """A bare Debian. Its home folder has the repository to clone, with all commits."""
    if missing := lacking():
        pytest.fail(f"a bare root can't be made here without {missing}")
    with tempfile.TemporaryDirectory(prefix="byline-newcomer-") as folder:
        bare = BareRoot(Path(folder) / "root")
        copy = f"{bare.path}{HOME}/byline.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", "--no-local", ROOT, copy], check=True)
        bare.run(f"chown -R {USER}:{USER} {HOME}/byline.git", "root")
        yield bare


def test_from_the_readme_to_a_first_attribution(root: BareRoot) -> None:
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    start, ask, answer = _readme()
    begin = time.monotonic()
    process = subprocess.Popen(
        root.command(start),
        env=root.environ({f"BYLINE_{part.upper()}_PORT": port for part, port in ports.items()}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        lines = _until_up(process, begin)
        asked = subprocess.run(
            ["bash", "-c", ask.replace("localhost:8000", f"localhost:{ports['api']}")],
            check=True,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - begin
        _say(seconds, asked.stdout.strip())
        os.killpg(process.pid, signal.SIGINT)
        lines.append(process.communicate(timeout=30)[0])
    finally:
        process.kill()
        process.wait()
    got = json.loads(asked.stdout)
    for part in ("id", "author", "model"):
        assert got[part] == answer[part]
    assert got["confidence"] == pytest.approx(answer["confidence"], abs=1e-3)
    assert "byline: stopped" in "".join(lines)
    assert not any(listens(int(port)) for port in ports.values())
    assert seconds < LIMIT_S


def test_no_process_outlives_its_killed_starter(root: BareRoot) -> None:
    """Also checks that the folder has no mounts, since the test removes the folder at the end."""
    mark = f"86400.{os.getpid()}"
    run = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    starter = subprocess.Popen(
        [sys.executable, "-c", run, *root.command(f"sleep {mark} & sleep {mark}")],
        env=root.environ({}),
    )
    wait_for(lambda: len(_sleeping(mark)) == 2, what="two processes in the root")
    starter.kill()
    starter.wait()
    wait_for(lambda: not _sleeping(mark), what="their end")
    assert str(root.path) not in Path("/proc/self/mounts").read_text("utf-8")


@pytest.mark.skipif(ASKED != "test", reason="`make newcomer TEST=1` runs it: a quarter of an hour")
def test_the_tests_pass(root: BareRoot) -> None:
    subprocess.run(
        root.command("cd byline && make test"), env=root.environ({}), check=True, timeout=TESTS_S
    )


def _readme() -> tuple[str, str, dict[str, Any]]:
    """Returns the README's commands to start, its first request, and the answer."""
    page = (ROOT / "README.md").read_text("utf-8")
    start, ask, answer = re.findall(r"^```\w*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[:3]
    return start.replace("<this repository>", "byline.git"), ask, json.loads(answer)


def _until_up(process: subprocess.Popen[str], begin: float) -> list[str]:
    """Reads and prints the output, with times, until Byline is up. Returns the lines."""
    lines: list[str] = []
    assert process.stdout is not None
    late = threading.Timer(PATIENCE_S, process.kill)
    late.start()
    try:
        last = begin
        for line in process.stdout:
            lines.append(line)
            now = time.monotonic()
            _say(now - begin, line.rstrip())
            assert now - last < SILENT_S, "something to read all the time"
            last = now
            if UP in line:
                return lines
    finally:
        late.cancel()
    raise AssertionError("Byline did not start")


def _sleeping(mark: str) -> list[str]:
    lines = []
    for pid in psutil.pids():
        with suppress(psutil.NoSuchProcess):
            lines.append(psutil.Process(pid).cmdline())
    return [line[1] for line in lines if line == ["sleep", mark]]


def _say(seconds: float, line: str) -> None:
    print(f"{seconds:7.1f} s  {line}", flush=True)

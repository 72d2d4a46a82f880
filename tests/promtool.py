"""Runs promtool and amtool, if they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Seconds that a tool may take. Rules over days take half a minute on a busy machine.
LIMIT_S = 300


def _needs(name: str) -> pytest.MarkDecorator:
    """Returns a mark that skips a test if the program ``name`` is not installed.

    In continuous integration the test fails instead, so that a skipped test does not look like a
    passed one.
    """
    return pytest.mark.skipif(
        shutil.which(name) is None and os.environ.get("CI") != "true",
        reason=f"{name} is not installed",
    )


needs_promtool, needs_amtool = _needs("promtool"), _needs("amtool")


def run(name: str, *arguments: str | Path) -> tuple[int, str]:
    """Runs a tool, and returns its exit status and its output."""
    program = shutil.which(name)
    assert program is not None, f"{name} is not installed"
    done = subprocess.run(
        [program, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        # Otherwise the tool collects garbage every few milliseconds, which takes a quarter of the
        # time.
        env={**os.environ, "GOGC": "800"},
    )
    return done.returncode, done.stdout


def content(name: str, *arguments: str | Path) -> str:
    """Runs a tool, and returns its output. Fails the test if the tool reports an error."""
    status, said = run(name, *arguments)
    assert status == 0, said
    return said

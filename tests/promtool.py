"""promtool and amtool, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Seconds. Rules that look back over days take half a minute on a busy machine.
LIMIT_S = 300


def _needs(name: str) -> pytest.MarkDecorator:
    """A continuous integration that could not check this should not look as if it had."""
    return pytest.mark.skipif(
        shutil.which(name) is None and os.environ.get("CI") != "true",
        reason=f"{name} is not installed",
    )


needs_promtool, needs_amtool = _needs("promtool"), _needs("amtool")


def run(name: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a tool, and return its exit status and what it says."""
    program = shutil.which(name)
    assert program is not None, f"{name} is not installed"
    done = subprocess.run(
        [program, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        # It collects garbage every few milliseconds otherwise, which takes a quarter of the time.
        env={**os.environ, "GOGC": "800"},
    )
    return done.returncode, done.stdout


def content(name: str, *arguments: str | Path) -> str:
    """Run a tool, and return what it says. It must be content."""
    status, said = run(name, *arguments)
    assert status == 0, said
    return said

"""Runs targets of the Makefile, as an operator does."""

from __future__ import annotations

import subprocess
import sys

from tests.parts import ROOT, Stack


def make(stack: Stack, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `make` with the Redis of ``stack``. Returns the ended process, even after an error."""
    return subprocess.run(
        ["make", "--no-print-directory", *words, f"VENV={sys.prefix}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "BYLINE_REDIS_URL": stack.env["BYLINE_REDIS_URL"], **env},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def made(stack: Stack, *words: str, **env: str) -> str:
    """Runs `make`, which must succeed. Returns what it prints."""
    done = make(stack, *words, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""Runs file jobs as processes, and reads what they have written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.parts import ROOT, Part, Stack, wait_for

COMMAND = [sys.executable, "-m", "celery_app.file_job"]


def texts(name: str, count: int) -> list[str]:
    """Returns ``count`` different texts, of the two authors in turn."""
    return [f"{'aeiou' if n % 2 else 'xyz'} {name} {n}" for n in range(count)]


def saved(folder: Path, name: str, texts: Sequence[object]) -> Path:
    """Writes a file of JSON lines. The ref of each line is its number, from 0."""
    path = folder / name
    lines = (json.dumps({"text": text, "ref": n}) + "\n" for n, text in enumerate(texts))
    path.write_text("".join(lines))
    return path


def start(stack: Stack, data: Path, out: Path, *options: str) -> Part:
    """Starts a job, and does not wait for it. All jobs of a stack have one log."""
    return stack.start([*COMMAND, "--data", str(data), "--out", str(out), *options], "job")


def run(stack: Stack, data: Path, out: Path, *options: str, status: int = 0) -> str:
    """Runs a job to its end, and returns what it has printed on the standard error."""
    done = piped(stack, "", "--data", str(data), "--out", str(out), *options)
    assert done.returncode == status, done.stderr
    return done.stderr


def piped(stack: Stack, given: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a job with ``given`` as its standard input."""
    return subprocess.run(
        [*COMMAND, *options],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def results(out: Path) -> list[Any]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def rows_done(out: Path) -> int:
    """Returns how many rows have their results, by the journal of an interrupted job."""
    journal = out.with_name(f"{out.name}.journal")
    try:
        return int(json.loads(journal.read_bytes())["counts"]["rows"])
    except FileNotFoundError:
        return 0


def wait_for_rows(job: Part, out: Path, rows: int) -> None:
    """Waits until a job has the results of more than ``rows`` rows. It must not have ended."""
    wait_for(lambda: rows_done(out) > rows or not job.alive, 60, f"more than {rows} rows")
    assert job.alive, job.output


def forget(stack: Stack) -> None:
    """Deletes all cached attributions, so that the workers compute them again."""
    for key in stack.redis.scan_iter("byline:result:*"):
        stack.redis.delete(key)

"""Follows the page how-to/retrain.md with a small model: from feedback to a promoted version."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from model.retraining.comparison import Comparison, conclusion, table
from tests.e2e.conftest import Run
from tests.e2e.docs.pages import FENCE, RETRAIN_PAGE, needs_tools, page_text
from tests.e2e.docs.shell import checkout, typed
from tests.unit.model.test_train import corpus

pytestmark = needs_tools


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A checkout with the messages and the model that the page begins with."""
    folder = checkout(tmp_path / "byline")
    data = corpus(folder / "messages.jsonl")
    command = ["make", "train", f"DATA={data}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    yield folder
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((folder / "next.pid").read_text()), signal.SIGKILL)


def test_page_leads_from_feedback_to_a_promoted_version_and_back(folder: Path) -> None:
    start, *blocks = [code for kind, code in FENCE.findall(page_text(RETRAIN_PAGE)) if kind == "sh"]
    settings = dict(re.findall(r"(\w+)=(\S+) ", start))
    settings["BYLINE_MODEL_DIR"] = str(folder / settings["BYLINE_MODEL_DIR"])
    state = {"BYLINE_MODEL": "", "BYLINE_STATE_DIR": str(folder / ".byline")}
    run = Run(folder.parent, **state, **settings)
    try:
        run.wait_until_up()
        said = [_said(block, folder, run) for block in blocks]
    finally:
        run.close()
    feedback, retrain, canary, promoted_and_back, erased = said
    assert '"correct":true' in feedback
    assert feedback.splitlines()[-1].split()[::3] == ["1", "Ann"]
    assert "messages with feedback, added to the old data: 1" in retrain
    [version] = re.findall(r"^(ngram-1-\w+), written to ", retrain, re.MULTILINE)
    shares = re.findall(r"^(ngram-1-\w+) +1 +(\S+%)$", canary + promoted_and_back, re.MULTILINE)
    assert [share for name, share in shares if name == version] == ["5.0%", "100.0%", "0.0%"]
    assert "kept texts of 'Ann' erased: 1" in erased


def _said(commands: str, folder: Path, run: Run) -> str:
    done = typed(commands, folder, run)
    assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}{run.output}"
    return done.stdout


def test_page_shows_the_table_that_the_command_prints() -> None:
    [shown] = [text for _, text in FENCE.findall(page_text(RETRAIN_PAGE)) if "McNemar" in text]
    old, new = "ngram-1-002d7fa38199", "ngram-1-9a9ff7e667fd"
    comparisons = [Comparison("old data", 18, 18, 0, 0), Comparison("feedback", 24, 2, 0, 22)]
    console = Console(width=100)
    with console.capture() as printed:
        console.print(table(old, new, comparisons))
        console.print(conclusion(new, comparisons))
    assert printed.get() == shown

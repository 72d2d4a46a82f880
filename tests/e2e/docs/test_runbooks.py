"""Runs every command of the runbooks, against Byline with Prometheus and Alertmanager."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.alerts.alarmed import needs_alertmanager
from tests.e2e.conftest import Run
from tests.e2e.docs.shell import checkout, typed
from tests.e2e.watched import monitored
from tests.parts import ROOT, wait_for
from tests.unit.alerting.rules import RUNBOOKS

pytestmark = needs_alertmanager

_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(RUNBOOKS.glob("*.md"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("runbooks") / "byline")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    settings = {"BYLINE_WORKERS": "2", "BYLINE_STATE_DIR": str(folder / ".byline")}
    run = Run(folder, watched=True, BYLINE_MODEL="", **settings)
    try:
        run.wait_until_up()
        run.attribute("so that there is something to see")
        wait_for(lambda: ("byline_quality_messages", _version(run)) in monitored(run), 20)
        yield run
    finally:
        run.close()


def _version(run: Run) -> str:
    return str(run.model["card"]["version"])


def test_the_file_of_the_monitoring_password_is_named_and_the_password_hidden(run: Run) -> None:
    file = Path(run.env["BYLINE_STATE_DIR"]) / "monitoring-password"
    where = f"user byline, password in {os.path.relpath(file, ROOT)}"
    assert f"  prometheus, alertmanager: {where}" in run.output
    password = file.read_text().strip()
    logs = (file.parent / "logs").iterdir()
    shown = [run.output, *run.command_lines(), *(log.read_text("utf-8", "replace") for log in logs)]
    assert not any(password in text for text in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_runbook_succeed(run: Run, folder: Path, page: Path) -> None:
    fences = _FENCE.findall(page.read_text("utf-8"))
    assert fences, "a runbook says how to look"
    for commands in fences:
        done = typed(commands, folder, run)
        said = f"{commands}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, said
        asked = len(re.findall(r"^ask ", commands, re.MULTILINE))
        assert done.stdout.count('"status":"success"') >= asked, said
        assert '"status":"error"' not in done.stdout, said

"""Ctrl-C ends each command with one line, also while the command imports its modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import ROOT

#: Commands that people type or the Makefile runs, with a module that each imports on its way.
COMMANDS = (
    ("api", "argparse"),
    ("api.access.keys", "argparse"),
    ("bench", "rich"),
    ("bench.faults", "rich"),
    ("bench.file_job", "msgspec"),
    ("bench.micro.model_speed", "torch"),
    ("celery_app.dead_letters", "redis"),
    ("celery_app.file_job", "redis"),
    ("celery_app.kept_feedback", "redis"),
    ("celery_app.models", "redis"),
    ("celery_app.retrain", "redis"),
    ("celery_app.settings.table", "msgspec"),
    ("celery_app.worker", "celery"),
    ("compose.backup", "msgspec"),
    ("compose.installer", "argparse"),
    ("compose.native", "msgspec"),
    ("compose.passwords", "secrets"),
    ("model.check", "torch"),
    ("model.heldout", "numpy"),
    ("model.train", "rich"),
    ("monitoring", "prometheus_client"),
    ("monitoring.dashboards", "grafana_foundation_sdk"),
)
#: Interrupts the process when it looks for the module. Python reads this file at its start.
HOOK = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize(("command", "module"), COMMANDS)
def test_ctrl_c_during_the_imports_is_one_line(command: str, module: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    done = subprocess.run(
        [sys.executable, "-m", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPTED_AT": module},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "byline: stopped\n"
    assert done.returncode in (0, 130, -2)


def test_import_by_another_program_keeps_its_traceback() -> None:
    code = "import celery_app, model, sys; assert sys.excepthook is sys.__excepthook__"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)


@pytest.mark.parametrize("target", ["train", "bench"])
def test_ctrl_c_under_make_is_one_line(target: str, tmp_path: Path) -> None:
    """At a terminal, make and its shell get the signal, too, and have nothing to add."""
    (tmp_path / "sitecustomize.py").write_text(HOOK.replace("os.kill(os.getpid()", "os.killpg(0"))
    command = ["make", "--no-print-directory", target, f"VENV={sys.prefix}", f"OUT={tmp_path}/out"]
    command += ["-o", f"{sys.prefix}/bench.stamp"]  # what the tests run in holds all of it
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPTED_AT": "rich"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        start_new_session=True,
        check=False,
    )
    assert done.stdout == "byline: stopped\n"

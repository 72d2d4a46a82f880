"""The setting of OpenMP: it comes before torch, and gives way to the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from model.training.openmp import let_idle_threads_sleep


@pytest.mark.parametrize("command", ["model.train", "celery_app.retrain"])
def test_command_can_set_openmp_before_torch_is_imported(command: str) -> None:
    code = f"import sys, {command}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_environment_decides_how_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"

"""Runs the docs' commands, as a reader types them, against the Byline that a test has started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from celery_app.settings import Settings
from tests.e2e.conftest import Run
from tests.parts import ROOT, free_port

#: Seconds that the commands of one fence may take.
LIMIT_S = 60


def checkout(folder: Path) -> Path:
    """Makes a folder with links to all files of the project and to the virtual environment."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def ported(commands: str, run: Run) -> str:
    """Returns commands with the ports of a run in place of the default ports."""
    usual = Settings()
    ports = {getattr(usual, f"{part}_port"): port for part, port in run.ports.items()}
    ports[usual.metrics_port + 1] = run.ports["metrics"] + 1
    own = re.sub(r"METRICS_PORT=\d+", f"METRICS_PORT={free_port()}", commands)
    return re.sub(r"localhost:(\d+)", lambda at: f"localhost:{ports[int(at[1])]}", own)


def typed(commands: str, folder: Path, run: Run | None) -> subprocess.CompletedProcess[str]:
    """Runs commands. The first command that fails ends the run. Without a Byline, ``run`` is None.

    An environment that the commands make has the packages of this one, and pip asks no index.
    `make` finds the Valkey of the run, as it finds the Valkey of `make run` at the default port.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    redis = {"BYLINE_REDIS_PORT": str(run.ports["redis"])} if run else {}
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PYTHONPATH": sysconfig.get_path("purelib")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ported(commands, run) if run else commands],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **redis, **pip},
        check=False,
        timeout=LIMIT_S,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

"""Without the folder ``api/accelerator/``, only the speed changes: the api passes its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.parts import ROOT, needs_accelerator

#: Not in the copy: environments, and files that are made anew.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".byline", "build", "bench-results", "__pycache__"
)
TESTS = (
    "tests/unit/api",
    "tests/integration/api/test_http.py",
    "tests/integration/api/test_pending_answers.py",
    "tests/integration/api/access/test_authentication.py",
    "tests/integration/api/test_plain_server.py",
)


@needs_accelerator
def test_copy_without_the_accelerator_passes_the_tests_of_the_api(tmp_path: Path) -> None:
    copy = tmp_path / "byline"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    shutil.rmtree(copy / "api" / "accelerator")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BYLINE_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(
        command, check=False, cwd=copy, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout

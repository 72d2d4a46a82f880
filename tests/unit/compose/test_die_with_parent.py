"""Tests of commands that end with their parent process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from compose.native import configuration


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel sends no such signal")
def test_a_command_is_not_run_where_its_parent_has_ended_before() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait(10)
    for parent, printed in ((os.getpid(), "ran\n"), (gone.pid, "")):
        command = [*configuration.DIE_WITH_PARENT, str(parent), "echo", "ran"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        assert done.stdout == printed
        assert done.returncode == (0 if printed else 1)

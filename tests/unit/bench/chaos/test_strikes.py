"""Tests of the signals that ``make chaos`` sends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from bench.chaos import strikes
from bench.chaos.strikes import hit


def test_a_process_continues_after_sigstop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strikes, "LASTS_S", 0.3)
    command = [sys.executable, "-c", "import sys; sys.stdin.readline(); print('goes on')"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        begin = time.monotonic()
        hit(process.pid, "STOP")
        assert time.monotonic() - begin >= 0.3
        out, _ = process.communicate("\n", timeout=10)
        assert out == "goes on\n"


def test_sigkill_kills_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        hit(process.pid, "KILL")
        assert process.wait(10) == -signal.SIGKILL

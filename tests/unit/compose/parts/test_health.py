"""Tests of the threads that call the parts' health checks."""

from __future__ import annotations

import threading

import pytest

from compose.parts.errors import CannotRun
from compose.parts.health import HealthThread


def test_a_probe_that_raises_is_called_again() -> None:
    looks = iter([0, 1])
    waiting = HealthThread(lambda: bool(1 / next(looks)))
    assert waiting.healthy.wait(10)


def test_a_thread_that_can_not_start_gives_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_room)
    with pytest.raises(CannotRun, match="can't start new thread: see to the limit on processes"):
        HealthThread(lambda: True)

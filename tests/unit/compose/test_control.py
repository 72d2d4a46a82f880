"""When a part that ended is started again; supervisord is a fake here, and so is the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compose.native import control
from compose.native.control import REVIVALS, REVIVALS_S, Control
from compose.native.errors import NotStarted
from compose.native.parts import Part

MORE_THAN_ANY_PROCESS = 2**22 + 1


class Supervised(Control):
    """Parts that are dead whenever one looks."""

    def __init__(self, folder: Path) -> None:
        part = Part("worker", ["it"], "", lambda: True, rank=2, stop_s=1)
        self.full = False
        self.started = 0
        super().__init__([part], {}, folder)
        self.start(part)
        self.started = 0

    def _check_daemon(self) -> None:
        pass

    def _ask(self, method: str, *arguments: object) -> Any:
        if method == "startProcess":
            if self.full:
                raise NotStarted("no room")
            self.started += 1
            return None
        info = {
            "name": "worker",
            "statename": "EXITED",
            "spawnerr": "killed",
            "pid": MORE_THAN_ANY_PROCESS,
        }
        return info if method == "getProcessInfo" else [info]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(control.time, "monotonic", lambda: now[0])
    return now


def test_what_dies_often_waits_is_said_once_and_is_never_given_up(
    tmp_path: Path, clock: list[float]
) -> None:
    (tmp_path / "logs").mkdir()
    parts = Supervised(tmp_path)
    for times in range(1, REVIVALS + 1):
        [said] = parts.revive()
        assert said.startswith("worker ended: killed; started again")
        assert parts.started == times
    [said] = parts.revive()
    assert f"It ended {REVIVALS + 1} times in 60 s, and has to wait." in said
    clock[0] += REVIVALS_S - 1
    assert parts.revive() == []
    assert parts.started == REVIVALS
    clock[0] += 2
    [said] = parts.revive()
    assert said.startswith("worker ended: killed; started again")
    assert parts.started == REVIVALS + 1


def test_where_there_is_no_room_for_a_process_it_is_tried_again(
    tmp_path: Path, clock: list[float]
) -> None:
    (tmp_path / "logs").mkdir()
    parts = Supervised(tmp_path)
    parts.full = True
    assert parts.revive() == ["worker ended: killed; no room"]
    assert parts.pids == {}
    parts.full = False
    [said] = parts.revive()
    assert said.startswith("worker ended: killed; started again")

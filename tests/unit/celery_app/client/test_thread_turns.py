from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from celery_app.client import thread_turns
from celery_app.client.thread_turns import ThreadTurns
from tests.parts import wait_for


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes bursts so long that no test can exceed them on a slow machine."""
    monkeypatch.setattr(thread_turns, "PAUSE_S", 60.0)
    monkeypatch.setattr(thread_turns, "LONGEST_S", 60.0)


def test_no_thread_waits_before_a_turn_has_ended(patient: None) -> None:
    turns = ThreadTurns(2)
    assert [turns.acquire() for _ in range(3)] == [True, True, False]


def test_in_a_burst_a_thread_waits_for_its_turn(patient: None) -> None:
    turns = ThreadTurns(1)
    assert turns.acquire()
    turns.release()
    assert turns.acquire()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(turns.acquire)
        wait_for(waiting.running, what="the thread to wait")
        turns.release()
        assert waiting.result(20)


@pytest.mark.parametrize(("pause_s", "longest_s"), [(0.0, 60.0), (60.0, 0.05)])
def test_no_thread_waits_after_a_burst_or_for_long(
    monkeypatch: pytest.MonkeyPatch, pause_s: float, longest_s: float
) -> None:
    monkeypatch.setattr(thread_turns, "PAUSE_S", pause_s)
    monkeypatch.setattr(thread_turns, "LONGEST_S", longest_s)
    turns = ThreadTurns(1)
    turns.acquire()
    turns.release()
    assert turns.acquire()
    assert not turns.acquire()


def test_every_turn_is_freed_again(patient: None) -> None:
    turns = ThreadTurns(3)
    begin = threading.Barrier(8)

    def take_turns() -> int:
        begin.wait(20)
        taken = 0
        for _ in range(200):
            if turns.acquire():
                taken += 1
                turns.release()
        return taken

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(take_turns) for _ in range(8)]
        assert sum(future.result(30) for future in futures) > 200
    assert [turns.acquire() for _ in range(3)] == [True, True, True]
    for _ in range(3):
        turns.release()
    with pytest.raises(ValueError, match="too many"):
        turns.release()

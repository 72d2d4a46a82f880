"""Who is let in, by the pace of what is under way."""

from __future__ import annotations

import time

import pytest

from api.admission import Admission
from api.entry import Entry, Kind
from api.flights import Flights
from api.pace import Pace

KIND = (0, False, False)


class Gate:
    """An admission for a model that takes 0.2 s a chunk and 50 ms a message; time stands still."""

    def __init__(self) -> None:
        self.pace = Pace()
        for size in (1, 20, 5, 9) * 10:
            self.pace.came_back(size, time.monotonic() - 0.2 - size * 0.05)
            self.pace._last = float("-inf")
        now = time.monotonic()
        self.pace._now = lambda: now
        self.flights = Flights(60.0, lambda: self.pace.seconds(16))
        self.waiting: dict[Kind, list[Entry]] = {}
        self.admission = Admission(self.pace, self.flights, self.waiting, 16)

    def under_way(self, *sizes: int) -> None:
        for number, size in enumerate(sizes):
            self.flights.add(f"chunk {number}", [Entry("id", "text", "v1")] * size)

    def refuses(self, seconds: float) -> bool:
        return self.admission.too_late(entry(seconds))


def entry(seconds: float | None) -> Entry:
    deadline = None if seconds is None else time.time() + seconds
    return Entry("id", "text", "v1", deadline=deadline)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_with_nothing_before_it_anything_is_tried(gate: Gate) -> None:
    assert not gate.refuses(0.001)


def test_a_message_waits_for_what_is_away_and_for_what_leaves_before_it(gate: Gate) -> None:
    gate.under_way(16, 16)
    assert gate.admission.wait_s == pytest.approx(2 * 1.0 + 0.25, rel=0.02)
    gate.waiting[KIND] = [entry(None)] * 40
    gate.admission._away = gate.admission._away._replace(changes=-1)
    assert gate.admission.wait_s == pytest.approx(2 * 1.0 + 2 * 1.0 + 0.65, rel=0.02)
    assert gate.refuses(4.4)
    assert not gate.refuses(4.9)


def test_who_leaves_with_others_must_not_make_them_late(gate: Gate) -> None:
    gate.under_way(16)
    gate.waiting[KIND] = [entry(1.625)] + [entry(5.0)] * 7
    assert gate.refuses(5.0)
    # Nothing can be done any more for one that is too late anyhow.
    gate.waiting[KIND][0] = entry(0.1)
    assert not gate.refuses(5.0)


def test_the_more_pressing_do_not_wait_for_the_others(gate: Gate) -> None:
    gate.waiting[(9, False, False)] = [entry(None)] * 1000
    assert not gate.refuses(0.5)


def test_what_was_lost_keeps_nobody_out(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.under_way(16)
    assert gate.refuses(0.1)
    monkeypatch.setattr("api.flights.STALLED", 0.0)
    monkeypatch.setattr("api.flights.STALLED_S", 0.0)
    gate.flights.changes += 1
    assert not gate.refuses(0.1)

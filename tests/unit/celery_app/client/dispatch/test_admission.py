"""``Admission`` refuses a message if the chunks before it take too long for its deadline."""

from __future__ import annotations

import random
from collections import deque
from types import SimpleNamespace

import pytest

from celery_app.client.dispatch.admission import Admission
from celery_app.client.dispatch.fair_queue import FairQueue
from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.entry import Entry, Kind

KIND = (0, False, False)
#: Unix time of the test's clock, which stands still, in seconds.
NOW = 1e9
#: Monotonic time of the test's clock, which stands still, in seconds.
MONOTONIC = 1e3


class Gate:
    """Admission to a model that takes 0.2 s a chunk and 50 ms a message. The clock stands still."""

    def __init__(self) -> None:
        self.latency_model = LatencyModel(lambda: MONOTONIC)
        for size in (1, 20, 5, 9) * 10:
            self.latency_model.came_back(size, MONOTONIC - 0.2 - size * 0.05)
            self.latency_model._last = float("-inf")
        self.in_flight = InFlight(60.0, self.latency_model, 16)
        self.waiting: dict[Kind, FairQueue] = {}
        self.admission = Admission(self.latency_model, self.in_flight, self.waiting, 16)

    def under_way(self, *sizes: int) -> None:
        for number, size in enumerate(sizes):
            self.in_flight.add(f"chunk {number}", [Entry("id", "text", "v1")] * size)

    def refuses(self, seconds: float) -> bool:
        return self.admission.too_late(entry(seconds))


def entry(seconds: float | None) -> Entry:
    deadline = None if seconds is None else NOW + seconds
    return Entry("id", "text", "v1", deadline=deadline)


def queue(*entries: Entry) -> FairQueue:
    waiting = FairQueue()
    for each in entries:
        waiting.add(each)
    return waiting


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    stands = SimpleNamespace(time=lambda: NOW, monotonic=lambda: MONOTONIC)
    monkeypatch.setattr("celery_app.client.dispatch.admission.time", stands)
    monkeypatch.setattr("celery_app.client.dispatch.in_flight.time", stands)
    return Gate()


def test_a_message_with_nothing_before_it_is_accepted(gate: Gate) -> None:
    assert not gate.refuses(0.001)


def test_a_message_waits_for_chunks_in_flight_and_for_messages_before_it(gate: Gate) -> None:
    gate.under_way(16, 16)
    assert gate.admission.wait_s == pytest.approx(2 * 1.0 + 0.25, rel=0.02)
    gate.waiting[KIND] = queue(*[entry(None)] * 40)
    gate.admission._snapshot = gate.admission._snapshot._replace(changes=-1)
    assert gate.admission.wait_s == pytest.approx(2 * 1.0 + 2 * 1.0 + 0.65, rel=0.02)
    assert gate.refuses(4.4)
    assert not gate.refuses(4.9)


def test_a_message_that_would_make_another_of_its_chunk_late_is_refused(gate: Gate) -> None:
    gate.under_way(16)
    gate.waiting[KIND] = queue(entry(1.625), *[entry(5.0)] * 7)
    assert gate.refuses(5.0)
    # The margin is more than the first message's lateness, so that message counts as in time.
    gate.latency_model._deviation = 0.1
    gate.waiting[KIND] = queue(entry(1.61), *[entry(5.0)] * 7)
    assert gate.refuses(5.0)
    # A message that is too late anyhow keeps no other message out.
    gate.waiting[KIND] = queue(entry(0.1), *[entry(5.0)] * 7)
    assert not gate.refuses(5.0)


def test_a_message_does_not_wait_for_messages_of_lower_priority(gate: Gate) -> None:
    gate.waiting[(9, False, False)] = queue(*[entry(None)] * 1000)
    assert not gate.refuses(0.5)


@pytest.mark.parametrize("seed", range(3))
def test_under_three_times_the_load_nearly_all_messages_let_in_are_in_time(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Simulates a model with 20 ms a chunk and 2 ms a message, ±4 %. Callers wait for 0.5 s."""
    clock, chance = SimpleNamespace(now=0.0), random.Random(seed)
    simulated = SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.now)
    monkeypatch.setattr("celery_app.client.dispatch.admission.time", simulated)
    monkeypatch.setattr("celery_app.client.dispatch.in_flight.time", simulated)
    latency_model = LatencyModel(lambda: clock.now)
    in_flight = InFlight(60.0, latency_model, 64)
    waiting = {KIND: FairQueue()}
    admission = Admission(latency_model, in_flight, waiting, 64)
    sent: deque[tuple[float, list[Entry]]] = deque()
    in_time, late, free_at = 0, 0, 0.0
    for tick in range(20 * 1300):
        clock.now = tick / 1300
        while sent and sent[0][0] <= clock.now:
            _, entries = sent.popleft()
            chunk_in_flight = in_flight.pop(str(id(entries)))
            assert chunk_in_flight is not None
            latency_model.came_back(chunk_in_flight.work, chunk_in_flight.sent_at)
            answered = sum(clock.now <= (each.deadline or 0.0) for each in entries)
            in_time, late = in_time + answered, late + len(entries) - answered
        asked = Entry("id", "text", "v1", deadline=clock.now + 0.5)
        if not admission.too_late(asked):
            waiting[KIND].add(asked)
        if waiting[KIND] and len(sent) < 2 and free_at < clock.now + 0.02:
            chunk = waiting[KIND].take(64)
            took = (0.02 + 0.002 * len(chunk)) * chance.uniform(0.96, 1.04)
            free_at = max(clock.now, free_at) + took
            sent.append((free_at, chunk))
            in_flight.add(str(id(chunk)), chunk)
    assert in_time > 20 * 360  # messages; the model can compute 432 a second in full chunks
    assert late < 0.05 * in_time


def test_a_stalled_chunk_keeps_no_message_out(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.under_way(16)
    assert gate.refuses(0.1)
    monkeypatch.setattr("celery_app.client.dispatch.in_flight.STALLED_FACTOR", 0.0)
    monkeypatch.setattr("celery_app.client.dispatch.in_flight.STALLED_MIN_S", 0.0)
    gate.in_flight.changes += 1
    assert not gate.refuses(0.1)

"""Tests of the pins: each fork of a process gets a CPU, and the forks share the CPUs evenly."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from celery_app.cpu_pins import CpuPins

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can pin a process")


@pytest.fixture
def allowed() -> Iterator[set[int]]:
    """Yields the CPUs of this process, and gives all of them back at the end."""
    cpus = os.sched_getaffinity(0)
    yield cpus
    os.sched_setaffinity(0, cpus)


def cpu_of_next_fork(pins: CpuPins, name: str, allowed: set[int]) -> int:
    pins.choose(name)
    assert os.sched_getaffinity(0) == allowed  # the server itself is not pinned
    pins.pin(name)  # as the fork does
    [cpu] = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed)
    return cpu


def test_forks_share_the_cpus_evenly(allowed: set[int]) -> None:
    pins = CpuPins()
    names = map(str, range(2 * len(allowed)))
    cpus = Counter(cpu_of_next_fork(pins, name, allowed) for name in names)
    assert cpus == dict.fromkeys(allowed, 2)


def test_a_new_fork_gets_the_cpu_of_the_fork_that_ended(allowed: set[int]) -> None:
    pins = CpuPins()
    cpus = [cpu_of_next_fork(pins, str(number), allowed) for number in range(len(allowed))]
    for number, cpu in enumerate(cpus):
        pins.release(str(number))
        assert cpu_of_next_fork(pins, f"{number} again", allowed) == cpu


def test_a_server_that_may_use_one_cpu_stays_on_it(allowed: set[int]) -> None:
    only = {min(allowed)}
    os.sched_setaffinity(0, only)
    assert {cpu_of_next_fork(CpuPins(), "only", only)} == only


def test_a_process_that_may_not_be_pinned_goes_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    pins = CpuPins()
    pins.choose("one")
    pins.pin("one")
    assert "this process is not pinned to a CPU: [Errno 1] Operation not permitted" in logged()

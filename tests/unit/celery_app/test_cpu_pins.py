"""Tests of the pins: each fork of a process gets a CPU, and the forks share the CPUs evenly."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from celery_app.cpu_pins import CpuPins

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can pin a process")


@pytest.fixture
def allowed() -> Iterator[set[int]]:
    """Yields the CPUs of this process, and gives all of them back at the end."""
    cpus = os.sched_getaffinity(0)
    yield cpus
    os.sched_setaffinity(0, cpus)


def cpu_of_next_fork(pins: CpuPins, name: str) -> int:
    pins.pin_fork(name)
    [cpu] = os.sched_getaffinity(0)
    return cpu


def test_forks_share_the_cpus_evenly(allowed: set[int]) -> None:
    pins = CpuPins()
    cpus = Counter(cpu_of_next_fork(pins, str(number)) for number in range(2 * len(allowed)))
    assert cpus == dict.fromkeys(allowed, 2)


def test_a_new_fork_gets_the_cpu_of_the_fork_that_ended(allowed: set[int]) -> None:
    pins = CpuPins()
    cpus = [cpu_of_next_fork(pins, str(number)) for number in range(len(allowed))]
    for number, cpu in enumerate(cpus):
        pins.release(str(number))
        assert cpu_of_next_fork(pins, f"{number} again") == cpu


def test_a_server_that_may_use_one_cpu_stays_on_it(allowed: set[int]) -> None:
    os.sched_setaffinity(0, {min(allowed)})
    assert cpu_of_next_fork(CpuPins(), "only") == min(allowed)

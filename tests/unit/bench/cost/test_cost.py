"""The figures of ``python -m bench.cost`` are computed from a run's samples."""

from __future__ import annotations

import msgspec
import pytest

from bench.cost.__main__ import cpu_us, ratio
from tests.unit.bench.runs import run, second


def test_cpu_time_of_a_message_is_that_of_the_sampled_seconds() -> None:
    samples = ({"api": 0.1, "worker": 0.3}, {}, {"api": 0.3, "worker": 0.3})
    seconds = [second(float(at), cpu=cpu) for at, cpu in enumerate(samples)]
    done = run()
    totals = msgspec.structs.replace(done.totals, sent=1_000)
    done = msgspec.structs.replace(done, timeline=seconds, totals=totals, seconds=5.0)
    assert cpu_us(done) == pytest.approx({"api": 1_000.0, "worker": 1_500.0})


def test_ratio_compares_the_parts_with_echo_and_model() -> None:
    costs = {"api": 60.0, "worker": 90.0, "valkey": 30.0, "echo": 20.0, "model": 40.0, "P95": 9.0}
    assert ratio(costs) == 3.0

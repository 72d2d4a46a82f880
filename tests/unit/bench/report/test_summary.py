"""Tests of the report that is computed from the generator's record."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram

from bench.load.generator import Record
from bench.load.messages import Passage
from bench.load.recorder import Recorder
from bench.load.scenario import Scenario
from bench.report import results
from bench.report.results import Run
from bench.report.summary import Observed, summarise
from bench.system.system import histogram
from bench.system.usage import Sample

NAN = float("nan")


def run(latencies: list[float], **limits: float) -> Run:
    """Returns the report of ten requests a second from time 100. ``latencies`` are in seconds."""
    recorder = Recorder([Passage("text", "author")])
    for number, latency in enumerate(latencies):
        recorder.due.append(number / 10)
        recorder.latency.append(latency)
        recorder.late.append(0.001)
        recorder.sent.append(1)
        recorder.answered.append(latency == latency)
        recorder.cached.append(0)
    recorder.failed["overloaded"] = sum(latency != latency for latency in latencies)
    recorder.by_passage[0] = 5
    recorder.right = array("b", [1] * 5)
    recorder.named = array("b", [1] * 5)
    recorder.confidence = array("f", [0.9] * 5)
    observed = Observed("Byline", samples=[sample(99.0, 9), sample(100.5, 1), sample(101.5, 3)])
    scenario = Scenario(title="x", limits=limits)
    return summarise(
        "x", scenario, Record(recorder, 100.0, len(latencies) / 10, 0.1), observed, False
    )


def sample(time: float, megabytes: int) -> Sample:
    return Sample(time, {"worker": megabytes * 10**6}, {"worker": 0.5})


def test_percentiles_count_answered_messages_only() -> None:
    found = run([0.010] * 94 + [0.100] * 5 + [NAN])
    assert found.latency.p50_ms == pytest.approx(10, rel=1e-3)
    assert found.latency.p99_ms == pytest.approx(100, rel=1e-3)
    assert (found.totals.sent, found.totals.answered) == (100, 99)
    assert found.totals.throughput == pytest.approx(9.9)
    assert found.totals.failed == {"overloaded": 1}


def test_answers_after_the_end_do_not_count_as_throughput() -> None:
    found = run([0.010] * 50 + [9.0] * 50)
    assert found.totals.answered == 100
    assert found.totals.throughput == pytest.approx(50 / 10)


def test_the_histogram_can_be_read_by_its_library() -> None:
    found = run([0.010] * 50 + [0.200] * 50)
    histogram = HdrHistogram.decode(found.latency.hdr)
    assert histogram.get_total_count() == 100
    assert histogram.get_value_at_percentile(90) == pytest.approx(200_000, rel=1e-3)


def test_the_timeline_has_one_entry_for_each_second() -> None:
    found = run([0.010] * 10 + [0.020] * 10 + [NAN] * 10)
    assert [s.p50_ms for s in found.timeline] == [pytest.approx(10), pytest.approx(20), None]
    assert [s.failed for s in found.timeline] == [0, 0, 10]
    assert [s.pss.get("worker") for s in found.timeline] == [10**6, 3 * 10**6, None]


def test_memory_is_the_peak_during_the_measurement() -> None:
    assert run([0.01] * 30).pss == {"worker": 3 * 10**6}


def test_broken_limits_are_named() -> None:
    assert run([0.010] * 20, p95_ms=15, failed=0).broken_limits == []
    broken = run([0.010, NAN] * 10, p95_ms=5, failed=0).broken_limits
    assert [words.partition(":")[0] for words in broken] == ["p95_ms", "failed"]
    assert run([0.010] * 20, throughput=10).broken_limits == []
    assert run([0.010] * 20, throughput=11).broken_limits == ["throughput: 10.0, at least 11.0"]


def test_a_run_without_answers_gives_a_report() -> None:
    found = run([NAN] * 20)
    assert found.latency.p95_ms == 0
    assert found.curve == []


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = run([0.010] * 20)
    results.write(found, tmp_path / "run.json")
    assert results.read(tmp_path / "run.json") == found
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(ValueError, match="no report"):
        results.read(tmp_path / "none.json")


def test_cumulated_prometheus_buckets_are_separated() -> None:
    text = (
        'm_bucket{le="1.0"} 2.0\nm_bucket{le="4.0"} 5.0\nm_bucket{le="+Inf"} 6.0\n'
        'other_bucket{le="1.0"} 9.0\n'
    )
    assert histogram(text, "m") == {1.0: 2, 4.0: 3, float("inf"): 1}

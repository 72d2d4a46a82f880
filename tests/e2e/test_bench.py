"""Load tests as `make bench` runs them, but with a small model and for seconds."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from bench.report import results
from bench.report.results import Run
from tests.parts import Part, wait_for

SCENARIO = """
title = "a short one"
rate = 100
connections = 16
seconds = {seconds}
warmup_seconds = 1
way = "{way}"
bulk = {bulk}
model = "tests.models:Vowels"
[mix]
repeats = 0.5
population = 3
[limits]
failed = 0
p95_ms = {p95_ms}
"""


def start(folder: Path, **options: object) -> Part:
    given = {"seconds": 2, "way": "http", "bulk": 1, "p95_ms": 20_000} | options
    (folder / "own.toml").write_text(SCENARIO.format(**given))
    texts = ({"text": f"aeiou and then some {n} more", "author": "vowels"} for n in range(50))
    (folder / "own.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    arguments = [sys.executable, "-m", "bench", str(folder / "own.toml")]
    files = ["--messages", str(folder / "own.jsonl"), "--out", str(folder / "out")]
    return Part([*arguments, *files], folder / "log", {})


def report(folder: Path) -> Run:
    [page], [figures] = ((folder / "out").glob(f"*.{kind}") for kind in ("html", "json"))
    assert "a short one" in page.read_text()
    return results.read(figures)


def test_a_load_over_http_ends_in_a_report(tmp_path: Path) -> None:
    bench = start(tmp_path)
    assert bench.process.wait(120) == 0, bench.output
    run = report(tmp_path)
    assert (run.totals.sent, run.totals.answered, run.totals.failed) == (200, 200, {})
    assert run.totals.cached >= 90
    assert run.latency.p50_ms > 0
    assert run.batches is not None
    assert {"api", "worker", "valkey", "flower", "exporter"} <= set(run.pss)
    assert run.quality is not None
    assert run.quality.messages == 200
    assert not run.interrupted


def test_a_load_on_the_queue_ends_in_a_report(tmp_path: Path) -> None:
    bench = start(tmp_path, way="celery", bulk=4)
    assert bench.process.wait(120) == 0, bench.output
    run = report(tmp_path)
    assert (run.totals.sent, run.totals.answered) == (200, 200)


def test_a_broken_limit_sets_the_exit_status(tmp_path: Path) -> None:
    bench = start(tmp_path, p95_ms=0.001)
    assert bench.process.wait(120) == 1, bench.output
    assert "p95_ms" in bench.output
    assert report(tmp_path).broken_limits


def test_ctrl_c_leaves_a_report_and_no_process(tmp_path: Path) -> None:
    bench = start(tmp_path, seconds=600)
    wait_for(lambda: "msg/s" in bench.output, 90, "the load")
    bench.process.send_signal(signal.SIGINT)
    assert bench.process.wait(60) == 130, bench.output
    run = report(tmp_path)
    assert run.interrupted
    assert 0 < run.seconds < 600
    assert run.totals.answered > 0

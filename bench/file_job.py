"""Measures the file job, which attributes all rows of a file: ``python -m bench.file_job``.

Starts Byline, and then measures in this order:

1. The bulk ceiling: the messages/s of HTTP clients that never pause, with 64 messages a request.
2. The latency of live messages without a job: HTTP requests of one message, at a fixed rate.
3. The rate, memory and CPU time of a job without live messages.
4. The latency of live messages while a job runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.campaign import held_out, run
from bench.load import scenario
from bench.load.messages import read, variant
from bench.load.scenario import Scenario
from bench.report.results import Run
from bench.report.summary import Observed
from bench.system.system import ROOT, NotRunning, Started, status
from bench.system.usage import cpu_seconds, pss

#: Seconds between two samples of the job's memory and CPU time.
LOOK_S = 0.5
#: Seconds of a job that do not count for its memory: it imports modules, and fills its window.
SETTLE_S = 5.0
#: The live messages: a rate that leaves most of the workers' time to the job.
LIVE = Scenario(title="live messages", rate=300, connections=256, seconds=20, warmup_seconds=5)
#: Least rate of the job, as a share of the bulk ceiling.
SHARE = 0.8
#: Largest range of the job's memory, in megabytes.
RANGE_MB = 40.0
#: Largest P95 latency of the live messages, in milliseconds.
P95_MS = 55.0


@dataclass(slots=True)
class Job:
    """A process that attributes the rows of a file (a file job), and samples of this process."""

    process: subprocess.Popen[str]
    began: float
    #: Proportional set sizes in bytes, after ``SETTLE_S``.
    pss: list[int] = field(default_factory=list)
    cpu_s: float = 0.0
    seconds: float = 0.0

    def look(self) -> bool:
        """Samples the job's CPU time and memory if the job still runs. Returns whether it does."""
        if self.process.poll() is not None:
            return False
        pid = self.process.pid
        self.seconds = time.monotonic() - self.began
        self.cpu_s = max(self.cpu_s, cpu_seconds(pid))
        if self.seconds > SETTLE_S and (size := pss(pid)):
            self.pss.append(size)
        return True


def main() -> int:
    """Measures the file job, and prints a line for each figure and its target.

    Returns 1 if a figure misses its target.
    """
    options = _options()
    with tempfile.TemporaryDirectory(prefix="byline-bench-", dir=options.folder) as name:
        folder = Path(name)
        passages = held_out(folder)
        with Started(folder, {}) as system:
            ceiling = _load("bulk", scenario.load("bulk"), system, passages)
            quiet = _load("live", LIVE, system, passages)
            alone = _write(folder / "alone.jsonl", passages, options.rows)
            job = _alone(system, alone)
            beside = _write(folder / "beside.jsonl", passages, options.rows)
            live, rows = _beside(system, beside, passages)
    figures = [
        (f"bulk ceiling {ceiling.totals.throughput:,.0f} messages/s", True),
        rate_line(options.rows, job.seconds, job.cpu_s, ceiling.totals.throughput),
        memory_line(job.pss),
        live_line(live, rows, quiet.latency.p95_ms),
    ]
    for line, reached in figures:
        print(line if reached else f"{line}: MISSED")
    return 0 if all(reached for _, reached in figures) else 1


def rate_line(rows: int, seconds: float, cpu_s: float, ceiling: float) -> tuple[str, bool]:
    """Returns a text on a job's rate and CPU time, and whether the rate reaches its target.

    The job attributed ``rows`` rows in ``seconds`` seconds, with ``cpu_s`` seconds of CPU time.
    ``ceiling`` is the messages/s of bulk HTTP requests. The target is the share
    ``SHARE`` of this ceiling.
    """
    rate, cpu_us = rows / seconds, 1e6 * cpu_s / rows
    line = f"job alone {rate:,.0f} rows/s, {cpu_us:.0f} us of CPU a row in the job's process"
    share = rate / ceiling
    return f"{line}: {share:.2f} of the bulk ceiling (target {SHARE})", share >= SHARE


def live_line(live: Run, rows: float, quiet_ms: float) -> tuple[str, bool]:
    """Returns a text on live messages beside a job, and whether they reach their target.

    The target is a P95 latency of at most ``P95_MS``, and no failed message. ``live`` is the report
    of the live messages. ``rows`` is the job's rate in rows a second. ``quiet_ms`` is the P95
    latency of live messages without a job.
    """
    p95_ms, failed = live.latency.p95_ms, sum(live.totals.failed.values())
    line = f"beside a job of {rows:,.0f} rows/s, {live.totals.throughput:,.0f} live messages/s"
    line = f"{line}: P95 {p95_ms:.0f} ms (alone {quiet_ms:.0f} ms, target {P95_MS:g} ms)"
    line = f"{line}, {failed} failed"
    return line, p95_ms <= P95_MS and not failed


def memory_line(sizes: list[int]) -> tuple[str, bool]:
    """Returns a text on a job's memory, and whether the memory varies by at most ``RANGE_MB``.

    ``sizes`` are samples of the memory, in bytes.
    """
    if not sizes:
        return "the job was too short to tell its memory: use more --rows", False
    low, high = min(sizes) / 1e6, max(sizes) / 1e6
    line = f"PSS of the job {low:.1f} to {high:.1f} MB in {len(sizes)} samples"
    return f"{line} (target: a range of {RANGE_MB:g} MB)", high - low <= RANGE_MB


def _load(name: str, wanted: Scenario, system: Started, passages: Path) -> Run:
    done = run(name, wanted, system, Observed("Byline"), passages, lambda _: None)
    if done.interrupted:
        raise KeyboardInterrupt
    return done


def _write(path: Path, passages: Path, rows: int) -> Path:
    """Writes ``rows`` messages to the file ``path`` as JSON lines, and returns ``path``.

    The messages are made from ``passages``. No other load has sent the same messages.
    """
    texts = [passage.text for passage in read(passages)]
    first = time.time_ns() // 10**6 + 10**6
    with path.open("w") as file:
        for row in range(rows):
            turn, index = divmod(row, len(texts))
            fields = {"text": variant(texts[index], first + turn), "id": row}
            file.write(json.dumps(fields) + "\n")
    return path


@contextmanager
def _started(system: Started, data: Path, log: Path) -> Iterator[Job]:
    out = data.with_suffix(".out.jsonl")
    command = [sys.executable, "-X", "utf8", "-m", "celery_app.file_job"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--data", str(data), "--out", str(out)],
            cwd=ROOT,
            env={**os.environ, "BYLINE_REDIS_URL": system.redis},
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield Job(process, time.monotonic())
    finally:
        process.kill()
        process.wait()


def _alone(system: Started, data: Path) -> Job:
    """Runs a job on the file ``data``, and returns the job after its end.

    Raises:
        NotRunning: the job failed.
    """
    log = data.with_suffix(".log")
    with _started(system, data, log) as job:
        _until(lambda: not job.look())
        if job.process.returncode:
            raise NotRunning(f"the job failed: {log.read_text()}")
    return job


def _beside(system: Started, data: Path, passages: Path) -> tuple[Run, float]:
    """Sends live messages while a job attributes the file ``data``, and then stops the job.

    Returns the report of the live messages, and the job's rate in rows a second.

    Raises:
        NotRunning: the job ended before the live messages did.
    """
    log, part = data.with_suffix(".log"), data.with_suffix(".out.jsonl.part")
    with _started(system, data, log) as job:
        _until(lambda: not job.look() or (part.exists() and part.stat().st_size > 0))
        live = _load("live", LIVE, system, passages)
        if not job.look():
            raise NotRunning(f"the job ended too soon: use more --rows: {log.read_text()}")
        job.process.terminate()  # a program in the background may ignore Ctrl-C
        job.process.wait()
    with part.open("rb") as lines:
        return live, sum(1 for _ in lines) / job.seconds


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(LOOK_S)  # between two samples


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.file_job", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each file (%(default)s)")
    parser.add_argument("--folder", type=Path, help="for the files, 2 KB a row (the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(status("bench.file_job", main))

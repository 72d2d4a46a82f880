"""Runs one load test: starts the load generator, samples the system, and makes the report.

A sample has the memory and the CPU time of the system under load.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench.load import generator
from bench.load.beside import greedy
from bench.load.generator import Job, Progress, Record
from bench.load.http_client import Target
from bench.load.scenario import Scenario
from bench.report.results import Run
from bench.report.summary import Observed, summarise, totals
from bench.system.usage import Meter

#: Seconds between two samples of memory and CPU time.
LOOK_S = 1.0
#: Seconds within which the generator has to end by itself. After this time, it is killed.
GRACE_S = 60.0


class System(Protocol):
    """A system under load: Byline, or a serving system that Byline is compared with (a peer)."""

    target: Target
    redis: str

    def parts(self) -> Any:
        """Returns a mapping from each part's name to the list of its process ids."""

    def batches(self) -> dict[float, int] | None:
        """Returns how many batches the model has computed, by batch size; None if unknown.

        Batch sizes are counted in ranges, as in a histogram. A key is the upper bound of a range.
        """


def held_out(folder: Path) -> Path:
    """Writes a file of passages that are not in the training data of Byline's models.

    A passage is a text whose author is known. Returns the path of the file, which is in ``folder``.
    """
    path = folder / "held-out.jsonl"
    subprocess.run([sys.executable, "-m", "model.heldout", str(path)], check=True)
    return path


def run(
    name: str,
    scenario: Scenario,
    system: System,
    observed: Observed,
    passages: Path,
    show: Callable[[Progress], None],
    variant: int | None = None,
) -> Run:
    """Runs the load of ``scenario`` against ``system``, and returns the report of the run.

    The file ``passages`` has texts and their authors. A new message is a variant of a text: the
    text without two of its words. Variants have numbers, and ``variant`` is the first number; None
    takes it from the clock. ``observed`` collects samples of the system. ``show`` gets the load's
    counts each second.

    Ctrl-C ends the load early. The report then covers the seconds so far, and says that the run was
    interrupted.

    Raises:
        RuntimeError: the load generator died.
    """
    # If ``variant`` is None, the number comes from the clock, so that two runs send different new
    # messages.
    first = time.time_ns() // 10**6 if variant is None else variant
    job = Job(scenario, system.target, system.redis, passages, first)
    with greedy(job) as other:
        run = _measured(name, job, system, observed, show)
    if other.record is None:
        return run
    return msgspec.structs.replace(run, beside=totals(other.record))


def _measured(
    name: str, job: Job, system: System, observed: Observed, show: Callable[[Progress], None]
) -> Run:
    before = system.batches()
    meter = Meter(system.parts)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=generator.main, args=(job, theirs), name="generator"
    )
    process.start()
    theirs.close()
    interrupted = False
    try:
        while True:
            try:
                record = _follow(ours, meter, observed, show)
                break
            except KeyboardInterrupt:
                interrupted = True
                process.terminate()  # on SIGTERM the generator ends the load, and sends its record
    finally:
        process.join(GRACE_S)
        process.kill()
    observed.batches = _difference(before, system.batches())
    return summarise(name, job.scenario, record, observed, interrupted)


def _follow(
    pipe: Pipe, meter: Meter, observed: Observed, show: Callable[[Progress], None]
) -> Record:
    look_at = time.monotonic()
    while True:
        if pipe.poll(max(0.0, look_at - time.monotonic())):
            try:
                report = pipe.recv()
            except EOFError:
                raise RuntimeError("the load generator died, see above") from None
            if isinstance(report, Record):
                return report
            show(report)
        elif time.monotonic() >= look_at:
            observed.samples.append(meter.sample())
            look_at += LOOK_S


def _difference(
    before: dict[float, int] | None, after: dict[float, int] | None
) -> dict[str, int] | None:
    if before is None or after is None:
        return None
    grown = {bound: count - before.get(bound, 0) for bound, count in after.items()}
    return {f"{bound:g}": count for bound, count in grown.items() if count}

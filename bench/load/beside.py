"""Runs a second load beside the measured load: a client that sends as much as it can."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import msgspec

from bench.load import generator
from bench.load.generator import Job, Record
from bench.load.scenario import Beside

#: The API key of the measured load. The key is made for the load test, and is not secret.
MEASURED = "key-of-the-measured-load"
#: The API key of the second load. The key is made for the load test, and is not secret.
GREEDY = "key-of-the-greedy-load"
#: Number of messages whose requests are rendered before the second load begins. Further requests
#: are rendered while the load runs.
READY = 16_384
#: Seconds that the second load may take to begin.
BEGIN_S = 60.0
#: Seconds that the second load may take to end.
END_S = 60.0


@dataclass(slots=True)
class Greedy:
    """The result of the second load.

    ``record`` is None until the second load has ended. If the scenario has no second load,
    ``record`` stays None.
    """

    record: Record | None = None


def write_keys(folder: Path) -> Path:
    """Writes a file with the hashes of two API keys: the measured load's, and the second load's.

    Returns the file's path, for the setting ``BYLINE_KEYS_FILE``.
    """
    path = folder / "keys.txt"
    keys = {"measured": MEASURED, "greedy": GREEDY}
    lines = (f"{name} sha256:{sha256(key.encode()).hexdigest()}\n" for name, key in keys.items())
    path.write_text("".join(lines))
    return path


@contextmanager
def greedy(job: Job) -> Iterator[Greedy]:
    """Runs the second load of the job's scenario, if there is one, during a ``with`` block.

    After the block, the yielded object has the second load's record.

    Raises:
        RuntimeError: the second load did not begin, or died.
    """
    result, beside = Greedy(), job.scenario.beside
    if beside is None:
        yield result
        return
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=generator.main, args=(_job(job, beside), theirs), name="greedy"
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(BEGIN_S):
            raise RuntimeError(f"the greedy load did not begin within {BEGIN_S:g} s")
        yield result
        process.terminate()  # on SIGTERM the generator ends the load, and sends its record
        result.record = _record(ours)
    finally:
        process.kill()
        process.join()


def _job(job: Job, beside: Beside) -> Job:
    scenario = msgspec.structs.replace(
        job.scenario,
        rate=None,
        connections=beside.connections,
        bulk=beside.bulk,
        seconds=job.scenario.seconds + BEGIN_S,
        warmup_seconds=0.0,
        deadline_ms=None,
        beside=None,
    )
    target = job.target._replace(key=GREEDY)
    # With another run number, the second load does not send the messages of the measured load.
    return replace(job, scenario=scenario, target=target, run=job.run + 10**6, ready=READY)


def _record(pipe: Pipe) -> Record:
    with suppress(EOFError):
        while pipe.poll(END_S):
            report = pipe.recv()
            if isinstance(report, Record):
                return report
    raise RuntimeError("the greedy load died, see above")

"""A second load beside the one that is measured: a key that asks for all it can get."""

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

#: The API keys of the two loads, which are a load test's own and no secrets.
MEASURED, GREEDY = "key-of-the-measured-load", "key-of-the-greedy-load"
#: Messages that are ready before it begins: what it sends after them is drawn as it goes.
READY = 16_384
#: Seconds until it has begun, and until it has ended, at most.
BEGIN_S, END_S = 60.0, 60.0


@dataclass(slots=True)
class Greedy:
    """What became of the second load, once it has ended."""

    record: Record | None = None


def write_keys(folder: Path) -> Path:
    """Writes the file with both keys, as ``BYLINE_KEYS_FILE`` names it, and returns its path."""
    path = folder / "keys.txt"
    keys = {"measured": MEASURED, "greedy": GREEDY}
    lines = (f"{name} sha256:{sha256(key.encode()).hexdigest()}\n" for name, key in keys.items())
    path.write_text("".join(lines))
    return path


@contextmanager
def greedy(job: Job) -> Iterator[Greedy]:
    """Runs the second load of a scenario, if it has one, from before the block to its end.

    Raises:
        RuntimeError: it did not begin, or died.
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
            raise RuntimeError("the greedy load has not begun in time")
        yield result
        process.terminate()  # it takes that as: send no more, and tell what there is
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
    # Other messages than those of the measured load.
    return replace(job, scenario=scenario, target=target, run=job.run + 10**6, ready=READY)


def _record(pipe: Pipe) -> Record:
    with suppress(EOFError):
        while pipe.poll(END_S):
            said = pipe.recv()
            if isinstance(said, Record):
                return said
    raise RuntimeError("the greedy load died, see above")

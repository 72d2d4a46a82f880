"""What a load test found: the report's JSON, one object a run."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.load.scenario import Scenario

#: Version of the JSON below.
FORMAT = 1


class Machine(msgspec.Struct, frozen=True):
    """Where it ran."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str


class Totals(msgspec.Struct, frozen=True):
    """What was sent and what came back, in messages; a bulk request counts as its messages."""

    requests: int
    sent: int
    #: With an attribution.
    answered: int
    #: Of those, from the cache.
    cached: int
    #: Without one: how many by the reason, an error's code or what broke the connection.
    failed: dict[str, int]
    #: Answered messages per second.
    throughput: float


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from the moment a request was due until its answer was read."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    #: The HDR histogram, in microseconds, in the interchange format that its libraries share.
    hdr: str


class Second(msgspec.Struct, frozen=True):
    """One second of the run. Requests are counted in the second in which they were due."""

    #: Seconds since the measuring began.
    at: float
    sent: int
    answered: int
    cached: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    #: Proportional set size by part, in bytes; shared pages are counted once. Empty where the
    #: parts are not ours to look at.
    pss: dict[str, int] = {}
    #: CPU time by part, in cores.
    cpu: dict[str, float] = {}


class Quality(msgspec.Struct, frozen=True):
    """How right the answers were; the true authors are known."""

    messages: int
    #: The most probable author is the true one: share, and its 95 % Wilson interval.
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    #: Share answered with an author, and of those, the share that is right.
    coverage: float
    accuracy_when_answered: float
    #: Expected calibration error, 15 bins.
    calibration_error: float
    #: The same two as measured when the model was trained; None where its card has none.
    card_accuracy: float | None
    card_coverage: float | None
    #: Is the card's accuracy within what chance allows? Two-sided, 1 in 1,000.
    agrees: bool | None


class Generator(msgspec.Struct, frozen=True):
    """What the load generator itself cost, and how well it kept to its schedule."""

    #: CPU time in cores: 0.1 is a tenth of one.
    cpu: float
    #: Milliseconds by which requests left later than they were due, 99th percentile; 0 in a
    #: closed loop, where nothing is due.
    late_p99_ms: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A report."""

    format: int = FORMAT
    #: The scenario's name, and the system under load: ``Byline``, or a peer's name.
    name: str
    system: str
    #: ISO 8601, UTC.
    started: str
    scenario: Scenario
    machine: Machine
    #: Seconds measured; fewer than the scenario's where ``interrupted``.
    seconds: float
    interrupted: bool
    model_version: str | None
    totals: Totals
    latency: Latency
    #: Pairs of percentile (0 to 100) and milliseconds, ascending, for the plot.
    curve: list[tuple[float, float]]
    timeline: list[Second]
    #: Batches of the worker by size: the upper bound of a size class, and how many. None where
    #: the system does not tell.
    batches: dict[str, int] | None
    #: Peak proportional set size by part, in bytes, at the moment of the highest sum.
    pss: dict[str, int]
    quality: Quality | None
    generator: Generator
    #: What the key got that asked for much meanwhile; None: there was none.
    beside: Totals | None = None
    #: Limits of the scenario that were not kept, in words. Empty: all were.
    broken_limits: list[str]


def read(path: Path) -> Run:
    """Reads a report. Raises ``OSError``, or ``ValueError`` where it is none."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no report: {error}") from None
    if run.format != FORMAT:
        raise ValueError(f"{path} is of format {run.format}, this reads format {FORMAT}")
    return run


def write(run: Run, path: Path) -> None:
    """Writes a report as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run)))

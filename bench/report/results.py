"""The report of one run of a load test: its structure, and functions to read and write its JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.load.scenario import Scenario

#: Version of the report's JSON format.
FORMAT = 1


class Machine(msgspec.Struct, frozen=True):
    """The machine that a run was measured on."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str


class Totals(msgspec.Struct, frozen=True):
    """The numbers of requests and messages in a run, by outcome, and the throughput.

    All numbers except ``requests`` count messages: a bulk request of 10 messages counts as 10.
    """

    requests: int
    sent: int
    #: Messages with an attribution.
    answered: int
    #: Answered messages whose attribution came from the cache.
    cached: int
    #: Messages without an attribution by the reason, such as an error's code.
    failed: dict[str, int]
    #: Answered messages per second.
    throughput: float


class Latency(msgspec.Struct, frozen=True):
    """The latency of a run: milliseconds from when a request was due until its answer was read."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    #: The HDR histogram in microseconds, in the interchange format of the HDR libraries.
    hdr: str


class Second(msgspec.Struct, frozen=True):
    """The figures of one second of a run. A request counts in the second in which it was due."""

    #: Seconds since the measurement began.
    at: float
    sent: int
    answered: int
    cached: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    #: Proportional set size by part, in bytes, so that shared pages count once. Empty if the
    #: processes of the parts are unknown.
    pss: dict[str, int] = {}
    #: CPU time by part, in cores.
    cpu: dict[str, float] = {}


class Quality(msgspec.Struct, frozen=True):
    """The quality of the answers, measured with the true authors."""

    messages: int
    #: Share of messages whose most probable author is the true author.
    accuracy: float
    #: Lower bound of the accuracy's 95 % Wilson interval.
    accuracy_low: float
    #: Upper bound of the accuracy's 95 % Wilson interval.
    accuracy_high: float
    #: Share of messages that got an author.
    coverage: float
    #: Share of right authors among the messages that got an author.
    accuracy_when_answered: float
    #: Expected calibration error, 15 bins.
    calibration_error: float
    #: The accuracy in the model's card, measured at training; None if the card has no accuracy.
    card_accuracy: float | None
    #: The coverage in the model's card, measured at training; None if the card has no coverage.
    card_coverage: float | None
    #: Whether the card's accuracy is within the 99.9 % interval; None without a card's accuracy.
    agrees: bool | None


class Generator(msgspec.Struct, frozen=True):
    """The load generator's CPU time, and how well it kept to its schedule."""

    #: CPU time in cores: 0.1 is a tenth of a core.
    cpu: float
    #: Milliseconds from when a request was due until it was sent, 99th percentile; 0 in a closed
    #: loop, which has no schedule.
    late_p99_ms: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one run of a load test."""

    format: int = FORMAT
    #: The scenario's name.
    name: str
    #: The system under load: ``Byline``, or a peer's name.
    system: str
    #: The start of the run, ISO 8601, UTC.
    started: str
    scenario: Scenario
    machine: Machine
    #: Seconds that were measured; fewer than the scenario's if the run was interrupted.
    seconds: float
    interrupted: bool
    model_version: str | None
    totals: Totals
    latency: Latency
    #: Pairs of percentile (0 to 100) and milliseconds, ascending, for the plot.
    curve: list[tuple[float, float]]
    timeline: list[Second]
    #: The worker's batches by the upper bound of their size class; None if they are unknown.
    batches: dict[str, int] | None
    #: Proportional set size by part, in bytes, at the moment of the highest sum.
    pss: dict[str, int]
    quality: Quality | None
    generator: Generator
    #: The counts of the second API key's load; None if there was no second load.
    beside: Totals | None = None
    #: Texts on the scenario's limits that the run broke; empty if the run broke no limit.
    broken_limits: list[str]


def read(path: Path) -> Run:
    """Reads the report of a run.

    Raises:
        OSError: the file can't be read.
        ValueError: the file is not a report, or has another format.
    """
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no report: {error}") from None
    if run.format != FORMAT:
        raise ValueError(f"{path} is of format {run.format}, this reads format {FORMAT}")
    return run


def write(run: Run, path: Path) -> None:
    """Writes the report of a run as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run)))

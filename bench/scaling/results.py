"""The results of a scaling study: the structure of its JSON, and figures computed from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

import msgspec

from bench.report.results import Machine
from bench.scaling.redis_usage import Cost

Item = TypeVar("Item")

#: Version of the study's JSON format.
FORMAT = 1
#: The kinds of parts whose CPU time is shown separately.
KINDS = ("api", "worker", "valkey")
#: The kind of all other parts.
REST = "rest"


class Round(msgspec.Struct, frozen=True):
    """The figures of one load in one round of the study."""

    throughput: float
    p95_ms: float
    failed: int
    #: CPU time in cores, by kind of part. All workers together are one kind.
    cpu: dict[str, float]
    #: CPU time of other programs on the machine, in cores.
    others: float


class Point(msgspec.Struct, frozen=True):
    """The figures of one load on ``count`` workers or api processes, in all rounds."""

    load: str
    count: int
    rounds: list[Round]

    @property
    def throughput(self) -> float:
        """The throughput in messages/s, the median of the rounds."""
        return self.middle(lambda each: each.throughput)

    @property
    def spread(self) -> tuple[float, float]:
        """The throughput in messages/s of the slowest and of the fastest round."""
        found = [each.throughput for each in self.rounds]
        return min(found), max(found)

    def cores(self, kind: str) -> float:
        """Returns how many cores all parts of a kind, such as ``worker``, keep busy together."""
        return self.middle(lambda each: each.cpu.get(kind, 0.0))

    def microseconds(self, kind: str) -> float:
        """Returns the CPU time of all parts of a kind, in microseconds for each message."""
        return self.middle(lambda each: 1e6 * each.cpu.get(kind, 0.0) / each.throughput)

    def middle(self, figure: Callable[[Round], float]) -> float:
        """Calls ``figure`` for each round, and returns the median of the results."""
        return median(map(figure, self.rounds))


class Usage(msgspec.Struct, frozen=True):
    """What one message costs Valkey under one load, measured in each round of the study."""

    load: str
    rounds: list[Cost]


class Replay(msgspec.Struct, frozen=True):
    """The CPU time that Valkey took to replay the recorded commands of one load."""

    load: str
    #: Messages whose commands were recorded.
    messages: int
    #: Commands that were recorded.
    commands: int
    #: CPU seconds that Valkey's command thread took, one number for each replay.
    seconds: list[float]

    @property
    def ceiling(self) -> float:
        """The messages/s at which the thread that runs Valkey's commands uses its whole core."""
        return self.messages / median(self.seconds)


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """All results of a scaling study."""

    format: int = FORMAT
    #: The end of the study, ISO 8601, UTC.
    ended: str
    machine: Machine
    #: Seconds for which each load was measured.
    seconds: float
    workers: list[Point]
    api: list[Point]
    redis: list[Usage]
    replays: list[Replay]


def rotated(items: Sequence[Item], number: int) -> list[Item]:
    """Returns the items for round ``number``, rotated: each round begins with another item."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


def by_kind(cpu: Mapping[str, float]) -> dict[str, float]:
    """Returns the number of busy cores for each kind of part.

    ``cpu`` maps each part to the number of cores that the part keeps busy. Parts such as
    ``worker-1`` and ``worker-2`` are of the kind ``worker``. The kinds are those in ``KINDS``, and
    ``REST`` for all other parts.
    """
    found: dict[str, float] = {}
    for part, cores in cpu.items():
        name = part.partition("-")[0]
        kind = name if name in KINDS else REST
        found[kind] = found.get(kind, 0.0) + cores
    return found


def speed_ups(points: Sequence[Point]) -> list[float]:
    """Returns the speed-up of each point.

    A speed-up is the point's throughput, divided by the throughput of the same load on the fewest
    workers or api processes.
    """
    fewest = {}
    for point in sorted(points, key=lambda point: -point.count):
        fewest[point.load] = point.throughput
    return [point.throughput / fewest[point.load] for point in points]

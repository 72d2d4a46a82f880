"""What a scaling study found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

import msgspec

from bench.report.results import Machine
from bench.scaling.redis_usage import Cost

Item = TypeVar("Item")

#: Version of the JSON below.
FORMAT = 1
#: Parts whose CPU is told; all others are the rest.
KINDS = ("api", "worker", "valkey")
REST = "rest"


class Round(msgspec.Struct, frozen=True):
    """One load, once."""

    throughput: float
    p95_ms: float
    failed: int
    #: CPU time in cores, by kind of part; all workers together.
    cpu: dict[str, float]
    #: CPU time of what has nothing to do with it, in cores: what a machine does besides.
    others: float


class Point(msgspec.Struct, frozen=True):
    """One load on so many workers, or api processes."""

    load: str
    count: int
    rounds: list[Round]

    @property
    def throughput(self) -> float:
        """Messages/s, the median of the rounds."""
        return self.middle(lambda each: each.throughput)

    @property
    def spread(self) -> tuple[float, float]:
        """Messages/s of the slowest round and of the fastest."""
        found = [each.throughput for each in self.rounds]
        return min(found), max(found)

    def cores(self, kind: str) -> float:
        """Returns the CPU time of a kind of part, in cores."""
        return self.middle(lambda each: each.cpu.get(kind, 0.0))

    def microseconds(self, kind: str) -> float:
        """Returns the CPU time of a kind of part for each message."""
        return self.middle(lambda each: 1e6 * each.cpu.get(kind, 0.0) / each.throughput)

    def middle(self, figure: Callable[[Round], float]) -> float:
        """Returns the median of a figure over the rounds."""
        return median(map(figure, self.rounds))


class Usage(msgspec.Struct, frozen=True):
    """What one load cost Valkey, round by round."""

    load: str
    rounds: list[Cost]


class Replay(msgspec.Struct, frozen=True):
    """What Valkey took for recorded commands that were sent again."""

    load: str
    #: In what was recorded.
    messages: int
    commands: int
    #: CPU seconds of the thread that runs commands, of each time.
    seconds: list[float]

    @property
    def ceiling(self) -> float:
        """Messages/s at which the thread has used up its core."""
        return self.messages / median(self.seconds)


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    format: int = FORMAT
    #: ISO 8601, UTC.
    ended: str
    machine: Machine
    #: Of each load.
    seconds: float
    workers: list[Point]
    api: list[Point]
    redis: list[Usage]
    replays: list[Replay]


def rotated(items: Sequence[Item], number: int) -> list[Item]:
    """Returns the items, beginning with another one in each round."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


def by_kind(cpu: Mapping[str, float]) -> dict[str, float]:
    """Returns the CPU time by kind of part: workers together, and what only watches."""
    found: dict[str, float] = {}
    for part, cores in cpu.items():
        name = part.partition("-")[0]
        kind = name if name in KINDS else REST
        found[kind] = found.get(kind, 0.0) + cores
    return found


def speed_ups(points: Sequence[Point]) -> list[float]:
    """Returns how many times as fast each point is as that of its load with the fewest parts."""
    fewest = {}
    for point in sorted(points, key=lambda point: -point.count):
        fewest[point.load] = point.throughput
    return [point.throughput / fewest[point.load] for point in points]

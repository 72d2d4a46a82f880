"""What a load costs its Redis, and how much of it one server can take."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from statistics import median
from typing import Any

import msgspec
from redis import Redis

#: One server may be so busy, as a share of its one core: beyond, what waits grows fast.
BUSY = 0.7
#: How often a command must run, for each message, to be shown by its name.
SHOWN = 0.01
#: Each task that a worker takes is noted once, with this command.
TAKEN = "hset"


class Counters(msgspec.Struct, frozen=True):
    """What a server counted: until a moment, or between two."""

    #: Seconds: of a monotonic clock, or passed.
    seconds: float
    #: Commands by name. What a script runs counts as well as the script.
    calls: dict[str, int]
    #: CPU seconds of the thread that runs all commands, and of the whole server.
    main_s: float
    all_s: float
    #: Bytes that came in and went out.
    traffic: int


class Cost(msgspec.Struct, frozen=True):
    """What one message cost, less what the system does when idle."""

    messages: int
    #: Answered messages per second.
    throughput: float
    #: Commands by name, for each message.
    calls: dict[str, float]
    #: CPU in microseconds: of the thread that runs all commands, and of the whole server.
    main_us: float
    all_us: float
    #: Bytes in and out.
    traffic: float

    @property
    def commands(self) -> float:
        """Commands for each message."""
        return sum(self.calls.values())

    @property
    def per_task(self) -> float:
        """Messages in a task; infinite where there was none."""
        taken = self.calls.get(TAKEN, 0.0)
        return 1 / taken if taken else math.inf

    @property
    def saturation(self) -> float:
        """Messages/s at which the one thread has used up its core."""
        return 1e6 / self.main_us


def counters(client: Redis) -> Counters:
    """Returns what the server counted until now."""
    stats: dict[str, Any] = client.info("commandstats")
    cpu: dict[str, float] = client.info("cpu")
    net: dict[str, int] = client.info("stats")
    return Counters(
        time.monotonic(),
        {name.removeprefix("cmdstat_"): found["calls"] for name, found in stats.items()},
        sum(cpu[f"used_cpu_{kind}_main_thread"] for kind in ("sys", "user")),
        # Its children rewrite the append-only file.
        sum(cpu[f"used_cpu_{kind}"] for kind in ("sys", "user", "sys_children", "user_children")),
        net["total_net_input_bytes"] + net["total_net_output_bytes"],
    )


def between(before: Counters, after: Counters) -> Counters:
    """Returns what was counted meanwhile."""
    return Counters(
        after.seconds - before.seconds,
        {name: calls - before.calls.get(name, 0) for name, calls in after.calls.items()},
        after.main_s - before.main_s,
        after.all_s - before.all_s,
        after.traffic - before.traffic,
    )


def cost(load: Counters, idle: Counters, messages: int, throughput: float) -> Cost:
    """Returns what each of ``messages`` cost, less what ``idle`` parts do in the same time."""
    share = load.seconds / idle.seconds

    def each(loaded: float, resting: float) -> float:
        return max(0.0, loaded - resting * share) / messages

    return Cost(
        messages,
        throughput,
        {name: each(calls, idle.calls.get(name, 0)) for name, calls in load.calls.items()},
        1e6 * each(load.main_s, idle.main_s),
        1e6 * each(load.all_s, idle.all_s),
        each(load.traffic, idle.traffic),
    )


def middle(costs: Iterable[Cost]) -> Cost:
    """Returns the medians of several rounds, figure by figure."""
    rounds = list(costs)
    names = {name: None for each in rounds for name in each.calls}
    return Cost(
        round(median(each.messages for each in rounds)),
        median(each.throughput for each in rounds),
        {name: median(each.calls.get(name, 0.0) for each in rounds) for name in names},
        median(each.main_us for each in rounds),
        median(each.all_us for each in rounds),
        median(each.traffic for each in rounds),
    )


def shards(rate: float, saturation: float) -> int:
    """Returns how many servers ``rate`` messages/s need where none may be busier than ``BUSY``."""
    return math.ceil(rate / (BUSY * saturation))

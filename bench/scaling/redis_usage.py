"""Computes what a message costs Valkey, and how many messages/s one Valkey can take.

The cost is the number of commands, the CPU time, and the bytes received and sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from statistics import median
from typing import Any

import msgspec
from redis import Redis

#: Share of its one core that a Valkey server may use. Above this share, the queue of commands grows
#: fast.
BUSY = 0.7
#: The table shows a command if a message causes more than this number of its calls.
SHOWN = 0.01
#: The command that runs exactly once for each task that a worker takes.
TAKEN = "hset"


class Counters(msgspec.Struct, frozen=True):
    """The counters of a Valkey at one moment, or their growth between two moments."""

    #: Seconds of the monotonic clock at the moment, or between the two moments.
    seconds: float
    #: Number of calls, by command. A script counts, and so does each command that the script runs.
    calls: dict[str, int]
    #: CPU seconds of the thread that runs all commands.
    main_s: float
    #: CPU seconds of the whole server.
    all_s: float
    #: Bytes received and sent.
    traffic: int


class Cost(msgspec.Struct, frozen=True):
    """The commands, CPU time and traffic that one message costs Valkey.

    The work that an idle Byline causes is not included.
    """

    messages: int
    #: Answered messages per second.
    throughput: float
    #: Calls for each message, by command.
    calls: dict[str, float]
    #: CPU time in microseconds of the thread that runs all commands.
    main_us: float
    #: CPU time in microseconds of the whole server.
    all_us: float
    #: Bytes received and sent.
    traffic: float

    @property
    def commands(self) -> float:
        """The number of commands that Valkey runs for each message."""
        return sum(self.calls.values())

    @property
    def per_task(self) -> float:
        """The mean number of messages in a task; infinite if there was no task."""
        taken = self.calls.get(TAKEN, 0.0)
        return 1 / taken if taken else math.inf

    @property
    def saturation(self) -> float:
        """The messages/s at which the thread that runs Valkey's commands uses its whole core."""
        return 1e6 / self.main_us


def counters(client: Redis) -> Counters:
    """Returns the present counters of the Valkey to which ``client`` is connected."""
    stats: dict[str, Any] = client.info("commandstats")
    cpu: dict[str, float] = client.info("cpu")
    net: dict[str, int] = client.info("stats")
    return Counters(
        time.monotonic(),
        {name.removeprefix("cmdstat_"): found["calls"] for name, found in stats.items()},
        sum(cpu[f"used_cpu_{kind}_main_thread"] for kind in ("sys", "user")),
        # The server's child processes rewrite the append-only file.
        sum(cpu[f"used_cpu_{kind}"] for kind in ("sys", "user", "sys_children", "user_children")),
        net["total_net_input_bytes"] + net["total_net_output_bytes"],
    )


def between(before: Counters, after: Counters) -> Counters:
    """Returns how much each counter has grown from ``before`` to ``after``."""
    return Counters(
        after.seconds - before.seconds,
        {name: calls - before.calls.get(name, 0) for name, calls in after.calls.items()},
        after.main_s - before.main_s,
        after.all_s - before.all_s,
        after.traffic - before.traffic,
    )


def cost(load: Counters, idle: Counters, messages: int, throughput: float) -> Cost:
    """Returns what one message of a load costs Valkey, without the work of an idle system.

    ``load`` and ``idle`` are the growth of Valkey's counters under the load and in an idle system.
    ``messages`` is the number of answered messages. ``throughput`` is the number of answered
    messages per second.
    """
    # Scales ``idle`` to the load's duration.
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
    """Returns a cost whose figures are medians over ``costs``, the costs of several rounds."""
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
    """Returns how many Valkey servers are needed for ``rate`` messages/s.

    Each server uses at most the share ``BUSY`` of its core. ``saturation`` is the messages/s at
    which one Valkey is fully busy.
    """
    return math.ceil(rate / (BUSY * saturation))

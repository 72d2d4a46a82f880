"""Measures the memory that Byline uses on a machine, by component, and compares it with limits.

All sizes are in bytes.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import Redis, RedisError

from monitoring.instruments import processes
from monitoring.state.machine_memory import Level, Memory

logger = logging.getLogger(__name__)

#: A memory level ends when the memory in use falls below this share of the level's limit. Without
#: this gap, a level would begin and end again and again.
END_SHARE = 0.97
#: Host names of Redis that mean this machine.
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """The bytes of used memory at which the levels "warning" and "critical" begin."""

    warning: int
    critical: int

    @classmethod
    def of(cls, total: float, warning: float, critical: float) -> Limits:
        """Returns the limits for a machine on which Byline may use ``total`` bytes of memory.

        The parameters ``warning`` and ``critical`` are the shares of ``total``, from 0 to 1, at
        which the two levels begin.
        """
        return cls(round(total * warning), round(total * critical))

    def level(self, used: int, before: Level) -> Level:
        """Returns the memory level when ``used`` bytes of memory are in use.

        ``before`` is the level of the last measurement. A level begins at its limit, but ends only
        when ``used`` falls below :data:`END_SHARE` times this limit.
        """
        critical = self.critical * (END_SHARE if before == "critical" else 1)
        warning = self.warning * (END_SHARE if before != "ok" else 1)
        return "critical" if used >= critical else "warning" if used >= warning else "ok"


class MemoryMeter:
    """Measures the memory of Byline's processes and of Redis on one machine."""

    def __init__(
        self,
        root: int,
        redis: Redis,
        url: str,
        limits: Limits,
        family: Callable[[int], list[int]] = processes.family,
        sum_of: Callable[..., int] = processes.sum_of,
        contained: bool = False,
    ) -> None:
        """Sets what to measure: the process with the id ``root``, its descendants, and ``redis``.

        ``url`` is the address of ``redis``. ``contained`` is true if Byline's other processes, and
        Redis, run in other containers on this machine.
        """
        self._root = root
        self._redis = redis
        self._contained = contained
        local_hosts = (*_LOCAL_HOSTS, socket.gethostname())
        self._redis_is_here = contained or (urlsplit(url).hostname or "") in local_hosts
        self.limits = limits
        self._family = family
        self._sum_of = sum_of
        self._level: Level = "ok"
        #: Redis's last reply to INFO.
        self._redis_info: Mapping[str, Any] = {}

    def measure(self, devices: Mapping[str, int], reported: int = 0) -> Memory:
        """Measures the memory in use, and returns it with its level and its limits.

        ``devices`` has the bytes that workers hold on accelerators, by kind of accelerator.
        ``reported`` is the number of bytes that processes in other containers report. It counts
        only if Byline runs in containers.
        """
        try:
            self._redis_info = self._redis.info()
        except RedisError as error:
            # Then the last figures that Redis gave are used.
            logger.warning("Redis does not report its memory: %s", error)
        ours = set(self._family(self._root))
        if self._redis_is_here and not self._contained and "process_id" in self._redis_info:
            # Redis's descendants include the child process that rewrites the append-only
            # file. This process shares memory pages with Redis.
            ours -= set(self._family(self._redis_info["process_id"]))
        app = self._sum_of(ours)
        if self._contained:
            # The monitor can't see the other containers' processes. They report their memory.
            app += reported
        else:
            # Metal's memory is memory of the machine, and is already counted in the process that
            # holds it.
            app = max(0, app - devices.get("mps", 0))
        components = {
            "app": app,
            "redis": int(self._redis_info.get("used_memory_rss", 0)),
            **devices,
        }
        # The memory of a Redis on another machine is shown, but does not count against the limits.
        counted = ("app", "mps", *(("redis",) if self._redis_is_here else ()))
        used = sum(components.get(name, 0) for name in counted)
        self._level = self.limits.level(used, self._level)
        limits = {"warning": self.limits.warning, "critical": self.limits.critical}
        return Memory(self._level, components, used, limits)

"""Measures how much of a machine's memory Byline takes, by component, and compares with the limits.

All sizes are in bytes. A GiB is 2^30 bytes, as memory is sold: of 48 GiB, 70 % and 85 % are 33.6
and 40.8 GiB.
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
from monitoring.state.pressure import Level, Memory

logger = logging.getLogger(__name__)

#: Share of its limit below which a level ends. Without the gap, a level would begin and end again
#: and again.
END_SHARE = 0.97
#: Host names of Redis that mean this machine.
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the levels warning and critical begin, in bytes."""

    warning: int
    critical: int

    @classmethod
    def of(cls, total: float, warning: float, critical: float) -> Limits:
        """Returns the limits of ``total`` bytes, from the shares at which the levels begin."""
        return cls(round(total * warning), round(total * critical))

    def level(self, used: int, before: Level) -> Level:
        """Returns the level at ``used`` bytes, where the last measurement's level is ``before``."""
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
        """``root`` is a process id: that process and its descendants are Byline's.

        ``url`` is the address of ``redis``. ``contained`` says that this process runs in a
        container and sees no other processes: the others, and Redis, run in other containers on
        this machine, and must report their memory themselves.
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
        """Returns the memory in use.

        ``devices`` is the memory that accelerators hold, by kind; ``reported`` is the memory that
        processes in other containers report. Both are in bytes.

        The memory of a Redis on another machine is shown, but does not count against the limits.
        Where Redis does not answer, its last figure is used.
        """
        try:
            self._redis_info = self._redis.info()
        except RedisError as error:
            logger.warning("Redis does not report its memory: %s", error)
        ours = set(self._family(self._root))
        if self._redis_is_here and not self._contained and "process_id" in self._redis_info:
            # Redis's family has the child that rewrites its file and shares its pages with Redis.
            ours -= set(self._family(self._redis_info["process_id"]))
        app = self._sum_of(ours)
        if self._contained:
            app += reported
        else:
            # Metal's memory is the machine's, and is already counted in the process that holds it.
            app = max(0, app - devices.get("mps", 0))
        components = {
            "app": app,
            "redis": int(self._redis_info.get("used_memory_rss", 0)),
            **devices,
        }
        counted = ("app", "mps", *(("redis",) if self._redis_is_here else ()))
        used = sum(components.get(name, 0) for name in counted)
        self._level = self.limits.level(used, self._level)
        limits = {"warning": self.limits.warning, "critical": self.limits.critical}
        return Memory(self._level, components, used, limits)

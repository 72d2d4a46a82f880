"""The memory monitor: what Byline takes of a machine, by component, against its limits.

All sizes are bytes, and a GiB is 2^30 of them, as memory is sold: of 48 GiB, 70 % and 85 % are
33.6 and 40.8 GiB.
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

#: A level is left only once so much less than its limit is used: or it comes and goes.
RECEDED = 0.97
_HERE = ("localhost", "127.0.0.1", "::1", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """Where warning and critical begin, in bytes."""

    warning: int
    critical: int

    @classmethod
    def of(cls, total: float, warning: float, critical: float) -> Limits:
        """Return the limits of ``total`` bytes, from the shares at which they begin."""
        return cls(round(total * warning), round(total * critical))

    def level(self, used: int, before: Level) -> Level:
        """Return the level at ``used`` bytes, a moment after it was ``before``."""
        critical = self.critical * (RECEDED if before == "critical" else 1)
        warning = self.warning * (RECEDED if before != "ok" else 1)
        return "critical" if used >= critical else "warning" if used >= warning else "ok"


class Scales:
    """Weighs the processes of one machine."""

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
        """All descendants of ``root`` are Byline's. ``url`` is that of ``redis``.

        ``contained``: this process sees none but its own. The others are in containers on this
        machine, and so is Redis; they have to tell what they take.
        """
        self._root = root
        self._redis = redis
        self._contained = contained
        self._here = contained or (urlsplit(url).hostname or "") in (*_HERE, socket.gethostname())
        self.limits = limits
        self._family = family
        self._sum_of = sum_of
        self._level: Level = "ok"
        #: What Redis said last.
        self._server: Mapping[str, Any] = {}

    def weigh(self, devices: Mapping[str, int], told: int = 0) -> Memory:
        """Return what is in use. ``devices`` is what accelerators hold, by their kind.

        ``told`` is what processes in other containers say that they take.

        A Redis on another machine is shown, and no part of what counts here; one that does not
        answer weighs what it did.
        """
        try:
            self._server = self._redis.info()
        except RedisError as error:
            logger.warning("Redis does not say what it takes: %s", error)
        ours = set(self._family(self._root))
        if self._here and not self._contained and "process_id" in self._server:
            # With it the child that rewrites its file, and shares its pages.
            ours -= set(self._family(self._server["process_id"]))
        app = self._sum_of(ours)
        if self._contained:
            app += told
        else:
            # Metal's memory is the machine's, and a part of the process that asked for it.
            app = max(0, app - devices.get("mps", 0))
        components = {
            "app": app,
            "redis": int(self._server.get("used_memory_rss", 0)),
            **devices,
        }
        counted = ("app", "mps", *(("redis",) if self._here else ()))
        used = sum(components.get(name, 0) for name in counted)
        self._level = self.limits.level(used, self._level)
        limits = {"warning": self.limits.warning, "critical": self.limits.critical}
        return Memory(self._level, components, used, limits)

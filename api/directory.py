"""Which model is served, and by how many workers: what the workers have announced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from redis import Redis, RedisError

from monitoring import pressure
from monitoring.pressure import Level
from tasks.errors import NoModel
from tasks.messages import ALIVE_S, MODEL, WORKERS, Announcement

logger = logging.getLogger(__name__)

#: Seconds for which what was read is believed before it is read again; and that there is none.
FRESH_S = 1.0
NONE_YET_S = 0.1
#: Seconds after which a server that has not answered is said to be silent.
SILENT_S = 3.0

_decode = msgspec.json.Decoder(Announcement).decode


class State(NamedTuple):
    """How a server was when it was looked at last."""

    #: Monotonic, in seconds.
    at: float
    words: str


class Directory:
    """Looks at broker and cache once a second. Keeps the announcement while the broker is gone.

    No request waits for a Redis here: each is told what was seen last.
    """

    def __init__(self, broker: Redis, cache: Redis, machine: str) -> None:
        self._memory = pressure.key(machine)
        self._broker = broker
        self._cache = cache
        self._known: Announcement | None = None
        self._raw: bytes | None = None
        self._workers: int | None = None
        self._pressure: Level = "ok"
        self._states: dict[str, State] = {}

    def start(self) -> None:
        """Look now, and from now on in threads of their own, one for each server."""
        for look in (self._look_at_broker, self._look_at_cache):
            look()
            threading.Thread(target=self._keep, args=(look,), name="directory", daemon=True).start()

    def current(self) -> Announcement:
        """Return the announcement of the model being served. Does not block.

        Raises:
            NoModel: no worker has announced one here.
        """
        if self._known is None:
            raise NoModel("no worker has announced a model yet")
        return self._known

    def states(self) -> dict[str, str]:
        """Return the state of each server, ``ok`` where it answers. Does not block."""
        now = time.monotonic()
        return {
            name: state.words
            if (silent_s := now - state.at - FRESH_S) < SILENT_S
            else f"silent for {silent_s:.0f} s"
            for name, state in self._states.items()
        }

    def workers(self) -> int | None:
        """Return how many workers are alive; None: the broker can't be asked. Does not block."""
        return self._workers

    def pressure(self) -> Level:
        """Return how full this machine's memory is, as its monitor says. Does not block."""
        return self._pressure

    def _keep(self, look: Callable[[], None]) -> None:
        while True:
            time.sleep(NONE_YET_S if self._known is None else FRESH_S)
            try:
                look()
            except Exception:  # a defect must not leave the process with what it knows now
                logger.exception("broker and cache can't be looked at")

    def _look_at_cache(self) -> None:
        try:
            self._cache.ping()
        except RedisError as error:
            self._note("cache", f"unreachable: {type(error).__name__}")
        else:
            self._note("cache", "ok")

    def _look_at_broker(self) -> None:
        try:
            self._workers = int(self._broker.zcount(WORKERS, time.time() - ALIVE_S, "+inf"))
            raw: Any
            told: Any
            raw, told = self._broker.mget(MODEL, self._memory)
        except RedisError as error:
            self._workers = None
            self._note("broker", f"unreachable: {type(error).__name__}")
            logger.warning("the model's announcement can't be read: %s", error)
            return
        self._note("broker", "ok")
        memory = pressure.read(told)
        self._pressure = memory.level if memory else "ok"
        try:
            if raw is not None and raw != self._raw:
                self._known, self._raw = _decode(raw), raw
        except msgspec.DecodeError as error:  # not written by a worker of this version
            logger.warning("the model's announcement makes no sense: %s", error)

    def _note(self, server: str, words: str) -> None:
        self._states[server] = State(time.monotonic(), words)

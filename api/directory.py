"""Which model is served, and by how many workers: what the workers have announced."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import msgspec
from redis import Redis, RedisError

from tasks.errors import NoModel
from tasks.messages import ALIVE_S, MODEL, WORKERS, Announcement

logger = logging.getLogger(__name__)

#: Seconds for which what was read is believed before it is read again; and that there is none.
FRESH_S = 1.0
NONE_YET_S = 0.1
#: Seconds after which a reading that has not come back counts as an answer.
SILENT_S = 3.0

_decode = msgspec.json.Decoder(Announcement).decode


class Directory:
    """Reads the announcement once a second. Keeps the last one while the broker is gone.

    No request waits for a Redis here: each is told what was read last.
    """

    def __init__(self, broker: Redis, cache: Redis) -> None:
        self._broker = broker
        self._servers = {"broker": broker, "cache": cache}
        self._known: Announcement | None = None
        self._raw: bytes | None = None
        self._workers: int | None = None
        self._states: dict[str, str] = {}
        #: Monotonic time of the reading that came back last, in seconds.
        self._read_at = 0.0

    def start(self) -> None:
        """Read it now, and from now on in a thread of its own."""
        self._refresh()
        threading.Thread(target=self._keep_fresh, name="directory", daemon=True).start()

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
        silent_s = time.monotonic() - self._read_at - FRESH_S
        if silent_s < SILENT_S:
            return self._states
        return dict.fromkeys(self._servers, f"silent for {silent_s:.0f} s")

    def workers(self) -> int | None:
        """Return how many workers are alive; None: the broker can't be asked. Does not block."""
        return self._workers

    def _keep_fresh(self) -> None:
        while True:
            time.sleep(NONE_YET_S if self._known is None else FRESH_S)
            try:
                self._refresh()
            except Exception:  # a defect must not leave the process with what it knows now
                logger.exception("the model's announcement can't be read")

    def _refresh(self) -> None:
        self._states = {name: _ping(client) for name, client in self._servers.items()}
        self._workers = None
        try:
            self._workers = int(self._broker.zcount(WORKERS, time.time() - ALIVE_S, "+inf"))
            raw: Any = self._broker.get(MODEL)
            if raw is not None and raw != self._raw:
                self._known, self._raw = _decode(raw), raw
        except RedisError as error:
            logger.warning("the model's announcement can't be read: %s", error)
        except msgspec.DecodeError as error:  # not written by a worker of this version
            logger.warning("the model's announcement makes no sense: %s", error)
        self._read_at = time.monotonic()


def _ping(client: Redis) -> str:
    try:
        client.ping()
    except RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"

"""A machine's memory measurement, which the monitor writes to Redis for the api and the workers."""

from __future__ import annotations

import logging
from typing import Any, Literal

import msgspec

from monitoring.instruments.log_once import log_once

logger = logging.getLogger(__name__)

Level = Literal["ok", "warning", "critical"]
#: Seconds for which Redis keeps the monitor's last measurement. Without a newer measurement, memory
#: counts as unknown, and no limit applies.
VALID_S = 15


class Memory(msgspec.Struct, frozen=True):
    """A measurement of a machine's memory. Sizes are in bytes.

    The measurement has a level: "ok", "warning" or "critical".
    """

    level: Level
    #: Memory by component: app, redis, mps, cuda. A component that does not exist is left out.
    components: dict[str, int]
    #: Memory that counts against the limits. cuda does not count, because it is the GPU's own
    #: memory.
    used: int
    #: Bytes in use at which the levels warning and critical begin, by level.
    limits: dict[str, int]


_decode = msgspec.json.Decoder(Memory).decode
encode = msgspec.json.Encoder().encode


def key(machine: str) -> str:
    """Returns the Redis key of a machine's memory measurement."""
    return f"byline:memory:{machine}"


def read(raw: Any) -> Memory | None:
    """Returns the measurement in ``raw``, a value from Redis.

    The result is None if ``raw`` is None or can't be read. For example, a version of Byline with
    other fields may have written it.
    """
    try:
        return None if raw is None else _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        line = "the monitor's memory measurement can't be read: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return None

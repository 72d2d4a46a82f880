"""How full the memory of a machine is, as its monitor tells its processes by way of Redis."""

from __future__ import annotations

import logging
from typing import Any, Literal

import msgspec

from monitoring.instruments.log_once import log_once

logger = logging.getLogger(__name__)

Level = Literal["ok", "warning", "critical"]
#: Seconds after which what a monitor said, that is silent since, counts no more.
BELIEVED_S = 15


class Memory(msgspec.Struct, frozen=True):
    """One look at a machine's memory, in bytes."""

    level: Level
    #: app, redis, mps, cuda, as far as they are there.
    components: dict[str, int]
    #: What counts against the limits: not cuda, which is the GPU's own.
    used: int
    #: Where warning and critical begin.
    limits: dict[str, int]


_decode = msgspec.json.Decoder(Memory).decode
encode = msgspec.json.Encoder().encode


def key(machine: str) -> str:
    """Return under which key a machine's memory is told."""
    return f"byline:memory:{machine}"


def read(raw: Any) -> Memory | None:
    """Return what was told; None where nothing was, or nothing of this version."""
    try:
        return None if raw is None else _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        line = "what is told of the memory can't be read: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return None

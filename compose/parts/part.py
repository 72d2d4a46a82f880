"""A part: one process with its children, as everything that is started is described."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Part:
    """One process with its children."""

    name: str
    command: Sequence[str | Path]
    #: Where it is reached, for people; empty where it listens nowhere.
    address: str
    #: True once it does its work. May block for a second or two, and does not raise.
    healthy: Callable[[], bool]
    #: Parts of the highest rank are stopped first; the others once these have ended.
    rank: int
    #: Seconds from SIGTERM to SIGKILL. The longest of each rank add up to less than ten.
    stop_s: int
    #: Is there no Byline without it? Then its start is waited for as long as it takes.
    vital: bool = True
    #: What to do about the last lines of its log, where a person has to; empty: nothing.
    advice: Callable[[Sequence[str]], str] = lambda _: ""


def reached(host: str) -> str:
    """Where one reaches who listens on ``host``, as a URL has it."""
    if host in ("0.0.0.0", "::"):
        return LOOPBACK
    return f"[{host}]" if ":" in host else host

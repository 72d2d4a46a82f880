"""The description of a part of ``make run``: its command, its health check, and how it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: The address on which a part listens if only this machine may reach the part.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Part:
    """A part of ``make run``: a process with its children, and how to start, check and stop it."""

    name: str
    command: Sequence[str | Path]
    #: The URL of the part, for people; empty if it listens on no port.
    address: str
    #: Returns whether the part is healthy. Can block for one or two seconds. Raises no error.
    healthy: Callable[[], bool]
    #: The place of the part in the order of the stop. Parts of the highest rank are stopped first.
    #: The parts of the next rank are stopped once these have ended.
    rank: int
    #: Seconds from SIGTERM to SIGKILL. The longest times of all ranks add up to less than ten
    #: seconds.
    stop_s: int
    #: True if Byline can't work without the part. Then the start of the part has no time limit.
    vital: bool = True
    #: Returns advice for the user from the last lines of the part's log; empty for none.
    advice: Callable[[Sequence[str]], str] = lambda _: ""


def url_host(host: str) -> str:
    """Returns the host to write into the URL of a server that listens on ``host``.

    If the server listens on all addresses, the result is the loopback address.
    """
    if host in ("0.0.0.0", "::"):
        return LOOPBACK
    return f"[{host}]" if ":" in host else host

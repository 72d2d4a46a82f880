"""The description of a part of ``make run``: its command, its health check, and how it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: The address that parts listen on which only this machine may reach.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Part:
    """A part of ``make run``: one process with its children; how to start, check and stop it."""

    name: str
    command: Sequence[str | Path]
    #: The URL of the part, for people; empty where it listens on no port.
    address: str
    #: Returns whether the part does its work. May block for a second or two, and does not raise.
    healthy: Callable[[], bool]
    #: Parts of the highest rank are stopped first. The next rank follows once they have ended.
    rank: int
    #: Seconds from SIGTERM to SIGKILL. The longest of each rank add up to less than ten.
    stop_s: int
    #: True where Byline can't do without the part. Its start is then waited for without a limit.
    vital: bool = True
    #: Returns advice for the user from the last lines of the part's log; empty for none.
    advice: Callable[[Sequence[str]], str] = lambda _: ""


def url_host(host: str) -> str:
    """Returns the host that the URL of a server needs, where the server listens on ``host``."""
    if host in ("0.0.0.0", "::"):
        return LOOPBACK
    return f"[{host}]" if ":" in host else host

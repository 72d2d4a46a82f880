"""Where the console's figures are kept."""

from __future__ import annotations

import socket

#: Points kept: ten minutes of them.
POINTS = 300


def key() -> str:
    """Return under which key the points of this machine are kept: a list, the newest first."""
    return f"byline:figures:{socket.gethostname()}"

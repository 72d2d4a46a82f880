"""Where the console's figures are kept."""

from __future__ import annotations

#: Points kept: ten minutes of them.
POINTS = 300


def key(machine: str) -> str:
    """Return under which key the points of a machine are kept: a list, the newest first."""
    return f"byline:figures:{machine}"

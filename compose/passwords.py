"""Makes the passwords of the containers, once: ``python -m compose.passwords``.

Each is a file of compose/secrets, which compose mounts into the containers that need it: in no
process's arguments, nor in what the engine tells of a container. Needs nothing but Python.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).with_name("secrets")
#: Valkey's, Flower's user `byline`, Grafana's user `admin`.
NAMES = ("redis-password", "flower-password", "grafana-password")


def make(folder: Path) -> list[str]:
    """Make those that are not there; return their names."""
    folder.mkdir(exist_ok=True)
    # The folder keeps others out. The files don't: compose mounts them as they are, and the users
    # of the containers are none of this machine's.
    folder.chmod(0o700)
    made = [name for name in NAMES if not (folder / name).exists()]
    for name in made:
        # Whole or not at all: half a password would be one. Letters, digits, - and _ only: it
        # gets into a URL.
        half = folder / f"{name}.half"
        half.write_text(secrets.token_urlsafe(24))
        half.chmod(0o444)
        half.replace(folder / name)
    return made


def main(arguments: Sequence[str]) -> int:
    """Make them, and say where. Returns the exit status."""
    folder = Path(arguments[0]) if arguments else FOLDER
    for name in make(folder):
        print(f"byline: {folder / name} is new")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Makes the passwords of the containers, once: ``python -m compose.passwords``.

Each is a file of compose/secrets, which compose mounts into the containers that need it: in no
process's arguments, nor in what the engine tells of a container. Needs nothing but Python.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from compose.parts.password import is_older, web_configuration

FOLDER = Path(__file__).with_name("secrets")
#: Valkey's, Flower's user `byline`, Grafana's user `admin`, and Prometheus's and Alertmanager's
#: user `byline`.
NAMES = ("redis-password", "flower-password", "grafana-password", "monitoring-password")
#: What these two read: the hash of the last one.
WEB_CONFIG = "monitoring-web.yml"


def make(folder: Path) -> list[str]:
    """Makes those that are not there; returns their names."""
    folder.mkdir(exist_ok=True)
    # The folder keeps others out. The files don't: compose mounts them as they are, and the users
    # of the containers are none of this machine's.
    folder.chmod(0o700)
    made = [name for name in NAMES if not (folder / name).exists()]
    for name in made:
        # Letters, digits, - and _ only: it gets into a URL.
        _write(folder / name, secrets.token_urlsafe(24))
    monitoring = folder / "monitoring-password"
    if is_older(folder / WEB_CONFIG, monitoring):
        _write(folder / WEB_CONFIG, web_configuration(monitoring.read_text().strip()))
        made.append(WEB_CONFIG)
    return made


def _write(file: Path, text: str) -> None:
    """Writes a file for the containers, whole or not at all: half a password would be one."""
    half = file.with_name(f"{file.name}.half")
    half.write_text(text)
    half.chmod(0o444)
    half.replace(file)


def main(arguments: Sequence[str]) -> int:
    """Makes them, and say where. Returns the exit status."""
    folder = Path(arguments[0]) if arguments else FOLDER
    for name in make(folder):
        print(f"byline: {folder / name} is new")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Makes the containers' passwords if they do not exist yet: ``python -m compose.passwords``.

compose mounts the passwords as files. So no password appears in a process's arguments, or in the
container engine's output. The program needs only Python.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from compose.parts.logins import is_outdated, web_configuration

FOLDER = Path(__file__).with_name("secrets")
#: The passwords of Valkey, of Flower's user `byline`, of Grafana's user `admin`, and of the user
#: `byline` of Prometheus and Alertmanager.
NAMES = ("redis-password", "flower-password", "grafana-password", "monitoring-password")
#: The file with the hash of ``monitoring-password``. Prometheus and Alertmanager read this file.
WEB_CONFIG = "monitoring-web.yml"


def make(folder: Path) -> list[str]:
    """Makes the passwords that ``folder`` does not hold yet. Returns the names of the new files."""
    folder.mkdir(exist_ok=True)
    # Only the folder keeps other users out. The files are readable for all: compose mounts them
    # with their modes, and the containers run as users that this machine does not know.
    folder.chmod(0o700)
    made = [name for name in NAMES if not (folder / name).exists()]
    for name in made:
        # Letters, digits, - and _ only, because the password becomes part of a URL.
        _write(folder / name, secrets.token_urlsafe(24))
    monitoring = folder / "monitoring-password"
    if is_outdated(folder / WEB_CONFIG, monitoring):
        _write(folder / WEB_CONFIG, web_configuration(monitoring.read_text().strip()))
        made.append(WEB_CONFIG)
    return made


def _write(file: Path, text: str) -> None:
    """Writes ``text`` to a file that the containers can read.

    The file appears in one step, so that no container reads a password that is only half written.
    """
    half = file.with_name(f"{file.name}.half")
    half.write_text(text)
    half.chmod(0o444)
    half.replace(file)


def main(arguments: Sequence[str]) -> int:
    """Makes the missing passwords, and prints the names of the new files. Returns the exit status.

    The folder is the first argument, if there is one.
    """
    folder = Path(arguments[0]) if arguments else FOLDER
    for name in make(folder):
        print(f"byline: {folder / name} is new")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

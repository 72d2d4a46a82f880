"""The run folder: it holds supervisord's configuration and socket, and goes with the run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from compose.parts.errors import CannotRun

#: Bytes that the path of a socket may have: 108 on Linux, 104 on macOS, the last one 0.
SOCKET_BYTES = 103
PREFIX = "byline-"


def make_run_dir(state: Path) -> Path:
    """Makes the folder: in the state folder, where its path is short and plain, or a temporary one.

    Raises:
        CannotRun: no path is short enough.
    """
    remove_run_dir(state)  # of a run that was killed
    here = state / "run"
    for folder in (state, Path(tempfile.gettempdir()), Path("/tmp")):
        # supervisord binds another name first, which ends in its process id, and it can't be told
        # of a log with a % in its path, neither escaped nor not.
        path = os.fsencode(folder / f"{PREFIX}12345678" / "socket.4194304")
        if len(path) > SOCKET_BYTES or not re.fullmatch(rb"[\w./+@~-]+", path):
            continue
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        here.symlink_to(made)
        (made / "logs").symlink_to(state / "logs")
        return made
    raise CannotRun("no folder has a path short enough for a socket: set TMPDIR to another")


def remove_run_dir(state: Path) -> None:
    """Removes the folder, if there is one."""
    here = state / "run"
    if here.is_symlink() and here.readlink().name.startswith(PREFIX):
        shutil.rmtree(here.readlink(), ignore_errors=True)
        here.unlink(missing_ok=True)

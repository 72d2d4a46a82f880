"""Makes and removes the run folder, which holds supervisord's configuration and socket."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from compose.parts.errors import CannotRun

#: Bytes that the path of a socket may have. Linux allows 108 and macOS 104, with a zero byte at the
#: end.
SOCKET_BYTES = 103
#: The prefix of the run folder's name.
PREFIX = "byline-"


def make_run_dir(state: Path) -> Path:
    """Makes the run folder in the state folder or in a temporary folder, and returns its path.

    The state folder is used if possible. Its path may be too long for a socket, or have a character
    that supervisord can't read, such as %. Then a temporary folder is used.

    Raises:
        CannotRun: no folder has a usable path.
    """
    remove_run_dir(state)  # the folder of a run that was killed
    here = state / "run"
    for folder in (state, Path(tempfile.gettempdir()), Path("/tmp")):
        # supervisord first binds a longer name, which ends in its process id. It accepts no log
        # whose path has a %, escaped or not.
        path = os.fsencode(folder / f"{PREFIX}12345678" / "socket.4194304")
        if len(path) > SOCKET_BYTES or not re.fullmatch(rb"[\w./+@~-]+", path):
            continue
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        here.symlink_to(made)
        (made / "logs").symlink_to(state / "logs")
        return made
    raise CannotRun("no folder has a path short enough for a socket: set TMPDIR to another")


def remove_run_dir(state: Path) -> None:
    """Removes the run folder that belongs to the state folder ``state``, if there is one."""
    here = state / "run"
    if here.is_symlink() and here.readlink().name.startswith(PREFIX):
        shutil.rmtree(here.readlink(), ignore_errors=True)
        here.unlink(missing_ok=True)

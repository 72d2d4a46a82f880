"""supervisord's configuration, and the folder that it and the socket are in."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compose.parts.errors import CannotRun
from compose.parts.part import Part

#: Name of supervisord's log.
DAEMON = "supervisord"
DIE_WITH_PARENT = (sys.executable, "-I", "-S", Path(__file__).parents[1] / "die_with_parent.py")
#: Seconds a part has to run, or its start has failed: before the next one supervisord waits for a
#: second, then two, and so on, for to start takes CPU, of which the others may have need.
STARTED_S = 5
#: Starts that may fail in a row before supervisord gives a part up, and `Control` starts it again.
RETRIES = 4
#: Bytes that the path of a socket may have: 108 on Linux, 104 on macOS, the last one 0.
SOCKET_BYTES = 103
PREFIX = "byline-"


def configuration(parts: Sequence[Part], run_dir: Path) -> str:
    """Return supervisord's configuration. All parts start at once, and wait for each other."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": run_dir / "socket", "chmod": "0700"},
        "supervisord": {
            "nodaemon": "true",
            "logfile": run_dir / "logs" / f"{DAEMON}.log",
            "pidfile": run_dir / "pid",
            "childlogdir": run_dir / "logs",
            # What it raises its limits to, and would else refuse to start.
            "minfds": min(1024, descriptors) if descriptors > 0 else 1024,
            "minprocs": 1,
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for part in parts:
        sections[f"program:{part.name}"] = {
            "command": shlex.join(map(str, (*DIE_WITH_PARENT, *part.command))),
            "autorestart": "true",
            "startsecs": STARTED_S,
            "startretries": RETRIES,
            "stopwaitsecs": part.stop_s,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": run_dir / "logs" / f"{part.name}.log",
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 1,
        }
    # supervisord starts one group after another, at once, and ends them the other way round, each
    # once the one before has ended.
    for rank in {part.rank for part in parts}:
        names = ",".join(part.name for part in parts if part.rank == rank)
        sections[f"group:rank{rank}"] = {"programs": names, "priority": rank}
    return "\n".join(
        line
        for title, options in sections.items()
        for line in (f"[{title}]", *(f"{key}={value}" for key, value in options.items()))
    ).replace("%", "%%")


def make_run_dir(state: Path) -> Path:
    """Make the folder: in the state folder, where its path is short and plain, or a temporary one.

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
    """Remove the folder, if there is one."""
    here = state / "run"
    if here.is_symlink() and here.readlink().name.startswith(PREFIX):
        shutil.rmtree(here.readlink(), ignore_errors=True)
        here.unlink(missing_ok=True)

"""Writes supervisord's configuration, and a shell script for each part that supervisord runs."""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from compose.parts.part import Part

#: The name of supervisord, and of its log.
DAEMON = "supervisord"
#: The command prefix that ends a process with its parent.
DIE_WITH_PARENT = (sys.executable, "-I", "-S", Path(__file__).parents[1] / "die_with_parent.py")
#: Seconds after which a part that still runs counts as started. After a failed start, supervisord
#: waits for one second before the next start, then for two seconds, and so on, because each start
#: takes CPU time from other parts.
STARTED_S = 5
#: Number of starts of a part that may fail in a row before supervisord gives the part up. `Control`
#: later starts the part again.
RETRIES = 4


def configure(parts: Sequence[Part], run_dir: Path) -> Path:
    """Writes supervisord's configuration and the parts' scripts. Returns the configuration's path.

    A part's command is in its script, and the configuration names only the script.
    """
    for part in parts:
        # A command may hold ` #`, ` ;` or `%`, which have a special meaning in the configuration.
        # So the configuration names only a script, whose path has none of these characters. The
        # shell is supervisord's child, and becomes the part's process by exec.
        command = f'{shlex.join(map(str, DIE_WITH_PARENT))} "$PPID"'
        script = f"exec {command} {shlex.join(map(str, part.command))}\n"
        _script(part, run_dir).write_bytes(os.fsencode(script))
    file = run_dir / "supervisord.conf"
    file.write_text(_configuration(parts, run_dir))
    return file


def _script(part: Part, run_dir: Path) -> Path:
    return run_dir / f"{part.name}.sh"


def _configuration(parts: Sequence[Part], run_dir: Path) -> str:
    """Returns the text of supervisord's configuration.

    supervisord starts all parts at once; each part waits by itself for the parts that it needs.
    """
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": run_dir / "socket", "chmod": "0700"},
        "supervisord": {
            "nodaemon": "true",
            "logfile": run_dir / "logs" / f"{DAEMON}.log",
            "pidfile": run_dir / "pid",
            "childlogdir": run_dir / "logs",
            # supervisord raises its own limits to these numbers. If it can't, it does not start.
            "minfds": min(1024, descriptors) if descriptors > 0 else 1024,
            "minprocs": 1,
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for part in parts:
        sections[f"program:{part.name}"] = {
            "command": f"/bin/sh {_script(part, run_dir)}",
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
    # supervisord starts the groups by priority without waiting between them. It stops the groups in
    # the opposite order, and waits for each group to end before it stops the next group.
    for rank in {part.rank for part in parts}:
        names = ",".join(part.name for part in parts if part.rank == rank)
        sections[f"group:rank{rank}"] = {"programs": names, "priority": rank}
    return "\n".join(
        line
        for title, options in sections.items()
        for line in (f"[{title}]", *(f"{key}={value}" for key, value in options.items()))
    )

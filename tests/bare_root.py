"""Makes a bare Debian system in a folder. Commands run in it as on a separate machine."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SUITE = "bookworm"
#: Debian packages that the README asks for.
PACKAGES = ("python3", "python3-venv", "make", "git")
USER = "newcomer"
HOME = f"/home/{USER}"
#: Runs a command in namespaces of its own. All mounts and processes there end with the command, and
#: the command ends with its parent process.
CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
)
TOOLS = ("debootstrap", "setpriv", "unshare")
#: Files with which this machine resolves host names.
RESOLVER = (Path("/etc/resolv.conf"), Path("/etc/hosts"))


def lacking() -> str:
    """Returns the names of missing programs and rights that a bare root needs; empty if none."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return ", ".join((*(() if os.geteuid() == 0 else ("root",)), *missing))


class BareRoot:
    """A bare Debian in the new folder ``path``.

    The Debian has :data:`PACKAGES`, a user, and this machine's pip settings.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._pip = pip_settings()
        include = f"--include={','.join(PACKAGES)}"
        # debootstrap mounts file systems, too, and does not always unmount them.
        subprocess.run(
            [*CONTAINED, "debootstrap", "--variant=minbase", include, SUITE, path], check=True
        )
        self.run(f"useradd --create-home --shell /bin/bash {USER}", "root")

    def run(self, script: str, user: str = USER) -> None:
        """Runs a script with the command line of :meth:`command`, and waits for its end."""
        subprocess.run(self.command(script, user), env=self.environ({}), check=True)

    def command(self, script: str, user: str = USER) -> list[str]:
        """Returns the command line that runs a script in the bare Debian as ``user``.

        The script runs in the home folder of :data:`USER`, or in ``/`` for another user, and ends
        with the process that started it.
        """
        root = shlex.quote(str(self.path))
        place = HOME if user == USER else "/"
        lines = [
            "set -e",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /dev {root}/dev",
            *(f"mount --bind {path} {root}{path}" for path in map(str, self._shared())),
            f'chroot --userspec={user}:{user} {root} env --chdir={place} bash -ec "$1"',
            # So that the shell stays, as root: a process that changes its user no longer gets the
            # signal when its parent ends.
            "exit",
        ]
        return [*CONTAINED, "bash", "-c", "\n".join(lines), "bash", script]

    def environ(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Returns the environment of a user who has just logged in.

        The environment also has this machine's pip settings, and ``settings``.
        """
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"HOME": HOME, "PATH": path, "LANG": "C.UTF-8", **self._pip, **settings}

    def _shared(self) -> list[Path]:
        """Returns this machine's files and folders to mount, and makes their mount points."""
        shared = [path for path in (*RESOLVER, *local_paths(self._pip)) if path.exists()]
        for path in shared:
            place = self.path / path.relative_to("/")
            (place if path.is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
            if path.is_file():
                place.touch()
        return shared


def pip_settings() -> dict[str, str]:
    """Returns this machine's pip settings, from files and the environment, as variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listed, re.MULTILINE)
    ours = {
        f"PIP_{name.upper().replace('-', '_')}": str(ast.literal_eval(value))
        for _, name, value in sorted(found, key=lambda one: one[0] == ":env:")  # it wins
    }
    names = ("http_proxy", "https_proxy", "no_proxy", "torch_index")
    return ours | {name: value for name, value in os.environ.items() if name.lower() in names}


def local_paths(settings: Mapping[str, str]) -> list[Path]:
    """Returns the files and folders that pip's settings name.

    For an index of packages, this is its parent folder, which also has the packages' files.
    """
    words = [word for value in settings.values() for word in value.split()]
    indexes = [Path(word.removeprefix("file://")).parent for word in words if word[:7] == "file://"]
    return sorted({*indexes, *(Path(word) for word in words if word.startswith("/"))})

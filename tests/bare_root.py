"""A bare Debian in a folder, whose commands run as on a machine of their own."""

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
#: All that the README asks for.
PACKAGES = ("python3", "python3-venv", "make", "git")
USER = "newcomer"
HOME = f"/home/{USER}"
#: Mounts and processes end with the first process in it, and that one with whoever started it.
CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
)
TOOLS = ("debootstrap", "setpriv", "unshare")
#: How names are resolved here.
RESOLVER = (Path("/etc/resolv.conf"), Path("/etc/hosts"))


def lacking() -> str:
    """What is not there that a bare root needs; empty: nothing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return ", ".join((*(() if os.geteuid() == 0 else ("root",)), *missing))


class BareRoot:
    """The new folder ``path``, with :data:`PACKAGES`, a user, and what pip is told here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._pip = pip_settings()
        include = f"--include={','.join(PACKAGES)}"
        # debootstrap mounts, too, and does not always take away what it mounted.
        subprocess.run(
            [*CONTAINED, "debootstrap", "--variant=minbase", include, SUITE, path], check=True
        )
        self.run(f"useradd --create-home --shell /bin/bash {USER}", "root")

    def run(self, script: str, user: str = USER) -> None:
        """Run a script to its end, as :meth:`command` has it."""
        subprocess.run(self.command(script, user), env=self.environ({}), check=True)

    def command(self, script: str, user: str = USER) -> list[str]:
        """What runs a script, in the home of :data:`USER`, as long as what started it lives."""
        root = shlex.quote(str(self.path))
        place = HOME if user == USER else "/"
        lines = [
            "set -e",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /dev {root}/dev",
            *(f"mount --bind {path} {root}{path}" for path in map(str, self._shared())),
            f'chroot --userspec={user}:{user} {root} env --chdir={place} bash -ec "$1"',
            # So that the shell stays, as root: who becomes another user is no longer told to end.
            "exit",
        ]
        return [*CONTAINED, "bash", "-c", "\n".join(lines), "bash", script]

    def environ(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The environment of a user who has just logged in, with pip's settings and these."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"HOME": HOME, "PATH": path, "LANG": "C.UTF-8", **self._pip, **settings}

    def _shared(self) -> list[Path]:
        """Files and folders of this machine that are there as well; each has a place to be."""
        shared = [path for path in (*RESOLVER, *local_paths(self._pip)) if path.exists()]
        for path in shared:
            place = self.path / path.relative_to("/")
            (place if path.is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
            if path.is_file():
                place.touch()
        return shared


def pip_settings() -> dict[str, str]:
    """What pip is told on this machine, in files and the environment, as variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listed, re.MULTILINE)
    ours = {
        f"PIP_{name.upper().replace('-', '_')}": str(ast.literal_eval(value))
        for _, name, value in sorted(found, key=lambda one: one[0] == ":env:")  # it goes first
    }
    names = ("http_proxy", "https_proxy", "no_proxy", "torch_index")
    return ours | {name: value for name, value in os.environ.items() if name.lower() in names}


def local_paths(settings: Mapping[str, str]) -> list[Path]:
    """The files and folders that settings of pip name. An index has its files beside it."""
    words = [word for value in settings.values() for word in value.split()]
    indexes = [Path(word.removeprefix("file://")).parent for word in words if word[:7] == "file://"]
    return sorted({*indexes, *(Path(word) for word in words if word.startswith("/"))})

"""Makes a virtual environment, and installs pinned packages into it with pip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from compose.installer.errors import CannotInstall
from compose.installer.pip_output import PipOutput
from compose.installer.progress import Progress, megabytes
from compose.native.terminal import say

#: The newest Python that Byline was tried with.
NEWEST = (3, 13)
#: Options of pip for a package index that may not answer: pip tries twice, 10 s each time.
IMPATIENT = ("--retries", "1", "--timeout", "10")
#: The prefix of the name of a folder for pip's downloads.
SCRATCH = "byline-pip-"


class Environment:
    """A virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._python = folder / "bin" / "python"

    def make(self) -> None:
        """Makes the virtual environment if it does not exist yet.

        Before that, removes what a killed installation has left, such as half of a download. Does
        so even if the environment exists.

        Raises:
            CannotInstall: this Python has no venv, or the environment can't be made.
        """
        for left in self.folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
        if (self.folder / "bin" / "pip").exists() and self._python.exists():
            return
        _check_venv()
        _warn_of_new_python()
        with Progress(lambda: f"making an environment, {megabytes(self.folder)}"):
            made = _run([sys.executable, "-m", "venv", self.folder])
        if made.returncode != 0:
            raise CannotInstall(
                f"no environment can be made in {self.folder}:\n{made.stdout.rstrip()}"
            )

    def needed_by(self, requirement: str) -> list[str] | None:
        """Returns the packages that a package needs; None if pip can't find them out.

        ``requirement`` is the package with its version, such as ``torch==2.13.0``. pip asks its
        default index, and installs nothing.
        """
        with Progress(lambda: f"asking the package index for {requirement}"):
            options = ("--dry-run", "--ignore-installed", "--no-deps", "--report", "-")
            pip = ("-m", "pip", "install", "--quiet", "--no-input")
            command = (self._python, *pip, *options, requirement)
            asked = _run(command, stderr=subprocess.DEVNULL)
        try:
            [package] = json.loads(asked.stdout)["install"]
            return list(package["metadata"].get("requires_dist", []))
        except (ValueError, KeyError):
            return None

    def has(self, requirement: str) -> bool:
        """Returns whether the package ``requirement``, such as ``torch==2.13.0``, is installed."""
        name, _, version = requirement.partition("==")
        code = (
            "import sys; from importlib.metadata import version;"
            "sys.exit(version(sys.argv[1]).partition('+')[0] != sys.argv[2])"
        )
        return _run([self._python, "-c", code, name, version]).returncode == 0

    def install(self, what: str, *options: str | Path) -> None:
        """Installs packages with pip, and shows on the terminal what pip does.

        ``what`` names the packages on the terminal. ``options`` are all arguments of
        ``pip install``: options and packages.

        Raises:
            CannotInstall: pip has failed.
        """
        output = PipOutput()
        # Here, and not in the system's temporary folder, which may be small and in memory.
        with TemporaryDirectory(prefix=SCRATCH, dir=self.folder) as scratch:

            def describe() -> str:
                size = megabytes(self.folder if output.installs else Path(scratch))
                return f"{what}: {output.doing}; {size}{'' if output.installs else ' arrived'}"

            with Progress(describe):
                status = self._pip(options, scratch, output)
        if status != 0:
            raise CannotInstall(
                f"{output.errors()}\nbyline: pip could not install {what}, see above; "
                "is the disk full, or the package index out of reach?"
            )

    def _pip(self, options: Sequence[str | Path], scratch: str, output: PipOutput) -> int:
        """Runs ``pip install`` with ``options``, and returns its exit status.

        Passes each line that pip prints to ``output``. pip keeps its temporary files in
        ``scratch``.
        """
        # Python compiles a module at its first import. To compile all here takes 20 s of CPU time.
        quick = ("--no-compile", "--progress-bar", "off")
        command = [self._python, "-m", "pip", "install", *quick, *options]
        with subprocess.Popen(
            [*command, "--disable-pip-version-check", "--no-input"],
            env={**os.environ, "TMPDIR": scratch, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    output.follow(line)
            except BaseException:
                process.kill()
                raise
        return process.returncode


def _check_venv() -> None:
    """Raises CannotInstall if this Python can't make virtual environments.

    Debian's Python can't, unless the package python3-venv is installed.
    """
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        major, minor = sys.version_info[:2]
        raise CannotInstall(
            f"{sys.executable} is Python {major}.{minor}, but has no venv; on Debian and Ubuntu: "
            f"apt install python3-venv (or python{major}.{minor}-venv), as root"
        ) from None


def _warn_of_new_python() -> None:
    if sys.version_info[:2] > NEWEST:
        newest = ".".join(map(str, NEWEST))
        say(f"byline: Byline was tried with Python 3.11 to {newest}, and this one is newer")


def _run(
    command: Sequence[str | Path], stderr: int = subprocess.STDOUT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="replace",
    )

"""Images built by buildah, without an engine, and programs run in them, without a container."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts import ROOT

PACKAGES = "python3,python3-venv,ca-certificates"
PIP = Path("/etc/pip.conf")
#: Whom this machine trusts.
CERTIFICATES = ("/etc/ssl", "/usr/share/ca-certificates")


@dataclass(frozen=True)
class Image:
    """A file system, and how a container of it starts."""

    root: Path
    env: Mapping[str, str]
    folder: str
    user: str
    entrypoint: Sequence[str]

    def command(self, arguments: Sequence[str], env: Mapping[str, str], *mounts: str) -> list[str]:
        """Return what runs a program in it, as its user. Mounts are gone with the program."""
        root = shlex.quote(str(self.root))
        variables = shlex.join(f"{name}={value}" for name, value in {**self.env, **env}.items())
        start = 'sh -c \'cd "$0" && exec "$@"\''
        program = shlex.join([self.folder, *arguments])
        script = [
            "set -e",
            f"mount --bind {root} {root}",
            f"mount --bind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
            *(mount.replace("ROOT", root) for mount in mounts),
            f"exec env -i {variables} chroot --userspec={self.user} {root} {start} {program}",
        ]
        return ["unshare", "--mount", "sh", "-c", "\n".join(script)]


class Buildah:
    """Builds below a folder, in which all its images lie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bare_debian(self, name: str, mirror: str) -> None:
        """Make an image of what debootstrap installs. It has Python 3.11, as the real one has."""
        root = self._folder / "debian"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
        subprocess.run(
            [*command, str(root), *filter(None, [mirror])], check=True, stdout=subprocess.DEVNULL
        )
        container = self._run("from", "scratch")
        self._run("add", "--quiet", container, str(root), "/")
        self._run("commit", "--quiet", "--rm", container, name)

    def build(self, dockerfile: Path, wheels: Sequence[str], arguments: Sequence[str]) -> Image:
        """Build an image; pip looks into the folders ``wheels``, too."""
        name = f"localhost/byline/{dockerfile.stem}"
        # Package indexes are reached as from here.
        pip = self._folder / "pip.conf"
        given = PIP.read_text() if PIP.exists() else "[global]\n"
        pip.write_text(f"{given.rstrip()}\nfind-links = {' '.join(wheels)}\n")
        shared = [path for path in (*CERTIFICATES, *wheels) if Path(path).exists()]
        self._run(
            *("bud", "--quiet", "--pull-never", "--isolation", "chroot", "--network", "host"),
            f"--volume={pip}:{PIP}:ro",
            *(f"--volume={path}:{path}:ro" for path in shared),
            *(f"--build-arg={argument}" for argument in arguments),
            *("--tag", name, "--file", str(dockerfile), str(ROOT)),
        )
        container = self._run("from", "--pull-never", name)
        config = json.loads(self._run("inspect", container))["OCIv1"]["config"]
        return Image(
            Path(self._run("mount", container)),
            dict(variable.split("=", 1) for variable in config["Env"]),
            config["WorkingDir"],
            config["User"],
            config["Entrypoint"],
        )

    def close(self) -> None:
        """Remove containers, with their mounts, and images."""
        self._run("rm", "--all")
        self._run("rmi", "--all", "--force")

    def _run(self, *arguments: str) -> str:
        places = [f"--root={self._folder / 'images'}", f"--runroot={self._folder / 'run'}"]
        done = subprocess.run(
            ["buildah", *places, *arguments], check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

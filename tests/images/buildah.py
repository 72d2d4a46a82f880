"""Builds images with buildah, without a container engine, and runs programs in the images."""

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
#: The certificates that this machine trusts.
CERTIFICATES = ("/etc/ssl", "/usr/share/ca-certificates")


@dataclass(frozen=True)
class Image:
    """A file system, and the settings with which a container of the image starts."""

    root: Path
    env: Mapping[str, str]
    folder: str
    user: str
    entrypoint: Sequence[str]

    def command(self, arguments: Sequence[str], env: Mapping[str, str], *mounts: str) -> list[str]:
        """Returns a command that runs a program in the image, as its user. Mounts end with it."""
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
    """Builds images with buildah. All images lie in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bare_debian(self, name: str, mirror: str) -> None:
        """Makes an image with debootstrap. It has Python 3.11, as the real base image has."""
        root = self._folder / "debian"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
        subprocess.run(
            [*command, str(root), *filter(None, [mirror])], check=True, stdout=subprocess.DEVNULL
        )
        container = self._run("from", "scratch")
        self._run("add", "--quiet", container, str(root), "/")
        self._run("commit", "--quiet", "--rm", container, name)

    def build(self, dockerfile: Path, wheels: Sequence[str], arguments: Sequence[str]) -> Image:
        """Builds an image. pip searches the folders ``wheels``, too."""
        name = f"localhost/byline/{dockerfile.stem}"
        # pip in the image uses this machine's package indexes.
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
        """Removes the containers with their mounts, and the images."""
        self._run("rm", "--all")
        self._run("rmi", "--all", "--force")

    def _run(self, *arguments: str) -> str:
        places = [f"--root={self._folder / 'images'}", f"--runroot={self._folder / 'run'}"]
        done = subprocess.run(
            ["buildah", *places, *arguments], check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

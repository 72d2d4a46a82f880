"""Builds the images and starts them: ``make images-check``, as root, with buildah and debootstrap.

No registry is needed: a bare Debian 12 replaces the base image. Each image runs as in compose: as
its own user, with a read-only file system except /tmp. At the end, one request goes from the api
through Valkey to the worker, and back.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import yaml

from tests.images.buildah import Buildah, Image
from tests.parts import Stack, free_port, wait_for
from tests.unit.compose.files import DEFAULTS, DOCKERFILES, SERVICES

#: Commands that make a container's file system read-only, except /tmp.
READ_ONLY = (
    "mount -o remount,ro,bind ROOT",
    "mount -t tmpfs -o mode=1777,size=64m tmpfs ROOT/tmp",
)


def main() -> int:
    """Builds and starts all images, and sends one request. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    parser.add_argument("--mirror", default="", help="Debian's packages (default: debootstrap's)")
    parser.add_argument("--wheels", nargs="*", default=[], help="folders of packages for pip")
    parser.add_argument("--torch-index", help="another than PyTorch's of CPU builds")
    options = parser.parse_args()
    index = options.torch_index
    arguments = [] if index is None else [f"TORCH_INDEX={index}"]
    with tempfile.TemporaryDirectory(prefix="byline-images-") as made:
        folder = Path(made)
        buildah = Buildah(folder)
        try:
            buildah.bare_debian(f"docker.io/library/{_base()}", options.mirror)
            images = {}
            for file in DOCKERFILES:
                own = arguments if "ARG TORCH_INDEX" in file.read_text("utf-8") else []
                image = images[file.stem] = buildah.build(file, options.wheels, own)
                added = _megabytes(image.root / "opt/byline")
                print(f"{file.stem}: {added} MB on top of its base", flush=True)
            _look(images)
            _start(images, folder)
        finally:
            buildah.close()
    return 0


def _base() -> str:
    (base,) = {
        line.split()[1]
        for file in DOCKERFILES
        for line in file.read_text("utf-8").splitlines()
        if line.startswith("FROM ")
    }
    return base


def _megabytes(folder: Path) -> int:
    done = subprocess.run(["du", "-sm", folder], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


def _look(images: dict[str, Image]) -> None:
    """Checks that only the worker has torch, no image has pip, and the files are read-only."""
    for name, image in images.items():
        has_torch = _runs(image, "python", "-c", "import torch")
        assert has_torch == (name == "worker"), f"torch in {name}: {has_torch}"
        assert not _runs(image, "python", "-m", "pip", "--version"), f"pip in {name}"
        assert not _runs(image, "touch", "/opt/byline/app/x"), f"{name} can be written"
        assert _runs(image, "touch", "/tmp/x")


def _runs(image: Image, *arguments: str) -> bool:
    command = image.command(arguments, {}, *READ_ONLY)
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _start(images: dict[str, Image], folder: Path) -> None:
    stack = Stack(folder / "stack")
    stack.folder.mkdir()
    try:
        stack.valkey(0, "valkey", "--requirepass secret")
        (folder / "redis-password").write_text("secret")
        ports = {
            f"BYLINE_{part}_PORT": str(free_port())
            for part in ("API", "API_METRICS", "METRICS", "MONITOR")
        }
        flower = free_port()
        given = {
            **DEFAULTS,
            **ports,
            "BYLINE_REDIS_URL": f"redis://127.0.0.1:{stack.redis_port}/0",
            "BYLINE_REDIS_PASSWORD_FILE": "/tmp/redis-password",
            "BYLINE_API_HOST": "127.0.0.1",
            "BYLINE_METRICS_HOST": "127.0.0.1",
            "FLOWER_PASSWORD_FILE": "/tmp/redis-password",
        }
        for name, image in images.items():
            secret = f"cp {folder}/redis-password ROOT/tmp/; chmod 444 ROOT/tmp/redis-password"
            # As in compose, but the names of containers become ``localhost``.
            command = [
                "localhost" if word in images else word
                for word in SERVICES[name].get("command", ())
            ]
            entry = [word.replace("--port=5555", f"--port={flower}") for word in image.entrypoint]
            stack.start(
                image.command([*entry, *command], given, *READ_ONLY, secret), f"image-{name}"
            )
        api = f"http://127.0.0.1:{ports['BYLINE_API_PORT']}"
        pages = {
            f"{api}/readyz": "ok",
            f"http://127.0.0.1:{ports['BYLINE_METRICS_PORT']}/metrics": "byline_model_info{",
            f"http://127.0.0.1:{ports['BYLINE_MONITOR_PORT']}/metrics": "byline_queue_messages{",
            f"http://127.0.0.1:{flower}/healthcheck": "OK",
        }
        for url, words in pages.items():
            try:
                wait_for(lambda url=url, words=words: _shows(url, words), 60, url)
            except AssertionError:
                for part in stack.parts:
                    print(f"--- {part.log.name}\n{part.output}", file=sys.stderr)
                raise
            print(f"{url} shows {words}", flush=True)
        answer = httpx.post(f"{api}/v1/attributions", json={"text": "Fellow citizens"}, timeout=20)
        print(yaml.safe_dump(answer.json(), sort_keys=False), end="", flush=True)
        assert answer.status_code == 200
    finally:
        stack.close()


def _shows(url: str, words: str) -> bool:
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and words in answer.text


if __name__ == "__main__":
    sys.exit(main())

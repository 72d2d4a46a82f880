"""Makes a virtual environment, installs the packages that a file pins, and shows the progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compose.installer import torch_build
from compose.installer.environment import IMPATIENT, Environment
from compose.installer.errors import CannotInstall
from compose.installer.progress import megabytes
from compose.native.terminal import STDERR, StopSignal, say

#: The file that pins pip. The pip that comes with Python has known security faults.
PIP_LOCK = Path("requirements/pip.lock")
#: Options that are passed on to pip.
FOR_PIP = ("no_deps", "ignore_requires_python")
#: Exit status after Ctrl-C: the status that shells give to a command that Ctrl-C ended.
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Makes the environment that the command line asks for, and returns the exit status."""
    options = _options(arguments)
    StopSignal()
    try:
        options.stamp.unlink(missing_ok=True)
        _install(options)
        options.stamp.touch()
    except KeyboardInterrupt:
        say("byline: stopped")
        return INTERRUPTED
    except (CannotInstall, OSError) as error:
        say(f"byline: {error}", STDERR)
        return 1
    return 0


def _install(options: argparse.Namespace) -> None:
    environment = Environment(options.folder)
    environment.make()
    try:
        environment.install("pip", "--requirement", PIP_LOCK)
    except CannotInstall:
        say(f"byline: {options.folder} keeps the pip that it has: the index has no newer one")
    extra = _torch(environment, options)
    say(f"byline: installing {options.lock} into {options.folder} …")
    passed = [f"--{name.replace('_', '-')}" for name in FOR_PIP if getattr(options, name)]
    environment.install(str(options.lock), *passed, *extra, "--requirement", options.lock)
    say(f"byline: {options.folder} is complete: {megabytes(options.folder)}")


def _torch(environment: Environment, options: argparse.Namespace) -> tuple[str, ...]:
    """Chooses a build of torch, prints the choice, and returns options for ``pip install``.

    If torch has to come from PyTorch's own index, installs torch from there. If torch is installed
    already, or if ``options.lock`` does not pin torch, only returns an empty tuple.
    """
    requirement = torch_build.required(options.lock)
    if not requirement or environment.has(requirement):
        return ()
    asked = options.torch_index is None and sys.platform == "linux"
    found = environment.needed_by(requirement) if asked else None
    build = torch_build.choose(options.torch_index, found)
    say(f"byline: {build.words}")
    if build.only_torch:
        index = ("--index-url", build.only_torch, *IMPATIENT)
        try:
            environment.install("torch", "--no-deps", *index, requirement)
        except CannotInstall:
            say(
                f"byline: {build.only_torch} can't be reached or has no {requirement}; torch comes "
                "from pip's own index, where it may be the build for CUDA, several GB"
            )
    return ("--extra-index-url", build.extra_index) if build.extra_index else ()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compose.installer", description=__doc__)
    parser.add_argument("folder", type=Path, help="the environment's folder")
    parser.add_argument("lock", type=Path, help="the file that pins the packages")
    parser.add_argument("stamp", type=Path, help="the file to touch once all is installed")
    for name in FOR_PIP:
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help="as for pip")
    parser.add_argument("--torch-index", help="TORCH_INDEX; empty: pip's own index as it is")
    return parser.parse_args(arguments)

"""Chooses between torch's builds before anything is downloaded: for CPUs, or for CUDA.

On Linux, PyPI has the build for CUDA, with gigabytes of NVIDIA's libraries. PyTorch's own index has
the build for CPUs. On macOS there is one build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

#: PyTorch's index of builds for CPUs.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
#: Device files of an NVIDIA GPU: under Linux, and under the Linux of Windows.
DEVICES = ("/dev/nvidia0", "/dev/dxg")
#: Seconds that nvidia-smi has to list the GPUs.
LISTED_S = 10

#: Packages that torch's build for CUDA needs.
_OF_CUDA = re.compile("cuda|nvidia", re.IGNORECASE)


class TorchBuild(NamedTuple):
    """The build of torch to install, and the package indexes that have it."""

    #: The line that tells the person at the terminal what was chosen.
    words: str
    #: The index from which torch is installed, before all other packages; empty if there is none.
    only_torch: str = ""
    #: The index that pip asks, besides its own, for all packages; empty if there is none.
    extra_index: str = ""


def choose(requested: str | None, found: Sequence[str] | None) -> TorchBuild:
    """Returns the build of torch to install on this machine.

    ``requested`` is the environment variable TORCH_INDEX, or None if it is not set. It holds the
    URL of a package index; an empty text means pip's default index. ``found`` are the packages that
    torch needs, as pip's default index lists them; None if unknown.
    """
    if requested:
        return TorchBuild(f"torch: the build of TORCH_INDEX={requested}", extra_index=requested)
    if requested is not None:
        return TorchBuild("torch: the build of pip's own index, because TORCH_INDEX is empty")
    if sys.platform != "linux":
        return TorchBuild("torch: the build for this system, the only one")
    # The packages show whether pip's default index has the build for CUDA.
    if found is not None and not any(map(_OF_CUDA.match, found)):
        return TorchBuild(
            "torch: the build for CPUs, which pip's own index has; for another build: "
            "make … TORCH_INDEX=address of a package index"
        )
    if has_gpu():
        return TorchBuild(
            "torch: the build for CUDA, several GB, because an NVIDIA GPU is here; for the build "
            f"for CPUs, about 200 MB: make … TORCH_INDEX={CPU_INDEX}"
        )
    return TorchBuild(
        "torch: the build for CPUs, about 200 MB, because no NVIDIA GPU is seen here; for the "
        "build for CUDA, several GB: make … TORCH_INDEX=",
        only_torch=CPU_INDEX,
    )


def has_gpu() -> bool:
    """Returns whether this machine has an NVIDIA GPU.

    There is a GPU if its device file exists, or if nvidia-smi lists a GPU.
    """
    if any(Path(device).exists() for device in DEVICES):
        return True
    program = shutil.which("nvidia-smi")
    return program is not None and "GPU " in _listed(program)


def _listed(program: str) -> str:
    """Returns what ``nvidia-smi -L`` prints, one GPU a line; empty if the program fails."""
    try:
        listed = subprocess.run(
            [program, "-L"], check=True, capture_output=True, text=True, timeout=LISTED_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return listed.stdout


def required(lock: Path) -> str:
    """Returns the entry of torch in a file of pinned packages, such as ``torch==2.13.0``.

    The result is empty if the file does not pin torch.
    """
    found = re.search(r"^torch==\S+", lock.read_text("utf-8"), re.MULTILINE)
    return found[0] if found else ""

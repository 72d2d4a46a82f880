"""The devices a model runs on. One is trusted only after it has been tried.

:class:`Device` is all that the rest of Byline knows of CUDA, Metal or the CPU, so that a test can
put another in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch

logger = logging.getLogger(__name__)

#: Side of the square matrices of the trial: past the sizes that take special paths, and instant.
TRIAL_SIDE = 128
#: Largest difference allowed between device and CPU, relative to the CPU's largest value.
#: fp32 with TF32 or Metal's fast maths stays well inside it; a broken device does not.
TRIAL_TOLERANCE = 1e-2
#: What torch says, in a plain RuntimeError, where the CPU or Metal has no memory left.
_NO_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Invalid buffer size",
)


class DeviceError(RuntimeError):
    """The device can't be used. Says which, and why."""


class DeviceMemory(NamedTuple):
    """Memory of an accelerator, in bytes."""

    #: Held by tensors.
    allocated: int
    #: Taken from the driver: tensors, what is kept for the next ones, compiled kernels.
    driver: int
    #: All that there is, or that the driver recommends to take.
    limit: int


class Device:
    """A device as the engine sees it; this one is the CPU."""

    #: Whether it computes while the thread that asked goes on.
    overlaps = False
    #: Whether each new shape costs time and memory, so that batches are padded to a grid.
    pads = False
    #: Tokens of a forward pass, padding included, unless the settings say otherwise. Beyond some
    #: 3,000 the activations of a small encoder leave a CPU's cache: twice as slow at 25,000.
    tokens = 3072
    #: What a pass costs besides its tokens, as so many of them. Measured: one message alone takes
    #: a CPU as long as its tokens and these would in a batch.
    pass_cells = 100

    def __init__(self, device: torch.device) -> None:
        self.torch = device

    def __str__(self) -> str:
        return str(self.torch)

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the host's on the device."""
        return tensor.to(self.torch)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Begin to copy ``tensor`` to the host; return what waits for the copy and gives it."""
        return tensor.cpu

    def memory(self) -> DeviceMemory | None:
        """Return what is in use; None where the host's memory is all there is."""
        return None

    def release(self) -> None:
        """Give back what is kept for tensors to come."""

    def is_full(self, error: BaseException) -> bool:
        """Return whether ``error`` says that the device has no memory left."""
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        return isinstance(error, RuntimeError) and any(w in str(error) for w in _NO_MEMORY)


class Cuda(Device):
    """An NVIDIA GPU. It computes in order what it is given, while the host goes on."""

    overlaps = True
    pads = True
    tokens = 32_768
    #: Launching takes a fast GPU the time of several thousand tokens, and a slow one that of a few
    #: hundred. A guess between them.
    pass_cells = 1024

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        torch.cuda.set_device(device)

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy from pinned memory, for which the host need not wait."""
        return tensor.pin_memory().to(self.torch, non_blocking=True)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Queue the copy now: asked for later, it would wait for what was launched meanwhile."""
        copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copy.copy_(tensor, non_blocking=True)
        done = torch.cuda.Event()
        done.record()

        def wait() -> torch.Tensor:
            done.synchronize()
            return copy

        return wait

    def memory(self) -> DeviceMemory:
        """Return torch's own figures, and the GPU's size."""
        return DeviceMemory(
            torch.cuda.memory_allocated(self.torch),
            torch.cuda.memory_reserved(self.torch),
            torch.cuda.get_device_properties(self.torch).total_memory,
        )

    def release(self) -> None:
        """Empty torch's cache."""
        torch.cuda.empty_cache()


class Metal(Device):
    """Apple's GPU. Computes while the host goes on, which is not made use of: it was never run."""

    pads = True
    tokens = 32_768
    pass_cells = 1024  # as for CUDA

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        logger.warning("mps: what Metal has no kernel for runs on the CPU; torch names it, once")

    def memory(self) -> DeviceMemory:
        """Return Metal's figures. The memory is the machine's: a part of the process's own."""
        return DeviceMemory(
            torch.mps.current_allocated_memory(),
            torch.mps.driver_allocated_memory(),
            torch.mps.recommended_max_memory(),
        )

    def release(self) -> None:
        """Empty torch's cache."""
        torch.mps.empty_cache()


_KINDS: dict[str, type[Device]] = {"cpu": Device, "cuda": Cuda, "mps": Metal}


def choose(name: str, worker: int = 0) -> Device:
    """Return the device called ``name``: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    ``auto`` is the first of CUDA, MPS and the CPU that passes its trial. Workers on one machine
    are dealt its GPUs in turn: ``worker`` is this one's number, from 0.

    Raises:
        DeviceError: the device is not there, or failed its trial.
    """
    if name != "auto":
        device = _dealt(torch.device(name), worker)
        try_out(device)
        return _KINDS[device.type](device)
    for candidate in _present():
        device = _dealt(candidate, worker)
        try:
            try_out(device)
        except DeviceError as error:
            logger.warning("%s; the next best is taken", error)
        else:
            return _KINDS[device.type](device)
    return Device(torch.device("cpu"))


def _present() -> list[torch.device]:
    present = []
    if torch.cuda.is_available():
        present.append(torch.device("cuda"))
    if torch.backends.mps.is_available():
        present.append(torch.device("mps"))
    return present


def _dealt(device: torch.device, worker: int) -> torch.device:
    """Return ``device`` with a number where it is one of several."""
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 0
    return torch.device("cuda", worker % gpus) if gpus else device


def try_out(device: torch.device) -> None:
    """Allocate on ``device``, multiply, and compare with the CPU.

    ``is_available()`` is not enough: some machines say yes and fail at the first allocation.

    Raises:
        DeviceError: any of it failed.
    """
    generator = torch.Generator().manual_seed(0)
    left, right = torch.rand(2, TRIAL_SIDE, TRIAL_SIDE, generator=generator)
    expected = left @ right
    try:
        actual = (left.to(device) @ right.to(device)).cpu()
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without
        raise DeviceError(f"device {device} can't be used: {error}") from error
    worst = (actual - expected).abs().max().item()
    if not worst <= TRIAL_TOLERANCE * expected.abs().max().item():
        raise DeviceError(
            f"device {device} can't be trusted: a {TRIAL_SIDE} x {TRIAL_SIDE} product "
            f"differs from the CPU's by up to {worst:.3g}"
        )
